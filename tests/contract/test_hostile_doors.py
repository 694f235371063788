"""Every other door than the comment form's: the review and admin API, the desk, links of mails, reports, reading, and the wire itself.

A request is a row. Each must be answered within seconds, clearly (4xx with a problem document or a page) or be taken, never
with an error of ours; and then the service still answers.
"""

import base64
import gzip
import itertools
import json
import re
import socket
import time
import urllib.parse
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.contract.house import ANSWERED_WITHIN_SECONDS, GONE, House, a_house
from tests.service import ADMIN, HTML, Answer, said, until

SECRET = "whsec_" + base64.b64encode(b"b" * 32).decode()
TOKEN = {"authorization": f"Bearer {ADMIN}"}
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with a_house(tmp_path_factory.mktemp("doors"), SECRET) as found:
        yield found


def is_clear(answer: Answer, *, api: bool) -> None:
    """Taken, or refused with words."""
    assert answer.status < 500, (answer.status, answer.raw[:300])
    if answer.status < 400:
        return
    kind = answer.headers["content-type"]
    if not api and kind.startswith("text/html"):
        assert "<h1" in answer.text
        return
    assert kind.startswith("application/problem+json"), (answer.status, kind, answer.raw[:300])
    told = answer.json
    assert told["status"] == answer.status
    assert {"type", "title", "detail"} <= told.keys()
    if answer.status == 422:
        assert all({"field", "code", "message"} <= one.keys() for one in told["errors"])
        assert told["errors"]


def parts(*values: Any) -> list[bytes]:
    return [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]


# what any door that takes JSON is sent

NO_JSON = [
    b"", b"\x00", b"{", b"[]", b'"x"', b"null", b"NaN", b"\xff\xfe{}", b'{"a":' * 50_000, b"[" * 100_000 + b"]" * 100_000, b"9" * 100_000,
    b'{"\\ud800": 1}', b'{"decision": "\\u0000"}', b'{"__proto__": {"role": "admin"}}', b'{"a": 1, "a": 2}', b"{}" * 1000,
    json.dumps({f"f{n}": n for n in range(50_000)}).encode(), b'{"ids": [' + b"1," * 100_000 + b"1]}", b"\xc0\xaf", b'{"x": "\xed\xa0\x80"}', b"{\"x\": 1e400}",
]  # fmt: skip
JSON_DOORS = [
    ("POST", "/api/v1/comments/<id>/decisions"), ("POST", "/api/v1/decisions"), ("POST", "/api/v1/queue/claim"), ("POST", "/api/v1/queue/release"),
    ("POST", "/api/v1/sites"), ("PATCH", "/api/v1/sites/<site>"), ("POST", "/api/v1/sites/<site>/endpoints"), ("PATCH", "/api/v1/sites/<site>/endpoints/<endpoint>"),
    ("POST", "/api/v1/sites/<site>/endpoints/<endpoint>/rotate-secret"), ("POST", "/api/v1/sites/<site>/endpoints/<endpoint>/replay"), ("POST", "/api/v1/tokens"),
    ("POST", "/api/v1/erase"), ("PUT", "/api/v1/sites/<site>/checkers/akismet"), ("PUT", "/api/v1/sites/<site>/checkers/external"),
    ("POST", "/api/v1/sites/<site>/policy/try"), ("POST", "/api/v1/mail/suppressions"), ("POST", "/api/v1/mail/bounces"), ("POST", "/api/v1/comments/<id>/screening"),
    ("POST", "/review/sign-in/passkey"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), JSON_DOORS, ids=[path for _, path in JSON_DOORS])
def test_what_is_no_json_is_refused_at_every_door(house: House, method: str, path: str) -> None:
    for raw in NO_JSON:
        answer = house.send(method, path, raw, TOKEN | {"content-type": JSON})
        is_clear(answer, api=path.startswith("/api/"))
        takes_nothing = raw == b"" and path.endswith(("/rotate-secret", "/queue/claim", "/queue/release"))
        assert answer.status >= 400 or takes_nothing, (raw[:60], answer.raw[:200])
    for kind in ("text/plain", "application/json; charset=utf-7", "multipart/form-data; boundary=x", "\xff"):
        is_clear(house.send(method, path, b"{}", TOKEN | {"content-type": kind}), api=path.startswith("/api/"))
    for coding in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "x" * 1000):
        refused = house.send(method, path, b"{}", TOKEN | {"content-type": JSON, "content-encoding": coding})
        assert 400 <= refused.status < 500


# one door, one thing wrong

ODD_IDS = ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "%0d%0aX-A:b", "%C0%AF", "%ED%A0%80", "*", "{p00}", "-1", "0", GONE, GONE.upper(), GONE[:-2] + "zz", GONE + "0", "a" * 6000, "%F0%9F%92%A9", "%E2%80%AE", "٤١", "'%20or%201=1", "%25%30%30", ";", "[", "{%22$ne%22:1}"]  # fmt: skip
ID_DOORS = [
    ("GET", "/api/v1/comments/{}"), ("POST", "/api/v1/comments/{}/decisions"), ("POST", "/api/v1/comments/{}/undo"), ("DELETE", "/api/v1/comments/{}"), ("POST", "/api/v1/comments/{}/contact"),
    ("GET", "/api/v1/sites/{}"), ("PATCH", "/api/v1/sites/{}"), ("DELETE", "/api/v1/sites/{}"), ("GET", "/api/v1/sites/{}/audit"), ("GET", "/api/v1/sites/<site>/endpoints/{}"),
    ("DELETE", "/api/v1/sites/<site>/endpoints/{}"), ("POST", "/api/v1/sites/<site>/endpoints/{}/ping"), ("GET", "/api/v1/sites/<site>/endpoints/{}/deliveries"), ("GET", "/api/v1/deliveries/{}"),
    ("POST", "/api/v1/deliveries/{}/retry"), ("GET", "/api/v1/jobs/{}"), ("DELETE", "/api/v1/tokens/{}"), ("DELETE", "/api/v1/sites/<site>/checkers/{}"), ("DELETE", "/api/v1/mail/suppressions/{}"),
    ("GET", "/api/v1/sites/{}/threads/1/comments"), ("GET", "/api/v1/sites/<site>/threads/{}/comments"), ("GET", "/api/v1/sites/<site>/threads/{}/feed.atom"), ("GET", "/api/v1/sites/{}/counts?thread=1"),
    ("GET", "/api/v1/sites/{}/form"), ("GET", "/api/v1/events/{}"), ("GET", "/c/{}/x"), ("GET", "/c/<id>/{}"), ("DELETE", "/c/<id>/{}"), ("GET", "/static/{}/desk.css"), ("GET", "/static/0/{}"),
    ("GET", "/n/{}/x"), ("POST", "/n/<id>/{}"), ("GET", "/u/{}/<site>/0/0"), ("POST", "/u/0/<site>/0/{}"), ("GET", "/m/<id>/approve/0/0/{}/0"), ("GET", "/m/<id>/{}/0/0/0/0"), ("POST", "/m/<id>/approve/0/{}/0/0"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ID_DOORS, ids=[f"{method} {path}" for method, path in ID_DOORS])
def test_an_odd_id_names_nothing(house: House, method: str, path: str) -> None:
    for odd in ODD_IDS:
        body = b"{}" if method in {"POST", "PATCH"} else None
        answer = house.send(method, path.format(odd) if "{}" in path else path, body, TOKEN | {"content-type": JSON})
        is_clear(answer, api=True)
        reads = "/threads/{}" in path
        lifts = method == "DELETE" and ("/tokens/" in path or "suppressions" in path or "checkers" in path)
        assert answer.status in (
            {200, 304, 404, 400} if reads else {204, 404, 400, 405} if lifts else {400, 404, 405, 422}
        )
        assert "etc/passwd:" not in answer.raw.decode("utf-8", "replace")
    assert house.send("GET", "/api/v1/sites/<site>", None, TOKEN).status == 200


QUERIES = {
    "/api/v1/comments": ["cursor=" + c for c in ("x", "%00", "*", GONE + "0", GONE.upper(), "-" * 36, "+inf", "(", "[", "0" * 5000)]
    + ["limit=0", "limit=201", "limit=1.5", "limit=0x10", "limit=%C2%B2", "limit=" + "9" * 4000, "sort=", "sort=x", "status=x", "q=" + "x" * 201, "author=%00", "rule=" + "x" * 41, "language=%00", "site=..", "a=" + "&a=" * 5000],
    "/api/v1/sites/<site>/threads/1/comments": ["cursor=x", "cursor=%FF", "limit=-1", "limit=abc", "order=up", "order=%00", "x=1", "limit=1&limit=" + "2" * 100],
    "/api/v1/sites/<site>/counts": ["", "thread=" + "x" * 513, "&".join(f"thread={n}" for n in range(201)), "thread=%FF", "thread[]=1"],
    "/api/v1/sites/<site>/endpoints/<endpoint>/deliveries": ["state=x", "cursor=x", "limit=0", "cursor=" + "-" * 36],
    "/api/v1/sites/<site>/mails": ["state=%00", "cursor=*", "limit=999"],
    "/api/v1/mail/suppressions": ["cursor=x", "cursor=" + "g" * 24, "limit=0", "email=" + "x" * 255, "email=%00"],
}  # fmt: skip


@pytest.mark.parametrize("path", QUERIES)
def test_a_forged_cursor_or_a_senseless_query_is_refused(house: House, path: str) -> None:
    for query in QUERIES[path]:
        answer = house.send("GET", f"{path}?{query}", None, TOKEN)
        is_clear(answer, api=True)
        harmless = {
            "sort=",
            "limit=1&limit=" + "2" * 100,
            "thread=%FF",
            "author=%00",
            "email=%00",
            "cursor=" + "-" * 36,
        }
        assert answer.status >= 400 or query in harmless, query[:80]


BAD_URLS = [
    "", "x", "javascript:alert(1)", "file:///etc/passwd", "gopher://127.0.0.1:6379/_FLUSHALL", "ftp://a.example", "//a.example", "http://", "http:///x", "http://user:pass@a.example/", "http://a.example\\@b.example",
    "http://a.example/ x", "http://a.example/\r\nX: y", "http://a.example/#f", "http://[::1", "http://a.example:99999/", "http://a.example:port/", "http://\x00/", "http://a.example/" + "x" * 2000, "HTTP://A", "http://①②⑦.⓪.⓪.①:x/", "http://a..example/ ",
]  # fmt: skip
INSIDE = [
    "http://127.0.0.1:25/", "http://redis.example:6379/", "http://[fd00:ec2::254]/", "http://[::ffff:169.254.169.254]/", "http://10.0.0.1/", "http://192.168.1.1/", "http://[fe80::1]/", "http://0.0.0.0/",
    "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://100.100.100.200/", "http://224.0.0.1/", "http://169.254.169.254/latest/meta-data/",
]  # fmt: skip


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_url_that_is_none_is_no_endpoint(house: House, method: str) -> None:
    path = "/api/v1/sites/<site>/endpoints" + ("/<endpoint>" if method == "PATCH" else "")
    for url in BAD_URLS:
        answer = house.send(method, path, json.dumps({"url": url}).encode(), TOKEN | {"content-type": JSON})
        is_clear(answer, api=True)
        assert answer.status == 422, url
        assert answer.errors.keys() == {"url"}


def test_an_endpoint_inside_is_named_when_it_is_made_and_nothing_is_sent(house: House) -> None:
    for url in INSIDE:
        body = json.dumps({"url": url}).encode()
        answer = house.send("PATCH", "/api/v1/sites/<site>/endpoints/<endpoint>", body, TOKEN | {"content-type": JSON})
        assert answer.status == 200
        assert answer.json["warning"], url
    before = house.send("POST", "/api/v1/sites/<site>/endpoints/<endpoint>/ping", b"{}", TOKEN).json["delivery"]
    found: dict[str, Any] = until(
        "the guard",
        lambda: (d := house.send("GET", f"/api/v1/deliveries/{before}", None, TOKEN).json)["attempts"] and d,
    )
    assert {attempt["code"] for attempt in found["attempts"]} == {"blocked"}


def policy(**fields: Any) -> bytes:
    return json.dumps({"policy": fields}).encode()


def words(*entries: str) -> dict[str, Any]:
    return {"words": [{"name": "w", "entries": list(entries)}]}


BAD_POLICIES = [
    words("/(/"), words("/[/"), words("/a{100000}/"), words("/(a{1000}){1000}/"), words("/(?P<x/"), words("/\\1(a)/"), words("/(?=a)/"), words("/" + "(" * 180 + "/"), words(""), words("x" * 201), words("/\ud800/"),
    {"words": [{"entries": ["x"] * 10_001}]}, {"words": [{"entries": 5}]}, {"words": "x"}, {"mode": "yes"}, {"trust_after": 0}, {"trust_after": 1e9}, {"close_after_days": -1}, {"max_links": -1}, {"max_comment_length": 10**9},
    {"trap_field": "email"}, {"trap_field": "<x>"}, {"blocks": [{"kind": "network", "value": "x"}]}, {"blocks": [{"kind": "network", "value": "::/999"}]}, {"blocks": [{"kind": "domain", "value": "."}]},
    {"blocks": [{"kind": "author", "value": "*"}]}, {"blocks": [{"kind": "author", "value": "0" * 24, "until": "soon"}]}, {"rates": {"address": {"count": 0, "seconds": 1}}}, {"rates": {"x": 1}}, {"languages": ["../x"]},
    {"spam_above": 2}, {"hold_above": "NaN"}, {"threads": {"t" * 513: {}}}, {"unknown": 1}, {"__proto__": {}}, {"learning": "yes"}, {"rate_limits": 0},
]  # fmt: skip


@pytest.mark.parametrize("path", ["PATCH /api/v1/sites/<site>", "POST /api/v1/sites/<site>/policy/try"])
def test_a_hostile_policy_is_refused_by_name(house: House, path: str) -> None:
    method, _, where = path.partition(" ")
    for fields in BAD_POLICIES:
        answer = house.send(method, where, policy(**fields), TOKEN | {"content-type": JSON})
        is_clear(answer, api=True)
        assert answer.status in {400, 422}, fields


SLOW_PATTERNS = ["/(a+)+$/", "/(a|aa)+$/", "/([a-z]+)*x/", "/^(.*?,){11}P/", "/(?i)(x+x+)+y/"]


def test_a_pattern_that_is_slow_elsewhere_is_fast_here(house: House) -> None:
    answer = house.send(
        "PATCH", "/api/v1/sites/<site>", policy(**words(*SLOW_PATTERNS)), TOKEN | {"content-type": JSON}
    )
    assert answer.status == 200
    body = json.dumps(said(comment="a" * 60_000 + "!")).encode()
    assert house.send("POST", "/api/v1/sites/<site>/comments", body, {"content-type": JSON}).status == 202
    assert house.send("PATCH", "/api/v1/sites/<site>", policy(words=[]), TOKEN | {"content-type": JSON}).status == 200


BAD_SITES = [
    {"id": ".."}, {"id": "a/b"}, {"id": "A"}, {"id": ""}, {"id": "x" * 64}, {"id": "a\u0000"}, {"id": "{p00}"}, {"id": "a b"}, {"id": "-a"}, {"id": 1}, {"id": "ok", "name": ""}, {"id": "ok", "name": "x" * 201},
    {"id": "ok", "origins": ["https://a.example/path"]}, {"id": "ok", "origins": ["*"]}, {"id": "ok", "origins": ["null"]}, {"id": "ok", "origins": ["javascript:x"]}, {"id": "ok", "origins": ["https://a.example"] * 51},
    {"id": "ok", "origins": ["https://a.example\r\nx: y"]}, {"id": "ok", "thread_url_template": "javascript:{thread}"}, {"id": "ok", "thread_url_template": "//x/{thread}"}, {"id": "ok", "notify": ["x"]}, {"id": "ok", "notify": ["a@b.example\nBcc: c@d.example"]},
    {"id": "ok", "notify_mode": "x"}, {"id": "ok", "locale": "../x"}, {"id": "ok", "checkers": ["x"]}, {"id": "ok", "role": "admin"},
]  # fmt: skip


def test_a_hostile_site_is_refused_by_name(house: House) -> None:
    for fields in BAD_SITES:
        body = json.dumps({"name": "x", **fields}).encode()
        answer = house.send("POST", "/api/v1/sites", body, TOKEN | {"content-type": JSON})
        is_clear(answer, api=True)
        assert answer.status == 422, fields


# the desk

DESK_FORMS = [
    "/review/comments/<id>", "/review/comments/<id>/take", "/review/comments/<id>/block", "/review/comments/<gone>", "/review/undo", "/review/many", "/review/many/carry-out", "/review/filters", "/review/filters/drop",
    "/review/deliveries/<gone>/retry", "/review/deliveries/x/retry", "/review/account/password", "/review/account/language", "/review/account/keys", "/review/account/second-step/on", "/review/account/passkeys/remove",
    "/review/people", "/review/people/nobody", "/review/tokens", "/review/tokens/x/revoke", "/review/sites", "/review/sites/<site>", "/review/sites/<site>/delete", "/review/sites/<site>/screening", "/review/sites/..%2f/screening",
    "/review/sites/<site>/endpoints", "/review/sites/<site>/endpoints/<endpoint>", "/review/sites/<site>/endpoints/x", "/review/suppressions", "/review/suppressions/x/lift",
]  # fmt: skip
ODD_VALUES = ["\x00", "../../etc/passwd", "<script>alert(1)</script>", "\u202e\u2066", "9" * 4000, "²", "-1", "NaN", "x" * 70_000, "a\r\nSet-Cookie: x=1", "{{7*7}}", "%s%n"]  # fmt: skip
FIELDS = ["decision", "reason", "version", "note", "here", "batch", "ids", "also", "until", "cursor", "n", "total", "skipped", "name", "query", "old", "new", "language", "next", "sealed", "code", "credential", "email", "role", "act", "id", "origins", "locale", "thread_url_template", "notify", "notify_mode", "url", "event-comment.approved", "max_in_flight", "since", "state", "scope", "site", "mode", "trust_after", "words-0-entries", "blocks", "rates", "threads", "hold_above", "max_links"]  # fmt: skip


@pytest.mark.parametrize("path", DESK_FORMS)
def test_a_hostile_form_at_the_desk_is_answered_with_a_page(house: House, path: str) -> None:
    own = {"origin": house.service.base, "cookie": house.cookie, "content-type": FORM, "accept": HTML}
    rows: list[dict[str, str]] = [{}] + [dict.fromkeys(FIELDS, odd) for odd in ODD_VALUES]
    rows += [{"decision": "approve", "version": odd} for odd in ("²", "-1", "1e3", "9" * 50)]
    rows += [
        {"act": act, "since": odd}
        for act in ("replay", "rotate", "x")
        for odd in ("", "0000-00-00T00:00", "9999-12-31T23:59:59+99:99")
    ]
    if path in {"/review/account/password", "/review/people", "/review/people/nobody"}:
        rows = rows[:4]  # each hashes a password
    for fields in rows:
        body = urllib.parse.urlencode({"form_token": house.form_token} | fields, errors="replace").encode()
        answer = house.send("POST", path, body, own)
        is_clear(answer, api=False)
        assert "<script>alert(1)" not in answer.text
        assert "set-cookie" not in answer.headers or "x=1" not in answer.headers["set-cookie"]
        assert not answer.headers.get("location", "").startswith(("//", "http:"))
    for raw in (
        b"\xff=\xff",
        b"%FF=%FF",
        b"a=1&" * 10_000,
        b"=&" * 100,
        gzip.compress(b"a=1"),
        b"form_token=" + b"x" * 100_000,
    ):
        answer = house.send("POST", path, raw, own)
        is_clear(answer, api=False)
        assert answer.status in {400, 403, 404}
    for changed in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"cookie": "moderation_session=x"},
    ):
        body = urllib.parse.urlencode({"form_token": house.form_token}).encode()
        answer = house.send("POST", path, body, own | changed)
        assert answer.status in {403, 303}
        assert answer.headers.get("location", "/review/sign-in") == "/review/sign-in"


DESK_PAGES = {
    "/review": ["status=x", "cursor=x", "cursor=%00", "limit=0", "sort=x", "site=..", "q=" + "x" * 300, "q=%00", "q=%FF", "done=<script>alert(1)</script>", "batch=%00", "n=%C2%B2", "about=..", "late=x", "view=x"],
    "/review/statistics": ["days=-1", "days=%C2%B2", "days=9999999999", "site=..", "site=%00", "site=" + "x" * 100],
    "/review/statistics.csv": ["days=x", "site=%0d%0aX:y", "site=.."],
    "/review/sites/<site>/audit": ["before=x", "before=%00", "before=9-9", "before=" + "9" * 100 + "-0"],
    "/review/sites/<site>/audit.exe": [""], "/review/sites/<site>/audit.csv": ["x=1"],
    "/review/sites/<site>/endpoints/<endpoint>": ["state=x", "cursor=x", "job=x", "job=" + GONE], "/review/sites/<site>/mails": ["state=x", "cursor=x"],
    "/review/suppressions": ["cursor=x", "cursor=" + "f" * 24], "/review/mails/x/y": [""], "/review/mails/pending/..%2f..": [""], "/review/comments/..": [""], "/review/comments/<gone>": [""], "/review/setup/x": [""], "/review/setup/%00": [""],
}  # fmt: skip


@pytest.mark.parametrize("path", DESK_PAGES)
def test_a_senseless_address_at_the_desk_is_a_page(house: House, path: str) -> None:
    for query in DESK_PAGES[path]:
        answer = house.send("GET", f"{path}?{query}", None, {"cookie": house.cookie, "accept": HTML})
        is_clear(answer, api=False)
        assert "<script>alert(1)" not in answer.text
        assert "y" not in answer.headers.get("x", "")


@pytest.mark.parametrize(
    "name", ["\x00", "x" * 70_000, "' or 1=1", "chief\x00", "<b>", "\u202echief", "ＣＨＩＥＦ", ""]
)
def test_no_odd_name_gets_in(house: House, name: str) -> None:
    own = {"origin": house.service.base, "content-type": FORM, "accept": HTML}
    body = urllib.parse.urlencode({"name": name, "password": "x" * 10}).encode()
    answer = house.send("POST", "/review/sign-in", body, own)
    assert answer.status in {401, 422}
    assert "set-cookie" not in answer.headers


# links in mails, and what relays and checkers report


@pytest.mark.parametrize("link", ["decide", "leave", "confirm", "status"])
def test_no_forged_link_opens(house: House, link: str) -> None:
    path = house.names[link]
    pieces = path.split("/")
    for place, odd in itertools.product(
        range(2, len(pieces)), ("", "0", "%00", "..", "%2e%2e", "x" * 5000, "%FF", "²", "-1", pieces[-1][::-1])
    ):
        changed = "/".join([*pieces[:place], odd, *pieces[place + 1 :]])
        for method in ("GET", "POST"):
            answer = house.send(
                method, changed, b"" if method == "POST" else None, {"accept": HTML, "content-type": FORM}
            )
            is_clear(answer, api=False)
            assert answer.status >= 400, (method, changed[:200])
    assert house.service.one(house.names["id"])["version"] == 1


@pytest.mark.parametrize(
    "kind", [FORM, "multipart/form-data; boundary=x", "multipart/form-data", "text/plain", JSON, "\xff", ""]
)
def test_one_click_is_taken_whatever_comes_with_it(house: House, kind: str) -> None:
    for raw in (b"", b"List-Unsubscribe=One-Click", b"scope=%FF", b"--x\r\n", b"\x00" * 1000, b"scope=all\x00"):
        assert house.send("POST", "<leave>", raw, {"content-type": kind}).status == 200


def test_what_is_signed_is_still_looked_at(house: House) -> None:
    bodies = parts(
        [],
        5,
        "x",
        None,
        {},
        {"type": "x", "email": "a@b.example"},
        {"type": "complaint", "email": "x"},
        {"type": "complaint", "email": ["a@b.example"]},
        {"type": "complaint", "email": "a@b.example\r\nTo: x@y.example"},
        b"{",
        b"\xff",
    )
    for number, raw in enumerate(bodies):
        at = int(time.time())
        try:
            signature = Webhook(SECRET).sign(f"msg_{number}", _instant(at), raw.decode())
        except UnicodeDecodeError:
            signature = "v1,x"
        headers = {
            "webhook-id": f"msg_{number}",
            "webhook-timestamp": str(at),
            "webhook-signature": signature,
            "content-type": JSON,
        }
        answer = house.send("POST", "/api/v1/mail/bounces", raw, headers)
        is_clear(answer, api=True)
        assert answer.status >= 400
    for changed in (
        {},
        {"webhook-timestamp": "x"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "²"},
        {"webhook-signature": "v1,\xff"},
        {"webhook-signature": "v1"},
        {"webhook-signature": ", ," * 1000},
        {"webhook-id": "\x80"},
    ):
        headers = {
            "webhook-id": "m",
            "webhook-timestamp": str(int(time.time())),
            "webhook-signature": "v1,eA==",
        } | changed
        answer = house.send("POST", "/api/v1/mail/bounces", b"{}", headers if changed else {})
        is_clear(answer, api=True)
        assert answer.status == 401


def _instant(at: int) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC)


# the wire


def bomb(coding: str) -> bytes:
    """64 KiB that would be 64 MiB."""
    raw = b"[" * 64 * 1024 * 1024
    return gzip.compress(raw) if coding == "gzip" else zlib.compress(raw)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_nothing_is_unpacked(house: House, coding: str) -> None:
    raw = bomb(coding)
    for kind in (JSON, FORM, "multipart/form-data; boundary=x"):
        answer = house.send(
            "POST", "/api/v1/sites/<site>/comments", raw, {"content-type": kind, "content-encoding": coding}
        )
        assert answer.status == 415
        is_clear(answer, api=True)


def multipart_bombs() -> Iterator[bytes]:
    part = b'--x\r\nContent-Disposition: form-data; name="a%d"\r\n\r\nx\r\n'
    yield b"".join(part % n for n in range(10_000)) + b"--x--\r\n"
    inner = b"--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    yield inner * 5000 + b"--x--\r\n"
    yield b'--x\r\nContent-Disposition: form-data; name="' + b"a" * 900_000 + b'"\r\n\r\nx\r\n--x--\r\n'
    yield b"--x\r\n" + b"X-A: b\r\n" * 50_000 + b"\r\n--x--\r\n"
    yield (
        b'--x\r\nContent-Disposition: form-data; name="author"; filename="../../x"\r\n\r\n'
        + b"\x00" * 500_000
        + b"\r\n--x--\r\n"
    )


def test_no_form_is_a_bomb(house: House) -> None:
    for number, raw in enumerate(multipart_bombs()):
        answer = house.send(
            "POST", "/api/v1/sites/<site>/comments", raw, {"content-type": "multipart/form-data; boundary=x"}
        )
        assert answer.status == 400 or (number and answer.status == 422)  # 10,000 parts are not looked into
        is_clear(answer, api=True)
    for raw in (
        b"&".join(b"f%d=1" % n for n in range(10_000)),
        b"&".join(b"%s=1" % key.encode() for key in colliding(5000)),
    ):
        for path in ("/api/v1/sites/<site>/comments", "/review/sign-in", "<leave>"):
            answer = house.send(
                "POST",
                path,
                raw,
                {"content-type": FORM, "origin": house.service.base if "review" in path else "https://news.example"},
            )
            assert answer.status == (200 if path == "<leave>" else 400)


def colliding(count: int) -> list[str]:
    """Strings of one hash in languages that do not salt theirs (`Aa` and `BB` in Java's function)."""
    return ["".join(pair) for pair in itertools.islice(itertools.product(("Aa", "BB"), repeat=13), count)]


def test_colliding_keys_in_json_cost_no_more(house: House) -> None:
    raw = json.dumps(dict.fromkeys(colliding(8000), 1)).encode()
    assert house.send("POST", "/api/v1/sites/<site>/comments", raw, {"content-type": JSON}).status == 422


HEADERS = [
    {"range": "bytes=0-"}, {"range": "bytes=" + "0-," * 5000 + "1-"}, {"range": "\xff"}, {"if-range": "x"}, {"if-none-match": "*"}, {"if-none-match": '"' + "x" * 6000}, {"if-modified-since": "\xff"}, {"upgrade": "websocket", "connection": "upgrade"},
    {"upgrade": "h2c", "connection": "Upgrade, HTTP2-Settings", "http2-settings": "AAMAAABkAAQAAP__"}, {"expect": "200-maybe"}, {"expect": "<script>"}, {"te": "trailers, deflate"}, {"accept-encoding": "gzip;q=0, *;q=9e99"}, {"accept": "\xff" * 1000}, {"accept-language": "ar," * 3000},
    {"accept-charset": "utf-7"}, {"content-type": "text/html; charset=\xff"}, {"authorization": "Basic " + "x" * 6000}, {"authorization": "Bearer"}, {"authorization": "Bearer \x01"}, {"cookie": "moderation_session=" + "x" * 6000}, {"cookie": "a" * 7000}, {"x-forwarded-host": "evil.example"}, {"x-original-url": "/api/v1/tokens"}, {"x-rewrite-url": "/api/v1/tokens"},
    {"last-event-id": "\xff"}, {"last-event-id": "9" * 5000}, {"content-length": "0"}, {"sec-websocket-key": "x"}, {"via": "1.1 \xff"}, {"max-forwards": "-1"},
]  # fmt: skip
READ_DOORS = [
    "/api/v1/sites/<site>/threads/1/comments",
    "/embed.js",
    "/review",
    "/docs",
    "/api/v1/comments?limit=1",
    "/healthz",
    "/static/0/x",
]


@pytest.mark.parametrize("headers", HEADERS, ids=[next(iter(headers)) for headers in HEADERS])
def test_an_odd_header_changes_nothing_for_who_reads(house: House, headers: dict[str, str]) -> None:
    for path in READ_DOORS:
        answer = house.send("GET", path, None, headers)
        is_clear(answer, api=path.startswith("/api/"))
        assert answer.status in {200, 303, 304, 400, 401, 404, 417}
        assert "evil.example" not in answer.text + json.dumps(answer.headers)
        assert "<script>" not in answer.text or answer.status == 200


BODY = json.dumps(said(email="smuggled@example.net", author="Smuggler")).encode()


def http(*lines: str | bytes, body: bytes = b"") -> bytes:
    return (
        b"\r\n".join(line if isinstance(line, bytes) else line.encode("latin-1") for line in lines) + b"\r\n\r\n" + body
    )


POST = "POST /api/v1/sites/<site>/comments HTTP/1.1"
H, T = "Host: x", "Content-Type: application/json"
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
SECOND = b"GET /api/v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
SMUGGLED = {
    "CL.TE": http(POST, H, T, "Content-Length: 6", "Transfer-Encoding: chunked", body=b"0\r\n\r\nG" + SECOND),
    "TE.CL": http(POST, H, T, "Transfer-Encoding: chunked", "Content-Length: 4", body=b"5c\r\n" + SECOND + b"\r\n0\r\n\r\n"),
    "two codings": http(POST, H, T, "Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=CHUNKED),
    "chunked twice": http(POST, H, T, "Transfer-Encoding: chunked, chunked", body=CHUNKED),
    "chunked not last": http(POST, H, T, "Transfer-Encoding: chunked, identity", body=CHUNKED),
    "xchunked": http(POST, H, T, "Transfer-Encoding: xchunked", body=CHUNKED),
    "tab": http(POST, H, T, "Transfer-Encoding:\tchunked\x0b", body=CHUNKED),
    "space before the colon": http(POST, H, T, "Transfer-Encoding : chunked", body=CHUNKED),
    "line folding": http(POST, H, T, "Transfer-Encoding:\r\n chunked", body=CHUNKED),
    "bare line feed": http(POST, H, T, "X: a\nTransfer-Encoding: chunked", f"Content-Length: {len(BODY)}", body=BODY),
    "bare carriage return": http(POST, H, T, "X: a\rTransfer-Encoding: chunked", f"Content-Length: {len(BODY)}", body=BODY),
    "quoted": http(POST, H, T, 'Transfer-Encoding: "chunked"', body=CHUNKED),
    "null in the name": http(POST, H, T, "Transfer\x00-Encoding: chunked", body=CHUNKED),
    "length in hex": http(POST, H, T, "Content-Length: 0x10", body=BODY),
    "length with underscore": http(POST, H, T, "Content-Length: 1_0", body=BODY),
    "length list": http(POST, H, T, f"Content-Length: {len(BODY)}, {len(BODY)}", body=BODY),
    "length in other digits": http(POST, H, T, "Content-Length: ٥".encode(), body=BODY),
    "length of spaces": http(POST, H, T, "Content-Length:  ", body=BODY),
    "chunk size with sign": http(POST, H, T, "Transfer-Encoding: chunked", body=b"+" + CHUNKED),
    "chunk size in 0x": http(POST, H, T, "Transfer-Encoding: chunked", body=b"0x" + CHUNKED),
    "chunk size with underscore": http(POST, H, T, "Transfer-Encoding: chunked", body=b"1_0\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk of line feeds": http(POST, H, T, "Transfer-Encoding: chunked", body=CHUNKED.replace(b"\r\n", b"\n")),
    "chunk too short": http(POST, H, T, "Transfer-Encoding: chunked", body=b"3\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk extension": http(POST, H, T, "Transfer-Encoding: chunked", body=b"5;" + b"a" * 70_000 + b"\r\nhello\r\n0\r\n\r\n"),
    "endless trailer": http(POST, H, T, "Transfer-Encoding: chunked", body=b"0\r\n" + b"X: y\r\n" * 20_000),
    "no host": http("GET /nothing HTTP/1.1"),
    "two hosts": http("GET /nothing HTTP/1.1", H, "Host: evil.example"),
    "HTTP/0.9": b"GET /nothing\r\n\r\n",
    "HTTP/1.0 chunked": http("POST /api/v1/sites/<site>/comments HTTP/1.0", H, T, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "absolute form": http("GET http://evil.example/nothing HTTP/1.1", H),
    "absolute form with user": http("GET http://a@evil.example:80:80/nothing HTTP/1.1", H),
    "broken absolute form": http("GET http://[::1/nothing HTTP/1.1", H),
    "authority form": http("CONNECT 127.0.0.1:6379 HTTP/1.1", H),
    "authority without port": http("CONNECT x HTTP/1.1", H),
    "authority of brackets": http("CONNECT [:: HTTP/1.1", H),
    "two slashes": http("GET //evil.example/%2e%2e HTTP/1.1", H),
    "fragment": http("GET /nothing#../x HTTP/1.1", H),
    "backslash": http("GET \\..\\..\\etc\\passwd HTTP/1.1", H),
    "dots": http("GET /static/../../../../etc/passwd HTTP/1.1", H),
    "query of bytes": http(b"GET /nothing?\xff\xfe HTTP/1.1", H),
    "broken escape": http("GET /%zz%1 HTTP/1.1", H),
    "long query": http("GET /nothing?" + "a=b&" * 30_000 + " HTTP/1.1", H),
    "long method": http("A" * 100_000 + " / HTTP/1.1", H),
    "method of bytes": http(b"G\xffT / HTTP/1.1", H),
    "space in the target": http("GET /not hing HTTP/1.1", H),
    "lower case": http("get /nothing http/1.1", H),
    "10,000 headers": http("GET /nothing HTTP/1.1", H, *(f"X{n}: y" for n in range(10_000))),
    "header of 1 MiB": http("GET /nothing HTTP/1.1", H, "X: " + "y" * 1024 * 1024),
    "name of 64 KiB": http("GET /nothing HTTP/1.1", H, "X" * 65_536 + ": y"),
    "upgrade with a body": http(POST, H, T, "Connection: upgrade", "Upgrade: x", "Content-Length: 2", body=b"{}"),
    "odd expectation": http(POST, H, T, "Expect: <script>", "Content-Length: 2", body=b"{}"),
    "pipeline": SECOND * 200,
}  # fmt: skip


@pytest.mark.parametrize("name", SMUGGLED)
def test_nothing_is_smuggled(house: House, name: str) -> None:
    before = house.service.get(f"/api/v1/comments?site={house.names['site']}", ADMIN).json["total"]
    with socket.create_connection(("127.0.0.1", house.service.port), ANSWERED_WITHIN_SECONDS) as peer:
        heard = b""
        try:
            peer.sendall(SMUGGLED[name].replace(b"<site>", house.names["site"].encode()))
            peer.shutdown(socket.SHUT_WR)
            while piece := peer.recv(65536):
                heard += piece
        except TimeoutError:
            raise  # a hang
        except OSError:
            pass  # refused without another word, and gone
    statuses = [int(code) for code in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", heard)]
    assert all(400 <= status < 500 for status in statuses), heard[:500]
    assert name == "pipeline" or len(statuses) <= 1, heard
    assert b"muggle" not in heard
    assert b"<script>" not in heard
    assert house.service.get(f"/api/v1/comments?site={house.names['site']}", ADMIN).json["total"] == before


def test_no_odd_passkey_is_added_or_lets_anybody_in(house: House) -> None:
    own = {"origin": house.service.base, "sec-fetch-site": "same-origin", "cookie": house.cookie, "x-form-token": house.form_token, "content-type": JSON}  # fmt: skip
    odd: list[Any] = [None, 5, "", "x" * 100_000, [], {}, "é", "!!", "AAAA"]
    for door, options in (("/review/account/passkeys", "/review/account/passkeys/options"), ("/review/sign-in/passkey", "/review/sign-in/passkey/options")):  # fmt: skip
        for value in odd:
            challenge = house.send("POST", options, b"{}", own).json["challenge"]
            client = base64.urlsafe_b64encode(json.dumps({"challenge": challenge, "type": value, "origin": value}).encode()).decode().rstrip("=")  # fmt: skip
            credential = {"id": value, "rawId": value, "type": value, "response": {"clientDataJSON": client, "attestationObject": value, "authenticatorData": value, "signature": value}}  # fmt: skip
            for sent in (credential, credential | {"id": "AAAA", "rawId": "AAAA", "type": "public-key"}, [value], {"response": value}):  # fmt: skip
                answer = house.send("POST", door, json.dumps(sent).encode(), own)
                is_clear(answer, api=True)
                assert answer.status in {400, 403}, (value, answer.raw[:200])


def test_the_corpus_is_large() -> None:
    """Distinct requests, without those of test_hostile.py; products of a door and a value count as what they are: requests."""
    alone = [
        *SMUGGLED,
        *HEADERS,
        *BAD_URLS,
        *INSIDE,
        *BAD_POLICIES,
        *BAD_SITES,
        *itertools.chain(*QUERIES.values()),
        *itertools.chain(*DESK_PAGES.values()),
    ]
    assert len(alone) >= 150
    assert len(JSON_DOORS) * len(NO_JSON) + len(ID_DOORS) * len(ODD_IDS) + len(DESK_FORMS) * len(ODD_VALUES) >= 1000


def test_nothing_of_all_this_was_an_error_of_ours(house: House) -> None:
    assert house.service.comment(house.names["site"])["status"] == "pending"
    log = house.service.log.read_text()
    assert "Traceback" not in log
    assert "unexpected error" not in log
    assert "child process ended" not in log
    lines = [line for line in log.splitlines() if line.startswith("{")]
    assert lines
    assert all(json.loads(line)["event"] for line in lines)  # nobody but us begins a line
    assert len(log) < 1_000_000
