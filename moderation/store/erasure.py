"""Taking comments away for good: one, all of an address, or all that are older than a site keeps them.

What was erased stays in Redis's append-only file until that is rewritten; `rewrite_files` sees to it.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import redis.asyncio
from pydantic_core import from_json, to_json

from moderation.errors import ModerationError
from moderation.log import get_logger
from moderation.model import Comment, Status, created_ms
from moderation.privacy import Sealed
from moderation.public import iso
from moderation.screening.folding import name_key
from moderation.store import comments, keys, mailboxes, scripts, sites
from moderation.store.connection import Store
from moderation.store.servers import asking, masters

log = get_logger(__name__)
_PAGE = 200
ERASING = keys.GLOBAL + "erasing"
_REWRITTEN = keys.GLOBAL + "rewritten"
_LEFT_ALONE_MS = 10 * 60_000  # whoever began an erasure is still at it
_ASK_SECONDS = 5
_REWRITTEN_WITHIN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was erased of one address: how many comments on which sites. Names nobody."""

    id: str
    at: str
    sites: Counter[str] = field(default_factory=Counter)


async def erase(store: Store, comment: Comment, by: str, *, only: Status | None = None) -> bool:
    """Whether it was there, and (with `only`) still of that status. Sites that subscribed to `comment.erased` are told, by ids alone."""
    tag, site, body = store.tag_of_id(comment.id), comment.site, comment.body
    reply = await scripts.run_to_last(
        store,
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
            f"{tag}dup:{duplicate_name(store, comment)}",
            f"{tag}ln:{comment.id}",
            f"{tag}erased",
        ],
        comment.id,
        by,
        tag,
        site,
        body["thread"],
        keys.new_id(keys.partition_of(comment.id)),
        body.get("external_id", ""),
        name_key(body["name"]),
        only or "",
    )
    return bool(reply == "ok")


def duplicate_name(store: Store, comment: Comment) -> str:
    """The hash under which a second one of the same would be refused; '' when what was typed can't be opened any more."""
    body = comment.body
    name, text = body["name"], body["text"]
    if body.get("original"):
        try:
            name, text = json.loads(store.privacy.open(body["original"], comment.id))
        except Sealed:
            return ""
    return store.privacy.keyed_hash("dup", body["who"], name, body["thread"], text)


async def erase_address(store: Store, email: str, by: str) -> Receipt:
    """Every comment that was given with this address, on every site, and what else is known of it. Begun is as good as done: `finish`
    goes on where a kill cut it short.
    """
    receipt_id = keys.new_id(0)
    asked = to_json({"email": email, "by": by}).decode()
    await store.pipe.call("HSET", ERASING, receipt_id, store.privacy.seal(asked, receipt_id))
    return await _erase_address(store, receipt_id, email, by)


async def finish(store: Store, at_ms: int) -> None:
    """Erasures that somebody began and did not get to the end of."""
    row = await store.pipe.call("HGETALL", ERASING)
    for receipt_id, sealed in zip(row[::2], row[1::2], strict=True):
        if at_ms - created_ms(receipt_id) < _LEFT_ALONE_MS:
            continue
        try:
            asked = from_json(store.privacy.open(sealed, receipt_id))
        except Sealed:
            log.error("an erasure can't be finished: the secret key it was asked under is missing", receipt=receipt_id)
            continue
        await _erase_address(store, receipt_id, asked["email"], asked["by"])


async def _erase_address(store: Store, receipt_id: str, email: str, by: str) -> Receipt:
    receipt = Receipt(receipt_id, iso(created_ms(receipt_id)))
    recipient = store.privacy.address_id(email)
    for site in await sites.names(store):
        author = store.privacy.author_id(site, email, "")
        cursor = ""  # not «until nothing of a page is left»: somebody else may take a whole page away meanwhile
        while found := (await comments.page_of_author(store, site, author, cursor=cursor, limit=_PAGE)).items:
            receipt.sites[site] += sum(await asyncio.gather(*[erase(store, comment, by) for comment in found]))
            cursor = found[-1].id
        await _forget_author(store, site, author)
        await mailboxes.forget(store, site, recipient)
        if receipt.sites[site]:
            tag = store.tag_of_site(site)
            entry = ("by", by, "action", "address.erased", "comment", "", "detail", receipt_id)
            await store.pipe.call("XADD", f"{tag}audit:{site}", "MAXLEN", "~", 100_000, "*", *entry)
    await mailboxes.forget_masks(store, recipient)
    await store.pipe.call("HDEL", ERASING, receipt_id)
    return Receipt(receipt.id, receipt.at, +receipt.sites)


async def _forget_author(store: Store, site: str, author: str) -> None:
    """Their standing, and every name that was kept for them alone: also those of comments that went before."""
    tag = store.tag_of_site(site)
    async for names in _names(store, site):
        if theirs := [name for name, owner in names.items() if owner == author]:
            await store.pipe.call("HDEL", f"{tag}nm:{site}", *theirs)
    await store.pipe.call("HDEL", f"{tag}ok:{site}", author)


async def _names(store: Store, site: str) -> AsyncIterator[dict[str, str]]:
    """One spelling of each regular's name → author, some at a time."""
    cursor = "0"
    while True:
        cursor, row = await store.pipe.call("HSCAN", f"{store.tag_of_site(site)}nm:{site}", cursor, "COUNT", 1000)
        yield dict(zip(row[::2], row[1::2], strict=True))
        if cursor == "0":
            return


async def _forget_names(store: Store) -> None:
    """Those of whom no comment is left: the script that erases knows but the name of its own comment, and people have several."""
    for site in await sites.names(store):
        tag = store.tag_of_site(site)
        async for names in _names(store, site):
            owners = sorted(set(names.values()))
            there = await store.pipe.call_many([("EXISTS", f"{tag}a:{owner}") for owner in owners]) if owners else []
            gone = {owner for owner, found in zip(owners, there, strict=True) if not found}
            if theirs := [name for name, owner in names.items() if owner in gone]:
                await store.pipe.call("HDEL", f"{tag}nm:{site}", *theirs)


async def purge(store: Store, site: str, status: Status, before_ms: int, by: str) -> int:
    """Erase what came before a time (Unix ms) and stands so; how many."""
    tag, erased = store.tag_of_site(site), 0
    index, top = f"{tag}s:{site}:{status}", f"({keys.lowest_id(before_ms)}"
    while ids := await store.pipe.call("ZRANGEBYLEX", index, "-", top, "LIMIT", 0, _PAGE):
        found = [comment for comment in await comments.load_many(store, ids) if comment]
        gone = sum(await asyncio.gather(*[erase(store, comment, by, only=status) for comment in found]))
        erased += gone
        if not gone:
            break
    return erased


async def rewrite_files(store: Store) -> bool:
    """Have every master write its append-only file anew if something was erased since the last time; whether they did.

    Replicas rewrite theirs by their own rules. Raises Unavailable, ReplyError (a user without the right).
    """
    erased = await _erased_since(store)
    if not erased:
        return False
    for master in await masters(store.address):
        async with asking(store.address, master.node, _ASK_SECONDS) as connection:
            await connection.bgrewriteaof()
            if not await _rewritten(connection):
                return False
    await store.pipe.call("SET", _REWRITTEN, erased)
    return True


async def _erased_since(store: Store) -> str:
    """How many were ever erased, if there are more than at the last rewrite; else ''."""
    counted = await store.pipe.call_many([("GET", keys.tag(p) + "erased") for p in range(store.partitions)])
    erased = str(sum(int(count or 0) for count in counted))
    return "" if erased == (await store.pipe.call("GET", _REWRITTEN) or "0") else erased


async def _rewritten(connection: redis.asyncio.Redis) -> bool:
    """Wait for its end; whether it came to a good one."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REWRITTEN_WITHIN_SECONDS):
            while True:
                await asyncio.sleep(0.2)
                found = await connection.info("persistence")
                if not int(found["aof_rewrite_in_progress"]) and not int(found["aof_rewrite_scheduled"]):
                    return bool(found["aof_last_bgrewrite_status"] == "ok")
    return False


async def keep_promises(store: Store, at_ms: int) -> None:
    """Finish erasures, forget whose names are nobody's now, then rewrite the files; what fails is tried again at the next call."""
    await finish(store, at_ms)
    if await _erased_since(store):
        await _forget_names(store)
    try:
        await rewrite_files(store)
    except ModerationError as error:
        log.warning("what was erased stays in Redis's append-only file for now", problem=str(error)[:300])
