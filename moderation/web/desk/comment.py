"""One comment with everything about it: context, why it is here, what happened to it, what was sent of it."""

from typing import Any

from aiohttp import web

from moderation import public
from moderation.errors import Conflict
from moderation.model import Comment, Role, Site
from moderation.policy import Block
from moderation.store import comments, erasure, outbox, review, sites
from moderation.web import delivery_api, review_api
from moderation.web.desk import cards, frame
from moderation.web.desk.frame import Desk
from moderation.web.desk.queue import Sight

_OTHERS = 5


async def page(request: web.Request) -> web.Response:
    """Look at it."""
    desk = await frame.sit(request)
    return await _page(desk, await desk.comment(Role.VIEWER))


async def _page(desk: Desk, found: Comment, address: str = "") -> web.Response:
    store = desk.store
    card = (await cards.of(desk.context, [found]))[0]
    theirs = await comments.page_of_author(store, found.site, found.body["who"], newest=True, limit=_OTHERS + 1)
    sent = await outbox.deliveries(store, found.id)
    for delivery in sent:
        delivery["due_at"] = public.iso(delivery["due_ms"]) if delivery["state"] == "queued" else None
    return desk.page(
        "comment.html", c=card, rules=cards.RULES, history=await review.history(store, found.id), deliveries=sent, address=address,
        others=[other for other in await cards.of(desk.context, theirs.items) if other["id"] != found.id][:_OTHERS],
        sight=Sight.of(desk.request.query), may_decide=desk.moderator.may(Role.MODERATOR, found.site),
        manages_site=desk.moderator.may(Role.ADMIN, found.site), may_read_address=desk.moderator.contact and "email" in found.body,
    )  # fmt: skip


async def reveal(request: web.Request) -> web.Response:
    """The address in full: a right of its own, and the reading is in the audit log before it is shown."""
    desk, _ = await frame.pressed(request, Role.VIEWER)
    found = await desk.comment(Role.VIEWER)
    return await _page(desk, found, await review_api.reveal(desk.store, desk.moderator, found))


async def erase(request: web.Request) -> web.Response:
    """Take it away for good."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    await erasure.erase(desk.store, await desk.comment(Role.ADMIN), desk.moderator.name)
    return Sight.written(fields.get("here", "")).go(done="erased")


async def block(request: web.Request) -> web.Response:
    """Whatever its author sends from now on is spam, for this site's screening."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    found = await desk.comment(Role.ADMIN)
    site, _ = await sites.load(desk.store, found.site)
    await sites.save(desk.store, _blocking(site, found.body["who"]))
    await review.note(desk.store, site.id, desk.moderator.name, "author.blocked", found.id, found.body["who"])
    return Sight.written(fields.get("here", "")).go(done="blocked")


def _blocking(site: Site, author: str) -> Site:
    """Raises Conflict when the list is full."""
    blocks: tuple[Block, ...] = site.policy.blocks
    if any(one.kind == "author" and one.value == author for one in blocks):
        return site
    limit: Any = next(
        m.max_length for m in type(site.policy).model_fields["blocks"].metadata if hasattr(m, "max_length")
    )
    if len(blocks) >= limit:
        raise Conflict("The list is full.", code="limit")
    blocked = (*blocks, Block(kind="author", value=author))
    return site.model_copy(update={"policy": site.policy.model_copy(update={"blocks": blocked})})


async def retry(request: web.Request) -> web.Response:
    """Make one of its deliveries again, now."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    found = await delivery_api.delivery_for(desk.store, desk.moderator, request.match_info["delivery"])
    await outbox.retry(desk.store, found["id"])
    back = fields.get("back", "")
    return frame.see(back if back.startswith("/review/") and back.isprintable() else "/review", {"done": "retried"})
