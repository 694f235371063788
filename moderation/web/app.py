"""Puts the application together and runs it."""

import asyncio
import contextlib
import errno
import gc
import socket
from collections.abc import Callable

from aiohttp import web

from moderation.letters import Letters
from moderation.log import get_logger
from moderation.settings import Settings
from moderation.stop import Stop
from moderation.store.connection import Store
from moderation.web import health, pages, routes, wire
from moderation.web.context import CONTEXT, Context
from moderation.web.listener import Listener
from moderation.web.middleware import outermost
from moderation.web.rendered import RENDERINGS, Renderings

log = get_logger(__name__)
LINGER_SECONDS = 2.0  # in which open connections may ask once more before the silent ones are closed
DRAIN_SECONDS = 10.0  # for what still runs; aiohttp waits so long twice
_WHY_NOT = {
    errno.EADDRINUSE: "is taken; choose another (--port)",
    errno.EACCES: "may not be listened on by this user; choose a port of 1024 or above and put a proxy in front",
    errno.EADDRNOTAVAIL: "is no address of this machine; mend MODERATION_HOST (--host)",
}


def build(settings: Settings, store: Store, *extra: Callable[[web.Application], None]) -> web.Application:
    """The application; `extra` add routes (the demo's)."""
    wire.take_over()  # before the routes, which take what it puts in place
    context = Context(settings, store, pages.environment(), Letters(settings.mail_templates))
    app = web.Application(middlewares=[outermost(context)])
    app[CONTEXT] = context
    app[RENDERINGS] = Renderings(store)
    health.install(app)
    routes.install(app)
    for add in extra or (_front_door,):
        add(app)
    return app


def _front_door(app: web.Application) -> None:
    async def to_the_desk(_: web.Request) -> web.Response:
        return web.Response(status=303, headers={"Location": "/review"})

    app.router.add_get("/", to_the_desk)


async def serve(app: web.Application, stop: Stop, on_listening: Callable[[int], None]) -> None:
    """Listen until `stop`; then refuse to be ready, let balancers see it, close the port, finish what runs, and end."""
    context = app[CONTEXT]
    settings = context.settings
    runner = web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        handler_cancellation=False,
        keepalive_timeout=65,
        shutdown_timeout=DRAIN_SECONDS,
    )
    await runner.setup()
    assert runner.server is not None
    listener = Listener(runner.server, settings.connections)
    try:
        shared = settings.share_port or settings.processes > 1
        port = await listener.open(settings.host, settings.port, shared=shared)
        gc.collect()
        gc.freeze()  # what lives for ever is not looked at again: collections were 4 % of the submission path
        on_listening(port)
        await stop.wait()
        context.draining = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.hurry.wait(), settings.grace_seconds)
    finally:
        await listener.close()
        await listener.until_left(LINGER_SECONDS)
        await runner.cleanup()


def why_not_listen(host: str, port: int) -> str:
    """Why nobody can listen there; empty if one can."""
    if port == 0:
        return ""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror:
            return "is no address: the host is unknown; mend MODERATION_HOST (--host)"
        except OSError as error:
            return _WHY_NOT.get(error.errno or 0, f"can't be listened on ({error.strerror})")
    return ""
