"""In and out: sign in, sign out, and the first account."""

import asyncio
from typing import Any

from aiohttp import web

from moderation.errors import FieldError, Invalid, NotFound, TooMany
from moderation.model import Moderator, Role
from moderation.store import people, sessions
from moderation.web import body, pages, problem
from moderation.web.auth import SESSION_COOKIE, same_origin
from moderation.web.context import CONTEXT
from moderation.web.desk import frame
from moderation.web.middleware import locale_of

PASSWORD_MIN, _PASSWORD_MAX, _NAME_MAX = 10, 1024, 100
_TRIES, _TRIES_WINDOW_SECONDS = 10, 300
TOO_MANY_TRIES = "Too many tries to sign in. Please wait a few minutes."
TOO_SHORT = "At least %(least)s characters."
_HASHING = asyncio.Semaphore(2)  # argon2 takes 64 MiB and 100 ms each


async def in_turn(work: Any, *arguments: Any) -> Any:
    """Hash or check a password in a thread, few at once."""
    async with _HASHING:
        return await asyncio.to_thread(work, *arguments)


async def sign_in_page(request: web.Request) -> web.Response:
    """The form."""
    return pages.page(request, "sign_in.html", locale_of(request), message="", name="")


async def sign_in(request: web.Request) -> web.Response:
    """Check name and password; ten wrong tries in five minutes close the door for that name for a while."""
    same_origin(request)
    fields = body.parse_form(await body.read(request))
    name, password = str(fields.get("name", ""))[:100], str(fields.get("password", ""))
    store = request.app[CONTEXT].store
    tries_key = "m:{g}:tries:" + store.privacy.keyed_hash("tries", name)
    tries, _ = await store.pipe.call_many([("INCR", tries_key), ("EXPIRE", tries_key, _TRIES_WINDOW_SECONDS)])
    if tries > _TRIES:
        raise TooMany(_TRIES_WINDOW_SECONDS, TOO_MANY_TRIES)
    record = await people.user_record(store, name)
    if not await in_turn(people.password_fits, record, password):
        return pages.page(
            request,
            "sign_in.html",
            locale_of(request),
            status=401,
            message="The name or the password is wrong.",
            name=name,
        )
    await store.pipe.call("DEL", tries_key)
    return await signed_in(request, name)


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


async def sign_out(request: web.Request) -> web.Response:
    """End the session, or all of them."""
    same_origin(request)
    fields = body.parse_form(await body.read(request))
    store, session = request.app[CONTEXT].store, request.cookies.get(SESSION_COOKIE, "")
    seat = await sessions.find(store, session)
    if seat and fields.get("everywhere"):
        await sessions.close_all(store, seat.moderator.name)
    await sessions.close(store, session)
    response = frame.see(frame.SIGN_IN)
    response.del_cookie(SESSION_COOKIE, path="/")
    return response


# the first account


async def setup_page(request: web.Request) -> web.Response:
    """For whoever has the link that the service printed at its first start. Raises NotFound once it was used."""
    await _invited(request)
    return _setup(request)


async def setup(request: web.Request) -> web.Response:
    """Make the first account, an admin of everything, and sign it in."""
    same_origin(request)
    token = await _invited(request)
    fields = body.parse_form(await body.read(request))
    name, password = str(fields.get("name", "")).strip(), str(fields.get("password", ""))
    try:
        check_name(name)
        check_password(password)
    except Invalid as error:
        return _setup(request, error, name)
    store = request.app[CONTEXT].store
    if not await people.accept_invitation(store, token):
        raise NotFound()
    record = await in_turn(people.new_record, store, Moderator(name=name, role=Role.ADMIN, contact=True), password)
    await people.add_record(store, record)
    return await signed_in(request, name)


async def _invited(request: web.Request) -> str:
    token = request.match_info["token"]
    if not await people.is_invited(request.app[CONTEXT].store, token):
        raise NotFound()
    return token


def _setup(request: web.Request, error: Invalid | None = None, name: str = "") -> web.Response:
    locale = locale_of(request)
    errors = {e["field"]: e["message"] for e in problem.field_messages(error, locale)} if error else {}
    return pages.page(
        request, "setup.html", locale, status=422 if error else 200, errors=errors, name=name, least=PASSWORD_MIN
    )


def check_name(name: str) -> None:
    """Raises Invalid."""
    if not 0 < len(name) <= _NAME_MAX:
        raise Invalid([FieldError("name", "invalid", "This is not valid.")])


def check_password(password: str, field: str = "password") -> None:
    """Raises Invalid."""
    if not PASSWORD_MIN <= len(password) <= _PASSWORD_MAX:
        raise Invalid([FieldError(field, "too_short", TOO_SHORT, {"least": PASSWORD_MIN})])
