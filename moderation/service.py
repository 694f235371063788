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
from moderation.settings import GRACE_MAX_SECONDS, Settings
from moderation.stop import Stop, stop_on_signal
from moderation.store import snapshot
from moderation.store.connection import ReplyError, Store, open_store, refused
from moderation.store.durability import inspect, reason
from moderation.store.embedded import EmbeddedServer, die_with_parent

log = get_logger(__name__)
PARENT, LISTENING = "SERVE_PARENT_PID", "SERVE_LISTENING_FD"
_HEALTHY_SECONDS = 10.0
_END_WITHIN_SECONDS = GRACE_MAX_SECONDS + 25.0


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
    snapshot.tidy(settings.data_dir)
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
    privacy = Privacy(settings.keys(), is_generated=settings.secret_key is None)
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


class _Listening:
    """Through which child processes say that they listen: a byte each, into a pipe."""

    def __init__(self) -> None:
        self._read, self.write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.write, False)
        self._count = 0
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._read, self._came)

    def _came(self) -> None:
        self._count += len(os.read(self._read, 64))
        self._more.set()

    async def until(self, count: int) -> None:
        while self._count < count:
            self._more.clear()
            await self._more.wait()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._read)
        os.close(self._read)
        os.close(self.write)


async def _keep_running(
    name: str, arguments: list[str], environ: dict[str, str], stop: Stop, passed: tuple[int, ...] = ()
) -> None:
    """A child process, started again whenever it ends by itself; asked to end with us."""
    pause = 0.1
    while not stop.is_set():
        started = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=environ, stdin=asyncio.subprocess.DEVNULL, preexec_fn=die_with_parent, pass_fds=passed
        )  # fmt: skip
        ended, stopping = asyncio.ensure_future(child.wait()), asyncio.ensure_future(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGINT if stop.hurry.is_set() else signal.SIGTERM)
            try:
                await asyncio.wait_for(ended, _END_WITHIN_SECONDS)
            except TimeoutError:
                child.kill()
            return
        log.error("child process ended; starting it again", child=name, code=child.returncode)
        if time.monotonic() - started > _HEALTHY_SECONDS:
            pause = 0.1  # it ran well and was killed; only one that fails at start waits longer each time
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(pause * 2, 5.0)


async def run(
    settings: Settings,
    *,
    workers: bool,
    announce: Callable[[int], None],
    prepare: Callable[[Store, Settings], Awaitable[None]] | None = None,
    extra: tuple[Callable[[web.Application], None], ...] = (),
) -> None:
    """The whole service until a signal: Redis, workers, HTTP; down in the reverse order."""
    from moderation.web import app as web_app  # not above: commands that serve nothing start in half the time

    stop = stop_on_signal()
    if not (settings.share_port or settings.processes > 1):
        why = web_app.why_not_listen(settings.host, settings.port)
        if why:
            raise ConfigurationError([f"MODERATION_PORT: {settings.host}:{settings.port} {why}"])
    async with redis_of(settings) as address:
        await refuse_unsafe(address, settings)
        store = await open_store(
            address,
            Privacy(settings.keys(), is_generated=settings.secret_key is None),
            settings.partitions,
            settings.redis_replicas_to_ack,
        )
        children: list[asyncio.Task[None]] = []
        environ = environment(settings, address)
        try:
            if prepare:
                await prepare(store, settings)
            if workers:
                children.append(asyncio.create_task(_keep_running("worker", ["-m", "workers"], environ, stop)))
            if settings.processes > 1:
                await _http_processes(settings, children, environ, stop, announce)
            else:
                await web_app.serve(web_app.build(settings, store, *extra), stop, announce)
        finally:
            stop.set()
            await asyncio.gather(*children)
            await store.close()


async def _http_processes(
    settings: Settings,
    children: list[asyncio.Task[None]],
    environ: dict[str, str],
    stop: Stop,
    announce: Callable[[int], None],
) -> None:
    """Start them, announce the port once all listen, wait for the end."""
    listening = _Listening()
    environ = environ | {LISTENING: str(listening.write)}
    for number in range(settings.processes):
        child = _keep_running(f"http {number}", ["-m", "moderation", "http-process"], environ, stop, (listening.write,))
        children.append(asyncio.create_task(child))
    all_listen, stopping = asyncio.create_task(listening.until(settings.processes)), asyncio.create_task(stop.wait())
    await asyncio.wait({all_listen, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if all_listen.done():
        announce(settings.port)
    all_listen.cancel()
    await stopping
    listening.close()


def _say_that_we_listen(_: int) -> None:
    with contextlib.suppress(BlockingIOError, BrokenPipeError):
        os.write(int(os.environ[LISTENING]), b".")


async def http_process(settings: Settings) -> None:
    """One of several HTTP processes that share the port."""
    from moderation.web import app as web_app

    stop = stop_on_signal()
    address = settings.redis_address()
    assert address is not None
    store = await open_store(
        address,
        Privacy(settings.keys(), is_generated=settings.secret_key is None),
        settings.partitions,
        settings.redis_replicas_to_ack,
    )
    try:
        await web_app.serve(web_app.build(settings, store), stop, _say_that_we_listen)
    finally:
        await store.close()
