"""Groups of real servers: a master with replicas watched by sentinels, and a cluster."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import redis

from moderation.store import keys
from moderation.store.embedded import binary
from moderation.store.servers import slot_of
from tests.fault.proxy import Valkey
from tests.service import free_port, until

GROUP = "comments"
_PROMPT = {"repl-diskless-sync-delay": "0"}  # five seconds by default


class Sentinels:
    """One master, three sentinels, and three replicas, so that two masters can be lost without waiting for one to come back."""

    def __init__(self, folder: Path) -> None:
        self.servers = [Valkey(folder / f"server{n}", **_PROMPT) for n in range(4)]
        first = self.servers[0]
        for replica in self.servers[1:]:
            replica.client.replicaof("127.0.0.1", first.port)
        until("three replicas", lambda: len(_in_step(first)) == 3)
        self.ports = [free_port() for _ in range(3)]
        self._processes = [self._sentinel(folder / f"sentinel{port}.conf", port, first.port) for port in self.ports]
        self._clients = [redis.Redis(port=port, decode_responses=True) for port in self.ports]
        for client in self._clients:
            until("the sentinels to know each other", lambda c=client: self._is_informed(c))
        self.url = f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self.ports)}/{GROUP}"

    def _sentinel(self, config: Path, port: int, master: int) -> "subprocess.Popen[bytes]":
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {config.parent}\nsentinel monitor {GROUP} 127.0.0.1 {master} 2\n"
            f"sentinel down-after-milliseconds {GROUP} 500\nsentinel failover-timeout {GROUP} 1000\n"
        )
        return subprocess.Popen(
            [str(binary()), str(config), "--sentinel"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )  # fmt: skip

    def _is_informed(self, client: redis.Redis) -> bool:
        with contextlib.suppress(redis.RedisError):
            state = client.sentinel_master(GROUP)
            return int(state["num-other-sentinels"]) == 2 and int(state["num-slaves"]) == 3
        return False

    def kill_sentinel(self, number: int) -> None:
        self._processes[number].kill()
        self._processes[number].wait(60)

    def master(self) -> Valkey:
        """By the last sentinel; the others may be dead."""
        port = int(self._clients[-1].sentinel_get_master_addr_by_name(GROUP)[1])
        return next(server for server in self.servers if server.port == port)

    def replicas_in_step(self) -> int:
        with contextlib.suppress(redis.RedisError):
            return len(_in_step(self.master()))
        return 0

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(60)
        for client in self._clients:
            client.close()
        for server in self.servers:
            server.close()


def _in_step(master: Valkey) -> list[object]:
    info = master.client.info("replication")
    return [info[f"slave{n}"] for n in range(info["connected_slaves"]) if info[f"slave{n}"]["state"] == "online"]


class Cluster:
    """Three masters; the second has a replica. One lost master stops only its own slots."""

    def __init__(self, folder: Path) -> None:
        self.servers = [
            Valkey(
                folder / f"node{n}",
                **{
                    **_PROMPT, "cluster-enabled": "yes", "cluster-port": str(free_port()), "cluster-node-timeout": "1000",
                    "cluster-require-full-coverage": "no", "cluster-replica-validity-factor": "0",
                },
            )
            for n in range(4)
        ]  # fmt: skip
        self.masters, self.replica = self.servers[:3], self.servers[3]
        for number, (server, (low, high)) in enumerate(zip(self.masters, _RANGES, strict=True)):
            server.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            server.client.execute_command("CLUSTER", "ADDSLOTSRANGE", low, high)
        for server in self.servers[1:]:
            bus = int(server.client.config_get("cluster-port")["cluster-port"])
            self.servers[0].client.execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        for server in self.servers:
            until("the nodes to know each other", lambda s=server: self._knows_all(s))
        self.replica.client.execute_command("CLUSTER", "REPLICATE", self.id_of(self.masters[1]))
        until("the replica", lambda: len(_in_step(self.masters[1])) == 1)
        for server in self.servers:
            until(
                "all to know of the replica", lambda s=server: "slave" in str(s.client.execute_command("CLUSTER NODES"))
            )
        self.url = f"redis+cluster://{','.join(f'127.0.0.1:{server.port}' for server in self.masters)}"

    def _knows_all(self, server: Valkey) -> bool:
        info = server.client.execute_command("CLUSTER INFO")
        return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "4" and info["cluster_size"] == "3"

    def owner_of(self, slot: int) -> Valkey:
        """The master that serves a slot at first."""
        return next(m for m, (low, high) in zip(self.masters, _RANGES, strict=True) if low <= slot <= high)

    def id_of(self, server: Valkey) -> str:
        return str(server.client.execute_command("CLUSTER", "MYID"))

    def close(self) -> None:
        for server in self.servers:
            server.close()


_RANGES = ((0, 5460), (5461, 10922), (10923, 16383))


def site_on(number: int, count: int, partitions: int = 16) -> list[str]:
    """Ids of sites, each in a partition of its own, whose slots the master of that number has at first."""
    low, high = _RANGES[number]
    found: dict[int, str] = {}
    for n in range(1000):
        name = f"site-{n}"
        partition = keys.site_partition(name, partitions)
        if low <= slot_of(keys.tag(partition)) <= high:
            found.setdefault(partition, name)
    assert len(found) >= count
    return list(found.values())[:count]


@contextlib.contextmanager
def sentinels(folder: Path) -> Iterator[Sentinels]:
    """For the time of a test."""
    found = Sentinels(folder)
    try:
        yield found
    finally:
        found.close()


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """For the time of a test."""
    found = Cluster(folder)
    try:
        yield found
    finally:
        found.close()
