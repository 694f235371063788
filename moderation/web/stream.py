"""The queue, live: server-sent events (HTML Living Standard, section 9.2) for the desk and for programs."""

import asyncio
import contextlib
import time

from aiohttp import hdrs, web
from pydantic_core import to_json

from moderation.errors import ModerationError, TooMany
from moderation.model import Role
from moderation.store import live
from moderation.store.live import Place
from moderation.web.answer import SAFE
from moderation.web.auth import need
from moderation.web.context import CONTEXT
from moderation.web.finding import visible_sites

LISTENERS_MAX = 200  # of one process
_COME_AGAIN_SECONDS = 30
_LOOK_SECONDS, _ALIVE_SECONDS = 0.5, 15.0
_LIFE_SECONDS = 1800.0  # then the client comes again, and its rights are looked at again
TOO_MANY_LISTENERS = "Too many are listening right now."


async def stream(request: web.Request) -> web.StreamResponse:
    """`comment.pending`, `comment.decided`, `comment.claimed`, `comment.released` and `counts`. `Last-Event-ID` goes on from there, else `after`."""
    moderator = await need(request, Role.VIEWER)
    context = request.app[CONTEXT]
    names = await visible_sites(context.store, moderator, request.query.get("site") or None)
    if context.listeners >= LISTENERS_MAX:
        raise TooMany(_COME_AGAIN_SECONDS, TOO_MANY_LISTENERS)
    place = Place.at(request.headers.get("Last-Event-ID") or request.query.get("after", ""))
    response = web.StreamResponse(
        headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"} | dict(SAFE)
    )
    context.listeners += 1
    try:
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n")
        await _tell(request, response, names, place)
    finally:
        context.listeners -= 1
    return response


async def _tell(request: web.Request, response: web.StreamResponse, names: list[str], place: Place) -> None:
    """Until the client leaves, the service stops, or the time is over."""
    context, ends, said = request.app[CONTEXT], time.monotonic() + _LIFE_SECONDS, time.monotonic()
    with contextlib.suppress(ConnectionError):
        while not context.draining and time.monotonic() < ends and request.transport is not None:
            try:
                found = await live.changes(context.store, names, place)
            except ModerationError:  # Redis is away: the next look finds what was missed
                found = []
            for name, data in found:
                await response.write(b"id: %b\nevent: %b\ndata: %b\n\n" % (place.mark().encode(), name.encode(), to_json(data)))  # fmt: skip
                said = time.monotonic()
            if time.monotonic() - said > _ALIVE_SECONDS:
                await response.write(b": alive\n\n")
                said = time.monotonic()
            await asyncio.sleep(_LOOK_SECONDS)
