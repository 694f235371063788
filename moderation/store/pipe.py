"""A small pipelining Redis client for scripts: a few lines to one server, used in turn.

redis-py's cost per command is what eats a submission path (docs/decisions/0003-own-pipe.md has the measurements). No
limit in flight, so that `appendfsync always` commits what is waiting as one group.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from moderation.errors import Unavailable
from moderation.log import get_logger
from moderation.store.line import ANSWER_WITHIN_SECONDS, Connection, ReplyError

log = get_logger(__name__)
_BACKLOG_LIMIT = 20_000  # commands waiting on one connection; beyond it we say 503 instead of growing
_COMPLAIN_SECONDS = 5.0


class Caller(Protocol):
    """What the store speaks to: one server (`Pipe`) or a cluster of them (store/cluster.py)."""

    def call(self, *command: Any) -> Awaitable[Any]:
        """One command. Raises Unavailable when Redis does not answer in time, ReplyError when it refuses."""

    async def call_many(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """Several commands, answers in their order. A command without a key goes where its neighbour before it went."""

    async def close(self) -> None: ...


def _look_at(answer: asyncio.Future[Any]) -> None:
    """Else asyncio complains: when a line breaks all fail, and one was told of."""
    if not answer.cancelled():
        answer.exception()


class Pipe:
    """Connections used in turn, opened when first needed and again after they broke. `dial` knows where to."""

    def __init__(self, dial: Callable[[], Awaitable[Connection]], connections: int = 2) -> None:
        self._dial = dial
        self._slots: list[Connection | None] = [None] * connections
        self._opening: list[asyncio.Task[Connection] | None] = [None] * connections
        self._turn = 0
        self._watch: asyncio.Task[None] | None = None
        self._complained_at = float("-inf")

    def call(self, *command: Any) -> Awaitable[Any]:
        """One command. Raises Unavailable when Redis does not answer in time, ReplyError when it refuses."""
        connection = self._ready()  # no coroutine around the future: it cost a microsecond a comment
        return connection.send(command) if connection else self._call_first(self._turn, command)

    async def _call_first(self, turn: int, command: tuple[Any, ...]) -> Any:
        return await (await self._open(turn)).send(command)

    async def call_many(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """Several commands on one connection, in order, one write."""
        connection = self._ready() or await self._open(self._turn)
        answers = [connection.send(command) for command in commands]
        try:
            return [await answer for answer in answers]  # they come in order; gather costs three times as much
        except BaseException:
            for answer in answers:
                answer.add_done_callback(_look_at)
            raise

    async def attempt(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """The same, with each command's error in its place."""
        try:
            connection = self._ready() or await self._open(self._turn)
        except Unavailable as error:
            return [error] * len(commands)
        return list(await asyncio.gather(*[connection.send(c) for c in commands], return_exceptions=True))

    async def close(self) -> None:
        if self._watch:
            self._watch.cancel()
        for connection in self._slots:
            if connection:
                connection.close()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for an answer."""
        opening = any(task and not task.done() for task in self._opening)
        return not opening and not any(connection and connection.waiting for connection in self._slots)

    def _ready(self) -> Connection | None:
        """The next connection in turn, if it is open. Raises Unavailable when too much waits on it already."""
        self._turn = turn = (self._turn + 1) % len(self._slots)
        connection = self._slots[turn]
        if connection is None or connection.transport is None:
            return None
        if connection.is_full or len(connection.waiting) > _BACKLOG_LIMIT:
            raise Unavailable()
        return connection

    async def _open(self, turn: int) -> Connection:
        task = self._opening[turn]
        if task is None or task.done():
            task = self._opening[turn] = asyncio.ensure_future(self._connect(turn))
        try:
            return await asyncio.wait_for(asyncio.shield(task), ANSWER_WITHIN_SECONDS)
        except (OSError, TimeoutError, ReplyError) as error:
            if isinstance(error, ReplyError) and time.monotonic() - self._complained_at > _COMPLAIN_SECONDS:
                self._complained_at = time.monotonic()
                log.error("redis refused a connection", problem=str(error)[:300])
            raise Unavailable() from error

    async def _connect(self, turn: int) -> Connection:
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            made = await self._dial()
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
