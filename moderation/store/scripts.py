"""Loads lua/*.lua and runs them by digest; a server that lost its scripts (restart, failover) is given them again."""

import hashlib
import re
from collections.abc import Awaitable
from functools import cache
from pathlib import Path
from typing import Any

from moderation.errors import Unavailable
from moderation.store.connection import Store
from moderation.store.line import ReplyError
from moderation.store.pipe import Caller

_FOLDER = Path(__file__).parent / "lua"
_REPLICATED_WITHIN_MS = 1000
_INCLUDE = re.compile(r"^-- @include (\w+)$", re.MULTILINE)


class Script:
    """One state change. Safe to repeat: what it has done already it recognises by the ids it is given."""

    __slots__ = ("name", "sha", "source")

    def __init__(self, name: str) -> None:
        text = (_FOLDER / f"{name}.lua").read_text()
        self.name = name
        self.source = _INCLUDE.sub(lambda m: (_FOLDER / "include" / f"{m[1]}.lua").read_text(), text)
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


@cache
def script(name: str) -> Script:
    """The script of that file name."""
    return Script(name)


async def run(pipe: Caller, name: str, keys: list[str], *args: Any) -> Any:
    """Run a script: one round trip, but for the first time on a server."""
    lua = script(name)
    try:
        return await pipe.call("EVALSHA", lua.sha, len(keys), *keys, *args)
    except ReplyError as error:
        if not str(error).startswith("NOSCRIPT"):
            raise
    return await pipe.call("EVAL", lua.source, len(keys), *keys, *args)


def run_to_last(store: Store, name: str, keys: list[str], *args: Any) -> Awaitable[Any]:
    """The same for what is answered as done: as many replicas have it as the settings ask for. Raises Unavailable when they don't in time."""
    if store.replicas_to_ack:
        return _run_acknowledged(store.acknowledged, store.replicas_to_ack, name, keys, *args)
    return run(store.pipe, name, keys, *args)


async def _run_acknowledged(pipe: Caller, replicas: int, name: str, keys: list[str], *args: Any) -> Any:
    """How many replicas have it says WAIT, on the same connection, in the same write.

    WAIT counts from the connection's last write. A script that was repeated may write nothing, so something is always written
    before it: whoever has that has all from before it too.
    """
    lua = script(name)
    tag = keys[0][: keys[0].index(":", 2) + 1]
    waiting: list[tuple[Any, ...]] = [("SET", f"{tag}wait", "1"), ("WAIT", replicas, _REPLICATED_WITHIN_MS)]
    command = ("EVALSHA", lua.sha, len(keys), *keys, *args)
    try:
        reply, _, count = await pipe.call_many([command, *waiting])
    except ReplyError as error:
        if not str(error).startswith("NOSCRIPT"):
            raise
        command = ("EVAL", lua.source, len(keys), *keys, *args)
        reply, _, count = await pipe.call_many([command, *waiting])
    if count < replicas:
        raise Unavailable()
    return reply
