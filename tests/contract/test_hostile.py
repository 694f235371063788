"""Whatever a client sends, it is told what was wrong; nothing it sends is an error of ours."""

import gzip
import json
import socket
import struct
import urllib.parse
from collections.abc import Callable

import pytest

from tests.service import ADMIN, HTML, Service, said

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
REFUSED = {400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 431}
GOOD = said(email="good@example.net")


def with_json(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def without(field: str, raw: bytes) -> bytes:
    """Good JSON whose one value is these bytes."""
    fields = {k: v for k, v in GOOD.items() if k != field}
    return json.dumps(fields).encode()[:-1] + b', "' + field.encode() + b'": ' + raw + b"}"


def part(head: bytes, value: bytes = b"x") -> bytes:
    return b"--x\r\n" + head + b"\r\n\r\n" + value + b"\r\n"


NAME = b'Content-Disposition: form-data; name="author"'
MULTIPART = "multipart/form-data; boundary=x"
GOOD_FORM = urllib.parse.urlencode(GOOD).encode()

BODIES: list[tuple[str, bytes]] = [
    # JSON that is none
    *[
        (JSON, raw)
        for raw in (
            b"", b" ", b"{", b"}", b"null", b"1", b'"x"', b"[]", b"[{}]", b"true", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf{", b"{'a':1}", b'{"a"}', b"{} {}", b"{,}",
            b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"author":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"9" * 5000, b"-" * 5000,
            json.dumps(GOOD).encode("utf-16"), json.dumps(GOOD).encode("utf-32"), gzip.compress(json.dumps(GOOD).encode()), b'{"a":"\\u12"}', b'{"a":"\\x41"}',
        )
    ],
    # values of the wrong kind
    *[
        (JSON, without(field, raw))
        for field in ("author", "email", "comment", "thread")
        for raw in (b"NaN", b"Infinity", b"-Infinity", b"1e999999", b"9" * 5000, b"null", b"[]", b'["a"]', b"{}", b'{"$gt": ""}', b"true", b'""', b'"\\u0000"', b'"\\ud800"', b'"\xff"', b'"\\udc00\\ud800"', b'"\n"')
    ],
    *[
        (JSON, with_json(**{field: value}))
        for field, value in (
            ("parent", "x" * 201), ("parent", {"id": 1}), ("parent", "{p00}:c:x"), ("parent", "*"), ("url", "javascript:alert(1)"), ("url", "http://["), ("url", "http://a.example:99999"),
            ("url", ["https://a.example"]), ("locale", "../../etc/passwd"), ("locale", "x" * 5000), ("locale", "%s%n"), ("redirect_to", "https://evil.example"), ("notify_replies", 5),
            ("thread", "t" * 513), ("thread", 10**40), ("thread", 1.5), ("email", "a@b.example\r\nBcc: c@d.example"), ("email", "a@b.example,c@d.example"), ("email", "@" * 254),
            ("email", "a@" + "a." * 126), ("email", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!" * 7), ("author", "x" * 500_000), ("comment", "x" * 900_000), ("comment", "\ufdfa" * 65_526),
            ("__proto__", {}), ("constructor", 1), ("status", "approved"), ("id", "x"), ("is_admin", True), ("", ""), ("\x00", "x"), ("k" * 100_000, 1), ("site", "other"),
        )
    ],
    (JSON, json.dumps({f"f{n}": n for n in range(60_000)}).encode()),
    # forms
    *[
        (FORM, raw)
        for raw in (
            b"", b"&", b"=", b"%", b"%%%", b"a", b"\x00", b"author[]=a&email[]=b&comment[]=c", b"author=%FF", b"author=%ED%A0%80", b"\xff=\xff", b"&".join(b"f%d=1" % n for n in range(10_000)),
            b"author=a" * 10_000, b"&" * 100_000, json.dumps(GOOD).encode(), GOOD_FORM + b"&url=%0d%0aSet-Cookie:a", GOOD_FORM + b"&parent=%00x", GOOD_FORM + b"&locale=%D8%A7",
            GOOD_FORM + b"&redirect_to=%2f%2fevil.example", gzip.compress(GOOD_FORM),
        )
    ],
    # multipart
    *[
        (MULTIPART, raw)
        for raw in (
            b"", b"--x", b"--x--", b"--x--\r\n", b"x" * 5000, part(NAME), part(NAME) * 500 + b"--x--", part(b"") + b"--x--", part(b"Content-Disposition: form-data") + b"--x--",
            part(NAME, b"\xff") + b"--x--", part(b"X: " + b"y" * 100_000) + b"--x--", part(NAME + b"; filename=a", b"\x00" * 1000) + b"--x--", part(b"\xff\xff: \xff") + b"--x--",
            part(NAME + b"\r\nContent-Transfer-Encoding: base64", b"!!") + b"--x--", part(NAME + b"\r\nContent-Type: text/plain; charset=rot13") + b"--x--", GOOD_FORM, b"\r\n" * 10_000,
            part(b'Content-Disposition: attachment; name="a"') + b"--x--", part(NAME).replace(b"\r\n", b"\n") + b"--x--",
        )
    ],
    *[(kind, part(NAME) + b"--x--") for kind in ("multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="', "multipart/form-data; boundary=" + "y" * 5000, "multipart/form-data; boundary=\xff", "multipart/mixed; boundary=x", "multipart/form-data; boundary=x; charset=utf-7")],
    # types and charsets
    *[(kind, json.dumps(GOOD).encode()) for kind in ("", "text/plain", "text/html", "application/xml", "*/*", "application", ";", "\xff\xfe", "application/json; charset=rot13", "application/json; charset=utf-7", "application/json; charset=idna", "application/json, text/plain", "application/octet-stream", "a" * 4000, "application/x-www-form-urlencoded; charset=hex", "application/json-patch+json")],
]  # fmt: skip


def is_problem(raw: bytes, status: int) -> bool:
    found = json.loads(raw)
    return found["status"] == status and {"type", "title", "detail"} <= found.keys()


@pytest.mark.parametrize(("kind", "raw"), BODIES, ids=range(len(BODIES)))
def test_a_hostile_body_is_refused(service: Service, hostile_site: str, kind: str, raw: bytes) -> None:
    path = f"/api/v1/sites/{hostile_site}/comments"
    answer = service.request("POST", path, raw, {"content-type": kind})
    assert answer.status in REFUSED, answer.text[:300]
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert is_problem(answer.raw, answer.status)
    page = service.request("POST", path, raw, {"content-type": kind, "accept": HTML})
    assert page.status == answer.status


@pytest.fixture(scope="module")
def hostile_site(service: Service) -> str:
    """One for all of them: nothing that is refused leaves a trace."""
    return service.site()


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "gzip"}, {"content-encoding": "br"}, {"content-encoding": "identity, gzip"}, {"content-encoding": "\xff"}, {"origin": "\xff"}, {"origin": "null"}, {"origin": "https://["},
        {"referer": "http://[::1"}, {"referer": "\xff"}, {"referer": "x" * 8000}, {"idempotency-key": "\xff\xfe"}, {"idempotency-key": "k" * 8000},
        {"origin": "https://news.example, https://news.example"}, {"origin": "https://news.example/"}, {"origin": "HTTPS://NEWS.EXAMPLE\u00a0"},
    ],
)  # fmt: skip
def test_a_hostile_header_is_refused(service: Service, hostile_site: str, headers: dict[str, str]) -> None:
    answer = service.post(f"/api/v1/sites/{hostile_site}/comments", said(), **headers)
    assert answer.status in REFUSED
    assert is_problem(answer.raw, answer.status)


@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "\xff"}, {"accept": "text/html;q=" + "9" * 4000}, {"accept-language": "\xff, " + "x-" * 3000}, {"accept-language": "en;q=NaN"}, {"accept-language": "*"}, {"accept-language": "../../etc/passwd"},
        {"x-forwarded-for": "\xff"}, {"x-forwarded-for": "1," * 3000}, {"forwarded": "for=\"[::1\""}, {"user-agent": "\xff" * 1000}, {"cookie": "\xff=;;;"}, {"authorization": "Bearer \xff"},
        {"if-none-match": "\xff"}, {"host": "evil.example"}, {"host": ""}, {"x-http-method-override": "DELETE"},
    ],
)  # fmt: skip
def test_an_odd_header_changes_nothing(service: Service, hostile_site: str, headers: dict[str, str]) -> None:
    assert service.post(f"/api/v1/sites/{hostile_site}/comments", said(), **headers).status == 202


SEGMENTS = [
    "%00", "%FF", "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%0d%0aX-A:b", "*", "{p00}", "a" * 4000, "'%20or%201=1", "%D8%B6", "nobody", "%25", "__proto__",
    "-1", "NaN", "[]", "%ED%A0%80", "site:news", "%5c..%5c",
]  # fmt: skip


@pytest.mark.parametrize("segment", SEGMENTS)
def test_no_path_leads_anywhere(service: Service, segment: str) -> None:
    token = {"authorization": f"Bearer {ADMIN}"}
    for path in (f"/api/v1/sites/{segment}/comments", f"/sites/{segment}/wp-comments-post.php"):
        answer = service.post(path, said())
        assert answer.status in REFUSED
        assert is_problem(answer.raw, answer.status)
    for path in (
        f"/api/v1/sites/{segment}", f"/api/v1/comments/{segment}", f"/api/v1/sites/{segment}/threads/1/comments", f"/c/{segment}/x", f"/c/01990000-0000-7000-8000-0000000000ff/{segment}",
        f"/api/v1/sites/{segment}/endpoints", f"/{segment}",
    ):  # fmt: skip
        answer = service.request("GET", path, None, token)
        assert answer.status in REFUSED
        assert is_problem(answer.raw, answer.status)


@pytest.mark.parametrize("segment", [s for s in SEGMENTS if s not in {"..", "%2e%2e"}])
def test_any_thread_can_be_asked_for(service: Service, hostile_site: str, segment: str) -> None:
    answer = service.get(f"/api/v1/sites/{hostile_site}/threads/{segment}/comments")
    assert answer.status == 200 or (answer.status in REFUSED and is_problem(answer.raw, answer.status))


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=201", "limit=NaN", "limit=1e9", "limit=" + "9" * 5000, "limit=%00", "limit[]=1", "status=deleted", "status=pending%00", "sort=id;drop",
        "cursor=x", "cursor=%FF", "cursor=" + "f" * 5000, "cursor=*", "site=" + "x" * 64, "site=nobody", "site=%00", "site=%FF", "thread=" + "x" * 513, "author=" + "x" * 65, "q=" + "x" * 201, "unknown=1",
        "__proto__=1", "%FF=%FF", "limit=%D9%A5%ff",
    ],
)  # fmt: skip
def test_a_bad_query_is_refused(service: Service, query: str) -> None:
    answer = service.get("/api/v1/comments?" + query, ADMIN)
    assert answer.status in REFUSED
    assert is_problem(answer.raw, answer.status)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods_are_405(service: Service, hostile_site: str, method: str) -> None:
    answer = service.request(method, f"/api/v1/sites/{hostile_site}/comments")
    assert answer.status == 405
    assert is_problem(answer.raw, 405)


def head(site: str, *more: str) -> bytes:
    lines = (f"POST /api/v1/sites/{site}/comments HTTP/1.1", "Host: x", f"Content-Type: {JSON}", *more)
    return "\r\n".join((*lines, "", "")).encode()


BODY = json.dumps(GOOD).encode()
LENGTH = f"Content-Length: {len(BODY)}"
RAW: dict[str, Callable[[str], bytes]] = {
    "two lengths": lambda s: head(s, LENGTH, "Content-Length: 3") + BODY,
    "two like lengths": lambda s: head(s, LENGTH, LENGTH) + BODY,
    "length and chunked": lambda s: head(s, LENGTH, "Transfer-Encoding: chunked") + BODY,
    "negative length": lambda s: head(s, "Content-Length: -1") + BODY,
    "signed length": lambda s: head(s, f"Content-Length: +{len(BODY)}") + BODY,
    "long length": lambda s: head(s, "Content-Length: " + "9" * 400) + BODY,
    "large length": lambda s: head(s, "Content-Length: 99999999999") + BODY,
    "no number": lambda s: head(s, "Content-Length: ten") + BODY,
    "bad chunk": lambda s: head(s, "Transfer-Encoding: chunked") + b"5\r\nhello\r\nZZ\r\n",
    "bad first chunk": lambda s: head(s, "Transfer-Encoding: chunked") + b"ZZ\r\n",
    "negative chunk": lambda s: head(s, "Transfer-Encoding: chunked") + b"-5\r\nhello\r\n0\r\n\r\n",
    "huge chunk": lambda s: head(s, "Transfer-Encoding: chunked") + b"f" * 40 + b"\r\n",
    "unknown coding": lambda s: head(s, "Transfer-Encoding: nothing") + BODY,
    "huge header": lambda s: head(s, "X-A: " + "a" * 100_000, LENGTH) + BODY,
    "many headers": lambda s: head(s, *(f"X-{n}: {n}" for n in range(20_000)), LENGTH) + BODY,
    "NUL in a header": lambda s: head(s, "X-A: \x00", LENGTH) + BODY,
    "folded header": lambda s: head(s, "X-A: a\r\n b", LENGTH) + BODY,
    "space before colon": lambda s: head(s, "X-A : a", "Content-Length : 5") + BODY,
    "no colon": lambda s: head(s, "nonsense", LENGTH) + BODY,
    "bytes in the path": lambda _: b"POST /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "no protocol": lambda _: b"POST /\r\n\r\n",
    "other protocol": lambda _: b"POST / HTTP/9.9\r\nHost: x\r\n\r\n",
    "TLS": lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200 + b"\r\n\r\n",
    "HTTP/2": lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "long path": lambda _: b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute path": lambda _: b"GET http://evil.example/healthz2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": lambda _: b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk": lambda _: b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "noise": lambda _: bytes(range(256)) * 8 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
def test_what_is_no_http_is_refused_and_hurts_nobody(service: Service, hostile_site: str, name: str) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 60) as peer:
        try:
            peer.sendall(RAW[name](hostile_site))
            answer = peer.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            answer = b""  # refused without a word
    assert not answer or 400 <= int(answer.split()[1]) < 500
    assert service.get("/healthz").status == 200


def test_a_body_that_breaks_off_leaves_no_comment(service: Service, site: str) -> None:
    for end in (socket.SHUT_WR, None):
        with socket.create_connection(("127.0.0.1", service.port), 60) as peer:
            peer.sendall(head(site, LENGTH) + BODY[:20])
            if end is None:  # a reset
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                peer.shutdown(end)
                answer = peer.recv(65536)
                assert not answer or answer.startswith(b"HTTP/1.1 400")
    assert service.comment(site)["status"] == "pending"
    assert service.get(f"/api/v1/comments?site={site}", ADMIN).json["total"] == 1


def test_a_dripping_body_is_taken_and_holds_nobody_up(service: Service, site: str) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 60) as peer:
        peer.sendall(head(site, LENGTH))
        for n in range(len(BODY)):
            peer.sendall(BODY[n : n + 1])
            if n % 100 == 0:
                assert service.comment(site)["status"] == "pending"
        assert peer.recv(65536).startswith(b"HTTP/1.1 202")


def test_silent_and_unfinished_requests_hold_nobody_up(
    service: Service, site: str, silent: list[socket.socket], unfinished: socket.socket
) -> None:
    assert len(silent) == 30
    assert service.comment(site)["status"] == "pending"


def test_nothing_of_all_this_was_an_error_of_ours(service: Service, hostile_site: str) -> None:
    assert service.comment(hostile_site)["status"] == "pending"
    assert "Traceback" not in service.log.read_text()
