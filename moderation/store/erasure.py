"""Taking comments away for good: one by its author or an admin, or all of an address."""

import json
from collections import Counter

from moderation.model import Comment
from moderation.privacy import Sealed
from moderation.store import comments, keys, scripts, sites
from moderation.store.connection import Store

_PAGE = 200


async def erase(store: Store, comment: Comment, by: str) -> bool:
    """Whether it was there. Sites that subscribed to `comment.erased` are told, by ids alone."""
    tag, site, body = store.tag_of_id(comment.id), comment.site, comment.body
    reply = await scripts.run(
        store.pipe,
        "erase",
        [
            f"{tag}c:{comment.id}",
            f"{tag}claims:{site}",
            f"{tag}claimed:{site}",
            f"{tag}h:{comment.id}",
            f"{tag}audit:{site}",
            f"{tag}subs:{site}:comment.erased",
            f"{tag}a:{body['who']}",
            f"{tag}x:{site}",
            f"{tag}cl:{comment.id}",
            f"{tag}cd:{comment.id}",
            f"{tag}dup:{_duplicate(store, comment)}",
            f"{tag}ln:{comment.id}",
        ],
        comment.id,
        by,
        tag,
        site,
        body["thread"],
        keys.new_id(keys.partition_of(comment.id)),
        body.get("external_id", ""),
    )
    return bool(reply == "ok")


def _duplicate(store: Store, comment: Comment) -> str:
    """The hash under which a second one of the same would be refused."""
    body = comment.body
    name, text = body["name"], body["text"]
    if body.get("original"):
        try:
            name, text = json.loads(store.privacy.open(body["original"], comment.id))
        except Sealed:
            return ""
    return store.privacy.keyed_hash("dup", body["who"], name, body["thread"], text)


async def erase_address(store: Store, email: str, by: str) -> Counter[str]:
    """Every comment that was given with this address, on every site; how many on each."""
    erased: Counter[str] = Counter()
    for site in await sites.names(store):
        author = store.privacy.author_id(site, email, "")
        while found := (await comments.page_of_author(store, site, author, limit=_PAGE)).items:
            gone = [await erase(store, comment, by) for comment in found]
            if not any(gone):
                break
            erased[site] += sum(gone)
    return erased
