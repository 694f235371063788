"""In and out: sign in, sign out, and the first account."""

from aiohttp import web

from moderation.errors import Invalid, NotFound
from moderation.model import Moderator, Role
from moderation.store import people, sessions
from moderation.web import body, pages, problem
from moderation.web.auth import same_origin, session_cookie, session_of
from moderation.web.context import CONTEXT
from moderation.web.desk import entry, frame, passkeys, second_step
from moderation.web.middleware import locale_of


async def sign_in_page(request: web.Request) -> web.Response:
    """The form."""
    return _sign_in(request)


def _sign_in(request: web.Request, *, status: int = 200, message: str = "", name: str = "") -> web.Response:
    return pages.page(
        request, "sign_in.html", locale_of(request), status=status, message=message, name=name, script=True, passkeys=passkeys.is_offered()
    )  # fmt: skip


async def sign_in(request: web.Request) -> web.Response:
    """Check name and password, and go on to the second step of those who have one."""
    same_origin(request)
    fields = body.parse_form(await body.read(request))
    name, password = str(fields.get("name", ""))[:100], str(fields.get("password", ""))
    store = request.app[CONTEXT].store
    await entry.count_try(request, name)
    record = await people.user_record(store, name)
    fits = await entry.in_turn(people.password_fits, record, password)  # as slow for a name that nobody has
    if record is None or not fits:
        return _sign_in(request, status=401, message="The name or the password is wrong.", name=name)
    if "totp" in record:
        return await second_step.ask(request, name)
    await entry.forget_tries(request, name)
    return await entry.signed_in(request, name)


async def sign_out(request: web.Request) -> web.Response:
    """End the session, or all of them."""
    same_origin(request)
    fields = body.parse_form(await body.read(request))
    store, session = request.app[CONTEXT].store, session_of(request)
    seat = await sessions.find(store, session)
    if seat and fields.get("everywhere"):
        await sessions.close_all(store, seat.moderator.name)
    await sessions.close(store, session)
    response = frame.see(frame.SIGN_IN)
    response.del_cookie(
        session_cookie(request.app[CONTEXT]),
        path="/",
        secure=request.app[CONTEXT].base_url.startswith("https://"),
        httponly=True,
        samesite="Lax",
    )
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
        entry.check_name(name)
        entry.check_password(password)
    except Invalid as error:
        return _setup(request, error, name)
    store = request.app[CONTEXT].store
    if not await people.accept_invitation(store, token):
        raise NotFound()
    record = await entry.in_turn(
        people.new_record, store, Moderator(name=name, role=Role.ADMIN, contact=True), password
    )
    await people.add_record(store, record)
    return await entry.signed_in(request, name)


async def _invited(request: web.Request) -> str:
    token = request.match_info["token"]
    if not await people.is_invited(request.app[CONTEXT].store, token):
        raise NotFound()
    return token


def _setup(request: web.Request, error: Invalid | None = None, name: str = "") -> web.Response:
    locale = locale_of(request)
    errors = {e["field"]: e["message"] for e in problem.field_messages(error, locale)} if error else {}
    return pages.page(
        request, "setup.html", locale, status=422 if error else 200, errors=errors, name=name, least=entry.PASSWORD_MIN
    )
