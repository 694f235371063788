"""Who sits at the desk: sessions by the hash of their id, and what each moderator set for themselves.

A session holds only a name: rights are read anew with every request, so that a change of them works at once.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json, to_json

from moderation.model import Moderator
from moderation.privacy import new_token, token_hash
from moderation.store import keys
from moderation.store.connection import Store
from moderation.store.people import USERS, moderator_of

IDLE_SECONDS, AGE_SECONDS = 12 * 3600, 14 * 86_400
UNDO_KEPT_SECONDS = 60
FILTERS_MAX, _BATCH_MAX = 20, 2000


@dataclass(frozen=True, slots=True)
class Seat:
    """A moderator at the desk, and how they like it."""

    moderator: Moderator
    opened_at: int  # seconds since 1970
    language: str = ""  # '': the browser's
    keys: dict[str, str] = field(default_factory=dict)  # action → KeyboardEvent.code, '' for none; only what differs
    filters: dict[str, str] = field(default_factory=dict)  # name → query


def _session(session: str) -> str:
    return f"{keys.GLOBAL}session:{token_hash(session)}"


def _sessions(name: str) -> str:
    return f"{keys.GLOBAL}sessions:{name}"


def _desk(name: str) -> str:
    return f"{keys.GLOBAL}desk:{name}"


async def open_session(store: Store, name: str) -> str:
    """A new session id for the cookie; stored hashed."""
    session, now = new_token(""), int(time.time())
    await store.pipe.call_many(
        [
            ("SET", _session(session), to_json({"name": name, "opened": now}), "EX", IDLE_SECONDS),
            ("ZREMRANGEBYSCORE", _sessions(name), "-inf", now - AGE_SECONDS),
            ("ZADD", _sessions(name), now, token_hash(session)),
            ("EXPIRE", _sessions(name), AGE_SECONDS),
        ]
    )
    return session


async def find(store: Store, session: str) -> Seat | None:
    """Whose session this is; being asked keeps it alive, but for no longer than two weeks."""
    if not session:
        return None
    text, _ = await store.pipe.call_many([("GET", _session(session)), ("EXPIRE", _session(session), IDLE_SECONDS)])
    if not text:
        return None
    record = from_json(text)
    if time.time() - record["opened"] > AGE_SECONDS:
        await close(store, session)
        return None
    account, liked = await store.pipe.call_many([("HGET", USERS, record["name"]), ("HGETALL", _desk(record["name"]))])
    if not account:
        return None
    likes = dict(zip(liked[::2], liked[1::2], strict=True))
    return Seat(
        moderator_of(from_json(account)),
        record["opened"],
        likes.get("language", ""),
        from_json(likes.get("keys", "{}")),
        from_json(likes.get("filters", "{}")),
    )


async def close(store: Store, session: str) -> None:
    """Sign out here."""
    await store.pipe.call("DEL", _session(session))


async def close_all(store: Store, name: str) -> None:
    """Sign out everywhere."""
    hashes = await store.pipe.call("ZRANGE", _sessions(name), 0, -1)
    await store.pipe.call("DEL", _sessions(name), *[f"{keys.GLOBAL}session:{one}" for one in hashes])


async def opened(store: Store, name: str) -> list[int]:
    """When the sessions of somebody that live were opened, newest first, in seconds since 1970."""
    rows = await store.pipe.call("ZREVRANGE", _sessions(name), 0, -1, "WITHSCORES")
    alive = await store.pipe.call_many([("EXISTS", f"{keys.GLOBAL}session:{one}") for one in rows[::2]]) if rows else []
    return [int(float(at)) for at, lives in zip(rows[1::2], alive, strict=True) if lives]


async def like(store: Store, name: str, **liked: Any) -> None:
    """Keep what somebody set for themselves: `language`, `keys`, `filters`."""
    values = [
        part for key, value in liked.items() for part in (key, value if isinstance(value, str) else to_json(value))
    ]
    await store.pipe.call("HSET", _desk(name), *values)


async def forget(store: Store, name: str) -> None:
    """Everything of somebody whose account is gone."""
    await close_all(store, name)
    await store.pipe.call("DEL", _desk(name))


# what was decided together is taken back together


async def keep_batch(store: Store, by: str, ids: list[str], batch: str = "") -> str:
    """Remember what one press decided for as long as it may be taken back, together with what `batch` holds; returns its name."""
    known = await batch_of(store, by, batch) if batch else []
    batch = new_token("")
    record = {"by": by, "ids": [*known, *ids][-_BATCH_MAX:]}
    await store.pipe.call("SET", f"{keys.GLOBAL}batch:{token_hash(batch)}", to_json(record), "EX", UNDO_KEPT_SECONDS)
    return batch


async def batch_of(store: Store, by: str, batch: str) -> list[str]:
    """The comments of a batch of one's own; none when it is gone."""
    text = await store.pipe.call("GET", f"{keys.GLOBAL}batch:{token_hash(batch)}")
    record = from_json(text) if text else {"by": "", "ids": []}
    return list(record["ids"]) if record["by"] == by else []
