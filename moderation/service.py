"""Runs the processes of one service: the embedded server, the workers, the HTTP side. Any of them may die; it is started again."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from pydantic import SecretStr

from moderation.errors import ConfigurationError, Unavailable
from moderation.log import get_logger
from moderation.privacy import Privacy
from moderation.redis_address import RedisAddress
from moderation.settings import Settings
from moderation.store.connection import ReplyError, Store, open_store, refused
from moderation.store.durability import inspect, reason
from moderation.store.embedded import EmbeddedServer, die_with_parent
from moderation.web import app as web_app

log = get_logger(__name__)
PARENT = "SERVE_PARENT_PID"
_HEALTHY_SECONDS = 10.0


def environment(settings: Settings, address: RedisAddress) -> dict[str, str]:
    """The settings as variables for child processes: not on the command line, where everybody could read secrets."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MODERATION_")}
    for name, value in settings:
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
        elif isinstance(value, tuple):
            text = ",".join(str(item) for item in value)
        else:
            text = "" if value is None else str(value)
        if text:
            environ[f"MODERATION_{name.upper()}"] = text
    return environ | {"MODERATION_REDIS_URL": address.url, PARENT: str(os.getpid())}


@contextlib.asynccontextmanager
async def redis_of(settings: Settings) -> AsyncIterator[RedisAddress]:
    """The address of the Redis to use; the embedded server runs as long as the context."""
    address = settings.redis_address()
    if address is not None:
        yield address
        return
    server = EmbeddedServer(settings.data_dir)
    server.lock()
    await server.start()
    (settings.data_dir / "redis.url").write_text(server.url)
    watch = asyncio.create_task(server.watch())
    try:
        yield RedisAddress.parse(server.url)
    finally:
        watch.cancel()
        await server.stop()


@contextlib.asynccontextmanager
async def store_of(settings: Settings) -> AsyncIterator[Store]:
    """The store for a command of the shell: the running service's, else the embedded server for the time of the command."""
    privacy = Privacy(settings.keys())
    if settings.redis_url is None:
        probe = EmbeddedServer(settings.data_dir)
        try:
            probe.lock()
        except ConfigurationError:  # a service runs: share its server
            store = await open_store((settings.data_dir / "redis.url").read_text(), privacy, settings.partitions)
            try:
                yield store
            finally:
                await store.close()
            return
        await probe.stop()
    async with redis_of(settings) as address:
        store = await open_store(address, privacy, settings.partitions)
        try:
            yield store
        finally:
            await store.close()


async def refuse_unsafe(address: RedisAddress, settings: Settings) -> None:
    """Raises ConfigurationError for a Redis that would lose comments, unless told otherwise."""
    try:
        found = await inspect(address, settings.redis_replicas_to_ack)
    except Unavailable as error:
        why = reason(error)
        raise ConfigurationError(
            [
                "MODERATION_REDIS_URL: Redis can't be reached; is it running, and is the address right?"
                + (f" ({why})" if why else "")
            ]
        ) from None
    except ReplyError as error:
        raise refused(error) from None
    for warning in (*found.warnings, *found.lacking, *found.away):
        log.warning(warning)
    if found.problems and not settings.redis_unsafe:
        raise ConfigurationError(
            [f"MODERATION_REDIS_URL: {p}, or set MODERATION_REDIS_UNSAFE=1 to run all the same" for p in found.problems]
        )


async def _keep_running(name: str, arguments: list[str], environ: dict[str, str], stop: asyncio.Event) -> None:
    """A child process, started again whenever it ends by itself; asked to end with us."""
    pause = 0.1
    while not stop.is_set():
        started = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=environ, stdin=asyncio.subprocess.DEVNULL, preexec_fn=die_with_parent
        )
        ended, stopping = asyncio.ensure_future(child.wait()), asyncio.ensure_future(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            try:
                await asyncio.wait_for(ended, 30)
            except TimeoutError:
                child.kill()
            return
        log.error("child process ended; starting it again", child=name, code=child.returncode)
        if time.monotonic() - started > _HEALTHY_SECONDS:
            pause = 0.1  # it ran well and was killed; only one that fails at start waits longer each time
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(pause * 2, 5.0)


def stop_on_signal() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def run(
    settings: Settings,
    *,
    workers: bool,
    announce: Callable[[int], None],
    prepare: Callable[[Store, Settings], Awaitable[None]] | None = None,
    extra: tuple[Callable[[web.Application], None], ...] = (),
) -> None:
    """The whole service until a signal: Redis, workers, HTTP; down in the reverse order."""
    stop = stop_on_signal()
    if not web_app.port_is_free(settings.host, settings.port) and settings.processes == 1:
        raise ConfigurationError(
            [f"MODERATION_PORT: {settings.host}:{settings.port} is taken; choose another (--port)"]
        )
    async with redis_of(settings) as address:
        await refuse_unsafe(address, settings)
        store = await open_store(address, Privacy(settings.keys()), settings.partitions, settings.redis_replicas_to_ack)
        children: list[asyncio.Task[None]] = []
        environ = environment(settings, address)
        try:
            if prepare:
                await prepare(store, settings)
            if workers:
                children.append(asyncio.create_task(_keep_running("worker", ["-m", "workers"], environ, stop)))
            if settings.processes > 1:
                for number in range(settings.processes):
                    arguments = ["-m", "moderation", "http-process"]
                    children.append(asyncio.create_task(_keep_running(f"http {number}", arguments, environ, stop)))
                announce(settings.port)
                await stop.wait()
            else:
                await web_app.serve(web_app.build(settings, store, *extra), stop, announce)
        finally:
            stop.set()
            await asyncio.gather(*children)
            await store.close()


async def http_process(settings: Settings) -> None:
    """One of several HTTP processes that share the port."""
    stop = stop_on_signal()
    address = settings.redis_address()
    assert address is not None
    store = await open_store(address, Privacy(settings.keys()), settings.partitions, settings.redis_replicas_to_ack)
    try:
        await web_app.serve(web_app.build(settings, store), stop, lambda _: None)
    finally:
        await store.close()
