"""Receivers that misbehave, workers that die in the middle of an attempt, and many endpoints of which some are dead."""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from moderation.egress import Network
from tests.fault.processes import children
from tests.service import ADMIN, Receiver, Service, free_port, running, until
from workers.guard import Guard

APPROVALS = int(os.environ.get("FAULT_APPROVALS", "150"))  # `make fault` takes 10,000
LIVE, DEAD = 15, 5


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One whose workers may be killed."""
    with running(tmp_path_factory.mktemp("own")) as found:
        yield found


def endpoint(service: Service, site: str, url: str, **more: Any) -> dict[str, Any]:
    answer = service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": url, **more})
    assert answer.status == 201, answer.text
    return answer.json  # type: ignore[no-any-return]


def health(service: Service, site: str, endpoint_id: str) -> dict[str, Any]:
    return service.get(f"/api/v1/sites/{site}/endpoints/{endpoint_id}", ADMIN).json["health"]  # type: ignore[no-any-return]


def approved(service: Service, site: str) -> str:
    comment_id: str = service.comment(site)["id"]
    assert service.decide(comment_id, "approve").status == 200
    return comment_id


@contextlib.contextmanager
def raw_server(serve: Any) -> Iterator[str]:
    """A server that speaks bytes: `serve(connection)` for each connection, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=_served, args=(serve, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
    listener.close()


def _served(serve: Any, connection: socket.socket) -> None:
    with contextlib.suppress(OSError), connection:
        connection.recv(65536)
        serve(connection)


def attempts(service: Service, comment_id: str) -> list[dict[str, Any]]:
    (delivery,) = [d for d in service.one(comment_id)["deliveries"] if d["kind"] == "webhook"]
    return delivery["attempts"]  # type: ignore[no-any-return]


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.2)


def endless_header(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"x-filler: " + b"y" * 4000 + b"\r\n")


def cut_off(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")


def nonsense(connection: socket.socket) -> None:
    connection.sendall(b"\x00\xff what is this\r\n\r\n")


def ten_megabytes(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 500 No\r\ncontent-length: 10485760\r\n\r\n" + b"z" * 10_485_760)


_MISBEHAVES = {
    drip: ("timeout", None), endless_header: ("broken", None), cut_off: ("broken", None), nonsense: ("broken", None), ten_megabytes: ("status", 500),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def on_their_way(service: Service) -> Iterator[dict[Any, str]]:
    """To each kind of receiver a comment. They begin with the file and are looked at at its end, so that nobody waits for those that take their time."""
    with contextlib.ExitStack() as stack:
        found = {}
        for serve in _MISBEHAVES:
            site = service.site()
            endpoint(service, site, stack.enter_context(raw_server(serve)))
            found[serve] = approved(service, site)
        yield found


def test_a_worker_killed_between_request_and_settle_makes_the_delivery_again_under_one_id(own: Service) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def answers(n: int) -> tuple[int, bytes]:
        if n == 1:
            reached.set()
            go_on.wait(60)
        return 200, b""

    receiver = Receiver(answers)
    site = own.site()
    endpoint(own, site, receiver.url)
    comment_id = approved(own, site)
    assert reached.wait(60)
    assert own.process is not None
    os.kill(children(own.process.pid)["workers"], signal.SIGKILL)
    until("the second request", lambda: receiver.count == 2)
    go_on.set()
    first, second = receiver.next(), receiver.next()
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    assert first[1] == second[1]
    until("the delivery to be settled", lambda: own.one(comment_id)["delivery"]["state"] == "delivered")
    assert len(attempts(own, comment_id)) == 1
    receiver.close()


class Flipping(AbstractResolver):
    """Answers a public address first, and a private one from then on."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        found = "192.0.2.1" if self.asked == 1 else "127.0.0.1"
        return [{"hostname": host, "host": found, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


async def test_a_name_that_flips_to_a_private_address_is_stopped_at_the_socket() -> None:
    bait, allow = Receiver(), tuple[Network, ...]()
    port = int(bait.url.split(":")[2].split("/")[0])
    connector = aiohttp.TCPConnector(
        socket_factory=Guard(allow).socket_factory, resolver=Flipping(), use_dns_cache=False
    )
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(3):
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.post(f"http://rebind.example:{port}/hook", timeout=aiohttp.ClientTimeout(60))
    assert bait.count == 0
    bait.close()


@pytest.mark.timeout(3600)
def test_dead_endpoints_hold_up_no_healthy_one_and_lose_nothing(own: Service) -> None:
    """Fifteen healthy endpoints and five that nobody listens on, all with their own deliveries of every approval."""
    site = own.site()
    receiver = Receiver()
    quick = {"max_in_flight": 20, "rate_per_second": 1000}
    live = [endpoint(own, site, f"{receiver.url}/{n}", **quick)["id"] for n in range(LIVE)]
    dead = [endpoint(own, site, f"http://127.0.0.1:{free_port()}/", **quick) for _ in range(DEAD)]
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: approved(own, site), range(APPROVALS)))
    until("every healthy delivery", lambda: receiver.count >= APPROVALS * LIVE, 120 + APPROVALS // 5)
    for (
        one
    ) in live:  # a receipt comes before its settling, and before that of another after an attempt that took too long
        until("all to be settled", lambda one=one: health(own, site, one)["deliveries"]["delivered"] == APPROVALS)
    seen: dict[tuple[str, str], set[str]] = {}
    for _ in range(receiver.count):
        headers, body = receiver.next()
        seen.setdefault((headers[":path"], json.loads(body)["data"]["comment"]["id"]), set()).add(headers["webhook-id"])
    assert seen.keys() == {(f"/hook/{n}", comment_id) for n in range(LIVE) for comment_id in ids}
    assert [events for events in seen.values() if len(events) != 1] == [], "one webhook-id for one decision"
    for one in dead:
        shown = health(own, site, one["id"])
        assert shown["deliveries"]["queued"] == APPROVALS
        assert shown["state"] in {"failing", "cooling"}
    revived = Receiver()
    path = f"/api/v1/sites/{site}/endpoints/{dead[0]['id']}"
    own.send("PATCH", path, {"url": revived.url, "enabled": True})
    since = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    assert own.send("POST", path + "/replay", {"since": since, "state": "queued"}).status == 202
    until("the revived one to get them all", lambda: revived.count >= APPROVALS, 120 + APPROVALS // 10)
    for found in (receiver, revived):
        found.close()


@pytest.mark.parametrize("serve", _MISBEHAVES)
def test_a_receiver_that_misbehaves_is_an_attempt_with_its_code(
    service: Service, on_their_way: dict[Any, str], serve: Any
) -> None:
    code, status = _MISBEHAVES[serve]
    first = until("the attempt to be logged", lambda: attempts(service, on_their_way[serve]))[0]
    assert (first["code"], first["status"], first["ok"]) == (code, status, False)
    assert len(first.get("answer", "")) <= 4096
