"""A master that dies, freezes or hands over: sentinels name another, the service follows by itself, nothing acknowledged is lost."""

import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.groups import Sentinels, sentinels
from tests.fault.load import Load
from tests.service import ADMIN, Receiver, Service, running, until

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    with sentinels(tmp_path_factory.mktemp("sentinels")) as found:
        yield found


@pytest.fixture(scope="module")
def watched(group: Sentinels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose writes are acknowledged by a replica."""
    environ = {
        "MODERATION_REDIS_URL": group.url, "MODERATION_REDIS_REPLICAS_TO_ACK": "1", "MODERATION_SECRET_KEY": KEY,
    }  # fmt: skip
    with running(tmp_path_factory.mktemp("watched"), **environ) as found:
        yield found


def settled(service: Service, receiver: Receiver, load: Load) -> dict[str, set[str]]:
    """Comment → webhook ids, once every approved one was told."""
    told: dict[str, set[str]] = {}

    def all_told() -> bool:
        while True:
            try:
                headers, body = receiver.received.get_nowait()
            except queue.Empty:
                return told.keys() >= set(load.approved)
            told.setdefault(json.loads(body)["data"]["comment"]["id"], set()).add(headers["webhook-id"])

    until("every approved comment's webhook", all_told, 120)
    return told


def test_a_killed_master_loses_nothing_that_a_replica_acknowledged(
    group: Sentinels, watched: Service, receiver: Receiver
) -> None:
    site = watched.site()
    subscription = {"url": receiver.url, "max_in_flight": 50, "rate_per_second": 1000}
    assert watched.send("POST", f"/api/v1/sites/{site}/endpoints", subscription).status == 201
    group.kill_sentinel(0)
    with Load(watched, [site]) as load:
        load.until_more("before the kill")
        victim = group.master()
        victim.kill()
        load.until_more("after the failover")
    until("the last sentinel to have heard of it", lambda: group.master() is not victim)
    load.assert_kept()
    told = settled(watched, receiver, load)
    assert [ids for ids in told.values() if len(ids) != 1] == [], "one webhook-id for one decision"
    assert load.statuses[503] > 0, "there was an absence, and it was said"


def test_a_frozen_master_is_left_and_what_it_says_later_is_not_believed(group: Sentinels, watched: Service) -> None:
    site = watched.site()
    with Load(watched, [site]) as load:
        load.until_more("before the freeze")
        victim = group.master()
        victim.freeze()
        try:
            load.until_more("after the failover")
        finally:
            victim.thaw()
        until("the last sentinel to have heard of it", lambda: group.master() is not victim)
        load.until_more("after it came back")  # for some seconds it still calls itself a master
    load.assert_kept()


def moderation(*arguments: str, data: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MODERATION_")}
    return subprocess.run(
        [sys.executable, "-m", "moderation", *arguments, "--data", str(data)],
        env=clean | {"MODERATION_SECRET_KEY": KEY} | environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_shell_finds_the_master_and_the_check_names_what_is_wrong(
    group: Sentinels, watched: Service, data: Path
) -> None:
    environ = {"MODERATION_REDIS_URL": group.url, "MODERATION_REDIS_REPLICAS_TO_ACK": "9"}
    added = moderation("site", "add", "from-the-shell", data=data, **environ)
    assert added.returncode == 0, added.stderr
    assert "from-the-shell" in watched.get("/api/v1/sites", ADMIN).text
    master = group.master()
    master.client.config_set("appendonly", "no")
    try:
        checked = moderation("check", data=data, **environ)
    finally:
        master.client.config_set("appendonly", "yes")
    assert checked.returncode == 1
    assert f"127.0.0.1:{master.port}: Redis keeps no append-only file" in checked.stdout
    assert "replica(s) follow, MODERATION_REDIS_REPLICAS_TO_ACK asks for 9" in checked.stdout
    assert "sentinel 127.0.0.1:" in checked.stdout


def test_an_unknown_group_is_refused_by_name(group: Sentinels, data: Path) -> None:
    refused = moderation(
        "serve", "--port", "0", data=data, MODERATION_REDIS_URL=group.url.replace("/comments", "/others")
    )
    assert refused.returncode == 2
    assert "No such master" in refused.stderr


def test_without_sentinels_a_master_that_is_there_goes_on(group: Sentinels, watched: Service) -> None:
    site = watched.site()
    for number in (1, 2):  # the first is dead already
        group.kill_sentinel(number)
    until("their absence to be said", lambda: watched.get("/readyz").json.get("degraded") == ["no sentinel answers"])
    assert watched.get("/readyz").status == 200
    assert watched.comment(site)["status"] == "pending"
