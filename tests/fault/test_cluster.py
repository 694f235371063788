"""A cluster of three masters: sites in several partitions, a slot that moves, a master that dies."""

import base64
import contextlib
import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import redis

from moderation.errors import Unavailable
from moderation.model import Site, Submission
from moderation.privacy import Privacy
from moderation.store import comments, keys, outbox, sites
from moderation.store.connection import open_store
from moderation.store.outbox import Settlement
from moderation.store.servers import slot_of
from tests.fault.groups import Cluster, cluster, site_on
from tests.fault.load import Load, stored
from tests.fault.proxy import Valkey
from tests.service import ADMIN, Receiver, Service, running, said, until
from tests.store.conftest import SITE, approve, endpoint

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
FAILOVER_SECONDS = 120  # an election that a busy machine spoils is held again after some seconds
SITES = [site for number in range(3) for site in site_on(number, 2)]  # two on each master


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture(scope="module")
def spread(nodes: Cluster, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with workers, two sites on each master, and an endpoint for each."""
    environ = {"MODERATION_REDIS_URL": nodes.url, "MODERATION_SECRET_KEY": KEY}
    with running(tmp_path_factory.mktemp("spread"), **environ) as found:
        for site in SITES:
            found.site(id=site)
            subscription = {"url": receiver.url, "max_in_flight": 50, "rate_per_second": 1000}
            assert found.send("POST", f"/api/v1/sites/{site}/endpoints", subscription).status == 201
        yield found
        print(found.log.read_text()[-6000:])  # shown when a test fails


def all_told(receiver: Receiver, wanted: set[str], seconds: float = 120) -> None:
    """Every one of these comments' webhooks arrives, each under one id."""
    told: dict[str, set[str]] = {}

    def drained() -> bool:
        with contextlib.suppress(queue.Empty):
            while True:
                headers, body = receiver.received.get_nowait()
                told.setdefault(json.loads(body)["data"]["comment"]["id"], set()).add(headers["webhook-id"])
        return told.keys() >= wanted

    until("every approved comment's webhook", drained, seconds)
    assert [ids for ids in told.values() if len(ids) != 1] == []


def status(service: Service, site: str) -> int:
    return service.post(f"/api/v1/sites/{site}/comments", said()).status


async def test_a_script_never_runs_on_half_of_its_keys(nodes: Cluster) -> None:
    """Here the list of lanes has moved and the lane has not: a script that ran there would forget the lane."""
    store = await open_store(nodes.url, Privacy([base64.b64decode(KEY)]), 16)
    await sites.create(store, Site(id=SITE, name="News"))
    await endpoint(store)
    (comment_id,) = await approve(store)
    partition = keys.partition_of(comment_id)
    slot = slot_of(keys.tag(partition))
    source = nodes.owner_of(slot)
    target = next(server for server in nodes.masters if server is not source)
    begin_move(slot, source, target, nodes)
    move_some(source, target, keys.tag(partition) + "lanes")
    with pytest.raises(Unavailable):
        await outbox.take(store, partition, 50, 60_000, 50)
    assert (await comments.load(store, comment_id)).status == "approved"
    end_move(slot, source, target, nodes)
    _, (job,) = await outbox.take(store, partition, 50, 60_000, 50)
    assert job.comment_id == comment_id
    assert await outbox.settle(store, job, Settlement("delivered"), {"ok": True, "code": "2xx"})
    move(slot, target, source, nodes)
    await sites.remove(store, SITE)
    await store.close()


async def test_replicas_are_waited_for_on_the_node_that_took_the_write(nodes: Cluster) -> None:
    store = await open_store(nodes.url, Privacy([base64.b64decode(KEY)]), 16, 1)
    said = Submission("ليلى", "", "", "نص", "41", locale="ar")
    outcomes = []
    for name in (site_on(1, 3)[2], site_on(0, 3)[2]):  # with a replica, without
        site = await sites.create(store, Site(id=name, name=name))
        try:
            outcomes.append((await comments.submit(store, site, "1", said, address="")).status)
        except Unavailable:
            outcomes.append(None)
        await sites.remove(store, name)
    assert outcomes == ["pending", None]
    await store.close()


def test_sites_on_every_master_take_decide_deliver_and_list(
    nodes: Cluster, spread: Service, receiver: Receiver
) -> None:
    with Load(spread, SITES) as load:
        load.until_more("to all sites", 60)
    load.assert_kept()
    all_told(receiver, set(load.approved))
    assert {site for site, _ in load.acknowledged.values()} == set(SITES)
    assert all(server.client.dbsize() > 0 for server in nodes.masters)
    assert load.statuses[503] == 0
    listed = spread.get("/api/v1/comments?limit=200&sort=newest", ADMIN).json
    assert listed["total"] == len(load.acknowledged)
    assert {item["id"] for item in listed["items"]} <= load.acknowledged.keys()
    together = spread.send("POST", "/api/v1/decisions", {"ids": list(load.acknowledged)[:50], "decision": "reject"})
    assert {result["status"] for result in together.json["results"]} == {"rejected"}
    until(
        "settled in the figures",
        lambda: "moderation_outbox_backlog 0" in spread.get("/metrics").text,
    )
    assert "moderation_redis_up 1" in spread.get("/metrics").text
    assert spread.get("/readyz").json == {"status": "ready"}


def move_some(source: Valkey, target: Valkey, *names: str) -> None:
    source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *names)


def begin_move(slot: int, source: Valkey, target: Valkey, nodes: Cluster) -> None:
    target.client.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", nodes.id_of(source))
    source.client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", nodes.id_of(target))


def end_move(slot: int, source: Valkey, target: Valkey, nodes: Cluster) -> None:
    target_id = nodes.id_of(target)
    while names := source.client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 5):
        move_some(source, target, *names)
        time.sleep(0.001)  # so that a load meets every mixture of keys here and there
    for server in (target, source, *nodes.servers):
        with contextlib.suppress(redis.ResponseError):  # replicas are told by their masters
            server.client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)


def move(slot: int, source: Valkey, target: Valkey, nodes: Cluster) -> None:
    """As `--cluster reshard` does it: key by key, while the load goes on."""
    begin_move(slot, source, target, nodes)
    end_move(slot, source, target, nodes)


def test_a_slot_that_moves_loses_and_doubles_nothing(nodes: Cluster, spread: Service, receiver: Receiver) -> None:
    site = SITES[-1]
    slot = slot_of(keys.tag(keys.site_partition(site, 16)))
    source, target = nodes.masters[2], nodes.masters[0]
    before = {item["id"] for item in stored(spread, site)}
    with Load(spread, [site]) as load:
        load.until_more("before the move")
        move(slot, source, target, nodes)
        load.until_more("after the move")
    assert source.client.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot) == 0
    assert sorted(item["id"] for item in stored(spread, site)) == sorted(before | load.acknowledged.keys())
    all_told(receiver, set(load.approved))
    before |= load.acknowledged.keys()
    with Load(spread, [site]) as load:  # and back, in one step
        target.client.execute_command(
            "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", nodes.id_of(source)
        )  # fmt: skip
        until("the slot to be back", lambda: source.client.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot) > 0)
        load.until_more("after the move")
    assert sorted(item["id"] for item in stored(spread, site)) == sorted(before | load.acknowledged.keys())
    all_told(receiver, set(load.approved))


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_a_lost_master_stops_only_its_own_sites(
    nodes: Cluster, spread: Service, receiver: Receiver, fault: str
) -> None:
    lost = nodes.masters[0]
    begin, end = (lost.kill, lost.start) if fault == "killed" else (lost.freeze, lost.thaw)
    own, others = SITES[:2], SITES[2:]
    kept = spread.comment(own[0])["id"]
    begin()
    try:
        until("its sites to be refused", lambda: {status(spread, site) for site in own} == {503})
        with Load(spread, others) as load:
            load.until_more("to the others")
        assert not load.failures
        assert {status(spread, site) for site in own} == {503}
        all_told(receiver, set(load.approved))
        until("the loss to be said", lambda: "degraded" in spread.get("/readyz").json)
        assert spread.get("/readyz").status == 200
        checked = subprocess.run(
            [sys.executable, "-m", "moderation", "check", "--data", str(spread.data)],
            env=os.environ | {"MODERATION_REDIS_URL": nodes.url, "MODERATION_SECRET_KEY": KEY},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert f"127.0.0.1:{lost.port} does not answer" in checked.stdout
        assert checked.returncode == 1
    finally:
        end()
    until("its sites to be served again", lambda: {status(spread, site) for site in own} == {202}, FAILOVER_SECONDS)
    assert spread.decide(kept, "approve").status == 200
    all_told(receiver, {kept})
    until("the whole to be well", lambda: spread.get("/readyz").json == {"status": "ready"}, FAILOVER_SECONDS)


def test_a_replica_takes_over_by_itself(nodes: Cluster, spread: Service, receiver: Receiver) -> None:
    own = SITES[2:4]
    kept = [spread.comment(site)["id"] for site in own]
    until("the replica to have them", lambda: nodes.masters[1].client.wait(1, 1000) == 1)
    nodes.masters[1].kill()
    until(
        "its sites to be served by the replica",
        lambda: {status(spread, site) for site in own} == {202},
        FAILOVER_SECONDS,
    )
    assert [spread.one(comment_id)["status"] for comment_id in kept] == ["pending", "pending"]
    for comment_id in kept:
        assert spread.decide(comment_id, "approve").status == 200
    all_told(receiver, set(kept))
