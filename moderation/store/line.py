"""One connection to one server, pipelined: commands of one loop tick leave together, answers come in order.

Nothing is ever sent twice: when the line breaks, every command on it fails with Unavailable and the caller decides.
"""

import asyncio
import ssl
import time
from collections import deque
from functools import cache
from typing import Any, cast

import hiredis

from moderation.errors import ConfigurationError, ModerationError, Unavailable
from moderation.redis_address import Node, RedisAddress, Tls

UNSENT_MAX_BYTES = 16 * 1024 * 1024  # of one connection
# Redis reads so much of a connection at once (PROTO_IOBUF_LEN). What fills that leaves before the tick is over, so that Redis works while
# we go on: 8 % more submissions at 64 connections than with one write a tick (docs/performance.md).
_FULL_BYTES = 16 * 1024
ANSWER_WITHIN_SECONDS = 1.5  # leaves room for the contract's 2 s
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
_NO_MASTER = ("READONLY", "MASTERDOWN")


class ReplyError(ModerationError):
    """Redis refused a command for a reason that is our mistake."""

    code = "redis"


class Connection(asyncio.Protocol):
    """Commands in, futures out."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.is_full = False  # Redis does not read as fast as we write
        self.waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._reader = hiredis.Reader(encoding="utf-8", errors="surrogatepass")
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self.transport.set_write_buffer_limits(UNSENT_MAX_BYTES)

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False

    def send(self, command: tuple[Any, ...]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        self.waiting.append((future, time.monotonic()))
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        packed = hiredis.pack_command(command)
        self._outgoing.append(packed)
        self._outgoing_bytes += len(packed)
        if self._outgoing_bytes >= _FULL_BYTES:
            self._flush()
        return future

    def _flush(self) -> None:
        if self.transport is not None and self._outgoing:
            self.transport.write(b"".join(self._outgoing))
        self._outgoing.clear()
        self._outgoing_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                future, _ = self.waiting.popleft()
                if isinstance(reply, hiredis.ReplyError):
                    error = self._refused(str(reply))
                    if not future.done():
                        future.set_exception(error)
                elif not future.done():
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.close()

    def _refused(self, text: str) -> ModerationError:
        if text.startswith(_NO_MASTER):  # it was one when we came: whoever opens the next line finds the new one
            self.close()
        return Unavailable() if text.startswith(_REFUSALS) else ReplyError(text)

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


@cache
def context_of(tls: Tls) -> ssl.SSLContext:
    """Certificates are checked, host names too. Raises ConfigurationError for files that are none."""
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
    except OSError as error:
        raise ConfigurationError([f"MODERATION_REDIS_CA: {tls.ca} holds no certificates ({error})"]) from None
    if tls.certificate:
        try:
            context.load_cert_chain(tls.certificate, tls.key or None)
        except OSError as error:
            raise ConfigurationError(
                [f"MODERATION_REDIS_CERTIFICATE: {tls.certificate} and its key can't be used ({error})"]
            ) from None
    return context


async def dial(address: RedisAddress, node: Node) -> Connection:
    """An open line to a server, signed in. Raises OSError, ReplyError, Unavailable; the caller limits the time."""
    loop = asyncio.get_running_loop()
    if node.port:
        context = context_of(address.tls) if address.tls else None
        _, made = await loop.create_connection(Connection, node.host, node.port, ssl=context)
    else:
        _, made = await loop.create_unix_connection(Connection, node.host)
    try:
        if address.password:
            await made.send(("AUTH", *filter(None, [address.user]), address.password))
        if address.database:
            await made.send(("SELECT", address.database))
    except BaseException:  # nobody knows this connection yet
        made.close()
        raise
    return made
