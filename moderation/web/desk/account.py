"""What moderators set for themselves: password, language, keys, and where they are signed in."""

from aiohttp import web

from moderation.errors import FieldError, Invalid
from moderation.i18n import languages
from moderation.model import Role
from moderation.store import passkeys, people, sessions
from moderation.web.desk import entry, frame, second_step, shortcuts
from moderation.web.desk import passkeys as passkey_door
from moderation.web.desk.frame import Desk

NOT_YOURS = "This is not your password."
KEY_TWICE = "This key is used twice."


async def page(request: web.Request) -> web.Response:
    """The page."""
    return await _page(await frame.sit(request))


async def _page(
    desk: Desk, *, status: int = 200, errors: dict[str, str] | None = None, keys: dict[str, str] | None = None
) -> web.Response:
    opened = await sessions.opened(desk.store, desk.moderator.name)
    record = await people.user_record(desk.store, desk.moderator.name)
    return desk.page(
        "account.html", status=status, errors=errors or {}, opened=opened, actions=shortcuts.ACTIONS,
        keys=keys or shortcuts.of(desk.seat), codes=shortcuts.CODES, label=shortcuts.label, least=entry.PASSWORD_MIN,
        second_step=second_step.is_offered(), has_second_step="totp" in (record or {}),
        passkeys=await passkeys.of(desk.store, desk.moderator.name) if passkey_door.is_offered() else None,
    )  # fmt: skip


async def password(request: web.Request) -> web.Response:
    """Another password; every other session ends."""
    desk, fields = await frame.pressed(request, Role.VIEWER)
    name, fresh = desk.moderator.name, fields.get("new", "")
    try:
        await entry.count_try(request, name)  # a session that was stolen is no password
        record = await people.user_record(desk.store, name)
        if not await entry.in_turn(people.password_fits, record, fields.get("old", "")):
            raise Invalid([FieldError("old", "invalid", NOT_YOURS)])
        entry.check_password(fresh, "new")
    except Invalid as error:
        return await _page(desk, status=422, errors=desk.problems(error))
    await entry.forget_tries(request, name)
    await people.change_user(desk.store, name, password=await entry.in_turn(people.password_hash, fresh))
    await sessions.close_all(desk.store, name)
    response = await entry.signed_in(request, name)
    response.headers["Location"] = "/review/account?done=kept"
    return response


async def language(request: web.Request) -> web.Response:
    """The language of the desk; none: the browser's."""
    desk, fields = await frame.pressed(request, Role.VIEWER)
    wanted = fields.get("language", "")
    await sessions.like(desk.store, desk.moderator.name, language=wanted if wanted in languages() else "")
    return frame.see("/review/account", {"done": "kept"})


async def keys(request: web.Request) -> web.Response:
    """Which key does what."""
    desk, fields = await frame.pressed(request, Role.VIEWER)
    wanted = {} if fields.get("usual") else shortcuts.chosen(fields)
    doubled = shortcuts.twice(wanted)
    if doubled:
        errors = desk.problems(Invalid([FieldError(action, "invalid", KEY_TWICE) for action in sorted(doubled)]))
        return await _page(desk, status=422, errors=errors, keys=shortcuts.USUAL | wanted)
    await sessions.like(desk.store, desk.moderator.name, keys=wanted)
    return frame.see("/review/account", {"done": "kept"})
