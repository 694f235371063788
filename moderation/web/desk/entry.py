"""What every way in ends with: tries are counted, passwords hashed few at once, and a session is opened."""

import asyncio
from typing import Any

from aiohttp import web

from moderation.addresses import network as network_of
from moderation.errors import FieldError, Invalid, TooMany
from moderation.store import keys, sessions
from moderation.web.auth import session_cookie, session_of
from moderation.web.context import CONTEXT
from moderation.web.desk import frame

PASSWORD_MIN, _PASSWORD_MAX, _NAME_MAX = 10, 1024, 100
_TRIES, _TRIES_OF_NETWORK, _TRIES_ANYWHERE, _TRIES_WINDOW_SECONDS = 10, 60, 30, 300
_DELAY_MAX_SECONDS = 4.0
TOO_MANY_TRIES = "Too many tries to sign in. Please wait a few minutes."
TOO_SHORT = "At least %(least)s characters."
_HASHING = asyncio.Semaphore(2)  # argon2 takes 64 MiB and 100 ms each


async def in_turn(work: Any, *arguments: Any) -> Any:
    """Hash or check a password in a thread, few at once."""
    async with _HASHING:
        return await asyncio.to_thread(work, *arguments)


async def count_try(request: web.Request, name: str) -> None:
    """Before a password or a code is looked at. Raises TooMany where too many were wrong in the last minutes.

    A door closes for a name from one network, and for a network: so a stranger elsewhere closes nobody's. What is tried from everywhere at
    one name is slowed down for all, but let in.
    """
    named, network, anywhere = counters = _tries(request, name)
    commands: list[tuple[object, ...]] = [("INCR", key) for key in counters]
    commands += [("EXPIRE", key, _TRIES_WINDOW_SECONDS) for key in counters]
    tries = dict(zip(counters, await request.app[CONTEXT].store.pipe.call_many(commands), strict=False))
    if tries[named] > _TRIES or tries[network] > _TRIES_OF_NETWORK:
        raise TooMany(_TRIES_WINDOW_SECONDS, TOO_MANY_TRIES)
    await asyncio.sleep(delay_seconds(tries[anywhere]))


def delay_seconds(tries: int) -> float:
    """How long a try waits for its answer when so many were wrong at this name, wherever they came from."""
    return min(max(0, tries - _TRIES_ANYWHERE) / 10, _DELAY_MAX_SECONDS)


async def forget_tries(request: web.Request, name: str) -> None:
    """They are in: theirs are forgotten, and this one does not count for their network."""
    named, network, anywhere = _tries(request, name)
    await request.app[CONTEXT].store.pipe.call_many(
        [("DEL", named), ("DEL", anywhere), ("DECR", network), ("EXPIRE", network, _TRIES_WINDOW_SECONDS)]
    )


def _tries(request: web.Request, name: str) -> tuple[str, str, str]:
    """Where they are counted: of the name from this network, of the network, of the name."""
    context = request.app[CONTEXT]
    network = network_of(context.proxies.client_address(request))
    hashed = context.store.privacy.keyed_hash
    subjects = (hashed("tries", name, network), hashed("tries of network", network), hashed("tries", name))
    named, of_network, anywhere = (f"{keys.GLOBAL}tries:{subject}" for subject in subjects)
    return named, of_network, anywhere


async def signed_in(request: web.Request, name: str) -> web.Response:
    """A new session, and off to the queue. One that the browser had before ends."""
    context = request.app[CONTEXT]
    await sessions.close(context.store, session_of(request))
    response = frame.see("/review")
    response.set_cookie(
        session_cookie(context),
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
