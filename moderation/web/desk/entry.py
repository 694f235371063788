"""What every way in ends with: tries are counted, passwords hashed few at once, and a session is opened."""

import asyncio
from typing import Any

from aiohttp import web

from moderation.errors import FieldError, Invalid, TooMany
from moderation.store import keys, sessions
from moderation.store.connection import Store
from moderation.web.auth import SESSION_COOKIE
from moderation.web.context import CONTEXT
from moderation.web.desk import frame

PASSWORD_MIN, _PASSWORD_MAX, _NAME_MAX = 10, 1024, 100
_TRIES, _TRIES_WINDOW_SECONDS = 10, 300
TOO_MANY_TRIES = "Too many tries to sign in. Please wait a few minutes."
TOO_SHORT = "At least %(least)s characters."
_HASHING = asyncio.Semaphore(2)  # argon2 takes 64 MiB and 100 ms each


async def in_turn(work: Any, *arguments: Any) -> Any:
    """Hash or check a password in a thread, few at once."""
    async with _HASHING:
        return await asyncio.to_thread(work, *arguments)


async def count_try(store: Store, name: str) -> None:
    """Raises TooMany: ten wrong tries in five minutes close the door for a name for a while."""
    key = _tries(store, name)
    tries, _ = await store.pipe.call_many([("INCR", key), ("EXPIRE", key, _TRIES_WINDOW_SECONDS)])
    if tries > _TRIES:
        raise TooMany(_TRIES_WINDOW_SECONDS, TOO_MANY_TRIES)


async def forget_tries(store: Store, name: str) -> None:
    """They are in."""
    await store.pipe.call("DEL", _tries(store, name))


def _tries(store: Store, name: str) -> str:
    return f"{keys.GLOBAL}tries:" + store.privacy.keyed_hash("tries", name)


async def signed_in(request: web.Request, name: str) -> web.Response:
    """A new session, and off to the queue. One that the browser had before ends."""
    context = request.app[CONTEXT]
    await sessions.close(context.store, request.cookies.get(SESSION_COOKIE, ""))
    response = frame.see("/review")
    response.set_cookie(
        SESSION_COOKIE,
        await sessions.open_session(context.store, name),
        httponly=True,
        samesite="Lax",
        secure=context.settings.base_url.startswith("https://"),
        path="/",
    )
    return response


def check_name(name: str) -> None:
    """Raises Invalid."""
    if not 0 < len(name) <= _NAME_MAX:
        raise Invalid([FieldError("name", "invalid", "This is not valid.")])


def check_password(password: str, field: str = "password") -> None:
    """Raises Invalid."""
    if not PASSWORD_MIN <= len(password) <= _PASSWORD_MAX:
        raise Invalid([FieldError(field, "too_short", TOO_SHORT, {"least": PASSWORD_MIN})])
