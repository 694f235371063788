"""Opening the store: what every module of this room works with."""

from dataclasses import dataclass
from functools import partial

from moderation.errors import ConfigurationError, ModerationError
from moderation.log import get_logger
from moderation.privacy import HASH_KEY, Privacy, Sealed
from moderation.redis_address import CLUSTER, RedisAddress
from moderation.store import keys
from moderation.store.cluster import ClusterPipe
from moderation.store.line import ReplyError
from moderation.store.pipe import Caller, Pipe
from moderation.store.servers import dial_master

log = get_logger(__name__)
DATA_VERSION = "1"
_WAITING_CONNECTIONS = 8  # WAIT holds up its own: three times as many writes a second as with two


@dataclass(frozen=True, slots=True)
class Store:
    """A pipe to Redis, the number of partitions the data is laid out in, and the keys that hide addresses.

    `acknowledged` is a pipe of its own for writes that wait for replicas: what waits behind them would wait too.
    """

    address: RedisAddress
    pipe: Caller
    privacy: Privacy
    partitions: int
    acknowledged: Caller
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
        await self.acknowledged.close()


def _pipe(address: RedisAddress, connections: int = 2) -> Caller:
    if address.mode == CLUSTER:
        return ClusterPipe(address, connections)
    return Pipe(partial(dial_master, address), connections)


async def open_store(where: str | RedisAddress, privacy: Privacy, partitions: int, replicas_to_ack: int = 0) -> Store:
    """Connect and agree on the layout. Raises ConfigurationError when the data was laid out otherwise or Redis refuses us, Unavailable without Redis."""
    address = RedisAddress.parse(where) if isinstance(where, str) else where
    pipe = _pipe(address)
    try:
        await pipe.call_many(
            [
                ("HSETNX", keys.META, "partitions", partitions),
                ("HSETNX", keys.META, "version", DATA_VERSION),
                ("HSETNX", keys.META, HASH_KEY, privacy.sealed_hash_key()),
            ]
        )
        await _may_run_scripts(pipe)
        stored, version, hash_key = await pipe.call("HMGET", keys.META, "partitions", "version", HASH_KEY)
        _agree(stored, version, partitions)
        _adopt(privacy, hash_key)
    except ModerationError as error:  # whoever waits for Redis opens again and again
        await pipe.close()
        refusal = error if isinstance(error, ReplyError) else error.__cause__
        if isinstance(refusal, ReplyError):
            raise refused(refusal) from None
        raise
    acknowledged = _pipe(address, _WAITING_CONNECTIONS) if replicas_to_ack else pipe
    return Store(address, pipe, privacy, partitions, acknowledged, replicas_to_ack)


async def _may_run_scripts(pipe: Caller) -> None:
    """A user without that right is told so at start, not by the first comment."""
    try:
        await pipe.call("EVALSHA", "0" * 40, 1, keys.META)
    except ReplyError as error:
        if not str(error).startswith("NOSCRIPT"):
            raise


def _agree(stored: str, version: str, partitions: int) -> None:
    if version != DATA_VERSION:
        raise ConfigurationError(
            [f"the data in Redis is of version {version}, this program knows {DATA_VERSION}: upgrade it"]
        )
    if int(stored) != partitions:
        raise ConfigurationError(
            [
                f"MODERATION_PARTITIONS: the data is laid out in {stored} partitions, and that can't change; set it to {stored}"
            ]
        )


_ANOTHER_KEY = (
    "the data in Redis was written with another secret key than the one in this data directory: addresses in it can't be read here, and nobody is"
    " recognised. Give all services and workers the same MODERATION_SECRET_KEY"
)


def _adopt(privacy: Privacy, hash_key: str) -> None:
    try:
        privacy.adopt_hash_key(hash_key)
    except Sealed:
        if privacy.is_generated:  # of a data directory: the first service may have another one, or it was lost
            log.error(_ANOTHER_KEY)
            return
        raise ConfigurationError(
            [
                "MODERATION_SECRET_KEY: the data was written with another key; write that one behind the new one, separated by a space"
                " (docs/security.md says how keys are changed)"
            ]
        ) from None


_MENDING = {
    "permission": "give the user the rights that docs/redis.md names",
    "NOPERM": "give the user the rights that docs/redis.md names",
    "NOAUTH": "write user and password into the address",
    "WRONGPASS": "look at user and password in the address",
    "username-password": "look at user and password in the address",
    "MOVED": "it is part of a cluster; write redis+cluster://",
    "unknown command": "is it a sentinel? then write redis+sentinel://host:26379/name",
}


def refused(error: ReplyError) -> ConfigurationError:
    """Redis is there but does not let us: in its own words, with the way to mend it."""
    text = str(error)
    hint = next((hint for sign, hint in _MENDING.items() if sign in text), "look at the address and at Redis's log")
    return ConfigurationError([f"MODERATION_REDIS_URL: Redis refuses: {text[:200]} ({hint})"])


__all__ = ["ReplyError", "Store", "open_store", "refused"]
