"""Sites: adding one, changing what it is, deleting it."""

from typing import Any

from aiohttp import web

from moderation.errors import Conflict, FieldError, Forbidden, Invalid
from moderation.model import Role, Site, Status
from moderation.store import sites
from moderation.web import admin_api, body
from moderation.web.desk import frame
from moderation.web.desk.frame import Desk

_MODES = ("each", "digest", "off")
ID_TYPED_WRONG = "Type the id of the site to delete it."


def _days(typed: str) -> int | str | None:
    """A number; what is none stays as it is, for the model to refuse."""
    typed = typed.strip()
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 9 else typed or None


def lines(text: str) -> list[str]:
    """One entry a line, empty lines apart."""
    return [line.strip() for line in text.splitlines() if line.strip()]


async def listing(request: web.Request) -> web.Response:
    """The sites that somebody manages."""
    desk = await frame.sit(request, Role.ADMIN)
    return await _listing(desk)


async def _listing(
    desk: Desk, *, status: int = 200, errors: dict[str, str] | None = None, fields: dict[str, str] | None = None
) -> web.Response:
    names = await sites.names(desk.store) if desk.moderator.sites is None else list(desk.moderator.sites)
    found = [(await sites.load(desk.store, name))[0] for name in names]
    return desk.page("sites.html", status=status, sites=found, errors=errors or {}, fields=frame.typed(fields))


async def add(request: web.Request) -> web.Response:
    """A new one."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    desk.need_all_sites()
    wanted = {"id": fields.get("id", "").strip(), "name": fields.get("name", "").strip() or fields.get("id", ""), "origins": lines(fields.get("origins", "")), "locale": fields.get("locale", "") or "en"}  # fmt: skip
    try:
        site = await admin_api.make(desk.store, body.validate(Site, wanted))
    except Invalid as error:
        return await _listing(desk, status=422, errors=_by_field(desk.problems(error)), fields=fields)
    except Conflict:
        taken = Invalid([FieldError("id", "exists", "There is a site with this id already.")])
        return await _listing(desk, status=409, errors=desk.problems(taken), fields=fields)
    return frame.see(f"/review/sites/{site.id}", {"done": "added"})


def _by_field(problems: dict[str, str]) -> dict[str, str]:
    """`origins.1` stands at `origins`, `retention.spam` at `keep_spam`."""
    return {
        f"keep_{rest}" if name == "retention" else name: message
        for (name, _, rest), message in ((field.partition("."), message) for field, message in problems.items())
    }


async def page(request: web.Request) -> web.Response:
    """One site."""
    desk = await frame.sit(request)
    return _page(desk, await desk.site())


def _page(
    desk: Desk,
    site: Site,
    *,
    status: int = 200,
    errors: dict[str, str] | None = None,
    fields: dict[str, str] | None = None,
) -> web.Response:
    told: Any = admin_api.shown(desk.store.privacy, site)["notify"]
    shown = {"name": site.name, "locale": site.locale, "origins": "\n".join(site.origins), "thread_url_template": site.thread_url_template or "", "notify_mode": site.notify_mode}  # fmt: skip
    shown |= {f"keep_{status}": str(getattr(site.retention, status) or "") for status in Status}
    return desk.page(
        "site.html", status=status, site=site, told=told, modes=_MODES, errors=errors or {}, fields=frame.typed(shown | (fields or {})),
        base=desk.context.base_url,
    )  # fmt: skip


async def change(request: web.Request) -> web.Response:
    """Keep what the form says."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    site = await desk.site()
    kept = [sealed for index, sealed in enumerate(site.notify) if not fields.get(f"drop-{index}")]
    wanted = {
        "name": fields.get("name", "").strip(), "locale": fields.get("locale", ""), "origins": lines(fields.get("origins", "")),
        "thread_url_template": fields.get("thread_url_template", "").strip() or None, "notify_mode": fields.get("notify_mode", site.notify_mode),
        "mail_rejections": bool(fields.get("mail_rejections")),
        "retention": {status.value: _days(fields.get(f"keep_{status}", "")) for status in Status},
    }  # fmt: skip
    opened = [desk.store.privacy.open(sealed, f"site:{site.id}") for sealed in kept]
    added = lines(fields.get("notify", ""))
    if added or len(kept) < len(site.notify):
        wanted["notify"] = [*opened, *added]
    try:
        await admin_api.change(desk.store, site, wanted)
    except Invalid as error:
        return _page(desk, site, status=422, errors=_by_field(desk.problems(error)), fields=fields)
    return frame.see(request.path, {"done": "kept"})


async def delete(request: web.Request) -> web.Response:
    """With everything it holds; its id has to be typed."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    site = await desk.site()
    if not desk.manages_all:
        raise Forbidden("Only an admin of all sites can delete one.")
    if fields.get("id", "").strip() != site.id:
        wrong = Invalid([FieldError("id", "invalid", ID_TYPED_WRONG)])
        return _page(desk, site, status=422, errors=desk.problems(wrong))
    await sites.remove(desk.store, site.id)
    desk.context.site_cache.pop(site.id, None)
    return frame.see("/review/sites", {"done": "deleted"})
