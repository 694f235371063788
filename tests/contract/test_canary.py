"""No e-mail address leaves: a canary goes through everything, and then every byte that came out is searched for it."""

import base64
import email
import email.policy
import hashlib
import json
import queue
import re
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.service import ADMIN, HTML, Answer, Receiver, Service, free_port, running, said, until


class Mailbox:
    """Keeps the envelopes."""

    def __init__(self) -> None:
        self.envelopes: queue.Queue[Any] = queue.Queue()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.envelopes.put(envelope)
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    box, port = Mailbox(), free_port()
    controller = Controller(box, "127.0.0.1", port, ready_timeout=60)
    controller.start()
    yield box, f"smtp://127.0.0.1:{port}"
    controller.stop()


class Listening(Service):
    """Keeps every answer."""

    def request(self, *args: Any, **more: Any) -> Answer:
        answer = super().request(*args, **more)
        self.__dict__.setdefault("heard", []).append((args[:2], answer))
        return answer


def spellings(local: str, address: str) -> list[bytes]:
    """The local part, and what hides it from nobody."""
    found = [
        local,
        local.upper(),
        address.encode().hex(),
        local.encode().hex(),
        urllib.parse.quote(address),
        hashlib.sha256(address.encode()).hexdigest(),
    ]
    found += [
        hashlib.md5(address.encode()).hexdigest(),
        hashlib.sha1(address.encode()).hexdigest(),
        base64.b64encode(address.encode()).decode().rstrip("=")[:-1],
    ]
    return [text.encode() for text in found]


def test_the_canary_is_found_nowhere(data: Path, mailbox: tuple[Mailbox, str], receiver: Receiver) -> None:
    box, smtp = mailbox
    own, typed, mod = (f"{word}{uuid.uuid4().hex[:10]}" for word in ("canary", "typed", "mod"))
    own_address, typed_address, mod_address = f"{own}@example.net", f"{typed}@example.org", f"{mod}@example.com"
    with running(
        data, MODERATION_SMTP_URL=smtp, MODERATION_MAIL_FROM="comments@news.example", MODERATION_LOG_LEVEL="debug"
    ) as started:
        service = Listening(data, started.environ, started.command, started.port, started.process)
        comment = walk_through(service, own_address, typed_address, mod_address, receiver)
        mails(service, box, own_address, mod_address)
        until(
            "deliveries to end",
            lambda: {d["state"] for d in service.one(comment)["deliveries"]} <= {"delivered", "cancelled"},
        )
        desk(service, data)
        figures_and_pages(service)
        assert service.stop() == 0
    needles = [*spellings(own, own_address), *spellings(typed, typed_address), *spellings(mod, mod_address)]

    def clean(raw: bytes, where: object) -> None:
        assert not [needle for needle in needles if needle in raw], where

    heard = service.__dict__["heard"]
    assert len(heard) > 30
    assert {answer.status for _, answer in heard} >= {200, 201, 202, 303, 401, 409, 422}
    for request, answer in heard:
        clean(answer.raw + json.dumps(answer.headers).encode(), request)
    assert receiver.count >= 4
    while not receiver.received.empty():
        headers, raw = receiver.received.get()
        clean(raw + json.dumps(headers).encode(), "webhook")
    files = [path for path in data.rglob("*") if path.is_file()]
    assert any("appendonly" in str(path) for path in files)
    for path in files:
        clean(path.read_bytes(), path)
    check_mail(box, {own_address, mod_address}, needles)


def walk_through(service: Service, own: str, typed: str, mod: str, receiver: Receiver) -> str:
    """Submit, refuse, list, claim, decide, undo, read; returns the comment that was approved in the end."""
    site = service.site(notify=[mod], notify_mode="each", mail_rejections=True)
    events = [f"comment.{name}" for name in ("submitted", "approved", "rejected", "spam", "pending")]
    assert (
        service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url, "events": events}).status == 201
    )
    path = f"/api/v1/sites/{site}/comments"
    fields = said(
        author=f"ليلى {typed}",
        email=own,
        comment=f"راسلوني: {typed}.\u200f أو **{typed}.**",
        thread_title=f"عن {typed}",
        thread_url="https://news.example/41",
        notify_replies="1",
    )
    receipt = service.post(path, fields, **{"idempotency-key": "k"})
    assert receipt.status == 202
    comment = str(receipt.json["id"])
    assert service.post(path, fields).status == 409
    assert service.post(path, fields | {"thread": "", "email": own + "@"}).status == 422
    assert service.form(path, said(email=own), origin="https://news.example").status == 202
    assert service.form(path, said(email=own, redirect_to="https://news.example/41")).status == 303
    status_path = urllib.parse.urlsplit(receipt.json["status_url"]).path
    service.send("POST", "/api/v1/queue/claim", {"site": site})
    for decision in ("approve", "reject", "spam"):
        assert service.decide(comment, decision, undo_seconds=60).status == 200
        assert service.send("POST", f"/api/v1/comments/{comment}/undo").status == 200
    for decision in ("reject", "spam", "approve"):
        assert service.decide(comment, decision, reason="x").status == 200
        for accept in ("application/json", "text/html"):
            assert service.get(status_path, None, accept=accept).status == 200
    assert service.decide(comment, "spam", version=1).status == 409
    service.send("POST", "/api/v1/queue/release")
    for query in ("", "?status=approved", "?q=canary", f"?site={site}&sort=newest", "?q=typed"):
        assert service.get("/api/v1/comments" + query, ADMIN).status == 200
    for where in (
        f"/api/v1/comments/{comment}",
        f"/api/v1/sites/{site}/audit",
        f"/api/v1/sites/{site}",
        f"/api/v1/sites/{site}/endpoints",
    ):
        assert service.get(where, ADMIN).status == 200
    assert service.get(f"/api/v1/sites/{site}/threads/41/comments").json["total"] == 1
    return comment


def desk(service: Service, data: Path) -> None:
    """What people see in the browser."""
    command = [sys.executable, "-m", "moderation", "user", "add", "amal", "--data", str(data)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL)
    password = made.stdout.split("password ")[1].strip()
    own = {"origin": service.base, "sec-fetch-site": "same-origin"}
    signed_in = service.form("/review/sign-in", {"name": "amal", "password": password}, **own)
    assert signed_in.status == 303
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    for status in ("pending", "approved", "rejected", "spam"):
        assert service.get(f"/review?status={status}", None, cookie=cookie).status == 200


def figures_and_pages(service: Service) -> None:
    for path in ("/metrics", "/openapi.json", "/docs", "/healthz", "/readyz", "/nothing"):
        service.get(path)
    assert service.get("/api/v1/comments").status == 401


def mails(service: Service, box: Mailbox, own: str, mod: str) -> None:
    """Everything that mails are made of: both people got some; every link was opened and pressed; suppressions and the log."""
    until("mails to both", lambda: {own, mod} <= {e.rcpt_tos[0] for e in list(box.envelopes.queue)})
    for envelope in list(box.envelopes.queue):
        part = email.message_from_bytes(envelope.content, policy=email.policy.default).get_body(("plain",))  # type: ignore[attr-defined]
        for path in re.findall(r"http://127\.0\.0\.1:\d+(/[nu]/\S+)", part.get_content()):
            assert service.get(path, accept=HTML).status == 200
            assert service.form(path, {}).status == 200
    assert service.send("POST", "/api/v1/mail/suppressions", {"email": own}).status == 201
    assert service.get("/api/v1/mail/suppressions", ADMIN).json["items"]
    for site in service.get("/api/v1/sites", ADMIN).json["items"]:
        assert service.get(f"/api/v1/sites/{site['id']}/mails", ADMIN).status == 200


def check_mail(box: Mailbox, known: set[str], needles: list[bytes]) -> None:
    """An address is in the envelope and in To of its own mails, and nowhere else."""
    while not box.envelopes.empty():
        envelope = box.envelopes.get()
        assert set(envelope.rcpt_tos) <= known
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert [mail["To"]] == envelope.rcpt_tos
        del mail["To"]
        bodies = b"".join(part.get_payload(decode=True) or b"" for part in mail.walk())
        everything = "\n".join(f"{k}: {v}" for k, v in mail.items()).encode() + bodies
        assert not [needle for needle in needles if needle in everything]
