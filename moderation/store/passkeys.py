"""Public keys of passkeys, by credential; and challenges, each of which is answered once."""

from typing import Any

from pydantic_core import from_json, to_json

from moderation.privacy import token_hash
from moderation.store import keys
from moderation.store.connection import Store

_PASSKEYS = keys.GLOBAL + "passkeys"
_CHALLENGE_SECONDS = 300


async def add(store: Store, credential: str, record: dict[str, Any]) -> None:
    """`record` has name, key, count and created_at."""
    await store.pipe.call("HSET", _PASSKEYS, credential, to_json(record))


async def find(store: Store, credential: str) -> dict[str, Any] | None:
    """Whose it is."""
    text = await store.pipe.call("HGET", _PASSKEYS, credential)
    return from_json(text) if text else None


async def of(store: Store, name: str) -> list[dict[str, Any]]:
    """Somebody's passkeys, each with its `id`."""
    rows = await store.pipe.call("HGETALL", _PASSKEYS)
    found = [from_json(text) | {"id": credential} for credential, text in zip(rows[::2], rows[1::2], strict=True)]
    return sorted((one for one in found if one["name"] == name), key=lambda one: str(one["created_at"]))


async def remove(store: Store, name: str, credential: str | None = None) -> None:
    """One of somebody's passkeys, or all of them."""
    theirs = [one["id"] for one in await of(store, name) if credential in {None, one["id"]}]
    if theirs:
        await store.pipe.call("HDEL", _PASSKEYS, *theirs)


async def keep_challenge(store: Store, challenge: str) -> None:
    """For five minutes."""
    await store.pipe.call("SET", f"{keys.GLOBAL}challenge:{token_hash(challenge)}", "1", "EX", _CHALLENGE_SECONDS)


async def use_challenge(store: Store, challenge: str) -> bool:
    """Whether it was ours and was not answered yet; it is now."""
    return bool(await store.pipe.call("DEL", f"{keys.GLOBAL}challenge:{token_hash(challenge)}"))
