"""The network between any two is cut, hangs or loses answers under load, and Redis freezes or is full: the books agree afterwards."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fault.proxy import proxy, valkey
from tests.fault.steady import Steady
from tests.mailbox import FROM, Mailbox, smtp_server
from tests.service import Service, running, until

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # `make fault` takes 5
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
_HANGS_SECONDS = 2.5  # longer than the service waits for Redis


def refused(load: Steady) -> Callable[[], bool]:
    """Several clients were told to come again."""
    before = load.statuses[503]
    return lambda: load.statuses[503] >= before + 5


@pytest.mark.timeout(1200)
def test_redis_hangs_freezes_fills_up_and_loses_its_answers_under_load(data: Path) -> None:
    with valkey(data / "valkey") as server, proxy(server.port) as line, running(data / "service", MODERATION_REDIS_URL=line.url) as service:  # fmt: skip
        load = Steady(service)
        with load:
            for _ in range(ROUNDS):
                for what, begin, end in (
                    ("answers lost", lambda: setattr(line, "lose_reply_to", b"EVALSHA"), lambda: setattr(line, "lose_reply_to", b"")),
                    ("black hole", line.passing.clear, line.passing.set),
                    ("frozen", server.freeze, server.thaw),
                    ("memory full", lambda: server.client.config_set("maxmemory", "1"), lambda: server.client.config_set("maxmemory", "0")),
                ):  # fmt: skip
                    load.until_more(f"before: {what}")
                    begin()
                    try:
                        until(f"clients to be refused: {what}", refused(load), 120)
                    finally:
                        end()
                    load.until_more(f"after: {what}")
        figures = load.reconcile()
        load.close()
    assert line.lost > 0
    assert set(load.statuses) <= {200, 201, 202, 409, 503}
    print(f"{ROUNDS} × answers lost, black hole, frozen, memory full: {figures}, {line.lost} answers lost")


@pytest.mark.timeout(1200)
def test_workers_cut_off_from_redis_or_from_the_receiver_deliver_once_it_heals(data: Path) -> None:
    with valkey(data / "valkey") as server, proxy(server.port) as line:
        shared = {"MODERATION_REDIS_URL": server.url, "MODERATION_SECRET_KEY": KEY}
        far = os.environ | shared | {"MODERATION_EGRESS_ALLOW": "127.0.0.0/8", "MODERATION_REDIS_URL": line.url}
        with running(data / "service", ("serve", "--no-workers"), **shared) as service:
            with (data / "worker.log").open("wb") as log:
                worker = subprocess.Popen(
                    [sys.executable, "-m", "moderation", "worker"], env=far, stdout=log, stderr=log
                )
            load = Steady(service, comments_max=2000 * ROUNDS)
            try:
                with load:
                    for _ in range(ROUNDS):
                        _cut_off_and_healed(load, line.passing.clear, line.passing.set)
                        lost, line.lose_reply_to = line.lost, b"EVALSHA"
                        until("an answer to a worker to get lost", lambda n=lost: line.lost > n, 120)
                        line.lose_reply_to = b""
                        _cut_off_and_healed(load, load.line.passing.clear, load.line.passing.set)
                        lost, load.line.lose_reply_to = load.line.lost, b"POST"
                        until("answers of the receiver to get lost", lambda n=lost: load.line.lost >= n + 3, 120)
                        load.line.lose_reply_to = b""
                figures = load.reconcile()
                load.close()
            finally:
                worker.terminate()
                worker.wait(90)
    assert load.statuses[503] == 0, "the service never noticed"
    print(f"{ROUNDS} × worker–Redis and worker–receiver cut: {figures}")


def _cut_off_and_healed(load: Steady, begin: Callable[[], None], end: Callable[[], None]) -> None:
    until("deliveries to go on", lambda n=load.receiver.count: load.receiver.count > n + 3, 120)
    begin()
    try:
        load.until_more("while the workers are cut off", 100)
        time.sleep(_HANGS_SECONDS)  # a hang is a length of time and nothing else
    finally:
        end()


def test_a_mail_server_that_hangs_gets_the_mail_once_it_answers(data: Path) -> None:
    box = Mailbox()
    with smtp_server(box) as port, proxy(port) as line:
        mailing = {"MODERATION_SMTP_URL": f"smtp://127.0.0.1:{line.port}", "MODERATION_MAIL_FROM": FROM}
        with running(data, **mailing) as service:
            line.passing.clear()
            ids = [_approved(service) for _ in range(3)]
            until("the line to be tried", lambda: len(line.open) > 0)
            assert {service.one(comment_id)["deliveries"][0]["state"] for comment_id in ids} == {"queued"}
            line.passing.set()
            until("the mails", lambda: len(box.got) == len(ids), 120)
            for comment_id in ids:
                until("it is settled", lambda i=comment_id: service.one(i)["deliveries"][0]["state"] == "delivered")
    assert len(box.got) == len(ids)


def _approved(service: Service) -> str:
    comment_id: str = service.comment(service.site())["id"]
    assert service.decide(comment_id, "approve").status == 200
    return comment_id
