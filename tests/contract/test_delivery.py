"""Webhooks to receivers that fail, refuse, redirect, talk too much or may not be reached."""

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.service import POLL_SECONDS, Receiver, Service, free_port, running, until
from workers.engine import LEASE_MS


def endpoint(service: Service, site: str, url: str, **more: Any) -> str:
    answer = service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": url, **more})
    assert answer.status == 201, answer.text
    return answer.json["id"]  # type: ignore[no-any-return]


def approved(service: Service, site: str) -> str:
    comment_id: str = service.comment(site)["id"]
    assert service.decide(comment_id, "approve").status == 200
    return comment_id


def webhooks(service: Service, comment_id: str) -> list[dict[str, Any]]:
    return [d for d in service.one(comment_id)["deliveries"] if d["kind"] == "webhook"]


def test_a_comment_tells_the_times_of_its_deliveries_as_all_times(service: Service, site: str) -> None:
    comment = service.comment(site)["id"]
    service.decide(comment, "approve", undo_seconds=60)
    (found,) = service.one(comment)["deliveries"]
    assert {datetime.fromisoformat(found[name]).tzinfo for name in ("created_at", "due_at")} == {UTC}
    assert not {"created_ms", "due_ms", "lane"} & found.keys()


def attempted(service: Service, comment_id: str) -> dict[str, Any]:
    """The only webhook of a comment, once it was tried."""

    def tried() -> dict[str, Any] | None:
        (found,) = webhooks(service, comment_id)
        return found if found["attempts"] else None

    return until("an attempt", tried)  # type: ignore[no-any-return]


def state(service: Service, comment_id: str) -> str:
    return str(service.one(comment_id)["delivery"]["state"])


class Redirecting(http.server.BaseHTTPRequestHandler):
    """Answers the status in its path and points elsewhere."""

    elsewhere = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(int(self.path.strip("/")))
        self.send_header("location", self.elsewhere)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module", autouse=True)
def slow(service: Service) -> Iterator[tuple[Receiver, str]]:
    """A receiver that takes longer than the lease, and the comment on its way to it. It begins with the file and is looked at at its end, so that nobody waits."""
    answered = threading.Event()

    def slowly(_: int) -> tuple[int, bytes]:
        answered.wait(LEASE_MS / 1000 + 3)  # the receiver's own pace; the lease must be renewed meanwhile
        return 200, b""

    found, site = Receiver(slowly), service.site()
    endpoint(service, site, found.url)
    yield found, approved(service, site)
    answered.set()
    found.close()


@pytest.fixture
def moved() -> Iterator[Receiver]:
    """Where a redirect points to."""
    found = Receiver()
    yield found
    found.close()


def test_a_failed_attempt_is_made_again_under_the_same_id_at_a_fresh_time(service: Service, site: str) -> None:
    receiver = Receiver(lambda n: (500, b"sorry") if n == 1 else (200, b""))
    endpoint(service, site, receiver.url)
    comment_id = approved(service, site)
    first, body = receiver.next()
    until("the failure to show", lambda: state(service, comment_id) == "failing")
    second, again = receiver.next()
    assert second["webhook-id"] == first["webhook-id"]
    assert int(second["webhook-timestamp"]) > int(first["webhook-timestamp"])
    assert second["webhook-signature"] != first["webhook-signature"]
    assert again == body
    until("the delivery", lambda: state(service, comment_id) == "delivered")
    (delivery,) = webhooks(service, comment_id)
    assert [(a["ok"], a["status"]) for a in delivery["attempts"]] == [(False, 500), (True, 200)]
    assert delivery["attempts"][0]["answer"] == "sorry"
    receiver.close()


def test_a_refused_connection_is_tried_again(service: Service, site: str) -> None:
    endpoint(service, site, f"http://127.0.0.1:{free_port()}/hook")
    comment_id = approved(service, site)
    delivery = attempted(service, comment_id)
    assert (delivery["state"], delivery["attempts"][0]["code"]) == ("queued", "refused")
    assert delivery["due_at"]
    assert state(service, comment_id) == "failing"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(service: Service, site: str, moved: Receiver, status: int) -> None:
    handler = type("Handler", (Redirecting,), {"elsewhere": moved.url})
    door = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=door.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
    endpoint(service, site, f"http://127.0.0.1:{door.server_port}/{status}")
    comment_id = approved(service, site)
    delivery = attempted(service, comment_id)
    assert (delivery["state"], delivery["attempts"][0]["code"]) == ("queued", "redirect")
    assert delivery["attempts"][0]["status"] == status
    assert moved.count == 0
    door.shutdown()
    door.server_close()


@pytest.mark.parametrize("status", [200, 500])
def test_of_a_long_answer_a_little_is_kept(service: Service, site: str, status: int) -> None:
    talkative = Receiver(lambda _: (status, b"x" * 10_000_000))
    endpoint(service, site, talkative.url)
    comment_id = approved(service, site)
    delivery = attempted(service, comment_id)
    assert delivery["attempts"][0]["status"] == status
    assert 0 < len(delivery["attempts"][0]["answer"]) <= 16 * 1024
    assert state(service, comment_id) == ("delivered" if status == 200 else "failing")
    talkative.close()


def test_one_dead_endpoint_delays_no_other(service: Service, site: str, receiver: Receiver) -> None:
    endpoint(service, site, f"http://127.0.0.1:{free_port()}/hook")
    endpoint(service, site, receiver.url)
    ids = {approved(service, site) for _ in range(8)}
    assert {json.loads(receiver.next()[1])["data"]["comment"]["id"] for _ in ids} == ids


def test_the_state_of_the_delivery_tells_where_it_is(service: Service, site: str) -> None:
    comment_id = service.comment(site)["id"]
    assert state(service, comment_id) == "none"
    receiver = Receiver(lambda _: (200, b'{"external_id": "wp-7"}'))
    endpoint(service, site, receiver.url)
    assert service.decide(comment_id, "approve", undo_seconds=60).json["delivery"]["state"] == "queued"
    assert service.send("POST", f"/api/v1/comments/{comment_id}/undo").status == 200
    assert state(service, comment_id) == "none"
    assert service.decide(comment_id, "approve").status == 200
    headers, _ = receiver.next()
    until("the delivery", lambda: state(service, comment_id) == "delivered")
    assert service.one(comment_id)["external_id"] == "wp-7"
    (delivery,) = webhooks(service, comment_id)
    assert delivery["event"] == headers["webhook-id"]
    assert receiver.count == 1
    receiver.close()


def test_a_deleted_endpoint_gets_nothing_more_and_its_delivery_is_cancelled(service: Service, site: str) -> None:
    receiver = Receiver(lambda _: (500, b""))
    made = endpoint(service, site, receiver.url)
    comment_id = approved(service, site)
    receiver.next()
    until("the failure to show", lambda: state(service, comment_id) == "failing")
    assert service.send("DELETE", f"/api/v1/sites/{site}/endpoints/{made}").status in {200, 204}
    until("the end of the delivery", lambda: webhooks(service, comment_id)[0]["state"] == "cancelled")
    (delivery,) = webhooks(service, comment_id)
    assert state(service, comment_id) == "none"
    assert "deleted" in delivery["attempts"][-1]["detail"]
    assert receiver.count == 1
    receiver.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that may reach public addresses only."""
    with running(Path(tmp_path_factory.mktemp("guarded")), MODERATION_EGRESS_ALLOW="") as found:
        yield found


def to_port_of(receiver: Receiver, host: str) -> str:
    return receiver.url.replace("127.0.0.1", host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_private_address_is_never_dialled_and_the_setting_is_named(
    guarded: Service, receiver: Receiver, host: str
) -> None:
    site = guarded.site()
    endpoint(guarded, site, to_port_of(receiver, host))
    comment_id = approved(guarded, site)
    delivery = attempted(guarded, comment_id)
    assert (delivery["state"], delivery["attempts"][0]["code"]) == ("dead", "blocked")
    assert "MODERATION_EGRESS_ALLOW" in delivery["attempts"][0]["detail"]
    assert state(guarded, comment_id) == "dead"
    assert receiver.count == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1"])
def test_an_odd_spelling_of_a_private_address_is_no_way_around(guarded: Service, receiver: Receiver, host: str) -> None:
    site = guarded.site()
    endpoint(guarded, site, to_port_of(receiver, host))
    comment_id = approved(guarded, site)
    assert attempted(guarded, comment_id)["state"] == "dead"
    assert receiver.count == 0


def test_a_receiver_slower_than_the_lease_gets_the_event_once(service: Service, slow: tuple[Receiver, str]) -> None:
    receiver, comment_id = slow
    until("the slow delivery to be made", lambda: state(service, comment_id) == "delivered")
    assert receiver.count == 1
    assert len(webhooks(service, comment_id)[0]["attempts"]) == 1
