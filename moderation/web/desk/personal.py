"""What is kept of one address, for an admin of all sites: seen, given out, deleted."""

import time

from aiohttp import web

from moderation.errors import FieldError, Invalid
from moderation.model import Role, created_ms
from moderation.privacy import Sealed, mask_address
from moderation.store import erasure, personal
from moderation.store.erasure import Receipt
from moderation.submission import MESSAGES, is_address
from moderation.web import personal as personal_pages
from moderation.web.desk import frame
from moderation.web.desk.frame import Desk

_SEALED = "personal-data"


async def page(request: web.Request) -> web.Response:
    """Asks for the address."""
    desk = await frame.sit(request, Role.ADMIN)
    desk.need_all_sites()
    return await _page(desk)


async def _page(
    desk: Desk, email: str = "", *, status: int = 200, error: str = "", receipt: Receipt | None = None
) -> web.Response:
    """The address itself stands nowhere in it: what the buttons send is sealed."""
    kept = await personal.kept_of(desk.store, email) if email else None
    response = desk.page(
        "personal.html", status=status, kept=kept, masked=mask_address(email) if email else "", receipt=receipt,
        at=created_ms(receipt.id) if receipt else 0, sealed=desk.store.privacy.seal(email, _SEALED) if email else "",
        errors={"email": error} if error else {},
    )  # fmt: skip
    response.headers["Cache-Control"] = "no-store"
    return response


async def act(request: web.Request) -> web.StreamResponse:
    """Look, give out or delete."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    desk.need_all_sites()
    try:
        email = desk.store.privacy.open(fields["sealed"], _SEALED) if "sealed" in fields else fields.get("email", "")
    except Sealed:
        email = ""
    email = email.strip()
    if not is_address(email):
        code = "invalid" if email else "required"
        problems = desk.problems(Invalid([FieldError("email", code, MESSAGES[code])]))
        return await _page(desk, status=422, error=problems["email"])
    match fields.get("act"):
        case "send":
            return await personal_pages.send(request, email, desk.moderator.name)
        case "mail":
            found = await personal.kept_of(desk.store, email)
            if found.newest:
                await personal.ask(desk.store, found.newest, round(time.time() * 1000))
            return frame.see(request.path, {"done": "mailed"})
        case "erase":
            receipt = await erasure.erase_address(desk.store, email, desk.moderator.name)
            return await _page(desk, receipt=receipt)
        case _:
            return await _page(desk, email)
