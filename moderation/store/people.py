"""Who may do what: bearer tokens and accounts. Tokens are stored hashed, passwords by argon2id."""

import contextlib
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from pydantic_core import from_json, to_json

from moderation.errors import Conflict, NotFound
from moderation.model import Moderator, Role
from moderation.privacy import Sealed, new_token, token_hash
from moderation.store import keys
from moderation.store.connection import Store

_TOKENS, USERS = keys.GLOBAL + "tokens", keys.GLOBAL + "users"
SETUP_SECONDS = 24 * 3600
_hasher = PasswordHasher()


async def add_token(store: Store, who: Moderator, created_at: str) -> tuple[str, str]:
    """Returns the token's id and the token, which is never shown again."""
    token, token_id = new_token("mod_"), keys.new_id(0)
    record = who.model_dump() | {"id": token_id, "hash": token_hash(token), "created_at": created_at}
    await store.pipe.call_many(
        [("HSET", _TOKENS, token_id, to_json(record)), ("SET", f"{keys.GLOBAL}token:{record['hash']}", token_id)]
    )
    return token_id, token


async def tokens(store: Store) -> list[dict[str, Any]]:
    """All tokens without their hashes."""
    rows = await store.pipe.call("HGETALL", _TOKENS)
    return sorted(
        ({k: v for k, v in from_json(text).items() if k != "hash"} for text in rows[1::2]), key=lambda t: str(t["id"])
    )


async def remove_token(store: Store, token_id: str) -> None:
    """Raises NotFound."""
    text = await store.pipe.call("HGET", _TOKENS, token_id)
    if not text:
        raise NotFound("There is no such token.")
    await store.pipe.call_many([("DEL", f"{keys.GLOBAL}token:{from_json(text)['hash']}"), ("HDEL", _TOKENS, token_id)])


async def by_token(store: Store, token: str) -> Moderator | None:
    """Whose token this is."""
    token_id = await store.pipe.call("GET", f"{keys.GLOBAL}token:{token_hash(token)}")
    text = token_id and await store.pipe.call("HGET", _TOKENS, token_id)
    if not text:
        return None
    return moderator_of(from_json(text))


def moderator_of(record: dict[str, Any]) -> Moderator:
    """Who a stored account or token stands for."""
    return Moderator.model_validate({key: record[key] for key in ("name", "role", "sites", "contact")})


def new_record(store: Store, who: Moderator, password: str, email: str = "") -> dict[str, Any]:
    """An account as it is stored. Slow on purpose (argon2id). `email` gets what admins are told."""
    record = who.model_dump() | {"password": _hasher.hash(password)}
    if email:
        record["email"] = store.privacy.seal(email, f"user:{who.name}")
    return record


async def add_record(store: Store, record: dict[str, Any]) -> None:
    """Raises Conflict if the name is taken."""
    if not await store.pipe.call("HSETNX", USERS, record["name"], to_json(record)):
        raise Conflict("There is an account with this name already.", code="exists")


async def add_user(store: Store, who: Moderator, password: str, email: str = "") -> None:
    """Raises Conflict if the name is taken. Slow on purpose."""
    await add_record(store, new_record(store, who, password, email))


def password_hash(password: str) -> str:
    """Slow on purpose (argon2id): call it in a thread."""
    return _hasher.hash(password)


async def users(store: Store) -> list[dict[str, Any]]:
    """All accounts by name, without what is secret of them."""
    rows = await store.pipe.call("HGETALL", USERS)
    records = sorted((from_json(text) for text in rows[1::2]), key=lambda record: str(record["name"]))
    return [
        moderator_of(record).model_dump(mode="json") | {"has_email": "email" in record, "second_step": "totp" in record}
        for record in records
    ]


async def change_user(store: Store, name: str, **changes: Any) -> None:
    """Set fields of an account; None takes one away. Raises NotFound."""
    record = await user_record(store, name)
    if record is None:
        raise NotFound("There is no such account.")
    record |= changes
    await store.pipe.call(
        "HSET", USERS, name, to_json({k: v for k, v in record.items() if v is not None or k == "sites"})
    )


async def remove_user(store: Store, name: str) -> None:
    """Raises NotFound."""
    if not await store.pipe.call("HDEL", USERS, name):
        raise NotFound("There is no such account.")


async def invite_first(store: Store) -> str | None:
    """A token by which the first account may be made, once, within a day; None when there are accounts."""
    if await store.pipe.call("HLEN", USERS):
        return None
    token = new_token("")
    await store.pipe.call("SET", f"{keys.GLOBAL}setup:{token_hash(token)}", "1", "EX", SETUP_SECONDS)
    return token


async def is_invited(store: Store, token: str) -> bool:
    """Whether the token is one of those, and nobody has an account yet."""
    invited, accounts = await store.pipe.call_many(
        [("EXISTS", f"{keys.GLOBAL}setup:{token_hash(token)}"), ("HLEN", USERS)]
    )
    return bool(invited and not accounts)


async def accept_invitation(store: Store, token: str) -> bool:
    """Use it up."""
    return bool(await store.pipe.call("DEL", f"{keys.GLOBAL}setup:{token_hash(token)}"))


async def user_record(store: Store, name: str) -> dict[str, Any] | None:
    """The stored account."""
    text = await store.pipe.call("HGET", USERS, name)
    return from_json(text) if text else None


async def admin_addresses(store: Store, site: str) -> list[str]:
    """The addresses of a site's admins, as far as they gave one that can be opened."""
    rows = await store.pipe.call("HGETALL", USERS)
    found = []
    for name, text in zip(rows[::2], rows[1::2], strict=True):
        record = from_json(text)
        of_site = record["sites"] is None or site in record["sites"]
        if record["role"] == Role.ADMIN and of_site and record.get("email"):
            with contextlib.suppress(Sealed):
                found.append(store.privacy.open(record["email"], f"user:{name}"))
    return found


@cache
def _nobody() -> str:
    """What an unknown name is checked against. Made when it is first needed: a command that checks no password does not wait for it."""
    return _hasher.hash("nobody has this password")


def password_fits(record: dict[str, Any] | None, password: str) -> bool:
    """Check a password; takes as long for an unknown name. Call it in a thread: it burns 100 ms on purpose."""
    nobody = _nobody()  # for a known name too, so that the first check of a process takes as long for either
    try:
        return _hasher.verify(record["password"] if record else nobody, password[:1024]) and record is not None
    except (Argon2Error, InvalidHashError):
        return False
