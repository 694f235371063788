"""What is known of the people who get mail, by the keyed hash of their address: suppressed or not, confirmed, how many today.

A suppression has a scope: everything, one site, or one thread. None ends by itself; it is lifted by hand.
"""

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from moderation.errors import NotFound
from moderation.store import keys, scripts
from moderation.store.connection import Store

_SUPPRESSED = keys.GLOBAL + "suppressed"
ALL = "all"
DAY_SECONDS = 86_400
SOFT_BOUNCES_MAX, SOFT_DAYS = 4, 4


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why nothing is sent to somebody. `reason`: unsubscribed, refused, bounced, complained or by_hand."""

    recipient: str
    scope: str
    reason: str
    at: str
    address_masked: str = ""
    detail: str = ""


def site_scope(site: str) -> str:
    """All mails of a site."""
    return f"site:{site}"


def thread_scope(site: str, thread_key: str) -> str:
    """All mails about one thread."""
    return f"thread:{site}:{thread_key}"


def _key(recipient: str) -> str:
    return f"{keys.GLOBAL}sup:{recipient}"


async def suppress(store: Store, found: Suppression) -> None:
    """From now on, for mails that wait already too. The first reason stays."""
    record = {"reason": found.reason, "at": found.at, "masked": found.address_masked, "detail": found.detail}
    await store.pipe.call_many(
        [
            ("HSETNX", _key(found.recipient), found.scope, to_json(record)),
            ("ZADD", _SUPPRESSED, 0, found.recipient),
        ]
    )


def _parse(recipient: str, scope: str, text: str) -> Suppression:
    record = from_json(text)
    return Suppression(recipient, scope, record["reason"], record["at"], record["masked"], record["detail"])


async def suppression(store: Store, recipient: str, site: str, thread_key: str = "") -> Suppression | None:
    """What keeps a mail of this site, about this thread, from being sent; the widest first."""
    scopes = [ALL, site_scope(site)] + ([thread_scope(site, thread_key)] if thread_key else [])
    found = await store.pipe.call("HMGET", _key(recipient), *scopes)
    return next((_parse(recipient, s, text) for s, text in zip(scopes, found, strict=True) if text), None)


async def of_recipient(store: Store, recipient: str) -> list[Suppression]:
    """All suppressions of one address."""
    row = await store.pipe.call("HGETALL", _key(recipient))
    return [_parse(recipient, scope, text) for scope, text in zip(row[::2], row[1::2], strict=True)]


async def forgive(store: Store, recipient: str, site: str, thread_key: str) -> None:
    """They want mails of a thread again: forget that they unsubscribed from it or its site. Other reasons stay."""
    for found in await of_recipient(store, recipient):
        if found.reason == "unsubscribed" and found.scope in {site_scope(site), thread_scope(site, thread_key)}:
            await lift(store, recipient, found.scope)


async def suppressions(store: Store, cursor: str = "", limit: int = 50) -> tuple[list[Suppression], str | None]:
    """A page of everybody with a suppression, in the order of their hashes, and the cursor of the next one."""
    after = f"({cursor}" if cursor else "-"
    people = await store.pipe.call("ZRANGEBYLEX", _SUPPRESSED, after, "+", "LIMIT", 0, limit + 1)
    rows = await store.pipe.call_many([("HGETALL", _key(who)) for who in people[:limit]]) if people else []
    found = [
        _parse(who, scope, text)
        for who, row in zip(people[:limit], rows, strict=True)
        for scope, text in zip(row[::2], row[1::2], strict=True)
    ]
    return found, people[limit - 1] if len(people) > limit else None


async def lift(store: Store, recipient: str, scope: str | None = None) -> None:
    """One scope, or all of them. Raises NotFound."""
    scopes = [scope] if scope else (await store.pipe.call("HKEYS", _key(recipient)) or [ALL])
    if not await store.pipe.call("HDEL", _key(recipient), *scopes):
        raise NotFound("There is no such suppression.")
    if not await store.pipe.call("EXISTS", _key(recipient)):
        await store.pipe.call_many([("ZREM", _SUPPRESSED, recipient), ("DEL", f"{keys.GLOBAL}soft:{recipient}")])


async def soft_bounces(store: Store, recipient: str, report_id: str) -> int:
    """A mailbox was full or away: how many reports said so within four days, this one among them. A repeated report counts once."""
    key = f"{keys.GLOBAL}soft:{recipient}"
    _, _, count = await store.pipe.call_many(
        [("SADD", key, keys.thread_key(report_id)), ("EXPIRE", key, SOFT_DAYS * DAY_SECONDS), ("SCARD", key)]
    )
    return int(count)


async def was_heard(store: Store, report_id: str) -> bool:
    """Whether a relay's report was acted on; relays repeat them."""
    return bool(await store.pipe.call("EXISTS", f"{keys.GLOBAL}report:{keys.thread_key(report_id)}"))


async def hear(store: Store, report_id: str) -> None:
    """It was."""
    await store.pipe.call("SET", f"{keys.GLOBAL}report:{keys.thread_key(report_id)}", "1", "EX", DAY_SECONDS)


async def within_daily_cap(store: Store, recipient: str, delivery_id: str, day: str, cap: int) -> bool:
    """Whether one more mail may go to somebody on this day (UTC, ISO 8601). A delivery that is tried again counts once."""
    key = f"{keys.GLOBAL}mails:{recipient}:{day}"
    added, count, _ = await store.pipe.call_many(
        [("SADD", key, delivery_id), ("SCARD", key), ("EXPIRE", key, 2 * DAY_SECONDS)]
    )
    if added and int(count) > cap:
        await store.pipe.call("SREM", key, delivery_id)
        return False
    return True


async def confirm(store: Store, site: str, recipient: str) -> None:
    """They said that the address is theirs, and that they want to be told of replies on this site."""
    await store.pipe.call("SADD", f"{store.tag_of_site(site)}cf:{site}", recipient)


async def is_confirmed(store: Store, site: str, recipient: str) -> bool:
    """Whether they said so."""
    return bool(await store.pipe.call("SISMEMBER", f"{store.tag_of_site(site)}cf:{site}", recipient))


async def may_ask(store: Store, site: str, recipient: str, delivery_id: str) -> bool:
    """Whether they may be asked to confirm because of a reply: by one mail in thirty days, so that a form is no mail bomb."""
    key = f"{store.tag_of_site(site)}asked:{site}:{recipient}"
    _, asked = await store.pipe.call_many([("SET", key, delivery_id, "NX", "EX", 30 * DAY_SECONDS), ("GET", key)])
    return bool(asked == delivery_id)


async def forget(store: Store, site: str, recipient: str) -> None:
    """That they confirmed, and that they were asked to."""
    tag = store.tag_of_site(site)
    await store.pipe.call_many([("SREM", f"{tag}cf:{site}", recipient), ("DEL", f"{tag}asked:{site}:{recipient}")])


async def forget_masks(store: Store, recipient: str) -> None:
    """Nothing is sent to them all the same: the keyed hash stays, what may be read of the address goes."""
    for found in await of_recipient(store, recipient):
        record = {"reason": found.reason, "at": found.at, "masked": "", "detail": ""}
        await store.pipe.call("HSET", _key(recipient), found.scope, to_json(record))


async def close_digest(store: Store, site: str, event_id: str, every_seconds: int, named: int) -> dict[str, Any] | None:
    """Put what waits to be told into its event, which keeps it from then on. None when the event is gone."""
    tag = store.tag_of_site(site)
    reply = await scripts.run(
        store.pipe,
        "digest",
        [f"{tag}ev:{event_id}", f"{tag}dg:{site}", f"{tag}dgs:{site}", f"{tag}s:{site}:pending"],
        every_seconds * 1000,
        named,
    )
    return from_json(reply) if reply else None
