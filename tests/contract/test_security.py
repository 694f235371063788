"""The threats of docs/security.md that no other file shows: headers, secrets, other people's sites, sessions, names, hosts, tokens."""

import ast
import base64
import json
import re
import subprocess
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moderation.letters import KINDS
from moderation.store import people
from moderation.web.routes import ROUTES, Route
from moderation.web.static_files import FILES
from tests.contract.house import House, a_house
from tests.fault.proxy import valkey
from tests.service import ADMIN, HTML, Answer, Service, running, said, until

ROOT = Path(__file__).parents[2]
TOKEN = {"authorization": f"Bearer {ADMIN}"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with a_house(tmp_path_factory.mktemp("house"), "whsec_" + base64.b64encode(b"b" * 32).decode()) as found:
        yield found


# every address


def addressed(house: House, route: Route) -> str:
    """A path of the route that leads to something."""
    names = house.names
    if route.path.startswith("/m/"):
        return names["decide"]
    if route.path.startswith("/u/"):
        return names["leave"]
    if route.path.startswith("/n/"):
        return names["confirm"]
    if route.path.startswith("/c/"):
        return names["status"]
    given = {
        **names, "thread": "41", "type": "comment.approved", "checker": "external", "token": str(uuid.uuid4()), "recipient": "0" * 24, "kind": "csv" if "audit" in route.path else KINDS[0],
        "lang": "ar", "digest": FILES["desk.css"].digest, "expires": "1", "signature": "0" * 32, "name": "desk.css" if "static" in route.path else "chief",
    }  # fmt: skip
    path = re.sub(r"{(\w+)}", lambda found: given[found[1]], route.path)
    return path + "?thread=41" if path.endswith("/counts") else path


GETS = [route for route in ROUTES if route.method == "GET" and not route.path.endswith("/queue/stream")]


@pytest.mark.parametrize("route", GETS, ids=[route.path for route in GETS])
def test_every_answer_has_its_safety_headers(house: House, route: Route) -> None:
    path = addressed(house, route)
    answers = [house.send("GET", path, None, {"accept": HTML, "cookie": house.cookie}), house.send("GET", path, None, TOKEN), house.send("GET", path, None, {})]  # fmt: skip
    assert answers[0].status == 200 or "setup" in path or "/personal-data/" in path or route.documented
    for answer in answers:
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers.get("server", "moderation") == "moderation"  # a name without a version, or none
        policy = {part.split()[0]: part.split()[1:] for part in headers["content-security-policy"].split(";")}
        assert policy["default-src"] == ["'none'"]
        framed = {"/review/mails/{kind}/{lang}": ["'self'"], "/sites/{site}/threads/{thread}": ["https://news.example"]}
        assert policy["frame-ancestors"] == (framed.get(route.path, ["'none'"]) if answer.status == 200 else ["'none'"])
        assert not [source for source in policy.get("script-src", []) if not source.startswith("'nonce-")]
        assert "referrer-policy" in headers
        assert headers["cache-control"] in {"no-store", "no-cache"} or answer.headers["cache-control"].startswith("public, max-age=")  # fmt: skip
        if headers.get("content-type", "").startswith("text/html") and "sandbox" not in policy:
            assert policy["base-uri"] == ["'none'"]
            assert policy["form-action"][0] == "'self'"
            assert headers["cross-origin-opener-policy"] == "same-origin"
            assert "camera=()" in headers["permissions-policy"]
            assert headers["x-robots-tag"] == "noindex" or (
                route.path.startswith("/sites/") and 'rel="canonical"' in answer.text
            )
    assert answers[0].headers["cache-control"] == "no-store" or "/review" not in path


def test_the_live_queue_has_them_too(house: House) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", house.service.port, timeout=60)
    connection.request("GET", "/api/v1/queue/stream", headers=TOKEN)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.getheader("x-content-type-options") == "nosniff"
    assert answer.getheader("content-security-policy") == "default-src 'none'; frame-ancestors 'none'"
    connection.close()


# other people's sites

WITH_ROLE = [route for route in ROUTES if route.role is not None]


@pytest.fixture(scope="module")
def neighbour(house: House) -> dict[str, str]:
    """An admin of another site, with every right there."""
    other = house.service.site()
    asked = {"name": "neighbour", "role": "admin", "sites": [other], "contact": True}
    made = house.service.send("POST", "/api/v1/tokens", asked)
    assert made.status == 201
    return {"authorization": f"Bearer {made.json['token']}", "content-type": "application/json"}


BODIES: dict[str, Any] = {
    "decisions": {"decision": "approve"}, "claim": {}, "release": {}, "endpoints": {"url": "https://a.example/"}, "replay": {"since": "2026-01-01T00:00:00Z"}, "akismet": {"key": "k"},
    "external": {"url": "https://a.example/"}, "try": {"policy": {}}, "suppressions": {"email": "a@b.example"}, "erase": {"email": "a@b.example"}, "tokens": {"name": "x", "role": "admin"}, "sites": {"id": "mine", "name": "x"},
}  # fmt: skip


@pytest.mark.parametrize("route", WITH_ROLE, ids=[f"{route.method} {route.path}" for route in WITH_ROLE])
def test_nothing_of_another_site_is_read_or_changed(house: House, neighbour: dict[str, str], route: Route) -> None:
    path = addressed(house, route)
    if path.endswith("/queue/stream"):
        path += "?site=" + house.names["site"]
    wanted = BODIES.get(path.rpartition("/")[2], {})
    body = json.dumps(wanted | ({"ids": [house.names["id"]]} if path == "/api/v1/decisions" else {})).encode()
    anonymous = house.send(route.method, path, body, {"content-type": "application/json"})
    assert anonymous.status == 401
    before = house.service.one(house.names["id"])
    answer = house.send(route.method, path, None if route.method == "GET" else body, neighbour)
    if "{" in route.path or "?site=" in path:
        assert answer.status in {403, 404}, answer.text
    assert house.names["id"] not in answer.text or answer.json["results"][0]["error"]["status"] == 404
    assert house.names["site"] not in answer.text
    assert house.service.one(house.names["id"]) == before


def test_a_role_can_t_be_asked_for(house: House) -> None:
    """Mass assignment: what a visitor may not set is refused in JSON and not looked at in forms."""
    site = house.names["site"]
    extra = {"status": "approved", "id": house.names["gone"], "version": "9", "decided_by": "me", "screening": "{}", "site": "other", "who": "x", "role": "admin"}  # fmt: skip
    refused = house.service.post(f"/api/v1/sites/{site}/comments", said() | extra)
    assert refused.status == 422
    assert refused.errors.keys() == extra.keys()
    taken = house.service.form(f"/api/v1/sites/{site}/comments", said() | extra, accept="application/json")
    assert taken.status == 202
    found = house.service.one(taken.json["id"])
    assert (found["status"], found["site"], found["decided_by"], found["version"]) == ("pending", site, None, 1)
    for path, body in (("/api/v1/tokens", {"name": "x", "role": "viewer", "id": "x", "hash": "x"}), ("/api/v1/sites", {"id": "x", "name": "x", "partition": 1})):  # fmt: skip
        assert house.service.send("POST", path, body).status == 422


# sessions and names


def cookies(answer: Answer) -> str:
    return answer.headers["set-cookie"]


def sign_in(service: Service, name: str, password: str, **headers: str) -> Answer:
    own = {"origin": service.base, "sec-fetch-site": "same-origin", **headers}
    return service.form("/review/sign-in", {"name": name, "password": password}, **own)


def test_a_session_is_never_one_that_somebody_else_chose(house: House) -> None:
    planted = "moderation_session=planted-by-somebody-else"
    assert house.send("GET", "/review", None, {"cookie": planted}).status == 303
    entered = sign_in(house.service, "chief", house.password, cookie=planted)
    assert entered.status == 303
    first = cookies(entered)
    assert "planted" not in first
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in first.split(";")}
    second = cookies(sign_in(house.service, "chief", house.password, cookie=first.partition(";")[0]))
    assert second.partition(";")[0] != first.partition(";")[0]
    assert house.send("GET", "/review", None, {"cookie": first.partition(";")[0]}).status == 303  # it ended
    assert house.send("GET", "/review", None, {"cookie": second.partition(";")[0]}).status == 200


def test_over_https_the_cookie_belongs_to_this_host_alone(data: Path) -> None:
    with running(data, MODERATION_PUBLIC_URL="https://comments.example.org") as service:
        link = re.search(r"/review/setup/\S+", service.log.read_text())
        assert link
        fields = {"name": "chief", "password": "a long password"}
        made = service.form(link[0], fields, origin="https://comments.example.org")
        assert made.status == 303, made.text
        first, _, attributes = cookies(made).partition(";")
        assert first.startswith("__Host-moderation_session=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in attributes.split(";")}
        assert "Domain" not in attributes
        assert service.get("/review", None, cookie=first).status == 200
        assert service.get("/review", None, cookie=first.removeprefix("__Host-")).status == 303
        left = service.form("/review/sign-out", {}, origin="https://comments.example.org", cookie=first)
        assert cookies(left).startswith('__Host-moderation_session=""')
        assert "Secure" in cookies(left)
        assert service.get("/review", None, cookie=first).status == 303


def test_a_name_that_nobody_has_looks_like_a_wrong_password(house: House) -> None:
    known, unknown = (sign_in(house.service, name, "wrong password") for name in ("chief", "nobd1"))
    assert known.status == unknown.status == 401

    def told(answer: Answer, name: str) -> str:
        return re.sub(r"nonce(-|=\")[\w-]+", "", answer.text.replace(name, ""))

    assert told(known, "chief") == told(unknown, "nobd1")
    assert known.headers.keys() == unknown.headers.keys()


def test_a_name_that_nobody_has_takes_as_long() -> None:
    record = {"password": people.password_hash("a long password")}
    spent = {True: 0.0, False: 0.0}
    for _ in range(3):
        for there in (True, False):
            began = time.process_time()
            assert not people.password_fits(record if there else None, "wrong password")
            spent[there] += time.process_time() - began
    assert spent[False] > spent[True] / 3  # without the work it is a ten-thousandth


def test_what_is_secret_is_compared_in_constant_time() -> None:
    """`==` tells by its time how much of a guess is right; secrets are compared by `hmac.compare_digest` or looked up by hash."""
    secret = re.compile(r"token|secret|signature|password|digest|proof")
    found = []
    for path in [*(ROOT / "moderation").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
                continue
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Constant) for side in sides):
                continue
            names = [ast.unparse(side) for side in sides]
            found += [
                f"{path.name}: {ast.unparse(node)}" for name in names if secret.search(name.split("(")[0].lower())
            ]
    assert set(found) == {"static_files.py: request.match_info['digest'] != found.digest"}  # names a public file


def test_comments_tell_nobody_of_each_other(house: House) -> None:
    """Not there, another site's and not one's own answer alike: ids can't be tried out."""
    made = house.service.send("POST", "/api/v1/tokens", {"name": "n", "role": "viewer", "sites": ["elsewhere"]}).json
    answers = [house.service.get(f"/api/v1/comments/{one}", made["token"]) for one in (house.names["id"], house.names["gone"], "x")]  # fmt: skip
    assert [answer.status for answer in answers] == [404] * 3
    assert len({answer.raw for answer in answers}) == 1
    private = [house.send("GET", f"/c/{one}/{'0' * 32}") for one in (house.names["id"], house.names["gone"])]
    assert len({answer.raw for answer in private}) == 1


# hosts and links


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"x-forwarded-host": "evil.example"}, {"forwarded": "host=evil.example;proto=https"}, {"host": "evil.example:1@x"}])  # fmt: skip
def test_no_link_takes_its_host_from_the_request(house: House, headers: dict[str, str]) -> None:
    site = house.names["site"]
    receipt = house.service.post(f"/api/v1/sites/{site}/comments", said(), **headers)
    assert receipt.json["status_url"].startswith(house.service.base + "/c/")
    for path in (f"/api/v1/sites/{site}/threads/41/feed.atom", "/", "/review", "/docs", "/openapi.json", "/nothing"):
        answer = house.service.get(path, None, accept=HTML, **headers)
        assert "evil.example" not in answer.text + json.dumps(answer.headers)


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "https://news.example.evil.example/", "https://news.example@evil.example/", "%2f%2fevil.example"])  # fmt: skip
def test_nothing_redirects_elsewhere(house: House, target: str) -> None:
    site = house.names["site"]
    posted = house.service.form(
        f"/api/v1/sites/{site}/comments", said(redirect_to=target), origin="https://news.example"
    )
    assert posted.status == 422
    quoted = urllib.parse.quote(target, safe="")
    for path in (f"/review/sign-in?next={quoted}", f"/review?next={quoted}&here={quoted}", f"/?to={quoted}"):
        answer = house.send("GET", path, None, {"accept": HTML, "cookie": house.cookie})
        assert "evil" not in answer.headers.get("location", "")


# secrets

ADMIN_SECRET, REDIS_SECRET, SMTP_SECRET = (f"{word}-{uuid.uuid4().hex}" for word in ("admin", "redis", "smtp"))
KEY = base64.b64encode(b"k" * 32).decode()
BOUNCE = "whsec_" + base64.b64encode(b"bounce-secret-bounce-secret-1234").decode()


def command_lines(root: int) -> list[str]:
    """Of a process and everything below it, as anybody on the machine sees them."""
    rows = subprocess.run(["ps", "-e", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    children: dict[int, list[int]] = {}
    lines: dict[int, str] = {}
    for row in rows.stdout.splitlines():
        pid, parent, line = row.split(None, 2)
        children.setdefault(int(parent), []).append(int(pid))
        lines[int(pid)] = line
    found, wanted = [], [root]
    while wanted:
        pid = wanted.pop()
        found.append(lines.get(pid, ""))
        wanted += children.get(pid, [])
    return found


@pytest.mark.parametrize("own_redis", [True, False], ids=["own", "embedded"])
def test_no_secret_is_seen_in_process_lists_logs_or_answers(tmp_path: Path, own_redis: bool) -> None:
    with valkey(tmp_path / "redis") as server:
        server.client.config_set("requirepass", REDIS_SECRET)
        server.client.execute_command("AUTH", REDIS_SECRET)
        environ = {
            "MODERATION_ADMIN_TOKEN": ADMIN_SECRET, "MODERATION_SECRET_KEY": KEY, "MODERATION_SMTP_URL": f"smtp://mailer:{SMTP_SECRET}@127.0.0.1:9", "MODERATION_MAIL_FROM": "a@news.example",
            "MODERATION_BOUNCE_SECRET": BOUNCE, "MODERATION_LOG_LEVEL": "debug",
        }  # fmt: skip
        if own_redis:
            environ |= {"MODERATION_REDIS_URL": f"redis://:{REDIS_SECRET}@127.0.0.1:{server.port}", "MODERATION_PROCESSES": "2"}  # fmt: skip
        with running(tmp_path / "data", **environ) as service:
            heard = walk(service)
            assert service.process is not None
            seen = "\n".join(command_lines(service.process.pid))
            assert seen.count("\n") >= (3 if own_redis else 2)
            if own_redis:
                server.client.config_set("requirepass", "another")  # what it says when it is locked out
                server.client.client_kill_filter(_type="normal", skipme=True)
                heard += [service.get("/readyz").text, service.get("/metrics").text]
                server.client.config_set("requirepass", REDIS_SECRET)
            service.stop()
            log = service.log.read_text()
        assert len(log) > 100
        issued = re.findall(r'"(?:token|secret)": ?"([^"$]+)"', "".join(heard))
        assert len(issued) == 2
        for secret in (ADMIN_SECRET, KEY, REDIS_SECRET, SMTP_SECRET, BOUNCE, BOUNCE.removeprefix("whsec_")):
            assert secret not in seen
            assert secret not in log
            assert not [text for text in heard if secret in text]
        for secret in issued:
            assert secret not in seen + log
            assert sum(secret in text for text in heard) == 1  # shown once


def walk(service: Service) -> list[str]:
    """Every kind of answer, refusals too."""
    heard = []

    def send(method: str, path: str, body: Any = None, token: str | None = ADMIN_SECRET) -> Any:
        answer = service.send(method, path, body, token)
        heard.append(answer.text + json.dumps(answer.headers))
        return answer.json if answer.raw else None

    site = f"s-{uuid.uuid4().hex[:8]}"
    send("POST", "/api/v1/sites", {"id": site, "name": "x", "origins": ["https://news.example"]})
    send("POST", f"/api/v1/sites/{site}/endpoints", {"url": "http://127.0.0.1:9/"})
    comment = send("POST", f"/api/v1/sites/{site}/comments", said(), None)["id"]
    send("POST", f"/api/v1/comments/{comment}/decisions", {"decision": "approve"})
    send("POST", "/api/v1/tokens", {"name": "program", "role": "viewer"})
    until(
        "attempts by the workers",
        lambda: all(d["attempts"] for d in send("GET", f"/api/v1/comments/{comment}")["deliveries"]),
    )
    for path in ("/api/v1/tokens", f"/api/v1/sites/{site}/endpoints", f"/api/v1/sites/{site}", f"/api/v1/sites/{site}/mails", f"/api/v1/comments/{comment}", f"/api/v1/sites/{site}/audit", "/openapi.json", "/readyz"):  # fmt: skip
        send("GET", path)
    send("GET", "/api/v1/tokens", None, ADMIN_SECRET[:-1])
    send("POST", "/api/v1/mail/bounces", {}, None)
    heard.append(service.get("/metrics").text)
    return heard
