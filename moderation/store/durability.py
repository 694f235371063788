"""Whether what is acknowledged stays: every master is asked how it persists, whether it evicts, and how many replicas follow it."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio

from moderation.errors import ModerationError, Unavailable
from moderation.redis_address import CLUSTER, SINGLE, Node, RedisAddress
from moderation.store.line import ReplyError
from moderation.store.servers import SLOTS, Master, asking, masters, sentinels_away

_ASK_SECONDS = 2.0


@dataclass(slots=True)
class Findings:
    """`problems` would lose comments, each with the way to mend it; `warnings` are legal but weaker than our default; `lacking`
    says where too few replicas follow for what must be acknowledged; `away` are masters of a cluster that do not answer while others do.
    """

    masters: list[Node] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)


async def inspect(address: RedisAddress, replicas_to_ack: int = 0) -> Findings:
    """Ask every master. Raises Unavailable when none can be reached, ReplyError when it refuses to answer."""
    found = await masters(address)
    findings = Findings([master.node for master in found])
    answers = await asyncio.gather(
        *[_inspect_one(address, master.node, replicas_to_ack, findings) for master in found], return_exceptions=True
    )
    refused = next((a for a in answers if isinstance(a, BaseException) and not isinstance(a, Unavailable)), None)
    if refused is not None:
        raise refused
    away = [master.node for master, answer in zip(found, answers, strict=True) if answer is not None]
    if len(away) == len(found):
        raise Unavailable() from next((a.__cause__ for a in answers if a is not None), None)
    findings.away = [f"{node} does not answer" for node in away]
    _judge_cluster(address, found, findings)
    findings.warnings += [f"sentinel {node} does not answer" for node in await sentinels_away(address)]
    return findings


def _judge_cluster(address: RedisAddress, found: list[Master], findings: Findings) -> None:
    served = sum(high - low + 1 for master in found for low, high in master.slots)
    if address.mode == CLUSTER and served < SLOTS:
        findings.problems.append(f"{SLOTS - served} slots of the cluster are served by nobody: assign them")


async def _inspect_one(address: RedisAddress, node: Node, replicas_to_ack: int, findings: Findings) -> None:
    where = "" if address.mode == SINGLE else f"{node}: "
    async with asking(address, node, _ASK_SECONDS) as connection:
        memory: dict[str, Any] = await connection.info("memory")
        persistence: dict[str, Any] = await connection.info("persistence")
        replication: dict[str, Any] = await connection.info("replication")
        policy = str(memory.get("maxmemory_policy", ""))
        if policy not in {"", "noeviction"}:
            findings.problems.append(f"{where}Redis evicts keys ({policy}): set maxmemory-policy noeviction")
        if not int(persistence.get("aof_enabled", 0)):
            findings.problems.append(
                f"{where}Redis keeps no append-only file: set appendonly yes and appendfsync always"
            )
        elif persistence.get("aof_last_write_status", "ok") != "ok":
            findings.problems.append(f"{where}Redis could not write its append-only file: look at the disk")
        elif (fsync := await _config(connection, "appendfsync")) not in {"", "always"}:
            findings.warnings.append(
                f"{where}a power cut can lose the last second of acknowledged comments: appendfsync is {fsync}; set it to always"
            )
        replicas = int(replication.get("connected_slaves", 0))
        if replicas < replicas_to_ack:
            findings.lacking.append(
                f"{where}{replicas} replica(s) follow, MODERATION_REDIS_REPLICAS_TO_ACK asks for {replicas_to_ack}: until they do, nothing is taken"
            )
        if address.mode != SINGLE and replicas and not replicas_to_ack:
            findings.warnings.append(
                f"{where}a failover can lose what was acknowledged just before: set MODERATION_REDIS_REPLICAS_TO_ACK=1"
            )
        if address.mode == CLUSTER and await _config(connection, "cluster-require-full-coverage") == "yes":
            findings.warnings.append(
                f"{where}one lost master stops all sites: set cluster-require-full-coverage no, so that it stops only its own"
            )


async def _config(connection: redis.asyncio.Redis, name: str) -> str:
    """'' where the server hides CONFIG, as hosted ones do."""
    with contextlib.suppress(redis.exceptions.ResponseError):
        return str((await connection.config_get(name)).get(name, ""))
    return ""


def reason(error: ModerationError) -> str:
    """What stood behind an error at start, in Redis's or the system's own words."""
    if isinstance(error, ReplyError):
        return str(error)
    deepest: BaseException = error
    while deepest.__cause__ is not None:
        deepest = deepest.__cause__
    return "" if deepest is error else str(deepest) or type(deepest).__name__
