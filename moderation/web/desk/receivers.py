"""Webhook endpoints of a site: their health, their log, and everything that can be done with them."""

from typing import Any

from aiohttp import web

from moderation.errors import Conflict, Invalid
from moderation.model import EVENTS, Endpoint, Role
from moderation.store import endpoints, replays
from moderation.store.endpoints import Keys
from moderation.submission import is_comment_id
from moderation.web import body, delivery_api
from moderation.web.desk import frame
from moderation.web.desk.frame import Desk
from moderation.web.desk.settings import lines
from moderation.web.schemas import DeliveryQuery, EndpointIn, EndpointPatch, ReplayIn, RotateIn

SUBSCRIBABLE = tuple(event for event in EVENTS if not event.startswith("endpoint.ping"))
STATES = ("queued", "failing", "delivered", "dead", "held", "cancelled", "undeliverable")


async def listing(request: web.Request) -> web.Response:
    """Those of a site."""
    return await _listing(await frame.sit(request, Role.ADMIN))


async def _listing(desk: Desk, *, status: int = 200, errors: dict[str, str] | None = None, fields: dict[str, str] | None = None, once: dict[str, Any] | None = None) -> web.Response:  # fmt: skip
    site = await desk.site()
    found = [await endpoints.load(desk.store, site.id, one.id) for one in await endpoints.of_site(desk.store, site.id)]
    return desk.page(
        "endpoints.html", status=status, site=site, endpoints=[await delivery_api.with_health(desk.store, *one) for one in found],
        events=SUBSCRIBABLE, errors=errors or {}, fields=frame.typed(fields), once=once,
    )  # fmt: skip


def _events(fields: dict[str, str]) -> list[str]:
    return [event for event in SUBSCRIBABLE if fields.get(f"event-{event}")]


async def add(request: web.Request) -> web.Response:
    """A new one; its secret is on the page that follows and never again."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    site = await desk.site()
    wanted = {
        "url": fields.get("url", "").strip(), "events": _events(fields), "description": fields.get("description", "").strip(),
        "include_email": bool(fields.get("include_email")),
    }  # fmt: skip
    try:
        made = await delivery_api.make(desk.context, site.id, body.validate(EndpointIn, wanted))
    except Invalid as error:
        return await _listing(desk, status=422, errors=desk.problems(error), fields=fields)
    return await _listing(desk, once=made)


async def _one(desk: Desk) -> tuple[Endpoint, Keys]:
    return await endpoints.load(desk.store, (await desk.site()).id, desk.request.match_info["endpoint"])


async def page(request: web.Request) -> web.Response:
    """One endpoint with the log of its deliveries."""
    desk = await frame.sit(request, Role.ADMIN)
    return await _page(desk)


async def _page(
    desk: Desk, *, status: int = 200, errors: dict[str, str] | None = None, once: dict[str, Any] | None = None
) -> web.Response:
    site = await desk.site()
    endpoint, keys = await _one(desk)
    asked = {name: value for name, value in desk.request.query.items() if name in {"state", "cursor"} and value}
    try:
        query = body.validate(DeliveryQuery, asked)
    except Invalid:
        query = DeliveryQuery()
    job_id = desk.request.query.get("job", "")
    job = await replays.load(desk.store, job_id) if is_comment_id(job_id) else None
    return desk.page(
        "endpoint.html", status=status, site=site, e=await delivery_api.with_health(desk.store, endpoint, keys), events=SUBSCRIBABLE,
        log=await delivery_api.page_of_lane(desk.store, site.id, endpoints.lane(endpoint.id), query), states=STATES, state=query.state or "",
        errors=errors or {}, once=once, job=job if job and job["site"] == site.id else None,
    )  # fmt: skip


async def act(request: web.Request) -> web.Response:
    """One of the things that can be done with an endpoint."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    site = await desk.site()
    endpoint, keys = await _one(desk)
    here = f"/review/sites/{site.id}/endpoints/{endpoint.id}"
    try:
        match fields.get("act"):
            case "ping":
                await delivery_api.send_ping(desk.store, endpoint)
                return frame.see(here, {"done": "pinged"})
            case "rotate":
                return await _page(desk, once=await delivery_api.rotate(desk.store, endpoint, keys, RotateIn()))
            case "replay":
                since, until = fields.get("since", ""), fields.get("until", "")
                asked = {
                    "since": _instant(since),
                    "until": _instant(until) or None,
                    "state": fields.get("state") or None,
                }
                job = await delivery_api.start_replay(
                    desk.store, endpoint, body.validate(ReplayIn, asked), desk.moderator.name
                )
                return frame.see(here, {"done": "replaying", "job": job["id"]})
            case "enable" | "disable" as which:
                patch = EndpointPatch(enabled=which == "enable")
            case "delete":
                await endpoints.remove(desk.store, site.id, endpoint.id)
                return frame.see(f"/review/sites/{site.id}/endpoints", {"done": "deleted"})
            case _:
                wanted = {
                    "url": fields.get("url", "").strip(), "events": _events(fields), "description": fields.get("description", "").strip(),
                    "threads": lines(fields.get("threads", "")), "include_email": bool(fields.get("include_email")),
                    "max_in_flight": fields.get("max_in_flight", ""), "rate_per_second": fields.get("rate_per_second", ""),
                }  # fmt: skip
                patch = body.validate(EndpointPatch, wanted)
        await delivery_api.change(desk.context, endpoint, keys, patch)
    except Invalid as error:
        return await _page(desk, status=422, errors=desk.problems(error))
    except Conflict as error:
        return await _page(desk, status=409, errors={"act": desk.said(error)})
    return frame.see(here, {"done": "kept"})


def _instant(local: str) -> str:
    """What a field for date and time gives, read as UTC."""
    return f"{local}Z" if local and "Z" not in local and "+" not in local else local
