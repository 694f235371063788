"""Which servers there are: the one, the master that sentinels name, or the masters of a cluster and their slots.

Asked with redis-py, away from the hot path. Answers may be old by the time they are used; whoever uses them is told so by the server itself.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import lru_cache
from ssl import SSLContext
from typing import Any

import redis.asyncio
import redis.exceptions
from redis.asyncio.connection import Connection as PlainConnection
from redis.asyncio.connection import ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot

from moderation.errors import ModerationError, Unavailable
from moderation.redis_address import CLUSTER, SENTINEL, Node, RedisAddress
from moderation.store.line import Connection, ReplyError, context_of, dial

SLOTS = 16384
_ASK_SECONDS = 0.5  # of each server, all at once: one that hangs holds up nobody for longer


@dataclass(frozen=True, slots=True)
class Master:
    """A server that takes writes, and the ranges of slots (both ends included) that it serves in a cluster."""

    node: Node
    slots: tuple[tuple[int, int], ...] = ()


class _Tls(SSLConnection):
    """With the same context as our own lines."""

    def __init__(self, *, context: SSLContext, **more: Any) -> None:
        super().__init__(**more)
        self.ssl_context.context = context


def client(address: RedisAddress, node: Node, *, socket_timeout_seconds: float) -> redis.asyncio.Redis:
    """A redis-py client for what is rare or blocks. Never repeats a command by itself (reliability: one lost reply, two entries)."""
    options: dict[str, Any] = {
        "username": address.user if address.password and address.user else None,
        "password": address.password or None,
        "db": address.database,
        "decode_responses": True,
        "socket_timeout": socket_timeout_seconds,
        "socket_connect_timeout": min(1.5, socket_timeout_seconds),
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
    }
    if not node.port:
        pool = ConnectionPool(UnixDomainSocketConnection, path=node.host, **options)
    elif address.tls:
        pool = ConnectionPool(_Tls, host=node.host, port=node.port, context=context_of(address.tls), **options)
    else:
        pool = ConnectionPool(PlainConnection, host=node.host, port=node.port, **options)
    return redis.asyncio.Redis(connection_pool=pool)


@contextlib.asynccontextmanager
async def asking(address: RedisAddress, node: Node, seconds: float) -> AsyncIterator[redis.asyncio.Redis]:
    """A client for a few questions. Inside, raises ReplyError for what the server refuses, Unavailable when it does not answer."""
    connection = client(address, node, socket_timeout_seconds=seconds)
    try:
        yield connection
    except (redis.exceptions.ResponseError, redis.exceptions.AuthenticationError) as error:
        said = f"{node}: {error}"
        raise ReplyError(said) from error
    except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
        raise Unavailable() from error
    finally:
        await connection.aclose()


async def masters(address: RedisAddress) -> list[Master]:
    """All servers that take writes, by their address. Raises Unavailable, ReplyError."""
    if address.mode == CLUSTER:
        return await cluster_masters(address, address.nodes)
    if address.mode == SENTINEL:
        return [Master((await _named_masters(address))[0])]
    return [Master(address.nodes[0])]


async def dial_master(address: RedisAddress) -> Connection:
    """A line to the one server, or to the master that the sentinels name and that says so itself. Raises as `dial` does."""
    if address.mode != SENTINEL:
        return await dial(address, address.nodes[0])
    failure: Exception = Unavailable()
    for node in await _named_masters(address):
        try:
            made = await dial(address, node)
            role = await made.send(("ROLE",))
            if role[0] == "master":
                return made
            made.close()
        except (OSError, ModerationError) as error:
            failure = error
    raise failure


async def _named_masters(address: RedisAddress) -> list[Node]:
    """Who is master by the sentinels that answer, the newest election first: one that was cut off names an old one."""
    sentinel = replace(address, user=address.sentinel_user, password=address.sentinel_password, database=0)
    answers = await asyncio.gather(
        *[_asked(sentinel, node, address.group) for node in address.nodes], return_exceptions=True
    )
    states = [answer for answer in answers if isinstance(answer, dict)]
    if not states:
        error = next((a for a in answers if isinstance(a, ReplyError)), answers[0])
        if isinstance(error, ModerationError):
            raise error
        raise Unavailable() from (error if isinstance(error, Exception) else None)
    states.sort(key=lambda state: int(state.get("config-epoch", 0)), reverse=True)
    return list(dict.fromkeys(Node(str(state["ip"]), int(state["port"])) for state in states))


async def _asked(sentinel: RedisAddress, node: Node, group: str) -> dict[str, Any]:
    async with asyncio.timeout(_ASK_SECONDS), asking(sentinel, node, _ASK_SECONDS) as connection:
        state: Any = await connection.sentinel_master(group)
        return dict(state)


async def sentinels_away(address: RedisAddress) -> list[Node]:
    """Those of a group's sentinels that do not answer."""
    sentinel = replace(address, user=address.sentinel_user, password=address.sentinel_password, database=0)
    nodes = address.nodes if address.mode == SENTINEL else ()
    answers = await asyncio.gather(*[_asked(sentinel, node, address.group) for node in nodes], return_exceptions=True)
    return [node for node, answer in zip(nodes, answers, strict=True) if isinstance(answer, BaseException)]


async def cluster_masters(address: RedisAddress, known: tuple[Node, ...]) -> list[Master]:
    """The map of a cluster, by the first of its nodes that answers; in any order, so that one with an old map does not always win."""
    failure: Exception = Unavailable()
    for node in random.sample(known, len(known)):
        try:
            async with asyncio.timeout(_ASK_SECONDS), asking(address, node, _ASK_SECONDS) as connection:
                found: Any = await connection.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
                return _read_map(found, node)
        except (ModerationError, TimeoutError) as error:
            failure = error
    if isinstance(failure, ModerationError):
        raise failure
    raise Unavailable() from failure


def _read_map(found: list[Any], asked: Node) -> list[Master]:
    slots: dict[Node, list[tuple[int, int]]] = {}
    for low, high, (host, port, *_), *_replicas in found:
        slots.setdefault(endpoint(host, port, asked), []).append((low, high))
    return sorted(
        (Master(node, tuple(sorted(ranges))) for node, ranges in slots.items()), key=lambda master: str(master.node)
    )


def endpoint(host: str | None, port: Any, asked: Node) -> Node:
    """As a cluster names a node; without a host it is the one that was asked."""
    return Node(host if host and host != "?" else asked.host, int(port))


def slot_of(key: str) -> int:
    """The slot of a key; all of ours carry a hash tag."""
    return _slot_of_tag(key[: key.find("}") + 1] or key)


@lru_cache(maxsize=1024)
def _slot_of_tag(tag: str) -> int:
    return key_slot(tag.encode())


async def by_master(address: RedisAddress, keys: list[str]) -> list[tuple[Node, tuple[str, ...]]]:
    """The keys that one blocking command may name, and who has them: all on one server, each slot by itself in a cluster. What nobody serves is left out."""
    found = await masters(address)
    if address.mode != CLUSTER:
        return [(found[0].node, tuple(keys))]
    owner = {
        key: master.node
        for key in keys
        for master in found
        if any(low <= slot_of(key) <= high for low, high in master.slots)
    }
    return [(node, (key,)) for key, node in owner.items()]
