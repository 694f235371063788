"""Alive, ready, and the figures."""

import time

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic_core import to_json

from moderation.errors import ModerationError, Unavailable
from moderation.model import Status
from moderation.redis_address import CLUSTER, SENTINEL
from moderation.store import comments, outbox, sites
from moderation.store.durability import Findings, inspect
from moderation.web.context import CONTEXT, Context

_CHECK_AGAIN_SECONDS = 5.0
_DURABILITY = web.AppKey("_DURABILITY", dict[str, tuple[float, Findings]])


def install(app: web.Application) -> None:
    """A place for the last durability check: it asks every master four things, too many for every probe."""
    app[_DURABILITY] = {}


async def alive(_: web.Request) -> web.Response:
    """The process answers."""
    return web.Response(text='{"status": "ok"}', content_type="application/json")


async def ready(request: web.Request) -> web.Response:
    """Redis is in reach and durable; 503 says why not."""
    context = request.app[CONTEXT]
    problems, degraded = ["shutting down"] if context.draining else [], list[str]()
    try:
        if not problems:
            if context.store.address.mode != CLUSTER:
                await context.store.pipe.call("PING")
            problems, degraded = await _judge(request.app, context)
    except ModerationError:
        problems = ["Redis does not answer"]
    body: dict[str, object] = {"status": "unavailable", "reasons": problems} if problems else {"status": "ready"}
    if degraded and not problems:
        body["degraded"] = degraded
    return web.Response(
        body=to_json(body),
        status=503 if problems else 200,
        content_type="application/json",
        headers={"Retry-After": "2"} if problems else None,
    )


async def _judge(app: web.Application, context: Context) -> tuple[list[str], list[str]]:
    """What makes us unfit, and what is wrong but no reason to take this process out of service."""
    mode = context.store.address.mode
    if context.settings.redis_unsafe and mode != CLUSTER:
        return [], []
    try:
        found = await _durability(app, context)
    except Unavailable:
        if mode != SENTINEL:
            raise
        return [], ["no sentinel answers"]  # the master did
    degraded = list(found.lacking)  # nothing is taken there, but all that was is read
    if found.away:
        degraded.append(f"{len(found.away)} of {len(found.masters)} masters of the cluster do not answer")
    return [] if context.settings.redis_unsafe else found.problems, degraded


async def _durability(app: web.Application, context: Context) -> Findings:
    checked_at, found = app[_DURABILITY].get("last", (float("-inf"), Findings()))
    if time.monotonic() - checked_at > _CHECK_AGAIN_SECONDS:
        found = await inspect(context.store.address, context.settings.redis_replicas_to_ack)
        app[_DURABILITY]["last"] = (time.monotonic(), found)
    return found


async def metrics(request: web.Request) -> web.Response:
    """Prometheus: this process' counters, and the queue and outbox as Redis has them. Names and numbers only."""
    context = request.app[CONTEXT]
    text = generate_latest(context.metrics.registry).decode()
    up, lines = 1, []
    answered = ["# TYPE moderation_submissions_total counter"]
    answered += [
        f'moderation_submissions_total{{status="{status}"}} {n}'
        for status, n in sorted(context.metrics.submissions.items())
    ]
    try:
        pending = [
            (name, await comments.count(context.store, name, Status.PENDING))
            for name in await sites.names(context.store)
        ]
        backlog = await outbox.backlog(context.store)
        lines = [
            "# TYPE moderation_pending gauge",
            *[f'moderation_pending{{site="{name}"}} {count}' for name, count in pending],
        ]
        lines += ["# TYPE moderation_outbox_backlog gauge", f"moderation_outbox_backlog {backlog.waiting}"]
        lines += [
            "# TYPE moderation_outbox_oldest_due_seconds gauge",
            f"moderation_outbox_oldest_due_seconds {backlog.oldest_due_ms / 1000:.3f}",
        ]
        lines.append("# TYPE moderation_attempts_total counter")
        lines += [
            f'moderation_attempts_total{{kind="{kind}",outcome="{outcome}"}} {number}'
            for (kind, outcome), number in sorted(backlog.outcomes.items())
        ]
    except ModerationError:
        up = 0
    lines += [*answered, "# TYPE moderation_redis_up gauge", f"moderation_redis_up {up}"]
    return web.Response(body=(text + "\n".join(lines) + "\n").encode(), headers={"Content-Type": CONTENT_TYPE_LATEST})
