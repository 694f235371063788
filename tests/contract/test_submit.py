"""Contract, section 2: submitting a comment, as programs see it."""

import http.client
import json
import socket
import urllib.parse
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.service import ADMIN, Answer, Service, running, said

ORIGIN = "https://news.example"
FORM = "application/x-www-form-urlencoded"


def door(site: str) -> str:
    return f"/api/v1/sites/{site}/comments"


def multipart(fields: dict[str, str]) -> tuple[bytes, str]:
    parts = [f'--xyz\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    return ("".join(parts) + "--xyz--\r\n").encode(), "multipart/form-data; boundary=xyz"


def send(service: Service, site: str, kind: str, fields: dict[str, str], **headers: str) -> Answer:
    if kind == "json":
        return service.post(door(site), fields, **headers)
    body, content_type = (urllib.parse.urlencode(fields).encode(), FORM) if kind == "form" else multipart(fields)
    return service.request("POST", door(site), body, {"content-type": content_type, "accept": "*/*"} | headers)


def is_problem(answer: Answer, status: int) -> bool:
    return (
        answer.status == status == answer.json["status"]
        and answer.headers["content-type"].startswith("application/problem+json")
        and {"type", "title", "detail"} <= answer.json.keys()
    )


KINDS = pytest.mark.parametrize("kind", ["json", "form", "multipart"])


@KINDS
def test_every_body_makes_the_same_comment(service: Service, site: str, kind: str) -> None:
    fields = {
        "name": " نور ", "email": "noor@example.net", "website": "https://noor.example/", "content": "سطر\r\nآخر", "comment_post_ID": "٤١/a b?",
        "thread_url": "https://news.example/41", "thread_title": "عنوان", "comment_parent": "0", "locale": "ar-EG", "external_id": "wp-7",
    }  # fmt: skip
    answer = send(service, site, kind, fields)
    assert answer.status == 202
    assert answer.json.keys() == {"id", "status", "thread", "created_at", "message", "status_url"}
    assert (answer.json["status"], answer.json["thread"]) == ("pending", "٤١/a b?")
    kept = service.one(answer.json["id"])
    assert kept["author"]["name"] == "نور"
    assert kept["author"]["url"] == "https://noor.example/"
    assert kept["author"]["email_masked"] == "n•••@e•••.net"
    assert kept["text"] == "سطر\nآخر"
    assert kept["thread"] == {"id": "٤١/a b?", "url": "https://news.example/41", "title": "عنوان"}
    assert (kept["parent"], kept["locale"], kept["direction"], kept["external_id"]) == (None, "ar-EG", "rtl", "wp-7")


@KINDS
def test_every_field_error_comes_at_once(service: Service, site: str, kind: str) -> None:
    answer = send(service, site, kind, {"author": "x" * 246, "email": "nobody", "url": "javascript:alert(1)"})
    assert is_problem(answer, 422)
    assert answer.errors == {"author": "too_long", "email": "invalid", "url": "invalid", "comment": "required", "thread": "required"}  # fmt: skip
    assert all(e["message"] for e in answer.json["errors"])


@KINDS
def test_limits_are_characters_in_any_script(service: Service, site: str, kind: str) -> None:
    full = said(author="ض" * 245, comment="ض" * 65_525, thread="ض" * 512)
    assert send(service, site, kind, full).status == 202
    over = {k: v + "ض" if k != "email" else v for k, v in full.items()}
    assert send(service, site, kind, over).errors == dict.fromkeys(("author", "comment", "thread"), "too_long")


def test_unknown_fields_are_ignored_in_forms_and_refused_in_json(service: Service, site: str) -> None:
    assert send(service, site, "json", said(role="admin")).errors == {"role": "unknown"}
    assert send(service, site, "form", said(role="admin", _wp_unfiltered_html_comment="1")).status == 202
    assert send(service, site, "json", said(submit="Go", **{"wp-comment-cookies-consent": "yes"})).status == 202


def test_the_language_is_the_visitors_else_the_sites(service: Service, site: str) -> None:
    def locale(**headers: str) -> str:
        return str(service.one(service.post(door(site), said(), **headers).json["id"])["locale"])

    assert locale() == "ar"
    assert locale(**{"accept-language": "xx, en;q=0.5"}) == "en"


def test_a_reply_names_its_parent_by_either_id(service: Service, site: str) -> None:
    parent = service.comment(site, external_id="wp-1")["id"]
    service.decide(parent, "approve")
    for name in (parent, "wp-1"):
        assert service.one(service.comment(site, parent=name)["id"])["parent"] == parent


def test_a_reply_to_what_is_not_there_is_refused(service: Service, site: str) -> None:
    pending = service.comment(site, external_id="wp-2")["id"]
    approved = service.comment(site, thread="other")["id"]
    service.decide(approved, "approve")
    foreign = service.comment(service.site())["id"]
    service.decide(foreign, "approve")
    for name in (pending, "wp-2", approved, foreign, str(uuid.uuid4()), "nothing", "-1", "*", f"{pending}:x"):
        answer = service.post(door(site), said(parent=name))
        assert is_problem(answer, 422)
        assert answer.errors == {"parent": "not_found"}


@pytest.mark.parametrize("parent", ["0", "", " ", 0, None])
def test_no_parent_is_no_parent(service: Service, site: str, parent: Any) -> None:
    answer = service.post(door(site), {**said(), "parent": parent})
    assert service.one(answer.json["id"])["parent"] is None


def test_the_same_key_answers_the_same_comment(service: Service, site: str) -> None:
    fields, key = said(), {"idempotency-key": "k" * 255}
    first = service.post(door(site), fields, **key)
    again = service.post(door(site), fields, **key)
    assert (first.status, again.status) == (202, 202)
    assert first.json == again.json
    assert service.get(f"/api/v1/comments?site={site}", ADMIN).json["total"] == 1
    service.decide(first.json["id"], "approve")
    later = service.post(door(site), fields, **key)
    assert later.json["id"] == first.json["id"]
    assert (later.status, later.json["status"]) in {(201, "approved"), (202, "pending")}


def test_the_same_key_with_other_content_is_a_conflict(service: Service, site: str) -> None:
    assert service.post(door(site), said(), **{"idempotency-key": "one"}).status == 202
    assert is_problem(service.post(door(site), said(), **{"idempotency-key": "one"}), 409)
    assert service.post(door(service.site()), said(), **{"idempotency-key": "one"}).status == 202


@pytest.mark.parametrize(
    "other",
    [{"thread_url": "https://news.example/b"}, {"thread_title": "b"}, {"external_id": "b"}, {"notify_replies": "1"}],
    ids=lambda other: next(iter(other)),
)
def test_every_field_is_content_of_a_key(service: Service, site: str, other: dict[str, str]) -> None:
    fields, key = said(thread_title="a"), {"idempotency-key": "one"}
    assert service.post(door(site), fields, **key).status == 202
    assert service.post(door(site), fields | other, **key).json["code"] == "idempotency_conflict"


def test_a_key_over_255_characters_is_refused(service: Service, site: str) -> None:
    answer = service.post(door(site), said(), **{"idempotency-key": "k" * 256})
    assert answer.errors == {"Idempotency-Key": "too_long"}


def test_a_duplicate_is_a_conflict_within_the_window(service: Service) -> None:
    fields = said()
    site = service.site()
    assert service.post(door(site), fields).status == 202
    assert is_problem(service.post(door(site), fields), 409)
    assert is_problem(service.post(door(site), {**fields, "email": fields["email"].upper()}), 409)
    for field in ("thread", "comment", "author"):
        assert service.post(door(site), {**fields, field: "other"}).status == 202
    off = service.site(policy={"rate_limits": False, "duplicate_window_seconds": 0})
    assert [service.post(door(off), fields).status for _ in range(2)] == [202, 202]


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("application/json", b"{"), ("application/json", b'{"author":"\xff"}'), ("application/json", b"[]"), ("application/json", b'{"author":"\\ud800"}'),
        (FORM, b"author=\xff"), (FORM, b"author=%FF"), (FORM, b"author=%ED%A0%80"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--x--\r\n'),
        ("multipart/form-data", b"--x--"),
    ],
)  # fmt: skip
def test_an_unreadable_body_is_400(service: Service, site: str, kind: str, raw: bytes) -> None:
    assert is_problem(service.request("POST", door(site), raw, {"content-type": kind}), 400)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "", "application/jsonx", "application/json; charset=utf-16"]
)
def test_other_types_are_415(service: Service, site: str, kind: str) -> None:
    answer = service.request("POST", door(site), b"{}", {"content-type": kind, "origin": ORIGIN})
    assert is_problem(answer, 415)
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_no_such_site_is_404(service: Service) -> None:
    assert is_problem(service.post(door("nobody"), said()), 404)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": ""}, {"origin": "http://news.example"}, {"origin": "https://news.example.evil.example"},
        {"origin": "https://news.example:444"}, {"origin": "https://evil.example", "referer": "https://news.example/p"}, {"referer": "https://evil.example/?https://news.example/"},
        {"referer": "nonsense"},
    ],
)  # fmt: skip
def test_foreign_pages_are_refused(service: Service, site: str, headers: dict[str, str]) -> None:
    answer = service.post(door(site), said(), **headers)
    assert is_problem(answer, 403)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", [{}, {"origin": ORIGIN}, {"referer": "https://news.example/p"}, {"origin": ORIGIN, "referer": "https://evil.example"}])  # fmt: skip
def test_the_sites_pages_and_programs_are_taken(service: Service, site: str, headers: dict[str, str]) -> None:
    assert service.post(door(site), said(), **headers).status == 202


def test_a_change_of_origins_counts_at_once(service: Service, site: str) -> None:
    other = {"origin": "https://new.example"}
    assert service.post(door(site), said(), **other).status == 403
    assert service.send("PATCH", f"/api/v1/sites/{site}", {"origins": ["https://new.example"]}).status == 200
    assert service.post(door(site), said(), **other).status == 202
    assert service.post(door(site), said(), origin=ORIGIN).status == 403


def test_a_closed_site_takes_nothing(service: Service) -> None:
    site = service.site(policy={"mode": "closed"})
    answer = service.post(door(site), said(), origin=ORIGIN)
    assert is_problem(answer, 403)
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_more_than_a_mebibyte_is_413(service: Service, site: str) -> None:
    head = {"content-type": "application/json"}
    raw = json.dumps(said(comment="x")).encode()
    assert service.request("POST", door(site), raw.ljust(1024 * 1024), head).status == 202
    assert is_problem(service.request("POST", door(site), raw.ljust(1024 * 1024 + 1), head), 413)


def test_more_than_a_mebibyte_in_chunks_is_413(service: Service, site: str) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 10) as peer:
        peer.sendall(f"POST {door(site)} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())  # fmt: skip
        for _ in range(17):
            peer.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n")
        assert peer.recv(65536).startswith(b"HTTP/1.1 413 ")


def post_until_slowed(service: Service, site: str, forged: bool) -> list[Answer]:
    return [
        service.post(door(site), said(), **({"x-forwarded-for": f"198.51.100.{n}", "forwarded": f"for=198.51.100.{n}"} if forged else {}))
        for n in range(90)
    ]  # fmt: skip


def test_a_flood_is_slowed_and_a_forged_address_does_not_help(service: Service) -> None:
    answers = post_until_slowed(service, service.site(policy={}), forged=True)
    slowed = [a for a in answers if a.status != 202]
    assert answers[0].status == 202
    assert slowed
    assert all(is_problem(a, 429) and int(a.headers["retry-after"]) >= 1 for a in slowed)


def test_without_rate_limits_nothing_is_slowed(service: Service, site: str) -> None:
    assert {a.status for a in post_until_slowed(service, site, forged=False)} == {202}


def test_a_trusted_proxy_is_believed(data: Path) -> None:
    with running(data, MODERATION_TRUSTED_PROXIES="127.0.0.0/8") as service:
        assert {a.status for a in post_until_slowed(service, service.site(policy={}), forged=True)} == {202}


def test_an_ipv6_network_counts_as_one_address(data: Path) -> None:
    with running(data, MODERATION_TRUSTED_PROXIES="127.0.0.0/8") as service:
        site = service.site(policy={"rates": {"address": {"count": 5, "seconds": 3600}}})

        def post(address: str) -> int:
            return service.post(door(site), said(), **{"x-forwarded-for": address}).status

        assert [post(f"2001:db8:1:2:{n:x}::{n:x}") for n in range(7)] == [202] * 5 + [429] * 2
        assert post("2001:db8:1:3::1") == 202  # another customer
        assert post("6.6.6.6, 2001:db8:1:2::9") == 429  # what a client put in front of the proxy's word


def test_cross_origin_fetch_works_from_the_site(service: Service, site: str) -> None:
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    allowed = service.request("OPTIONS", door(site), None, asked)
    assert allowed.status in {200, 204}
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in allowed.headers["access-control-allow-methods"]
    names = {n.strip().lower() for n in allowed.headers["access-control-allow-headers"].split(",")}
    assert {"content-type", "idempotency-key"} <= names
    for fields, status in ((said(), 202), ({}, 422)):
        answer = service.post(door(site), fields, origin=ORIGIN)
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "Origin" in answer.headers["vary"]
    assert service.request("POST", door(site), b"{", {"content-type": "application/json", "origin": ORIGIN}).headers["access-control-allow-origin"] == ORIGIN  # fmt: skip


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_other_origins_get_no_permission(service: Service, site: str, origin: str) -> None:
    answer = service.request("OPTIONS", door(site), None, {"origin": origin, "access-control-request-method": "POST"})
    assert "access-control-allow-origin" not in answer.headers


def test_the_status_is_private_to_the_commenter(service: Service, site: str) -> None:
    first, second = service.comment(site), service.comment(site)
    path = urllib.parse.urlsplit(first["status_url"]).path
    found = service.get(path)
    assert (found.status, found.json["id"], found.json["status"]) == (200, first["id"], "pending")
    token = path.rsplit("/", 1)[1]
    for wrong in (path[:-1] + ("A" if path[-1] != "A" else "B"), path.replace(token, "x"), path.replace(first["id"], second["id"]), path.replace(first["id"], "x")):  # fmt: skip
        assert service.get(wrong).status == 404


@pytest.mark.parametrize(
    ("decision", "told"), [("approve", "approved"), ("reject", "rejected"), ("spam", "pending"), ("hold", "pending")]
)
def test_the_status_tells_what_became_of_it_but_not_that_it_is_spam(
    service: Service, site: str, decision: str, told: str
) -> None:
    receipt = service.comment(site)
    service.decide(receipt["id"], decision, reason="off_topic")
    found = service.get(urllib.parse.urlsplit(receipt["status_url"]).path).json
    assert found["status"] == told
    assert found["reason"] == ("off_topic" if told == "rejected" else None)


@pytest.mark.parametrize(
    ("version", "headers", "closes"),
    [("1.1", "", False), ("1.0", "", True), ("1.1", "connection: close\r\n", True), ("1.0", "connection: keep-alive\r\n", False)],
)  # fmt: skip
def test_the_receipt_is_whole_on_every_kind_of_connection(
    service: Service, site: str, version: str, headers: str, closes: bool
) -> None:
    body = [json.dumps(said()).encode() for _ in range(2)]
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as line:
        for one in body[: 1 if closes else 2]:
            line.sendall(
                f"POST /api/v1/sites/{site}/comments HTTP/{version}\r\nhost: x\r\ncontent-type: application/json\r\n{headers}"
                f"content-length: {len(one)}\r\n\r\n".encode()
                + one
            )
            answer = http.client.HTTPResponse(line)
            answer.begin()
            assert answer.status == 202
            assert (answer.getheader("connection", "").lower() == "close" or version == "1.0") >= closes
            for name in ("date", "content-type", "cache-control", "x-content-type-options"):
                assert answer.getheader(name)
            assert json.loads(answer.read())["status"] == "pending"
        assert not closes or line.recv(1) == b""
