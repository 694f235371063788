"""The open port: how many connections it takes, how long they may dawdle, and how it closes without losing one.

aiohttp has no limits of its own here. What a connection is doing is read from attributes that are not public;
tests/fault/test_overload.py and test_rolling_restart.py notice when a release changes them.
"""

import asyncio
import contextlib
import heapq
import resource
import socket
from collections.abc import Iterator

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from moderation.log import get_logger

log = get_logger(__name__)
_BACKLOG = 1024
_AT_ONCE = 16  # connections accepted in one go, so that answers are not held up
_SPARE_FILES = 64  # for Redis, logs, files; beside those who are being refused
SILENT_SECONDS = 1.0  # after which a connection may have to make room
HEAD_WITHIN_SECONDS = 20.0  # the first request line and header of a connection
STALL_SECONDS, ANSWER_WITHIN_SECONDS = 20.0, 300.0  # of an answer that is not read (further), and not read to its end
_LOOK_SECONDS = 1.0
_LAST_WORDS_SECONDS, _REFUSED_AT_ONCE = 1.0, 100
_LET_IN_SECONDS = 0.05  # from accept to the connection, which asyncio makes in a task
_COMPLAIN_SECONDS = 10.0
_REFUSAL = (
    b'{"type":"about:blank","title":"Not available","status":503,"detail":"Too many connections.","code":"unavailable"}'
)


class Listener:
    """Makes a connection of aiohttp's out of each that may come in."""

    def __init__(self, server: web.Server, connections_max: int) -> None:
        self._server = server
        self._max = _affordable(connections_max)
        self._port: asyncio.Server | None = None
        self._watch: asyncio.Task[None] | None = None
        self._refused: set[_Refusal] = set()  # that are not over yet
        self._made: set[RequestHandler] = set()  # open, or over and not looked at since
        self._complained_at = float("-inf")

    async def open(self, host: str, port: int, *, shared: bool) -> int:
        """Listen; the port. `shared` lets other processes listen there too (SO_REUSEPORT)."""
        loop = asyncio.get_running_loop()
        self._port = await loop.create_server(self._admit, host, port, backlog=_AT_ONCE, reuse_port=shared or None)
        for door in self._doors():
            door.listen(_BACKLOG)  # asyncio's one number is for both, what may wait and what is accepted in one go
        self._watch = asyncio.create_task(self._look())
        return int(self._port.sockets[0].getsockname()[1])

    def _doors(self) -> Iterator[socket.socket]:
        """Real sockets in place of asyncio's, which can't accept."""
        assert self._port is not None
        for wrapped in self._port.sockets:
            with socket.fromfd(wrapped.fileno(), wrapped.family, wrapped.type) as door:
                yield door

    async def close(self) -> None:
        """Take nothing new. Whoever stands in the queue is let in first: the kernel would reset them.

        Between the last look and the close there are some microseconds in which one more may come; only the kernel can hand that one
        over to another process that listens (Linux: net.ipv4.tcp_migrate_req=1).
        """
        if self._port is None:
            return
        loop = asyncio.get_running_loop()
        waiting = []
        for door in self._doors():
            with contextlib.suppress(OSError):
                while True:
                    waiting.append(door.accept()[0])
        self._port.close()
        for connection in waiting:
            connection.setblocking(False)
            await loop.connect_accepted_socket(self._admit, connection)

    async def until_left(self, seconds: float) -> None:
        """Every answer now says `Connection: close`: wait until all have gone, but not for the silent."""
        ends = asyncio.get_running_loop().time() + seconds
        await asyncio.sleep(_LET_IN_SECONDS)
        while self._server.connections and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(0.02)
        if self._watch:
            self._watch.cancel()

    def _admit(self) -> asyncio.Protocol:
        if len(self._made) >= self._max:
            self._made = {c for c in self._made if not _is_over(c)}
            if len(self._made) >= self._max and not self._make_room():
                return self._refuse()
        made = self._server()
        self._made.add(made)
        return made

    def _make_room(self) -> bool:
        """Those that have been silent longest go, some at once, so that a flood does not search again and again."""
        before = asyncio.get_running_loop().time() - SILENT_SECONDS
        silent = [c for c in self._made if _is_silent(c) and _silent_since(c) < before]
        for connection in heapq.nsmallest(1 + self._max // 50, silent, key=_silent_since):
            connection.force_close()
            self._made.discard(connection)
        return bool(silent)

    def _refuse(self) -> asyncio.Protocol:
        now = asyncio.get_running_loop().time()
        if now - self._complained_at > _COMPLAIN_SECONDS:
            self._complained_at = now
            log.warning("too many connections; refusing more", limit=self._max)
        return _Refusal(self._refused)

    async def _look(self) -> None:
        """Ends connections that only take up room: a head that never ends, an answer that nobody reads."""
        loop = asyncio.get_running_loop()
        unread: dict[RequestHandler, tuple[int, float, float]] = {}
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now, before, unread = loop.time(), unread, {}
            for connection in self._server.connections:
                transport = connection.transport
                if transport is None:
                    continue
                left = transport.get_write_buffer_size()
                if left:
                    least, since, began = before.get(connection, (left + 1, now, now))
                    unread[connection] = (left, now, began) if left < least else (least, since, began)
                    if now - unread[connection][1] > STALL_SECONDS or now - began > ANSWER_WITHIN_SECONDS:
                        transport.abort()
                elif _is_new(connection) and now - _silent_since(connection) > HEAD_WITHIN_SECONDS:
                    connection.force_close()


def _is_over(connection: RequestHandler) -> bool:
    return connection._manager is None


def _is_silent(connection: RequestHandler) -> bool:
    """It waits for a request; perhaps for the rest of one's head."""
    return connection._waiter is not None


def _is_new(connection: RequestHandler) -> bool:
    return connection._request_count == 0


def _silent_since(connection: RequestHandler) -> float:
    """When it was opened, or answered last."""
    return connection._next_keepalive_close_time - connection.keepalive_timeout


def _affordable(connections: int) -> int:
    """As many as there may be open files, which are raised to what the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _REFUSED_AT_ONCE + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            log.warning("the system allows fewer open files than connections", files=soft, connections=connections)
            return max(1, soft - _REFUSED_AT_ONCE - _SPARE_FILES)
    return connections


class _Refusal(asyncio.Protocol):
    """503 and the end. What the client is sending is read and dropped for a moment: closing on it would reset the answer too."""

    def __init__(self, others: "set[_Refusal]") -> None:
        self._others = others

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if len(self._others) >= _REFUSED_AT_ONCE:
            transport.abort()
            return
        self._others.add(self)
        transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 2\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(_REFUSAL), _REFUSAL)
        )
        transport.write_eof()
        asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, transport.abort)

    def connection_lost(self, _: Exception | None) -> None:
        self._others.discard(self)
