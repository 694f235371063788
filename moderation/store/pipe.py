"""A small pipelining Redis client for scripts: all commands of one loop tick leave in one write, answers come in order.

redis-py's cost per command is what eats a submission path (docs/decisions/0003-own-pipe.md has the measurements). No
limit in flight, so that `appendfsync always` commits what is waiting as one group. Nothing is ever sent twice: when a
connection breaks, every command on it fails with Unavailable and the caller decides.
"""

import asyncio
import ssl
import time
from collections import deque
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from moderation.errors import ModerationError, Unavailable

ANSWER_WITHIN_SECONDS = 1.5  # leaves room for the contract's 2 s
_BACKLOG_LIMIT = 20_000  # commands waiting on one connection; beyond it we say 503 instead of growing
_REFUSALS = (
    "OOM",
    "MISCONF",
    "READONLY",
    "LOADING",
    "NOREPLICAS",
    "MASTERDOWN",
    "BUSY",
    "CLUSTERDOWN",
    "NOAUTH",
    "TRYAGAIN",
)


class ReplyError(ModerationError):
    """Redis refused a command for a reason that is our mistake."""

    code = "redis"


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._reader = hiredis.Reader(encoding="utf-8", errors="surrogatepass")
        self._outgoing: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass

    def send(self, command: tuple[Any, ...]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        self.waiting.append((future, time.monotonic()))
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(hiredis.pack_command(command))
        return future

    def _flush(self) -> None:
        if self.transport is not None and self._outgoing:
            self.transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                future, _ = self.waiting.popleft()
                if future.done():
                    continue
                if isinstance(reply, hiredis.ReplyError):
                    text = str(reply)
                    future.set_exception(Unavailable() if text.startswith(_REFUSALS) else ReplyError(text))
                else:
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.close()

    def connection_lost(self, _: Exception | None) -> None:
        self.transport = None
        while self.waiting:
            future, _since = self.waiting.popleft()
            if not future.done():
                future.set_exception(Unavailable())

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    @property
    def waited_seconds(self) -> float:
        return time.monotonic() - self.waiting[0][1] if self.waiting else 0.0


class Pipe:
    """Connections used in turn, opened when first needed and again after they broke."""

    def __init__(self, url: str, connections: int = 2) -> None:
        self._url = url
        self._slots: list[_Connection | None] = [None] * connections
        self._opening: list[asyncio.Task[_Connection] | None] = [None] * connections
        self._turn = 0
        self._watch: asyncio.Task[None] | None = None

    async def call(self, *command: Any) -> Any:
        """One command. Raises Unavailable when Redis does not answer in time, ReplyError when it refuses."""
        connection = self._ready() or await self._open(self._turn)
        return await connection.send(command)

    async def call_many(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """Several commands on one connection, in order, one write."""
        connection = self._ready() or await self._open(self._turn)
        return list(await asyncio.gather(*[connection.send(command) for command in commands]))

    async def close(self) -> None:
        if self._watch:
            self._watch.cancel()
        for connection in self._slots:
            if connection:
                connection.close()

    def _ready(self) -> _Connection | None:
        """The next connection in turn, if it is open. Raises Unavailable when too much waits on it already."""
        self._turn = turn = (self._turn + 1) % len(self._slots)
        connection = self._slots[turn]
        if connection is None or connection.transport is None:
            return None
        if len(connection.waiting) > _BACKLOG_LIMIT:
            raise Unavailable()
        return connection

    async def _open(self, turn: int) -> _Connection:
        task = self._opening[turn]
        if task is None or task.done():
            task = self._opening[turn] = asyncio.ensure_future(self._connect(turn))
        try:
            return await asyncio.wait_for(asyncio.shield(task), ANSWER_WITHIN_SECONDS)
        except (OSError, TimeoutError, ReplyError) as error:
            raise Unavailable() from error

    async def _connect(self, turn: int) -> _Connection:
        parts = urlsplit(self._url)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            if parts.scheme == "unix":
                _, made = await loop.create_unix_connection(_Connection, unquote(parts.path))
                database = parse_qs(parts.query).get("db", ["0"])[0]
            else:
                context = ssl.create_default_context() if parts.scheme == "rediss" else None
                _, made = await loop.create_connection(
                    _Connection, parts.hostname or "127.0.0.1", parts.port or 6379, ssl=context
                )
                database = parts.path.strip("/") or "0"
            try:
                if parts.password:
                    user = (unquote(parts.username),) if parts.username else ()
                    await made.send(("AUTH", *user, unquote(parts.password)))
                if database != "0":
                    await made.send(("SELECT", database))
            except BaseException:  # the watchdog does not know this connection yet
                made.close()
                raise
        self._slots[turn] = made
        if self._watch is None or self._watch.done():
            self._watch = asyncio.ensure_future(self._watchdog())
        return made

    async def _watchdog(self) -> None:
        """End connections whose oldest command waits too long: a frozen or black-holed Redis becomes 503."""
        while True:
            await asyncio.sleep(0.1)
            for connection in self._slots:
                if connection and connection.waited_seconds > ANSWER_WITHIN_SECONDS:
                    connection.close()
