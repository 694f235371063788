"""Telling the site: endpoints, their deliveries, replays. For admins."""

import time
from datetime import datetime
from typing import Any

from aiohttp import web

from moderation import public, submission
from moderation.egress import url_to_block
from moderation.errors import Conflict, FieldError, Invalid, NotFound
from moderation.model import DELIVERY_STATES, Endpoint, Moderator, Role
from moderation.privacy import new_secret, new_signing_key
from moderation.store import endpoints, outbox, replays
from moderation.store.connection import Store
from moderation.store.endpoints import Keys
from moderation.web import body
from moderation.web.admin_api import now, site_for_admin
from moderation.web.answer import json
from moderation.web.auth import need
from moderation.web.context import CONTEXT, Context
from moderation.web.schemas import DeliveryQuery, EndpointIn, EndpointPatch, ReplayIn, RotateIn

ENDPOINTS_MAX, OLD_SECRETS_MAX = 20, 10
_REPLAY_BACK_MS = 30 * 86_400_000  # events are kept that long
_SECRET_FIELDS = {"headers", "ed25519", "enabled"}


def shown(endpoint: Endpoint, keys: Keys) -> dict[str, Any]:
    """Without its secrets; of the headers only the names."""
    return endpoint.model_dump() | {"headers": dict.fromkeys(keys.headers, "•••")}


async def with_health(store: Store, endpoint: Endpoint, keys: Keys) -> dict[str, Any]:
    health, counts = await endpoints.health(store, endpoint)
    return shown(endpoint, keys) | {
        "health": {
            "state": health.state,
            "disabled_reason": health.disabled_reason,
            "disabled_at": health.disabled_at,
            "failing_since": _iso(health.failing_since_ms),
            "failures": health.failures,
            "paused_until": _iso(health.paused_until_ms),
            "last_success_at": _iso(health.last_success_ms),
            "deliveries": counts,
        }
    }


def _iso(ms: int | None) -> str | None:
    return None if ms is None else public.iso(ms)


async def _found(request: web.Request) -> tuple[Store, Endpoint, Keys]:
    store, site = request.app[CONTEXT].store, await site_for_admin(request)
    return store, *await endpoints.load(store, site, request.match_info["endpoint"])


def _warnings(context: Context, endpoint: Endpoint) -> dict[str, Any]:
    """What will keep deliveries from being made, told while somebody looks. The worker's guard decides at every dial."""
    blocked = url_to_block(endpoint.url, context.settings.egress_allow)
    return {"warning": blocked.text} if blocked else {}


async def create_endpoint(request: web.Request) -> web.Response:
    """A new endpoint; its secret is in this answer and never again."""
    site = await site_for_admin(request)
    return json(await make(request.app[CONTEXT], site, await body.json_body(request, EndpointIn)), 201)


async def make(context: Context, site: str, asked: EndpointIn) -> dict[str, Any]:
    """The endpoint with its secret. Raises Conflict when the site has too many."""
    store = context.store
    if len(await endpoints.of_site(store, site)) >= ENDPOINTS_MAX:
        raise Conflict("A site has at most %(limit)s endpoints.", code="limit", limit=ENDPOINTS_MAX)
    fields = asked.model_dump(exclude=_SECRET_FIELDS) | {
        "events": tuple(dict.fromkeys(asked.events)),
        "threads": tuple(dict.fromkeys(asked.threads)),
    }
    secret, secrets = new_secret("whsec_"), []
    if asked.ed25519:
        private, fields["public_key"] = new_signing_key()
        secrets = [(private, 0)]
    endpoint = Endpoint(id=store.new_id(site), site=site, created_at=now(), enabled=asked.enabled, **fields)
    keys = Keys(((secret, 0), *secrets), asked.headers)
    await endpoints.save(store, endpoint, keys, switch=asked.enabled, at=now())
    return await with_health(store, endpoint, keys) | {"secret": secret} | _warnings(context, endpoint)


async def list_endpoints(request: web.Request) -> web.Response:
    """A site's endpoints, without secrets."""
    store, site = request.app[CONTEXT].store, await site_for_admin(request)
    found = [await endpoints.load(store, site, e.id) for e in await endpoints.of_site(store, site)]
    return json({"items": [await with_health(store, *one) for one in found]})


async def get_endpoint(request: web.Request) -> web.Response:
    """One endpoint, how it fares, and how many of its deliveries are in which state."""
    return json(await with_health(*await _found(request)))


async def change_endpoint(request: web.Request) -> web.Response:
    """Change some fields. `enabled` true also forgets its failures; what was held meanwhile waits for a replay."""
    _, endpoint, keys = await _found(request)
    asked = await body.json_body(request, EndpointPatch)
    return json(await change(request.app[CONTEXT], endpoint, keys, asked))


async def change(context: Context, endpoint: Endpoint, keys: Keys, asked: EndpointPatch) -> dict[str, Any]:
    """The endpoint as it is then. Raises Invalid: only one that was created to get addresses gets them."""
    if asked.include_email and not endpoint.include_email:
        raise Invalid([FieldError("include_email", "invalid", submission.MESSAGES["invalid"])])
    changes = {k: v for k, v in asked.model_dump().items() if v is not None}
    headers, switch = changes.pop("headers", None), changes.get("enabled")
    for name in {"events", "threads"} & set(changes):
        changes[name] = tuple(dict.fromkeys(changes[name]))
    changed = endpoint.model_copy(update=changes)
    keys = Keys(keys.secrets, keys.headers if headers is None else headers)
    await endpoints.save(context.store, changed, keys, switch=switch, at=now())
    return await with_health(context.store, changed, keys) | _warnings(context, changed)


async def delete_endpoint(request: web.Request) -> web.Response:
    """Delete an endpoint."""
    store, site = request.app[CONTEXT].store, await site_for_admin(request)
    await endpoints.remove(store, site, request.match_info["endpoint"])
    return web.Response(status=204)


async def rotate_secret(request: web.Request) -> web.Response:
    """A new secret, in this answer and never again. Until the old one ends (24 h) both sign, the newest first."""
    store, endpoint, keys = await _found(request)
    return json(await rotate(store, endpoint, keys, await body.optional_json_body(request, RotateIn)))


async def rotate(store: Store, endpoint: Endpoint, keys: Keys, asked: RotateIn) -> dict[str, Any]:
    """The endpoint with its new secret. Raises Conflict when too many old ones are still valid."""
    at_ms = int(time.time() * 1000)
    ends = at_ms + asked.expire_old_seconds * 1000
    old = tuple((s, min(until or ends, ends)) for s, until in keys.secrets if not until or until > at_ms)
    old = old if asked.expire_old_seconds else ()
    if len(old) > OLD_SECRETS_MAX:
        raise Conflict("Too many old secrets are still valid.", code="limit")
    secret, fresh, changed = new_secret("whsec_"), [], endpoint
    if endpoint.public_key:
        private, public_key = new_signing_key()
        fresh, changed = [(private, 0)], endpoint.model_copy(update={"public_key": public_key})
    keys = Keys(((secret, 0), *fresh, *old), keys.headers)
    await endpoints.save(store, changed, keys)
    return shown(changed, keys) | {"secret": secret, "old_valid_until": public.iso(ends)}


async def ping(request: web.Request) -> web.Response:
    """Queue an `endpoint.ping`, made the way every event is, to a disabled endpoint too."""
    store, endpoint, _ = await _found(request)
    event_id = await send_ping(store, endpoint)
    return json({"delivery": event_id, "event": event_id}, 202)


async def send_ping(store: Store, endpoint: Endpoint) -> str:
    """Returns the id of the event, which is that of its delivery too."""
    event_id = store.new_id(endpoint.site)
    about = {"id": endpoint.id, "url": endpoint.url, "description": endpoint.description}
    event = {"id": event_id, "type": "endpoint.ping", "at": now(), "site": endpoint.site, "endpoint": about}
    await outbox.enqueue(
        store,
        event_id,
        event,
        kind="webhook",
        target=endpoint.id,
        lane=endpoints.lane(endpoint.id),
        site=endpoint.site,
        always=True,
    )
    return event_id


def for_admins(delivery: dict[str, Any]) -> dict[str, Any]:
    """A delivery as the API shows it."""
    hidden = {"created_ms", "due_ms", "lane"}
    return {k: v for k, v in delivery.items() if k not in hidden} | {
        "created_at": public.iso(delivery["created_ms"]),
        "due_at": _iso(delivery["due_ms"]),
    }


_LISTED = {"failing": "queued", "failed": "dead"}


async def list_deliveries(request: web.Request) -> web.Response:
    """Deliveries of an endpoint, newest first, with their attempts."""
    store, endpoint, _ = await _found(request)
    query = body.validate(DeliveryQuery, {name: value for name, value in request.query.items() if value})
    return json(await page_of_lane(store, endpoint.site, endpoints.lane(endpoint.id), query))


async def page_of_lane(store: Store, site: str, lane: str, query: DeliveryQuery) -> dict[str, Any]:
    """One page of a lane's deliveries. `failing` is queued after an attempt: looked through for it."""
    states = [_LISTED.get(query.state, query.state)] if query.state else list(DELIVERY_STATES)
    found: list[dict[str, Any]] = []
    cursor: str | None = query.cursor or ""
    while cursor is not None and len(found) <= query.limit:
        part = await outbox.page(store, site, lane, states, cursor=cursor, limit=query.limit + 1)
        found += [d for d in part if query.state != "failing" or d["attempt_count"]]
        cursor = part[-1]["id"] if len(part) > query.limit else None
    items = found[: query.limit]
    more = items[-1]["id"] if len(found) > query.limit else None
    return {"items": [for_admins(d) for d in items], "next_cursor": more}


async def _delivery(request: web.Request) -> tuple[Store, dict[str, Any]]:
    """The delivery in the path, for an admin of its site. Another's is not found."""
    store, moderator = request.app[CONTEXT].store, await need(request, Role.ADMIN)
    return store, await delivery_for(store, moderator, request.match_info["delivery"])


async def delivery_for(store: Store, moderator: Moderator, delivery_id: str) -> dict[str, Any]:
    """A delivery, for an admin of its site. Raises NotFound."""
    if not submission.is_comment_id(delivery_id):
        raise NotFound("There is no such delivery.")
    found = await outbox.delivery(store, delivery_id)
    if not moderator.may(Role.ADMIN, found["site"]):
        raise NotFound("There is no such delivery.")
    return found


async def get_delivery(request: web.Request) -> web.Response:
    """One delivery with its attempts."""
    return json(for_admins((await _delivery(request))[1]))


async def retry(request: web.Request) -> web.Response:
    """Make a delivery again, now."""
    store, found = await _delivery(request)
    await outbox.retry(store, found["id"])
    return json(for_admins(await outbox.delivery(store, found["id"])), 202)


async def replay(request: web.Request) -> web.Response:
    """Make the deliveries of a time again, as a job that survives everything: those in a state, those never made, or all."""
    store, endpoint, _ = await _found(request)
    moderator = await need(request, Role.ADMIN, endpoint.site)
    return json(await start_replay(store, endpoint, await body.json_body(request, ReplayIn), moderator.name), 202)


async def start_replay(store: Store, endpoint: Endpoint, asked: ReplayIn, by: str) -> dict[str, Any]:
    """The job. Raises Conflict for a disabled endpoint, Invalid for a time that is none."""
    if not endpoint.enabled:
        raise Conflict("The endpoint is disabled; enable it first.", code="disabled")
    since, until = _ms("since", asked.since), _ms("until", asked.until) if asked.until else 0
    oldest = int(time.time() * 1000) - _REPLAY_BACK_MS
    job_id = await replays.start(
        store, endpoint, max(since, oldest), until, _REPLAYED.get(asked.state or "", asked.state or ""), by, now()
    )  # fmt: skip
    return await replays.load(store, job_id)


_REPLAYED = {"failing": "queued", "failed": "dead"}


def _ms(field: str, text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError
        return int(found.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise Invalid([FieldError(field, "invalid", "Write a time as 2026-01-31T12:00:00Z.")]) from None


async def get_job(request: web.Request) -> web.Response:
    """A replay, and how far it is."""
    moderator = await need(request, Role.ADMIN)
    job_id = request.match_info["job"]
    if not submission.is_comment_id(job_id):
        raise NotFound("There is no such job.")
    found = await replays.load(request.app[CONTEXT].store, job_id)
    if not moderator.may(Role.ADMIN, found["site"]):
        raise NotFound("There is no such job.")
    return json(found)
