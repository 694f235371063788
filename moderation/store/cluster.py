"""A cluster behind the interface of one server: a pipe to each master, chosen by the slot of a command's key.

A command is sent again only if the server said that it did not carry it out (MOVED, ASK). Why scripts get one key more:
docs/decisions/0007-sentinel-and-cluster.md.
"""

import asyncio
import time
from collections import defaultdict
from functools import partial
from typing import Any

from moderation.errors import Unavailable
from moderation.log import get_logger
from moderation.redis_address import Node, RedisAddress
from moderation.store.line import ANSWER_WITHIN_SECONDS, ReplyError, dial
from moderation.store.pipe import Pipe
from moderation.store.servers import SLOTS, Master, cluster_masters, endpoint, slot_of

log = get_logger(__name__)
Command = tuple[Any, ...]
_KEYLESS = frozenset({"TIME", "WAIT", "PING", "ECHO", "SCRIPT"})
_SCRIPTS = frozenset({"EVALSHA", "EVAL"})
_LOOK_AGAIN_SECONDS = 0.25
_REDIRECTS_MAX = 4  # a slot that moves twice while a command follows it; then the caller repeats it


class ClusterPipe:
    """Opened when first needed; finds its way again by itself after a failover or a move of slots."""

    def __init__(self, address: RedisAddress, connections: int = 2) -> None:
        self._address = address
        self._connections = connections  # to each master
        self._pipes: dict[Node, Pipe] = {}
        self._owners: list[Node | None] = [None] * SLOTS
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = float("-inf")

    async def call(self, *command: Any) -> Any:
        """One command. Raises Unavailable when its node does not answer in time, ReplyError when it refuses."""
        slot = _slot(command)
        if slot is None:
            return (await self.call_many([command]))[0]
        if command[0] in _SCRIPTS:
            command = _guarded(command)
        node = self._owners[slot] or await self._find(slot)
        try:
            return await self._pipe(node).call(*command)
        except Unavailable:
            self._look_again()
            raise
        except ReplyError as error:
            if not _is_redirect(error):
                raise
            (answer,) = await self._follow(node, [command], [error])
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def call_many(self, commands: list[Command]) -> list[Any]:
        """Split by slot, sent together, answers put together in order. Commands of one slot keep their order, on one connection."""
        if not commands:
            return []
        of_slot: dict[int, list[int]] = defaultdict(list)
        for index, slot in enumerate(_slots(commands)):
            of_slot[slot].append(index)
        of_node: dict[Node, list[int]] = defaultdict(list)
        owners: dict[int, Node] = {}
        for slot, indexes in of_slot.items():
            owners[slot] = self._owners[slot] or await self._find(slot)
            of_node[owners[slot]] += indexes
        guarded = [_guarded(command) if command[0] in _SCRIPTS else command for command in commands]
        answers: list[Any] = [None] * len(commands)

        async def ask(node: Node, indexes: list[int]) -> None:
            replies = await self._pipe(node).attempt([guarded[i] for i in sorted(indexes)])
            for index, reply in zip(sorted(indexes), replies, strict=True):
                answers[index] = reply

        await asyncio.gather(*[ask(node, indexes) for node, indexes in of_node.items()])
        for slot, indexes in of_slot.items():
            again = [i for i in indexes if _is_redirect(answers[i]) or commands[i][0] in _KEYLESS]
            if any(_is_redirect(answers[i]) for i in again):
                replies = await self._follow(owners[slot], [guarded[i] for i in again], [answers[i] for i in again])
                for index, reply in zip(again, replies, strict=True):
                    answers[index] = reply
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if any(isinstance(failure, Unavailable) for failure in failures):
            self._look_again()
        if failures:
            raise failures[0]
        return answers

    async def close(self) -> None:
        if self._looking:
            self._looking.cancel()
        for pipe in self._pipes.values():
            await pipe.close()

    def _pipe(self, node: Node) -> Pipe:
        if node not in self._pipes:
            self._pipes[node] = Pipe(partial(dial, self._address, node), self._connections)
        return self._pipes[node]

    async def _follow(self, node: Node, commands: list[Command], answers: list[Any]) -> list[Any]:
        """Commands of one slot, repeated where their server said they belong."""
        for _ in range(_REDIRECTS_MAX):
            redirect = next((answer for answer in answers if _is_redirect(answer)), None)
            if redirect is None:
                return answers
            kind, slot, where = str(redirect).split(" ")[:3]
            host, _, port = where.rpartition(":")
            node = endpoint(host, port, node)
            if kind == "MOVED":
                self._owners[int(slot)] = node
                self._look_again()
                answers = await self._pipe(node).attempt(commands)
            else:
                asked = [part for c in commands for part in ([c] if c[0] in _KEYLESS else [("ASKING",), c])]
                replies = await self._pipe(node).attempt(asked)
                answers = [reply for part, reply in zip(asked, replies, strict=True) if part != ("ASKING",)]
        return [Unavailable() if _is_redirect(answer) else answer for answer in answers]

    async def _find(self, slot: int) -> Node:
        """Who serves a slot that nobody is known to serve. Raises Unavailable, ReplyError."""
        looking = self._look_again(at_once=True)
        if looking:
            try:
                await asyncio.wait_for(asyncio.shield(looking), ANSWER_WITHIN_SECONDS)
            except TimeoutError as error:
                raise Unavailable() from error
        owner = self._owners[slot]
        if owner is None:
            raise Unavailable()
        return owner

    def _look_again(self, *, at_once: bool = False) -> asyncio.Task[None] | None:
        """Ask for the map in the background, once at a time and not too often: a cluster in trouble gets no storm of questions."""
        if self._looking is not None and not self._looking.done():
            return self._looking
        unknown = at_once and not self._pipes  # at the start there is nothing else to wait for
        if not unknown and time.monotonic() - self._looked_at < _LOOK_AGAIN_SECONDS:
            return None
        self._looked_at = time.monotonic()
        self._looking = asyncio.ensure_future(self._look())
        self._looking.add_done_callback(_observed)
        return self._looking

    async def _look(self) -> None:
        known = dict.fromkeys(self._address.nodes)
        known |= dict.fromkeys(owner for owner in set(self._owners) if owner)
        found = await cluster_masters(self._address, tuple(known))
        self._owners = owners_of(found)
        for node in self._pipes.keys() - {master.node for master in found}:
            if self._pipes[node].is_idle:
                await self._pipes.pop(node).close()


def owners_of(found: list[Master]) -> list[Node | None]:
    """The master of every slot."""
    owners: list[Node | None] = [None] * SLOTS
    for master in found:
        for low, high in master.slots:
            owners[low : high + 1] = [master.node] * (high + 1 - low)
    return owners


def _observed(task: "asyncio.Task[None]") -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.warning("the map of the cluster is out of reach", problem=str(error)[:300])


def _is_redirect(answer: Any) -> bool:
    return isinstance(answer, ReplyError) and str(answer).startswith(("MOVED ", "ASK "))


def _slot(command: Command) -> int | None:
    """By the first key; None for a command without one."""
    name = command[0]
    if name in _KEYLESS:
        return None
    return slot_of(command[3] if name in _SCRIPTS else command[1])


def _slots(commands: list[Command]) -> list[int]:
    """The slot of each; a command without a key goes with the one before it, the first ones with the first that has a key."""
    found = [_slot(command) for command in commands]
    last = next((slot for slot in found if slot is not None), 0)
    slots = []
    for slot in found:
        last = last if slot is None else slot
        slots.append(last)
    return slots


def _guarded(command: Command) -> Command:
    """A script that names one key which is never there: while its slot moves key by key the server then says TRYAGAIN, instead of
    letting it find a half of the keys."""
    name, script, count, *rest = command
    tag = rest[0][: rest[0].find("}") + 1]
    return (name, script, count + 1, *rest[:count], f"{tag}:never", *rest[count:])
