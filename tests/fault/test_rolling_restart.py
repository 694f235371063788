"""Two services on one port are restarted in turn under a steady load: no request is refused, reset or lost."""

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.load import stored
from tests.fault.proxy import Valkey, valkey
from tests.service import ADMIN, Service, free_port, running, said, until

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # `make fault` takes 5
_PACE_SECONDS = 0.005


class Clients:
    """Half of them keep their connection for as long as the server wants it, half open one per request. Nobody tries twice."""

    def __init__(self, port: int, site: str, count: int = 4) -> None:
        self._port, self._site = port, site
        self.acknowledged: list[str] = []
        self.failures: list[str] = []
        self.told_to_leave = 0
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n % 2 == 0,)) for n in range(count)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(90)

    def _run(self, keeps: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._done.wait(_PACE_SECONDS):
            connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            try:
                connection.request(
                    "POST", f"/api/v1/sites/{self._site}/comments", json.dumps(said()), {"content-type": "application/json"}
                )  # fmt: skip
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection = None
                continue
            if answer.status == 202:
                self.acknowledged.append(json.loads(body)["id"])
            else:
                self.failures.append(f"{answer.status} {body!r}")
            leaves = answer.getheader("connection", "").lower() == "close"
            self.told_to_leave += leaves
            if leaves or not keeps:
                connection.close()
                connection = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("valkey")) as found:
        yield found


def pair(data: Path, server: Valkey, port: int, **environ: str) -> tuple[Service, Service]:
    shared = {"MODERATION_REDIS_URL": server.url, "MODERATION_SECRET_KEY": KEY, "MODERATION_SHARE_PORT": "1"} | environ
    one, two = (Service(data / name, shared, ("serve", "--no-workers"), port=port) for name in ("one", "two"))
    return one, two


def has_started(service: Service) -> bool:
    """By what it prints: on a shared port an answer may be the other's."""
    return "listens on" in service.log.read_text()


@pytest.mark.parametrize(("processes", "restarts"), [("1", 2 * ROUNDS), ("2", 1)])
def test_no_request_is_refused_while_services_are_restarted_in_turn(
    data: Path, server: Valkey, processes: str, restarts: int
) -> None:
    port = free_port()
    services = pair(data, server, port, MODERATION_PROCESSES=processes, MODERATION_GRACE_SECONDS="0.3")
    with contextlib.ExitStack() as stack:
        for service in services:
            service.start()
            stack.callback(service.stop)
            until("it to listen", lambda s=service: has_started(s))
        site = services[0].site()
        with Clients(port, site) as clients:
            for number in range(restarts):
                service = services[number % 2]
                so_far = len(clients.acknowledged)
                until("traffic", lambda n=so_far: len(clients.acknowledged) > n + 50 or clients.failures)
                assert service.stop() == 0
                service.log.unlink()
                service.start()
                until("it to listen", lambda s=service: has_started(s))
        assert not clients.failures, Counter(clients.failures)
        assert clients.told_to_leave
        kept = stored(services[0], site)
        assert sorted(item["id"] for item in kept) == sorted(clients.acknowledged)


def test_it_says_that_it_leaves_before_it_does(data: Path) -> None:
    with running(data, ("serve", "--no-workers"), MODERATION_GRACE_SECONDS="15") as service:
        site = service.site()
        assert service.process is not None
        idle = socket.create_connection(("127.0.0.1", service.port))
        idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        idle.recv(4096)
        events = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        events.request("GET", "/api/v1/queue/stream", headers={"authorization": f"Bearer {ADMIN}"})
        listening = events.getresponse()
        service.process.send_signal(signal.SIGTERM)
        until("it to say so", lambda: service.get("/readyz").status == 503)
        answer = service.post(f"/api/v1/sites/{site}/comments", said())  # taken all the same, on a new connection
        assert (answer.status, answer.headers["connection"]) == (202, "close")
        assert b"counts" in listening.read()  # the stream ends, in an orderly way
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)  # nobody needs to wait for balancers
        idle.settimeout(60)
        assert idle.recv(4096) == b""  # closed, not reset
        assert service.process.wait(60) == 0
        assert time.monotonic() - began < 12


def test_a_request_that_runs_is_finished(data: Path) -> None:
    with running(data, ("serve", "--no-workers")) as service:
        site = service.site()
        assert service.process is not None
        body = json.dumps(said()).encode()
        slow = socket.create_connection(("127.0.0.1", service.port), timeout=60)
        slow.sendall(
            f"POST /api/v1/sites/{site}/comments HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body[:20]
        )
        until("it to be read", lambda: service.get("/healthz").status == 200)
        service.process.send_signal(signal.SIGTERM)
        until("the port to be closed", lambda: closed(service.port))
        slow.sendall(body[20:])
        answer = slow.recv(65536)
        assert answer.startswith(b"HTTP/1.1 202")
        assert b"connection: close" in answer.lower()
        assert service.process.wait(60) == 0


def closed(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
