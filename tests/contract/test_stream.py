"""The live queue: what watchers are told, and that they can go on where they were."""

import contextlib
import http.client
import json
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.service import ADMIN, Service, running

Event = tuple[str, str, dict[str, Any]]  # id, name, data


class Watcher:
    """Reads the stream in a thread."""

    def __init__(self, service: Service, query: str = "", token: str = ADMIN, last: str = "") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        headers = {"authorization": f"Bearer {token}"} | ({"last-event-id": last} if last else {})
        self.connection.request("GET", f"/api/v1/queue/stream{query}", headers=headers)
        assert self.connection.sock is not None
        self.socket = self.connection.sock
        self.answer = self.connection.getresponse()
        self.events: queue.Queue[Event] = queue.Queue()
        self.ended = threading.Event()
        if self.answer.status == 200:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        found: dict[str, str] = {}
        try:
            while line := self.answer.readline():
                text = line.decode().rstrip("\n")
                if text and not text.startswith(":"):
                    name, _, value = text.partition(": ")
                    found[name] = value
                elif not text and "event" in found:
                    self.events.put((found["id"], found["event"], json.loads(found["data"])))
                    found = {}
        except (OSError, ValueError, AttributeError, http.client.HTTPException):  # closed under its hands
            pass
        self.ended.set()

    def next(self, name: str) -> Event:
        """The next event of that name."""
        while True:
            found = self.events.get(timeout=60)
            if found[1] == name:
                return found

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # closing alone would wait for the reading thread
        self.connection.close()


@pytest.fixture
def watcher(service: Service, site: str) -> Iterator[Watcher]:
    found = Watcher(service, f"?site={site}")
    assert found.next("counts")[2] == {"pending": 0, "sites": {site: 0}}
    yield found
    found.close()


def test_watchers_hear_of_new_decided_and_claimed_comments(service: Service, site: str, watcher: Watcher) -> None:
    assert watcher.answer.getheader("content-type") == "text/event-stream"
    comment_id = service.comment(site)["id"]
    assert watcher.next("comment.pending")[2] == {"id": comment_id, "site": site}
    assert watcher.next("counts")[2]["pending"] == 1
    service.send("POST", "/api/v1/queue/claim", {"site": site})
    claimed = watcher.next("comment.claimed")[2]
    assert (claimed["id"], claimed["by"]) == (comment_id, "admin")
    service.send("POST", "/api/v1/queue/release", {})
    assert watcher.next("comment.released")[2]["id"] == comment_id
    service.decide(comment_id, "approve", undo_seconds=60)
    decided = watcher.next("comment.decided")[2]
    assert (decided["id"], decided["decision"]) == (comment_id, "approve")
    service.send("POST", f"/api/v1/comments/{comment_id}/undo")
    assert watcher.next("comment.decided")[2]["decision"] == "undo"


def test_a_watcher_goes_on_where_it_was(service: Service, site: str, watcher: Watcher) -> None:
    first = service.comment(site)["id"]
    last, _, data = watcher.next("comment.pending")
    assert data["id"] == first
    watcher.close()
    second = service.comment(site)["id"]
    service.decide(first, "approve")
    for again in (
        Watcher(service, f"?site={site}", last=last),
        Watcher(service, f"?site={site}&after={last}"),
        Watcher(service, f"?site={site}&after=x", last=last),
    ):
        assert again.next("comment.pending")[2]["id"] == second
        assert again.next("comment.decided")[2]["id"] == first
        again.close()


@pytest.mark.parametrize(
    "last", ["x", "_", "0_0-0", "../..", "%00", "a" * 3000, "019ab0c4-7e00-7d3a-9c41-2f60a3b1c501_9-9"]
)
def test_any_last_event_id_is_taken(service: Service, site: str, last: str) -> None:
    found = Watcher(service, f"?site={site}", last=last)
    assert found.answer.status == 200
    assert found.next("counts")[2]["pending"] == 0
    found.close()


def test_watchers_see_their_own_sites_only(service: Service, site: str) -> None:
    other = service.site()
    token = service.send("POST", "/api/v1/tokens", {"name": "v", "role": "viewer", "sites": [other]}).json["token"]
    assert Watcher(service, token="nobody").answer.status == 401
    assert Watcher(service, f"?site={site}", token).answer.status == 404
    found = Watcher(service, token=token)
    assert found.next("counts")[2]["sites"] == {other: 0}
    service.comment(site)
    mine = service.comment(other)["id"]
    assert found.next("comment.pending")[2] == {"id": mine, "site": other}
    found.close()


def test_a_watcher_does_not_hold_up_the_end(data: Any) -> None:
    with running(data) as own:
        found = Watcher(own)
        found.next("counts")
        assert own.stop() == 0
        assert found.ended.wait(60)
