"""Sites: configuration with a version, so that a cached copy is checked by the script that relies on it."""

import contextlib
import re

from moderation.errors import Conflict, NotFound
from moderation.model import EVENTS, Site
from moderation.privacy import Sealed
from moderation.store import keys
from moderation.store.comments import parse_value
from moderation.store.connection import Store

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _key(store: Store, site_id: str) -> str:
    return f"{store.tag_of_site(site_id)}site:{site_id}"


def is_slug(site_id: str) -> bool:
    """Whether a site may have this id."""
    return _SLUG.fullmatch(site_id) is not None


async def create(store: Store, site: Site) -> Site:
    """Add a site; raises Conflict if the id is taken."""
    tag = store.tag_of_site(site.id)
    made, _, _ = await store.pipe.call_many(
        [
            ("HSETNX", _key(store, site.id), "doc", site.model_dump_json()),
            ("HSETNX", _key(store, site.id), "v", 1),
            ("SADD", tag + "sites", site.id),
        ]
    )
    if not made:
        raise Conflict("There is a site with this id already.", code="exists")
    return site


async def load(store: Store, site_id: str) -> tuple[Site, str]:
    """The site and its version; raises NotFound."""
    if not is_slug(site_id):
        raise NotFound("There is no such site.")
    doc, version = await store.pipe.call("HMGET", _key(store, site_id), "doc", "v")
    if not doc:
        raise NotFound("There is no such site.")
    return Site.model_validate_json(doc), version


async def save(store: Store, site: Site) -> None:
    """Change a site; whoever has a copy learns of it by the version."""
    await store.pipe.call_many(
        [("HSET", _key(store, site.id), "doc", site.model_dump_json()), ("HINCRBY", _key(store, site.id), "v", 1)]
    )


def notify_addresses(store: Store, site: Site) -> list[str]:
    """Who is told of waiting comments; an address that can't be opened (a key is missing) is left out."""
    found = []
    for sealed in site.notify:
        with contextlib.suppress(Sealed):
            found.append(store.privacy.open(sealed, f"site:{site.id}"))
    return found


async def names(store: Store) -> list[str]:
    """All site ids, sorted."""
    replies = await store.pipe.call_many([("SMEMBERS", keys.tag(p) + "sites") for p in range(store.partitions)])
    return sorted(name for reply in replies for name in reply)


async def remove(store: Store, site_id: str) -> None:
    """Delete a site with everything it holds; raises NotFound."""
    await load(store, site_id)
    tag = store.tag_of_site(site_id)
    await store.pipe.call_many([("DEL", _key(store, site_id)), ("SREM", tag + "sites", site_id)])
    for status in ("pending", "approved", "rejected", "spam"):
        index = f"{tag}s:{site_id}:{status}"
        while ids := await store.pipe.call("ZRANGE", index, 0, 499):
            values = await store.pipe.call("MGET", *[f"{tag}c:{i}" for i in ids])
            doomed = [("ZREM", index, *ids)]
            for comment_id, value in zip(ids, values, strict=True):
                doomed.append(("DEL", f"{tag}c:{comment_id}", f"{tag}h:{comment_id}", f"{tag}cd:{comment_id}"))
                if value:
                    comment = parse_value(comment_id, value)
                    thread = keys.thread_key(comment.body["thread"])
                    doomed.append(("DEL", f"{tag}t:{site_id}:{thread}:{status}", f"{tag}tv:{site_id}:{thread}"))
                    doomed.append(("ZREM", f"{tag}a:{comment.body['who']}", comment_id))
            await store.pipe.call_many(doomed)
    await store.pipe.call(
        "DEL",
        f"{tag}x:{site_id}",
        f"{tag}claims:{site_id}",
        f"{tag}claimed:{site_id}",
        f"{tag}eps:{site_id}",
        f"{tag}audit:{site_id}",
        f"{tag}cf:{site_id}",
        f"{tag}ok:{site_id}",
        f"{tag}nm:{site_id}",
        f"{tag}lw:{site_id}",
        f"{tag}ck:{site_id}",
        f"{tag}dg:{site_id}",
        f"{tag}dgs:{site_id}",
        *[f"{tag}subs:{site_id}:{event}" for event in EVENTS],
    )
