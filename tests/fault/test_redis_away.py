"""Redis cut off, hanging, frozen, full or unsafe: 503 and no lies; it heals by itself."""

import http.client
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.proxy import Proxy, Valkey, proxy, valkey
from tests.service import ADMIN, Answer, Receiver, Service, free_port, running, said, until

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
GIVES_UP_WITHIN_SECONDS = (
    20  # the contract says 2, the rest is for a busy machine; a client that has no such limit hangs for 59
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("valkey")) as found:
        yield found


@pytest.fixture(scope="module")
def line(server: Valkey) -> Iterator[Proxy]:
    with proxy(server.port) as found:
        yield found


@pytest.fixture(scope="module")
def distant(line: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose Redis is behind the proxy."""
    with running(
        tmp_path_factory.mktemp("distant"),
        ("serve", "--no-workers"),
        MODERATION_REDIS_URL=line.url,
        MODERATION_SECRET_KEY=KEY,
    ) as found:
        yield found


def submit(service: Service, site: str, comment: dict[str, str], **headers: str) -> Answer:
    """One try by a client that does not wait longer than it should have to."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=GIVES_UP_WITHIN_SECONDS)
    try:
        body = json.dumps(comment)
        connection.request(
            "POST", f"/api/v1/sites/{site}/comments", body, {"content-type": "application/json"} | headers
        )
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def stored(service: Service, site: str) -> list[dict[str, str]]:
    return service.get(f"/api/v1/comments?site={site}", ADMIN).json["items"]  # type: ignore[no-any-return]


def ready(service: Service) -> bool:
    return service.get("/readyz").status == 200


@pytest.mark.parametrize("careful", [True, False], ids=["with key", "without key"])
def test_a_lost_reply_stores_at_most_once(distant: Service, line: Proxy, careful: bool) -> None:
    site = distant.site()
    distant.comment(site)
    comment = said(comment=f"marked {uuid.uuid4().hex}")
    headers = {"idempotency-key": uuid.uuid4().hex} if careful else {}
    lost, line.lose_reply_to = line.lost, comment["comment"].encode()
    try:
        answer = submit(distant, site, comment, **headers)
    finally:
        line.lose_reply_to = b""
    assert line.lost == lost + 1
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    until("ready again", lambda: ready(distant))
    (kept,) = [item for item in stored(distant, site) if item["text"] == comment["comment"]]
    again = submit(distant, site, comment, **headers)
    assert again.status == (202 if careful else 409)
    assert not careful or again.json["id"] == kept["id"]
    assert len(stored(distant, site)) == 2


def test_a_decision_whose_reply_was_lost_was_made_once(distant: Service, line: Proxy) -> None:
    comment_id = distant.comment(distant.site())["id"]
    note = f"note {uuid.uuid4().hex}"
    line.lose_reply_to = note.encode()
    distant.decide(distant.comment(distant.site())["id"], "approve")
    try:
        assert distant.decide(comment_id, "approve", note=note).status == 503
    finally:
        line.lose_reply_to = b""
    until("the same decision to be taken", lambda: distant.decide(comment_id, "approve", note=note).status == 200)
    assert len(distant.one(comment_id)["history"]) == 1
    assert distant.one(comment_id)["version"] == 2


@pytest.mark.parametrize("fault", ["black hole", "frozen"])
def test_a_hanging_redis_is_503_soon_and_heals(distant: Service, line: Proxy, server: Valkey, fault: str) -> None:
    site = distant.site()
    before = distant.comment(site)["id"]
    comment, headers = said(), {"idempotency-key": uuid.uuid4().hex}
    begin, end = (line.passing.clear, line.passing.set) if fault == "black hole" else (server.freeze, server.thaw)
    begin()
    try:
        for _ in range(2):  # the second finds no open connection
            answer = submit(distant, site, comment, **headers)
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) > 0
        unready = distant.get("/readyz")
        assert unready.status == 503
        assert unready.json["reasons"]
        assert distant.get("/healthz").status == 200
        assert distant.get(f"/api/v1/comments/{before}", ADMIN).status == 503
    finally:
        end()
    until("ready again", lambda: ready(distant))
    answer = submit(distant, site, comment, **headers)
    assert answer.status == 202
    assert sorted(item["id"] for item in stored(distant, site)) == sorted([before, answer.json["id"]])


def test_full_memory_refuses_submissions_and_lets_moderators_go_on(distant: Service, server: Valkey) -> None:
    site = distant.site()
    waiting, other = distant.comment(site)["id"], distant.comment(site)["id"]
    server.client.config_set("maxmemory", "1")
    try:
        refused = submit(distant, site, said())
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) > 0
        assert {item["id"] for item in stored(distant, site)} == {waiting, other}
        assert distant.one(waiting)["status"] == "pending"
        claimed = distant.send("POST", "/api/v1/queue/claim", {"site": site, "limit": 1})
        assert [item["id"] for item in claimed.json["items"]] == [waiting]
        assert distant.decide(waiting, "approve").json["status"] == "approved"
    finally:
        server.client.config_set("maxmemory", "0")
    assert submit(distant, site, said()).status == 202


def serve(data: Path, url: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to be refused."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MODERATION_")}
    return subprocess.run(
        [sys.executable, "-m", "moderation", "serve", "--port", str(free_port()), "--data", str(data)],
        env=clean | {"MODERATION_REDIS_URL": url} | environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"maxmemory-policy": "allkeys-lru"}, "maxmemory-policy"), ({"appendonly": "no"}, "appendonly")],
    ids=["evicts", "no append-only file"],
)
def test_an_unsafe_redis_is_refused_by_name_unless_told_otherwise(
    data: Path, settings: dict[str, str], named: str
) -> None:
    with valkey(data / "valkey", **settings) as unsafe:
        refused = serve(data / "refused", unsafe.url)
        assert refused.returncode == 2
        assert named in refused.stderr
        assert "MODERATION_REDIS_UNSAFE" in refused.stderr
        with running(
            data / "told", ("serve", "--no-workers"), MODERATION_REDIS_URL=unsafe.url, MODERATION_REDIS_UNSAFE="1"
        ) as service:
            assert service.comment(service.site())["status"] == "pending"


def test_an_absent_redis_is_refused_by_name(data: Path) -> None:
    refused = serve(data, f"redis://127.0.0.1:{free_port()}")
    assert refused.returncode == 2
    assert "MODERATION_REDIS_URL" in refused.stderr


def test_two_services_and_more_workers_on_one_redis_deliver_each_event_once(
    data: Path, server: Valkey, receiver: Receiver
) -> None:
    shared = {"MODERATION_REDIS_URL": server.url, "MODERATION_SECRET_KEY": KEY}
    environ = os.environ | shared | {"MODERATION_EGRESS_ALLOW": "127.0.0.0/8"}
    with running(data / "one", **shared) as one, running(data / "two", **shared) as two:
        extra = [subprocess.Popen([sys.executable, "-m", "moderation", "worker"], env=environ) for _ in range(2)]
        try:
            until("four workers to wait", lambda: [c["cmd"] for c in server.client.client_list()].count("blpop") == 4)
            site = one.site()
            assert two.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url}).status == 201
            ids = [(one, two)[n % 2].comment(site)["id"] for n in range(40)]
            for n, comment_id in enumerate(ids):
                assert (two, one)[n % 2].decide(comment_id, "approve").status == 200
            got = [receiver.next() for _ in ids]
            until(
                "every delivery to be settled",
                lambda: all(item["delivery"]["state"] == "delivered" for item in stored(one, site)),
            )
        finally:
            for worker in extra:
                worker.terminate()
            codes = [worker.wait(90) for worker in extra]
    assert codes == [0, 0]
    assert receiver.count == 40
    assert len({headers["webhook-id"] for headers, _ in got}) == 40
    assert {json.loads(body)["data"]["comment"]["id"] for _, body in got} == set(ids)


def test_a_worker_outlives_an_absence_of_redis(data: Path, line: Proxy, receiver: Receiver) -> None:
    with running(data, MODERATION_REDIS_URL=line.url, MODERATION_SECRET_KEY=KEY) as service:
        site = service.site()
        assert service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url}).status == 201
        first, second = service.comment(site)["id"], service.comment(site)["id"]
        assert service.decide(first, "approve").status == 200
        receiver.next()
        line.passing.clear()
        try:
            until("the workers to notice", lambda: "out of reach" in service.log.read_text())
        finally:
            line.passing.set()
        until("ready again", lambda: ready(service))
        assert service.decide(second, "approve").status == 200
        assert json.loads(receiver.next(60)[1])["data"]["comment"]["id"] == second
        for comment_id in (first, second):
            until(
                "the delivery to be settled",
                lambda i=comment_id: service.one(i)["delivery"]["state"] == "delivered",
                60,
            )
