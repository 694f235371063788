"""kill -9 of every process under load: nothing acknowledged is lost, nothing is doubled, nothing approved stays unsent."""

import contextlib
import http.client
import json
import os
import queue
import random
import signal
import threading
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.service import ADMIN, Answer, Receiver, Service, said, until

KILLS = 20
SUBMITTERS = 3


def children(pid: int) -> dict[str, int]:
    """The worker and the embedded server of a service, by name; a kill may have left only one of them."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) != pid:
                continue
            command = (entry / "cmdline").read_bytes()
            for name in ("valkey-server", "workers"):
                if name.encode() in command:
                    found[name] = int(entry.name)
    return found


def insist(service: Service, path: str, body: dict[str, str], good: int, seen: Counter[int], **headers: str) -> Answer:
    """Send until it is acknowledged, as a careful client does."""

    def once() -> Answer | None:
        try:
            answer = service.send("POST", path, body, **headers)
        except (OSError, http.client.HTTPException):
            return None
        seen[answer.status] += 1
        return answer if answer.status == good else None

    return until(f"{good} from {path}", once, 120)  # type: ignore[no-any-return]


def deliveries(service: Service, site: str) -> list[tuple[str, str]]:
    """Every stored comment and the state of its webhook."""
    found: list[tuple[str, str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = service.get(f"/api/v1/comments?site={site}&limit=200&cursor={cursor}", ADMIN).json
        found += [(item["id"], item["delivery"]["state"]) for item in page["items"]]
        cursor = page["next_cursor"]
    return found


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_or_doubled_whatever_process_is_killed(data: Path) -> None:
    stuck = (
        threading.Event()
    )  # never set: an answer now and then takes its time, so that kills strike in the middle of one

    def answers(n: int) -> tuple[int, bytes]:
        if n % 10 == 0:
            stuck.wait(0.2)
        return 200, b""

    service, receiver = Service(data), Receiver(answers)
    service.start()
    site = service.site()
    path = f"/api/v1/sites/{site}/comments"
    assert (
        service.send(
            "POST",
            f"/api/v1/sites/{site}/endpoints",
            {"url": receiver.url, "max_in_flight": 20, "rate_per_second": 1000},
        ).status
        == 201
    )
    acknowledged: dict[str, tuple[dict[str, str], str]] = {}  # key → what was sent, the id
    approved: list[str] = []
    waiting: queue.Queue[str | None] = queue.Queue(
        50
    )  # submitters wait for the approver: a backlog would only take time
    statuses: Counter[int] = Counter()
    failures: list[BaseException] = []
    done = threading.Event()

    def guarded(job: Any) -> threading.Thread:
        def run() -> None:
            try:
                job()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def submit() -> None:
        while not done.is_set():
            key, comment = uuid.uuid4().hex, said()
            receipt = insist(service, path, comment, 202, statuses, **{"idempotency-key": key}).json
            acknowledged[key] = (comment, receipt["id"])
            waiting.put(receipt["id"])

    def approve() -> None:
        while comment_id := waiting.get():
            # a tenth of the answers take 0.2 s: keep what is on its way bounded, or the drain is all one waits for
            until("deliveries to keep up", lambda: failures or len(approved) - receiver.count < 200, 90)
            insist(service, f"/api/v1/comments/{comment_id}/decisions", {"decision": "approve"}, 200, statuses)
            approved.append(comment_id)

    submitters, approver = [guarded(submit) for _ in range(SUBMITTERS)], guarded(approve)
    victims = random.Random(7).choices(["service", "workers", "valkey-server"], weights=[1, 2, 2], k=KILLS)
    try:
        for victim in victims:
            goals = len(acknowledged) + 20, receiver.count + 5
            until(
                "traffic between two kills",
                lambda g=goals: failures or (len(acknowledged) > g[0] and receiver.count > g[1]),
                90,
            )
            assert service.process is not None
            if victim == "service":
                service.kill()
                service.start()
            else:
                pid = until(f"{victim} to run", lambda v=victim: children(service.process.pid).get(v), 60)
                os.kill(pid, signal.SIGKILL)
    finally:
        done.set()
        for thread in submitters:
            thread.join(150)
        waiting.put(None)
        approver.join(150)
    assert not failures
    assert set(statuses) <= {202, 200, 503}

    events: dict[str, set[str]] = {}  # comment → webhook ids

    def all_told() -> bool:
        with contextlib.suppress(queue.Empty):
            while True:
                headers, body = receiver.received.get_nowait()
                events.setdefault(json.loads(body)["data"]["comment"]["id"], set()).add(headers["webhook-id"])
        return events.keys() >= set(approved)

    until("every approved comment's webhook", all_told, 120)
    until(
        "every delivery to be settled", lambda: {state for _, state in deliveries(service, site)} == {"delivered"}, 90
    )
    stored = [comment_id for comment_id, _ in deliveries(service, site)]
    ids = [comment_id for _, comment_id in acknowledged.values()]
    assert sorted(stored) == sorted(ids), "acknowledged and stored are the same, each once"
    assert sorted(approved) == sorted(ids)
    assert set(events) == set(approved), "sent and decided are the same"
    assert [ids for ids in events.values() if len(ids) != 1] == [], "one webhook-id for one decision"
    for key, (comment, comment_id) in list(acknowledged.items())[:200]:
        again = service.post(path, comment, **{"idempotency-key": key})
        assert again.json["id"] == comment_id
    histories = [len(service.one(comment_id)["history"]) for comment_id in ids[:200]]
    assert set(histories) == {1}, "a repeated approval is one decision"
    assert service.stop() == 0
    receiver.close()
