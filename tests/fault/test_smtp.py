"""A mail server that greylists, refuses, hangs up, wants a password, speaks TLS; a worker that is killed with a mail under way."""

import contextlib
import email.policy
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosmtplib
import pytest
import trustme

from moderation.letters import SAMPLES, Letters
from tests.fault.processes import children
from tests.mailbox import FROM, Mailbox, smtp_server
from tests.service import Service, running, until
from workers import message, smtp
from workers.retry import Outcome

READER = "layla@example.net"
MAIL = message.compose(
    message.Envelope("1@host.example", FROM, "News", READER, datetime.now(UTC)), Letters().render("test", "ar", SAMPLES["test"])
)  # fmt: skip
Authority = trustme.CA


@pytest.fixture(scope="module")
def authority() -> Authority:
    return trustme.CA()


@pytest.fixture
def trusted(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our own authority, in the place where OpenSSL looks."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


def server_side(authority: Authority, name: str = "localhost") -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def sent(url: str, recipient: str = READER, times: int = 1) -> list[Outcome]:
    async with smtp.Transport(url) as transport:
        return [await transport.send(FROM, recipient, MAIL) for _ in range(times)]


async def one(url: str, recipient: str = READER) -> Outcome:
    return (await sent(url, recipient))[0]


async def test_mails_go_one_after_the_other_over_one_connection() -> None:
    box = Mailbox()
    with smtp_server(box) as port:
        outcomes = await sent(f"smtp://127.0.0.1:{port}", times=5)
    assert [o.ok for o in outcomes] == [True] * 5
    assert len(box.sessions) == 1
    assert [e.rcpt_tos for e in box.got] == [[READER]] * 5
    parsed = email.message_from_bytes(box.got[0].content, policy=email.policy.default)  # type: ignore[arg-type]
    assert parsed["To"] == READER
    assert parsed["Message-ID"] == "<1@host.example>"
    assert "اختبار إعدادات البريد" in parsed["Subject"]


async def test_a_refusal_leaves_the_connection_usable() -> None:
    box = Mailbox()
    with smtp_server(box) as port:
        async with smtp.Transport(f"smtp://127.0.0.1:{port}") as transport:
            outcomes = [
                await transport.send(FROM, to, MAIL) for to in ("unknown@example.net", "later@example.net", READER)
            ]
    assert [(o.code, o.status, o.final) for o in outcomes] == [("recipient", 550, True), ("later", 451, False), ("ok", 250, False)]  # fmt: skip
    assert len(box.sessions) == 1


@pytest.mark.parametrize(
    ("answer", "code", "final"),
    [
        ("550 5.7.1 looks like spam", "refused", True),
        ("554 no", "refused", True),
        ("452 4.3.1 disk full, try again in 5 minutes", "later", False),
        ("552 5.2.2 mailbox full", "later", False),
        ("552 5.3.4 message too big", "refused", True),
        ("421 closing", "later", False),
    ],
)
async def test_what_is_refused_after_data_ends_or_comes_again(answer: str, code: str, final: bool) -> None:
    with smtp_server(Mailbox(lambda n: answer)) as port:
        found = await one(f"smtp://127.0.0.1:{port}")
    assert (found.ok, found.code, found.status, found.final) == (False, code, int(answer[:3]), final)
    assert found.retry_after_seconds == (300 if "minutes" in answer else 0)
    assert not found.log  # no refusal of a mail says that the mailbox is unknown
    assert answer[:3] in found.detail


@pytest.mark.parametrize(
    ("said", "unknown"),
    [
        ("550 5.1.1 no such mailbox", True), ("550 No such user here", True), ("551 User not local", True), ("553 5.1.3 bad mailbox syntax", True), ("550 relay not permitted", False), ("550 5.7.1 relaying denied", False),
        ("550 5.1.8 Sender address rejected: Domain not found", False), ("550 blocked, see https://dnsbl.example", False), ("550 5.7.26 SPF", False), ("554 5.7.1 no", False),
    ],
)  # fmt: skip
def test_only_what_speaks_of_the_mailbox_says_that_it_is_unknown(said: str, unknown: bool) -> None:
    error = aiosmtplib.SMTPRecipientRefused(int(said[:3]), said[4:], READER)
    found = smtp.judge(error, smtp._Sayer(READER))
    assert (found.final, found.log.get("reason") == "unknown") == (True, unknown)


def test_a_reply_that_is_none_is_no_refusal() -> None:
    assert smtp.judge(aiosmtplib.SMTPDataError(-1, "Malformed SMTP response"), smtp._Sayer(READER)).code == "unclear"


async def test_what_a_server_says_of_the_recipient_is_not_kept() -> None:
    with smtp_server(Mailbox(lambda n: "550 5.7.1 <layla@example.net> user Layla is not here")) as port:
        found = await one(f"smtp://127.0.0.1:{port}")
    assert found.detail == "550 5.7.1"


async def test_a_connection_that_ends_before_the_answer_is_unclear() -> None:
    with smtp_server(Mailbox(lambda n: "hang up")) as port:
        found = await one(f"smtp://127.0.0.1:{port}")
    assert (found.ok, found.code, found.final) == (False, "unclear", False)


async def test_a_server_that_is_away_is_said_so_and_the_others_wait() -> None:
    found = await one("smtp://127.0.0.1:9")
    assert (found.code, found.final, found.counts) == ("connect", False, True)
    assert found.pause_seconds > 0


async def test_a_right_password_is_taken_and_a_wrong_one_uses_up_no_attempt() -> None:
    box = Mailbox()
    with smtp_server(box, login=True) as port:
        right, wrong, none = [
            await one(f"smtp://{login}127.0.0.1:{port}")
            for login in (f"us:{quote('p@ss/word', '')}@", "us:nonsense@", "")
        ]
    assert right.ok
    for found in (wrong, none):
        assert (found.code, found.final, found.counts, found.pause_seconds) == ("auth", False, False, 60)
        assert "nonsense" not in found.detail
    assert len(box.got) == 1


@pytest.mark.parametrize("kind", ["implicit", "starttls"])
async def test_tls_is_spoken_and_checked(authority: Authority, trusted: Path, kind: str) -> None:
    box = Mailbox()
    url = "smtps://localhost:{}" if kind == "implicit" else "smtp://localhost:{}?starttls=required"
    with smtp_server(box, **{kind: server_side(authority)}) as port:
        assert (await one(url.format(port))).ok
    for other in (server_side(trustme.CA()), server_side(authority, "elsewhere.example")):
        with smtp_server(box, **{kind: other}) as port:
            found = await one(url.format(port))
        assert (found.ok, found.code, found.counts) == (False, "tls", False)
    assert len(box.got) == 1


async def test_tls_is_never_left_out_because_the_server_says_so(trusted: Path) -> None:
    with smtp_server(Mailbox()) as port:
        found = await one(f"smtp://localhost:{port}?starttls=required")
        assert (found.ok, found.code) == (False, "tls")
        assert smtp.connection_of("smtp://mail.example")["start_tls"] is True
        assert smtp.connection_of("smtp://mail.example:2525?starttls=never")["start_tls"] is False
        assert smtp.connection_of("smtps://mail.example")["port"] == 465


async def test_an_address_in_another_script_is_written_to() -> None:
    box = Mailbox()
    address = smtp.wire_address("ليلى@مثال.example")
    assert address == "ليلى@xn--mgbh0fb.example"
    mail = message.compose(
        message.Envelope("1@h", FROM, "أخبار", address, datetime.now(UTC)), Letters().render("test", "ar", SAMPLES["test"])
    )  # fmt: skip
    with smtp_server(box) as port:
        async with smtp.Transport(f"smtp://127.0.0.1:{port}") as transport:
            assert (await transport.send(FROM, address, mail)).ok
    assert box.got[0].rcpt_tos == [address]


# the service


def mailing(data: Path, port: int, **environ: str) -> Any:
    url = f"smtp://127.0.0.1:{port}"
    return running(data, **{"MODERATION_SMTP_URL": url, "MODERATION_MAIL_FROM": FROM, **environ})


def approved(service: Service, email: str = "reader@example.net") -> str:
    comment_id: str = service.comment(service.site(), email=email)["id"]
    assert service.decide(comment_id, "approve").status == 200
    return comment_id


def attempts(service: Service, comment_id: str) -> list[dict[str, Any]]:
    (found,) = service.one(comment_id)["deliveries"]
    return found["attempts"]  # type: ignore[no-any-return]


def message_ids(box: Mailbox) -> list[str]:
    return [str(email.message_from_bytes(e.content, policy=email.policy.default)["Message-ID"]) for e in box.got]  # type: ignore[arg-type]


def hurried(service: Service, comment_id: str) -> None:
    """Do not wait for the schedule."""
    (found,) = service.one(comment_id)["deliveries"]
    assert service.send("POST", f"/api/v1/deliveries/{found['id']}/retry").status == 202


def test_an_unclear_end_is_tried_once_more_under_the_same_id_and_then_given_up(data: Path) -> None:
    box = Mailbox(lambda n: "hang up")
    with smtp_server(box) as port, mailing(data, port) as service:
        comment_id = approved(service)
        first = until("the first attempt", lambda: attempts(service, comment_id))[0]
        assert (first["code"], service.one(comment_id)["deliveries"][0]["state"]) == ("unclear", "queued")
        hurried(service, comment_id)
        until("the second attempt", lambda: len(attempts(service, comment_id)) == 2)
        assert service.one(comment_id)["deliveries"][0]["state"] == "dead"


def test_greylisting_is_waited_out(data: Path) -> None:
    box = Mailbox(lambda n: "450 4.2.0 greylisted" if n == 1 else "250 OK")
    with smtp_server(box) as port, mailing(data, port) as service:
        comment_id = approved(service)
        until("the first attempt", lambda: attempts(service, comment_id))
        (waiting,) = service.one(comment_id)["deliveries"]
        assert waiting["state"] == "queued"
        assert waiting["due_at"] > waiting["attempts"][0]["at"]
        hurried(service, comment_id)
        until("the mail", lambda: len(box.got) == 1)
        until("it is settled", lambda: service.one(comment_id)["deliveries"][0]["state"] == "delivered")


def test_a_wrong_password_holds_the_mails_without_using_them_up(data: Path) -> None:
    box = Mailbox()
    with smtp_server(box, login=True) as port, mailing(data, port, MODERATION_SMTP_URL=f"smtp://us:wrong@127.0.0.1:{port}") as service:  # fmt: skip
        comment_id = approved(service)
        first = until("the first attempt", lambda: attempts(service, comment_id))[0]
        (waiting,) = service.one(comment_id)["deliveries"]
        assert (first["code"], waiting["state"], waiting["attempt_count"]) == ("auth", "queued", 0)
        until("it is said in the log", lambda: "the mail server refuses us" in service.log.read_text())
        assert "wrong" not in service.log.read_text()
        service.stop()
    with mailing(data, port, MODERATION_SMTP_URL=f"smtp://us:{quote('p@ss/word', '')}@127.0.0.1:{port}") as service, smtp_server(box, login=True, port=port):  # fmt: skip
        hurried(service, comment_id)  # the pause is a minute
        until("the mail", lambda: len(box.got) == 1)
        until("it is settled", lambda: service.one(comment_id)["deliveries"][0]["state"] == "delivered")


def test_a_worker_killed_between_handing_over_and_settling_sends_under_the_same_id(data: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def answers(n: int) -> str:
        if n == 1:
            reached.set()
            go_on.wait(60)  # the server has the mail; we do not know it yet
        return "250 OK"

    box = Mailbox(answers)
    with smtp_server(box) as port, mailing(data, port) as service:
        comment_id = approved(service)
        assert reached.wait(60)
        assert service.process is not None
        os.kill(children(service.process.pid)["workers"], signal.SIGKILL)
        go_on.set()
        until("both mails", lambda: len(box.got) == 2)
        assert len(set(message_ids(box))) == 1
        until("it is settled", lambda: service.one(comment_id)["deliveries"][0]["state"] == "delivered")
        assert len(attempts(service, comment_id)) == 1


def test_a_reply_in_an_old_charset_is_an_attempt_like_any(data: Path) -> None:
    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 hi\r\n")
            for line in lines:
                answer = b"451 4.2.0 bo\xeete pleine\r\n" if line.startswith(b"RCPT") else b"250 ok\r\n"
                connection.sendall(answer)

    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with mailing(data, listener.getsockname()[1]) as service:
        comment_id = approved(service)
        first = until("the attempt", lambda: attempts(service, comment_id))[0]
        assert (first["status"], first["code"]) == (451, "later")
        assert service.one(comment_id)["deliveries"][0]["attempt_count"] == 1
    listener.close()


Checks = Callable[..., str]


@pytest.fixture
def check(data: Path) -> Checks:
    """`moderation check --mail` with an SMTP address; what it says."""

    def run(url: str, address: str = READER, **environ: str) -> str:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MODERATION_")}
        found = subprocess.run(
            [sys.executable, "-m", "moderation", "check", "--data", str(data), "--mail", address, "--locale", "ar"],
            env=kept | {"MODERATION_SMTP_URL": url, "MODERATION_MAIL_FROM": FROM, **environ}, capture_output=True, text=True,
        )  # fmt: skip
        assert "Traceback" not in found.stderr
        said = found.stdout + found.stderr
        assert (found.returncode == 0) == ("WRONG" not in said)
        return said

    return run


def test_check_sends_a_test_mail_and_explains_what_fails(check: Checks) -> None:
    box = Mailbox()
    with smtp_server(box) as port:
        assert "ok      the mail server took the test mail" in check(f"smtp://127.0.0.1:{port}")
        assert "it refuses the recipient (550 5.1.1 no such mailbox)" in check(f"smtp://127.0.0.1:{port}", "unknown@example.net")  # fmt: skip
        assert "no e-mail address" in check(f"smtp://127.0.0.1:{port}", "nonsense")
    assert len(box.got) == 1
    assert "MODERATION_SMTP_URL right" in check("smtp://127.0.0.1:9")
    with smtp_server(box, login=True) as port:
        assert "it refuses user or password" in check(f"smtp://us:wrong@127.0.0.1:{port}")
    with smtp_server(Mailbox(lambda n: "451 4.7.1 greylisted")) as port:
        assert "come again later" in check(f"smtp://127.0.0.1:{port}")


def test_check_explains_a_certificate_that_is_not_trusted(check: Checks, authority: Authority) -> None:
    with smtp_server(Mailbox(), implicit=server_side(authority)) as port:
        assert "TLS fails" in check(f"smtps://localhost:{port}")
