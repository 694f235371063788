"""A real SMTP server that keeps what it gets, and refuses what a test wants it to."""

import contextlib
import email
import email.policy
import html
import re
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.service import free_port, until

FROM = "moderation@news.example"
UNKNOWN, LATER = "550 5.1.1 no such mailbox", "451 4.7.1 try again later"


class Mailbox:
    """Recipients whose names begin with `unknown` or `later` are refused; `answers` may refuse the nth mail (from 1) after DATA."""

    def __init__(self, answers: Callable[[int], str] = lambda n: "250 OK") -> None:
        self.got: list[Envelope] = []
        self.tries = 0
        self.sessions: set[int] = set()
        self._answers = answers
        self._lock = threading.Lock()

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        for word, refusal in (("unknown", UNKNOWN), ("later", LATER)):
            if address.startswith(word):
                return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        with self._lock:
            self.tries += 1
            self.sessions.add(id(session))
            answer = self._answers(self.tries)
            if answer.startswith("250"):
                self.got.append(envelope)
        if answer == "hang up":
            assert server.transport is not None
            server.transport.close()
        return answer

    def all_to(self, address: str) -> list[EmailMessage]:
        """What an address got so far."""
        return [parse(e) for e in list(self.got) if address in e.rcpt_tos]

    def to(self, address: str, count: int = 1) -> EmailMessage:
        """The last of as many mails as an address is to have, once they are there."""
        found = until(f"mail {count} to {address}", lambda: len(self.all_to(address)) >= count and self.all_to(address))
        assert len(found) == count
        return found[-1]  # type: ignore[no-any-return]


def parse(envelope: Envelope) -> EmailMessage:
    """One mail, for one recipient, in a clean envelope."""
    assert len(envelope.rcpt_tos) == 1
    assert envelope.mail_from == FROM
    assert isinstance(envelope.content, bytes)
    return email.message_from_bytes(envelope.content, policy=email.policy.default)  # type: ignore[return-value]


def part(mail: EmailMessage, kind: str) -> str:
    """The plain or html part as text."""
    found = mail.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def links(mail: EmailMessage, kind: str) -> list[str]:
    """Paths of our links of a kind (m, u, n) in the text, in order; the HTML has the same."""
    pattern = re.compile(rf"https?://[^/\s\"]+(/{kind}/[^\s\"<]+)")
    found = pattern.findall(part(mail, "plain"))
    assert found == pattern.findall(html.unescape(part(mail, "html")))
    return found


def _authenticate(_: SMTP, __: Session, ___: Envelope, ____: str, data: Any) -> AuthResult:
    fits = data.login == b"us" and data.password == b"p@ss/word"
    return AuthResult(success=fits, handled=fits)


@contextlib.contextmanager
def smtp_server(box: Mailbox, *, port: int = 0, starttls: ssl.SSLContext | None = None, implicit: ssl.SSLContext | None = None, login: bool = False) -> Iterator[int]:  # fmt: skip
    """Listens on loopback; its port."""
    options: dict[str, Any] = {"enable_SMTPUTF8": True}
    if starttls:
        options |= {"tls_context": starttls, "require_starttls": True}
    if login:
        options |= {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": False}
    warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")  # loopback
    controller = Controller(
        box, hostname="127.0.0.1", port=port or free_port(), ssl_context=implicit, ready_timeout=60, **options
    )
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()
