"""Accounts of moderators, and tokens for programs. For admins of all sites."""

import secrets
from typing import Any

from aiohttp import web

from moderation.errors import Conflict, FieldError, Invalid, NotFound
from moderation.model import Moderator, Role
from moderation.store import passkeys, people, sessions, sites
from moderation.submission import MESSAGES, is_address
from moderation.web import body
from moderation.web.admin_api import now
from moderation.web.desk import entry, frame
from moderation.web.desk.frame import Desk
from moderation.web.schemas import TokenIn

_PASSWORD_BYTES = 12


async def page(request: web.Request) -> web.Response:
    """Everybody."""
    desk = await frame.sit(request)
    desk.need_all_sites()
    return await _page(desk)


async def _page(desk: Desk, *, status: int = 200, errors: dict[str, str] | None = None, fields: dict[str, str] | None = None, once: dict[str, str] | None = None) -> web.Response:  # fmt: skip
    return desk.page(
        "people.html", status=status, accounts=await people.users(desk.store), tokens=await people.tokens(desk.store),
        names=await sites.names(desk.store), roles=[role.value for role in Role], errors=errors or {}, fields=frame.typed(fields), once=once or {},
    )  # fmt: skip


async def _pressed(request: web.Request) -> tuple[Desk, dict[str, str]]:
    desk, fields = await frame.pressed(request, Role.ADMIN)
    desk.need_all_sites()
    return desk, fields


def _chosen_sites(fields: dict[str, str]) -> list[str] | None:
    """Those ticked; None, for all of them, when none is."""
    return [name[5:] for name in fields if name.startswith("site-")] or None


async def add(request: web.Request) -> web.Response:
    """A new account with a made-up password, shown once."""
    desk, fields = await _pressed(request)
    email = fields.get("email", "").strip()
    try:
        entry.check_name(fields.get("name", "").strip())
        if email and not is_address(email):
            raise Invalid([FieldError("email", "invalid", MESSAGES["invalid"])])
        who = _moderator(fields | {"name": fields.get("name", "").strip()})
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        record = await entry.in_turn(people.new_record, desk.store, who, password, email)
        await people.add_record(desk.store, record)
    except Invalid as error:
        return await _page(desk, status=422, errors=desk.problems(error), fields=fields)
    except Conflict:
        taken = Invalid([FieldError("name", "exists", "There is an account with this name already.")])
        return await _page(desk, status=409, errors=desk.problems(taken), fields=fields)
    return await _page(desk, once={"kind": "password", "name": who.name, "value": password})


def _moderator(fields: dict[str, str]) -> Moderator:
    given = body.validate(TokenIn, _token_fields(fields))
    return Moderator(
        name=given.name,
        role=given.role,
        sites=None if given.sites is None else tuple(given.sites),
        contact=given.contact,
    )


def _token_fields(fields: dict[str, str]) -> dict[str, Any]:
    return {
        "name": fields.get("name", ""),
        "role": fields.get("role", ""),
        "sites": _chosen_sites(fields),
        "contact": bool(fields.get("contact")),
    }


async def change(request: web.Request) -> web.Response:
    """Another role, other sites, a new password, signed out everywhere, or removed."""
    desk, fields = await _pressed(request)
    name = request.match_info["name"]
    if await people.user_record(desk.store, name) is None:
        raise NotFound("There is no such account.")
    act = fields.get("act", "")
    if name == desk.moderator.name and act in {"change", "remove"}:
        raise Conflict("Nobody changes their own role or removes themselves; another admin can.", code="own")
    if act == "remove":
        await people.remove_user(desk.store, name)
        await sessions.forget(desk.store, name)
        await passkeys.remove(desk.store, name)
    elif act == "sign_out":
        await sessions.close_all(desk.store, name)
    elif act == "password":
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        hashed = await entry.in_turn(people.password_hash, password)
        await people.change_user(desk.store, name, password=hashed, totp=None)
        await passkeys.remove(desk.store, name)
        await sessions.close_all(desk.store, name)
        return await _page(desk, once={"kind": "password", "name": name, "value": password})
    else:
        who = _moderator(fields | {"name": name})
        await people.change_user(desk.store, name, role=who.role.value, sites=who.sites, contact=who.contact)
    return frame.see("/review/people", {"done": "kept"})


async def add_token(request: web.Request) -> web.Response:
    """A token for a program, shown once."""
    desk, fields = await _pressed(request)
    try:
        who = _moderator(fields)
    except Invalid as error:
        errors = {f"token_{field}": message for field, message in desk.problems(error).items()}
        return await _page(desk, status=422, errors=errors, fields={f"token_{k}": v for k, v in fields.items()})
    _, token = await people.add_token(desk.store, who, now())
    return await _page(desk, once={"kind": "token", "name": who.name, "value": token})


async def remove_token(request: web.Request) -> web.Response:
    """Revoke it, at once."""
    desk, _ = await _pressed(request)
    await people.remove_token(desk.store, request.match_info["token"])
    return frame.see("/review/people", {"done": "kept"})
