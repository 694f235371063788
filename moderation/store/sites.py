"""Sites: configuration with a version, so that a cached copy is checked by the script that relies on it."""

import contextlib
import re
from typing import Any

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
    """Add a site; raises Conflict if the id is taken, be it by the remains of one that is being deleted."""
    tag = store.tag_of_site(site.id)
    if await store.pipe.call("SISMEMBER", tag + "removing", site.id):
        raise Conflict("There is a site with this id already.", code="exists")
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
    """Delete a site with everything it holds. Begun is as good as done: `finish_removals` goes on where a kill cut it short, and so does
    asking again. Raises NotFound.
    """
    removing = store.tag_of_site(site_id) + "removing"
    if not await store.pipe.call("SISMEMBER", removing, site_id):
        await load(store, site_id)
        await store.pipe.call("SADD", removing, site_id)
    await _take_down(store, site_id)


async def finish_removals(store: Store) -> None:
    """Sites that somebody began to delete and did not get to the end of; doing it beside somebody who is still at it does no harm."""
    replies = await store.pipe.call_many([("SMEMBERS", keys.tag(p) + "removing") for p in range(store.partitions)])
    for site in sorted(name for reply in replies for name in reply):
        await _take_down(store, site)


async def _take_down(store: Store, site_id: str) -> None:
    tag = store.tag_of_site(site_id)
    await store.pipe.call_many([("DEL", _key(store, site_id)), ("SREM", tag + "sites", site_id)])
    for status in ("pending", "approved", "rejected", "spam"):
        index = f"{tag}s:{site_id}:{status}"
        while ids := await store.pipe.call("ZRANGE", index, 0, 499):
            values = await store.pipe.call("MGET", *[f"{tag}c:{i}" for i in ids])
            deliveries = await store.pipe.call_many([("LRANGE", f"{tag}cd:{i}", 0, -1) for i in ids])
            doomed: list[tuple[Any, ...]] = []
            for comment_id, value, made in zip(ids, values, deliveries, strict=True):
                parts = [f"{tag}{part}:{comment_id}" for part in ("c", "h", "cd", "cl", "ln")]
                doomed.append(("DEL", *parts, *[f"{tag}at:{delivery}" for delivery in made]))
                if value:
                    comment = parse_value(comment_id, value)
                    thread = keys.thread_key(comment.body["thread"])
                    doomed.append(("DEL", f"{tag}t:{site_id}:{thread}:{status}", f"{tag}tv:{site_id}:{thread}"))
                    doomed.append(("ZREM", f"{tag}a:{comment.body['who']}", comment_id))
            doomed += [
                ("INCR", tag + "erased"),
                ("ZREM", index, *ids),
            ]  # last: it is by this that they are found
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
    await store.pipe.call("SREM", tag + "removing", site_id)
