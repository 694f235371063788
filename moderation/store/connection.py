"""Opening the store: what every module of this room works with."""

from dataclasses import dataclass
from typing import Any

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from moderation.errors import ConfigurationError, ModerationError, Unavailable
from moderation.privacy import Privacy
from moderation.store import keys
from moderation.store.pipe import Pipe, ReplyError

DATA_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Store:
    """A pipe to Redis, the number of partitions the data is laid out in, and the keys that hide addresses."""

    url: str
    pipe: Pipe
    privacy: Privacy
    partitions: int
    replicas_to_ack: int = 0

    def tag_of_site(self, site: str) -> str:
        """The key prefix of a site's partition."""
        return keys.tag(keys.site_partition(site, self.partitions))

    def tag_of_id(self, some_id: str) -> str:
        """The key prefix of the partition that an id names. (A forged id may name one that does not exist: all misses.)"""
        return keys.tag(keys.partition_of(some_id))

    def new_id(self, site: str) -> str:
        """A fresh id in the site's partition."""
        return keys.new_id(keys.site_partition(site, self.partitions))

    async def close(self) -> None:
        await self.pipe.close()


async def open_store(url: str, privacy: Privacy, partitions: int, replicas_to_ack: int = 0) -> Store:
    """Connect and agree on the layout. Raises ConfigurationError when the data was laid out otherwise, Unavailable without Redis."""
    pipe = Pipe(url)
    try:
        await pipe.call_many(
            [("HSETNX", keys.META, "partitions", partitions), ("HSETNX", keys.META, "version", DATA_VERSION)]
        )
        stored, version = await pipe.call("HMGET", keys.META, "partitions", "version")
    except ModerationError:  # whoever waits for Redis opens again and again
        await pipe.close()
        raise
    if version != DATA_VERSION:
        await pipe.close()
        raise ConfigurationError(
            [f"the data in Redis is of version {version}, this program knows {DATA_VERSION}: upgrade it"]
        )
    if int(stored) != partitions:
        await pipe.close()
        raise ConfigurationError(
            [
                f"MODERATION_PARTITIONS: the data is laid out in {stored} partitions, and that can't change; set it to {stored}"
            ]
        )
    return Store(url, pipe, privacy, partitions, replicas_to_ack)


def client(url: str, *, socket_timeout_seconds: float) -> redis.asyncio.Redis:
    """A redis-py client for what is rare or blocks. Never repeats a command by itself (reliability: one lost reply, two entries)."""
    return redis.asyncio.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=socket_timeout_seconds,
        socket_connect_timeout=1.5,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        max_connections=64,
    )


async def durability_problems(url: str, warnings: list[str] | None = None) -> list[str]:
    """What would make this Redis lose or evict comments, each with the way to mend it. `warnings` collects what is legal
    but weaker than our default. Raises Unavailable when Redis can't be reached.
    """
    connection = client(url, socket_timeout_seconds=2)
    problems: list[str] = []
    try:
        memory: dict[str, Any] = await connection.info("memory")
        persistence: dict[str, Any] = await connection.info("persistence")
        policy = str(memory.get("maxmemory_policy", ""))
        if policy not in {"", "noeviction"}:
            problems.append(f"Redis evicts keys ({policy}): set maxmemory-policy noeviction")
        if not int(persistence.get("aof_enabled", 0)):
            problems.append("Redis keeps no append-only file: set appendonly yes and appendfsync always")
        else:
            if persistence.get("aof_last_write_status", "ok") != "ok":
                problems.append("Redis could not write its append-only file: look at the disk")
            try:
                fsync = (await connection.config_get("appendfsync")).get("appendfsync", "always")
            except redis.exceptions.RedisError:  # hosted servers hide CONFIG
                fsync = "always"
            if fsync != "always":
                (warnings if warnings is not None else []).append(
                    f"a power cut can lose the last second of acknowledged comments: appendfsync is {fsync}; set it to always"
                )
    except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
        raise Unavailable() from error
    finally:
        await connection.aclose()
    return problems


__all__ = ["ReplyError", "Store", "client", "durability_problems", "open_store"]
