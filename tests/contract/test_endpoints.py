"""Endpoints as their admins manage them, and what receivers can rely on: section 4 of the contract."""

import base64
import http.server
import json
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from moderation import events
from tests import verifiers
from tests.service import ADMIN, POLL_SECONDS, Answer, Receiver, Service, until


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def create(service: Service, site: str, url: str, **more: Any) -> dict[str, Any]:
    answer = service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": url, **more})
    assert answer.status == 201, answer.text
    return answer.json  # type: ignore[no-any-return]


def path(endpoint: dict[str, Any], rest: str = "") -> str:
    return f"/api/v1/sites/{endpoint['site']}/endpoints/{endpoint['id']}{rest}"


def approved(service: Service, site: str, **changes: str) -> str:
    comment_id: str = service.comment(site, **changes)["id"]
    assert service.decide(comment_id, "approve").status == 200
    return comment_id


def deliveries(service: Service, endpoint: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    answer = service.get(path(endpoint, "/deliveries") + query, ADMIN)
    assert answer.status == 200, answer.text
    return answer.json["items"]  # type: ignore[no-any-return]


def ended(service: Service, endpoint: dict[str, Any], state: str, count: int = 1) -> list[dict[str, Any]]:
    return until(  # type: ignore[no-any-return]
        f"{count} delivery(s) in state {state}",
        lambda: len(found := deliveries(service, endpoint, f"?state={state}")) >= count and found,
    )


def health(service: Service, endpoint: dict[str, Any]) -> dict[str, Any]:
    return service.get(path(endpoint), ADMIN).json["health"]  # type: ignore[no-any-return]


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers what `plan` says: status and headers."""

    plan: Any = None

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status, headers = type(self).plan(json.loads(body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[Any]:
    """answering(plan) → the URL of a receiver that answers by it."""
    servers = []

    def start(plan: Any) -> str:
        handler = type("Handler", (Answering,), {"plan": staticmethod(plan)})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/hook"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_public_verifiers_accept_first_tries_retries_and_rotations(service: Service, site: str) -> None:
    receiver = Receiver(lambda n: (500, b"") if n == 1 else (200, b""))
    endpoint = create(service, site, receiver.url)
    approved(service, site)
    first, body = receiver.next()
    second, again = receiver.next()
    assert body == again
    assert first["webhook-id"] == second["webhook-id"]
    rotated = service.send("POST", path(endpoint, "/rotate-secret"), {})
    assert rotated.status == 200, rotated.text
    approved(service, site)
    third, other = receiver.next()
    for secret, headers, raw, fits in [
        (endpoint["secret"], first, body, True), (endpoint["secret"], second, body, True),
        (endpoint["secret"], third, other, True), (rotated.json["secret"], third, other, True),
        (rotated.json["secret"], first, body, False), (endpoint["secret"], first, body + b" ", False),
    ]:  # fmt: skip
        found = {name: verify(secret, headers, raw) for name, verify in verifiers.at_hand().items()}
        assert set(found.values()) == {fits}, found
    tokens = third["webhook-signature"].split(" ")
    assert len(tokens) == 2
    assert all(token.startswith("v1,") for token in tokens)
    receiver.close()


def test_the_newest_secret_signs_first_and_an_old_one_can_be_revoked_at_once(
    service: Service, site: str, receiver: Receiver
) -> None:
    endpoint = create(service, site, receiver.url)
    newer = service.send("POST", path(endpoint, "/rotate-secret"), {"expire_old_seconds": 3600}).json["secret"]
    approved(service, site)
    headers, body = receiver.next()
    only_first = {**headers, "webhook-signature": headers["webhook-signature"].split(" ")[0]}
    assert verifiers.python(newer, only_first, body)
    assert verifiers.python(endpoint["secret"], headers, body)
    newest = service.send("POST", path(endpoint, "/rotate-secret"), {"expire_old_seconds": 0}).json["secret"]
    approved(service, site)
    headers, body = receiver.next()
    assert len(headers["webhook-signature"].split(" ")) == 1
    assert verifiers.python(newest, headers, body)


def test_a_rotation_needs_no_body(service: Service, site: str, receiver: Receiver) -> None:
    endpoint = create(service, site, receiver.url)
    answer = service.request("POST", path(endpoint, "/rotate-secret"), None, {"authorization": f"Bearer {ADMIN}"})
    assert answer.status == 200, answer.text
    assert answer.json["secret"] != endpoint["secret"]
    assert "secret" not in service.get(path(endpoint), ADMIN).json


def test_ed25519_signs_beside_hmac(service: Service, site: str, receiver: Receiver) -> None:
    endpoint = create(service, site, receiver.url, ed25519=True)
    assert endpoint["public_key"].startswith("whpk_")
    approved(service, site)
    headers, body = receiver.next()
    assert verifiers.python(endpoint["secret"], headers, body)
    (token,) = [t for t in headers["webhook-signature"].split(" ") if t.startswith("v1a,")]
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(endpoint["public_key"].removeprefix("whpk_")))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode()
    key.verify(base64.b64decode(token.removeprefix("v1a,")), signed + body)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(token.removeprefix("v1a,")), signed + body + b" ")


def test_a_ping_takes_the_same_way_as_every_event(service: Service, site: str, receiver: Receiver) -> None:
    endpoint = create(service, site, receiver.url, description="الموقع")
    answer = service.send("POST", path(endpoint, "/ping"))
    assert answer.status == 202
    headers, body = receiver.next()
    assert verifiers.python(endpoint["secret"], headers, body)
    event = json.loads(body)
    assert (event["type"], event["data"]["endpoint"]["id"], event["data"]["site"]) == (
        "endpoint.ping",
        endpoint["id"],
        site,
    )
    found = until("the ping to be settled", lambda: deliveries(service, endpoint, "?state=delivered"))
    assert [d["id"] for d in found] == [answer.json["delivery"]]


@pytest.mark.parametrize("decision", ["approve", "reject", "spam", "hold"])
def test_every_event_is_as_its_served_schema_says(
    service: Service, site: str, receiver: Receiver, decision: str
) -> None:
    create(
        service,
        site,
        receiver.url,
        events=["comment.submitted", "comment.approved", "comment.rejected", "comment.spam", "comment.pending"],
    )
    comment_id = service.comment(site, thread_url="https://news.example/41", thread_title="عنوان")["id"]
    submitted = json.loads(receiver.next()[1])
    assert submitted["type"] == "comment.submitted"
    if decision == "hold":
        service.decide(comment_id, "approve")
        receiver.next()
    service.decide(comment_id, decision, reason="off-topic")
    decided = json.loads(receiver.next()[1])
    for event in (submitted, decided):
        served = service.get(f"/api/v1/events/{event['type']}").json
        events.model_of(event["type"]).model_validate(event)
        assert served["schema"]["properties"]["type"]
        assert sorted(served["sample"]["data"]) == sorted(event["data"])
        assert sorted(served["sample"]["data"]["comment"]) == sorted(event["data"]["comment"])
    assert decided["data"]["sequence"] > submitted["data"]["sequence"]


def test_every_event_is_described_and_every_sample_fits_its_schema(service: Service) -> None:
    items = service.get("/api/v1/events").json["items"]
    assert {item["type"] for item in items} == set(events.DESCRIPTIONS)
    for item in items:
        events.model_of(item["type"]).model_validate(item["sample"])
    assert set(service.get("/openapi.json").json["webhooks"]) == set(events.DESCRIPTIONS)
    assert service.get("/api/v1/events/comment.unheard").status == 404


def test_custom_headers_are_sent_and_not_shown(service: Service, site: str) -> None:
    seen: list[dict[str, str]] = []
    receiver = Receiver()
    endpoint = create(service, site, receiver.url, headers={"Authorization": "Basic c2VjcmV0", "X-Team": "comments"})
    assert endpoint["headers"] == {"Authorization": "•••", "X-Team": "•••"}
    approved(service, site)
    seen.append(receiver.next()[0])
    assert seen[0]["authorization"] == "Basic c2VjcmV0"
    assert seen[0]["x-team"] == "comments"
    assert seen[0]["content-type"] == "application/json"
    assert b"c2VjcmV0" not in service.get(path(endpoint), ADMIN).raw
    assert service.send("PATCH", path(endpoint), {"headers": {}}).json["headers"] == {}
    approved(service, site)
    assert "authorization" not in receiver.next()[0]
    receiver.close()


@pytest.mark.parametrize(
    "headers",
    [{"Host": "a"}, {"content-length": "3"}, {"Content-Type": "a/b"}, {"Transfer-Encoding": "chunked"}, {"connection": "close"}, {"Cookie": "a=b"},
     {"webhook-id": "x"}, {"Webhook-Signature": "x"}, {"X-Forwarded-For": "1.1.1.1"}, {"x-aws-ec2-metadata-token": "x"}, {"Metadata-Flavor": "Google"},
     {"X-Google-Metadata-Request": "x"}, {"a b": "x"}, {"": "x"}, {"X-A": "a\r\nb: c"}, {"X-A": "a\nb"}, {"X-A": "é"}, {"X-A": "x" * 1001}, {"X-A": " x"},
     {"X-A": "1", "x-a": "2"}, {f"X-{n}": "1" for n in range(21)}, {"X-A": 1}],
)  # fmt: skip
def test_headers_that_could_do_harm_are_refused(service: Service, site: str, headers: dict[str, Any]) -> None:
    answer = service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": "https://a.example/", "headers": headers})
    assert answer.status == 422, answer.text
    assert answer.json["errors"][0]["field"].startswith("headers")


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_in_flight", 0), ("max_in_flight", 51), ("rate_per_second", 0), ("rate_per_second", 1001), ("threads", [""]), ("threads", ["x" * 513]),
     ("events", ["comment.unheard"]), ("events", []), ("url", "ftp://a.example/"), ("url", "https://u:p@a.example/"), ("url", "https://a.example/#x"),
     ("secret", "whsec_mine"), ("url", "nonsense"), ("url", "http://[::1"), ("url", "http://a.example:99999/"), ("url", "http://a.example:0/"), ("url", "http://a.example\\@b.example"), ("description", "x" * 501)],
)  # fmt: skip
def test_what_an_endpoint_may_not_be_is_named(service: Service, site: str, field: str, value: Any) -> None:
    answer = service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": "https://a.example/", field: value})
    assert answer.status == 422, answer.text
    assert answer.json["errors"][0]["field"].split(".")[0] == field


def test_an_endpoint_hears_only_of_threads_that_begin_so(service: Service, site: str, receiver: Receiver) -> None:
    create(service, site, receiver.url, threads=["sport/"])
    approved(service, site, thread="news/1")
    wanted = approved(service, site, thread="sport/1")
    assert json.loads(receiver.next()[1])["data"]["comment"]["id"] == wanted
    assert receiver.received.empty()


def test_a_private_address_is_named_when_the_endpoint_is_made(service: Service, site: str) -> None:
    assert "warning" not in create(service, site, "http://127.0.0.1:9/")
    assert "MODERATION_EGRESS_ALLOW" in create(service, site, "http://10.0.0.1/")["warning"]
    assert "never" in create(service, site, "http://169.254.169.254/")["warning"]


def test_a_second_410_from_another_event_disables_and_what_follows_is_held(
    service: Service, site: str, answering: Any
) -> None:
    other = Receiver()
    create(service, site, other.url, events=["endpoint.disabled"])
    status = {"now": 410}
    endpoint = create(service, site, answering(lambda _: (status["now"], {})))
    approved(service, site)
    (dead,) = ended(service, endpoint, "dead")
    assert (dead["attempts"][0]["code"], dead["attempts"][0]["status"]) == ("gone", 410)
    assert service.get(path(endpoint), ADMIN).json["enabled"]
    approved(service, site)
    until("the endpoint to be disabled", lambda: not service.get(path(endpoint), ADMIN).json["enabled"])
    assert health(service, endpoint)["disabled_reason"] == "gone"
    told = json.loads(other.next()[1])
    assert (told["type"], told["data"]["endpoint"]["id"], told["data"]["reason"]) == (
        "endpoint.disabled",
        endpoint["id"],
        "gone",
    )
    events.EndpointEvent.model_validate(told)
    held = approved(service, site)
    assert [d["comment"] for d in ended(service, endpoint, "held")] == [held]
    assert service.one(held)["delivery"]["state"] == "failing"
    status["now"] = 200
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    refused = service.send("POST", path(endpoint, "/replay"), {"since": since, "state": "held"})
    assert (refused.status, refused.json["code"]) == (409, "disabled")
    assert service.send("PATCH", path(endpoint), {"enabled": True}).json["health"]["state"] == "ok"
    job = service.send("POST", path(endpoint, "/replay"), {"since": since, "state": "held"})
    assert job.status == 202, job.text
    assert [d["comment"] for d in ended(service, endpoint, "delivered")] == [held]
    done = until(
        "the job to end",
        lambda: (found := service.get(f"/api/v1/jobs/{job.json['id']}", ADMIN).json)["state"] == "done" and found,
    )
    assert (done["done"], done["queued"], done["total"]) == (1, 1, 1)
    other.close()


def test_a_receiver_can_end_a_delivery_or_switch_itself_off(service: Service, site: str, answering: Any) -> None:
    wish = {"status": 500, "webhook-delivery": "abort-message"}
    endpoint = create(
        service, site, answering(lambda _: (wish["status"], {"webhook-delivery": wish["webhook-delivery"]}))
    )
    approved(service, site)
    (dead,) = ended(service, endpoint, "dead")
    assert [a["code"] for a in dead["attempts"]] == ["aborted"]
    assert service.get(path(endpoint), ADMIN).json["enabled"]
    wish.update({"status": 200, "webhook-delivery": "disable"})
    approved(service, site)
    ended(service, endpoint, "delivered")
    until("the endpoint to be disabled", lambda: health(service, endpoint)["disabled_reason"] == "asked")


def test_a_throttling_answer_cools_the_endpoint_and_uses_up_nobody_s_attempt(
    service: Service, site: str, answering: Any
) -> None:
    seen: list[str] = []

    def plan(event: dict[str, Any]) -> tuple[int, dict[str, str]]:
        seen.append(event["data"]["comment"]["id"])
        return (429, {"retry-after": "3"}) if len(seen) == 1 else (200, {})

    endpoint = create(service, site, answering(plan))
    first = approved(service, site)
    until("the endpoint to cool down", lambda: health(service, endpoint)["state"] == "cooling")
    second = approved(service, site)
    found = {d["comment"]: d for d in ended(service, endpoint, "delivered", 2)}
    assert found[second]["attempt_count"] == 1
    assert found[first]["attempt_count"] == 2
    waited = datetime.fromisoformat(found[second]["attempts"][0]["at"]) - datetime.fromisoformat(
        found[first]["attempts"][0]["at"]
    )
    assert waited >= timedelta(seconds=3)
    assert health(service, endpoint)["state"] == "ok"


def test_a_retry_after_may_be_a_date(service: Service, site: str, answering: Any) -> None:
    until_then = datetime.now(UTC) + timedelta(hours=2)
    endpoint = create(
        service, site, answering(lambda _: (500, {"retry-after": format_datetime(until_then, usegmt=True)}))
    )
    approved(service, site)
    (waiting,) = ended(service, endpoint, "failing")
    due = datetime.fromisoformat(waiting["due_at"])
    assert abs(due - until_then) < timedelta(seconds=60)


def test_one_delivery_is_sent_again_by_hand(service: Service, site: str) -> None:
    receiver = Receiver(lambda n: (410, b"") if n == 1 else (200, b""))
    endpoint = create(service, site, receiver.url)
    comment_id = approved(service, site)
    (dead,) = ended(service, endpoint, "dead")
    first, body = receiver.next()
    answer = service.send("POST", f"/api/v1/deliveries/{dead['id']}/retry")
    assert answer.status == 202, answer.text
    second, again = receiver.next()
    assert (second["webhook-id"], again) == (first["webhook-id"], body)
    (sent,) = ended(service, endpoint, "delivered")
    assert [a["status"] for a in service.get(f"/api/v1/deliveries/{sent['id']}", ADMIN).json["attempts"]] == [410, 200]
    assert service.one(comment_id)["delivery"]["state"] == "delivered"
    receiver.close()


def test_all_that_failed_since_is_recovered_and_what_was_missed_is_made(service: Service, site: str) -> None:
    receiver = Receiver(lambda n: (400, b"") if n <= 3 else (200, b""))
    before = approved(service, site)
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    endpoint = create(service, site, receiver.url, max_in_flight=1)
    ids = [approved(service, site) for _ in range(3)]
    until("three failures", lambda: len(deliveries(service, endpoint, "?state=failing")) == 3)
    job = service.send("POST", path(endpoint, "/replay"), {"since": since, "state": "failing"})
    assert job.status == 202, job.text
    assert {d["comment"] for d in ended(service, endpoint, "delivered", 3)} == set(ids)
    service.send("POST", path(endpoint, "/replay"), {"since": since, "state": "missing"})
    assert {d["comment"] for d in ended(service, endpoint, "delivered", 4)} == {*ids, before}
    receiver.close()


@pytest.mark.parametrize("asked", [{}, {"since": "yesterday"}, {"since": "2026-01-01T00:00:00"}, {"since": "2026-01-01T00:00:00Z", "state": "odd"},
    {"since": "2026-01-01T00:00:00Z", "until": "x"}, {"since": 5}, {"since": "99999-01-01T00:00:00Z"}])  # fmt: skip
def test_a_replay_that_makes_no_sense_is_refused(service: Service, site: str, asked: dict[str, Any]) -> None:
    endpoint = create(service, site, "https://a.example/")
    assert service.send("POST", path(endpoint, "/replay"), asked).status == 422


def test_the_log_pages(service: Service, site: str, receiver: Receiver) -> None:
    endpoint = create(service, site, receiver.url)
    ids = [approved(service, site) for _ in range(5)]
    ended(service, endpoint, "delivered", 5)
    seen, cursor = [], ""
    while True:
        page = service.get(path(endpoint, f"/deliveries?limit=2{cursor}"), ADMIN).json
        seen += [d["comment"] for d in page["items"]]
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ids[::-1]
    attempt = deliveries(service, endpoint)[0]["attempts"][0]
    assert {"at", "ms", "ok", "code", "status", "answer"} <= set(attempt)
    assert service.get(path(endpoint, "/deliveries?state=odd"), ADMIN).status == 422


def test_what_is_another_site_s_is_not_found(service: Service, site: str, receiver: Receiver) -> None:
    endpoint = create(service, site, receiver.url)
    approved(service, site)
    (sent,) = ended(service, endpoint, "delivered")
    since = "2026-01-01T00:00:00Z"
    job = service.send("POST", path(endpoint, "/replay"), {"since": since}).json["id"]
    other = service.site()
    token = service.send("POST", "/api/v1/tokens", {"name": "other", "role": "admin", "sites": [other]}).json["token"]
    viewer = service.send("POST", "/api/v1/tokens", {"name": "low", "role": "viewer"}).json["token"]
    tries: list[tuple[str, str]] = [
        ("GET", path(endpoint)), ("GET", path(endpoint, "/deliveries")), ("POST", path(endpoint, "/ping")), ("POST", path(endpoint, "/rotate-secret")),
        ("GET", f"/api/v1/deliveries/{sent['id']}"), ("POST", f"/api/v1/deliveries/{sent['id']}/retry"), ("GET", f"/api/v1/jobs/{job}"),
    ]  # fmt: skip

    def ask(method: str, where: str, token: str | None) -> Answer:
        return service.get(where, token) if method == "GET" else service.send(method, where, {}, token)

    for method, where in tries:
        assert ask(method, where, token).status == 404, where
        assert ask(method, where, viewer).status == 403, where
        assert ask(method, where, None).status == 401, where
    for unknown in (str(uuid.uuid4()), "x", sent["id"][:-1] + ("0" if sent["id"][-1] != "0" else "1")):
        assert service.get(f"/api/v1/deliveries/{unknown}", ADMIN).status == 404
        assert service.get(f"/api/v1/jobs/{unknown}", ADMIN).status == 404
        assert service.send("POST", f"/api/v1/deliveries/{unknown}/retry").status == 404


def test_a_hanging_receiver_delays_no_other(service: Service, site: str) -> None:
    release = threading.Event()

    def hang(_: int) -> tuple[int, bytes]:
        release.wait(60)
        return 200, b""

    slow, quick = Receiver(hang), Receiver()
    create(service, site, slow.url)
    create(service, site, quick.url)
    for _ in range(12):
        comment_id = approved(service, site)
        assert json.loads(quick.next()[1])["data"]["comment"]["id"] == comment_id
    assert slow.count <= 5
    release.set()
    for found in (slow, quick):
        found.close()


def test_a_rate_is_kept(service: Service, site: str) -> None:
    came: list[float] = []

    def note(_: int) -> tuple[int, bytes]:
        came.append(time.monotonic())  # here: whoever reads them may be late for the first
        return 200, b""

    receiver = Receiver(note)
    create(service, site, receiver.url, rate_per_second=2)
    for _ in range(6):
        approved(service, site)
    for _ in range(6):
        receiver.next()
    assert max(came) - min(came) >= 1.4
    receiver.close()


def test_attempts_are_counted_by_outcome(service: Service, site: str, receiver: Receiver) -> None:
    create(service, site, receiver.url)
    create(service, site, "http://10.1.2.3/")
    approved(service, site)
    receiver.next()
    until(
        "the counters",
        lambda: (
            'moderation_attempts_total{kind="webhook",outcome="blocked_private"}'
            in (text := service.get("/metrics").text)
            and 'moderation_attempts_total{kind="webhook",outcome="ok"}' in text
        ),
    )
