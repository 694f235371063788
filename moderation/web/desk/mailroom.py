"""Mails: what became of them, who gets none, and how they look."""

from aiohttp import web

from moderation import letters
from moderation.errors import Invalid
from moderation.i18n import languages
from moderation.model import Role
from moderation.store import mailboxes, sites
from moderation.web import body, mail_api
from moderation.web.delivery_api import page_of_lane
from moderation.web.desk import frame
from moderation.web.desk.frame import Desk
from moderation.web.desk.receivers import STATES
from moderation.web.schemas import DeliveryQuery, SuppressionIn, SuppressionQuery


async def log(request: web.Request) -> web.Response:
    """A site's mails, newest first, each with the reason why it was not sent."""
    desk = await frame.sit(request, Role.ADMIN)
    site = await desk.site()
    asked = {name: value for name, value in request.query.items() if name in {"state", "cursor"} and value}
    try:
        query = body.validate(DeliveryQuery, asked)
    except Invalid:
        query = DeliveryQuery()
    found = await page_of_lane(desk.store, site.id, f"mail:{site.id}", query)
    return desk.page("mail_log.html", site=site, log=found, states=STATES, state=query.state or "")


async def suppressions(request: web.Request) -> web.Response:
    """Who gets no mail, and why."""
    desk = await frame.sit(request)
    desk.need_all_sites()
    return await _suppressions(desk)


async def _suppressions(desk: Desk, *, status: int = 200, errors: dict[str, str] | None = None) -> web.Response:
    try:
        query = body.validate(SuppressionQuery, {"cursor": desk.request.query.get("cursor") or None})
    except Invalid:
        query = SuppressionQuery()
    found, more = await mailboxes.suppressions(desk.store, query.cursor or "", query.limit)
    return desk.page(
        "suppressions.html",
        status=status,
        items=found,
        more=more,
        errors=errors or {},
        names=await sites.names(desk.store),
    )


async def suppress(request: web.Request) -> web.Response:
    """Send nothing more to an address."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    desk.need_all_sites()
    wanted = {"email": fields.get("email", ""), "site": fields.get("site") or None, "detail": fields.get("detail", "")}
    try:
        await mail_api.suppress(desk.store, body.validate(SuppressionIn, wanted))
    except Invalid as error:
        return await _suppressions(desk, status=422, errors=desk.problems(error))
    return frame.see("/review/suppressions", {"done": "kept"})


async def lift(request: web.Request) -> web.Response:
    """Send to them again."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    desk.need_all_sites()
    await mailboxes.lift(desk.store, request.match_info["recipient"], fields.get("scope") or None)
    return frame.see("/review/suppressions", {"done": "kept"})


async def previews(request: web.Request) -> web.Response:
    """Every kind of mail in every language."""
    desk = await frame.sit(request)
    kind, lang = request.query.get("kind", letters.KINDS[0]), request.query.get("lang", desk.locale.partition("-")[0])
    kind = kind if kind in letters.KINDS else letters.KINDS[0]
    lang = lang if lang in languages() else "en"
    letter = desk.context.letters.render(kind, lang, letters.SAMPLES[kind])
    return desk.page("mails.html", kinds=letters.KINDS, kind=kind, shown=lang, letter=letter, frames=True)
