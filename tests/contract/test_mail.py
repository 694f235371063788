"""Mail on approval: what a real SMTP server gets, and what becomes of its refusals."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.mailbox import FROM, Mailbox, part, smtp_server
from tests.service import Service, running, until


@pytest.fixture(scope="module")
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    found = Mailbox()
    with smtp_server(found) as port:
        yield found, f"smtp://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def mailing(mailbox: tuple[Mailbox, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that sends mail."""
    with running(
        tmp_path_factory.mktemp("mailing"), MODERATION_SMTP_URL=mailbox[1], MODERATION_MAIL_FROM=FROM
    ) as found:
        yield found


@pytest.fixture
def inbox(mailbox: tuple[Mailbox, str]) -> Mailbox:
    return mailbox[0]


def approved(service: Service, site: str, **said: str) -> str:
    comment_id: str = service.comment(site, **said)["id"]
    assert service.decide(comment_id, "approve").status == 200
    return comment_id


def settled(service: Service, comment_id: str) -> dict[str, Any]:
    """The only delivery of a comment, once it was tried."""

    def tried() -> dict[str, Any] | None:
        (found,) = service.one(comment_id)["deliveries"]
        assert found["kind"] == "mail"
        return found if found["attempts"] else None

    return until("an attempt", tried)  # type: ignore[no-any-return]


def test_an_approved_arabic_comment_gives_its_author_one_arabic_mail(mailing: Service, inbox: Mailbox) -> None:
    site = mailing.site(name="صحيفة الصباح", thread_url_template="https://news.example/?p={thread}")
    address, text = "layla@example.net", "شكراً جزيلاً <b>لكم</b> & للجميع"
    comment_id = approved(mailing, site, author="ليلى", email=address, comment=text, locale="ar")
    mail = inbox.to(address)
    assert "صحيفة الصباح" in mail["Subject"]
    assert not mail["Subject"].isascii()
    assert "Your comment" not in mail["Subject"]
    assert mail["From"].addresses[0].addr_spec == FROM
    assert mail["To"].addresses[0].addr_spec == address
    assert mail["Auto-Submitted"] == "auto-generated"
    delivery = settled(mailing, comment_id)
    assert delivery["id"] in mail["Message-ID"]
    assert mail["Date"].datetime is not None
    plain, html = part(mail, "plain"), part(mail, "html")
    assert text in plain
    assert 'dir="rtl"' in html
    assert 'lang="ar"' in html
    assert "شكراً جزيلاً &lt;b&gt;لكم&lt;/b&gt; &amp; للجميع" in html
    link = f"https://news.example/?p=41#comment-{comment_id}"
    assert link in plain
    assert link in html
    assert delivery["state"] == "delivered"
    assert len([e for e in inbox.got if address in e.rcpt_tos]) == 1


def test_a_mail_is_in_the_language_of_the_comment(mailing: Service, inbox: Mailbox) -> None:
    approved(mailing, mailing.site(name="News"), email="anne@example.net", locale="en")
    mail = inbox.to("anne@example.net")
    assert "is published" in mail["Subject"]
    assert 'dir="ltr"' in part(mail, "html")


def test_a_mail_about_what_is_written_in_a_language_we_do_not_speak_is_in_the_sites(
    mailing: Service, inbox: Mailbox
) -> None:
    approved(mailing, mailing.site(locale="ar"), email="hana@example.net", locale="ja")
    assert 'lang="ar" dir="rtl"' in part(inbox.to("hana@example.net"), "html")


def test_deciding_twice_sends_one_mail(mailing: Service, inbox: Mailbox) -> None:
    comment_id = approved(mailing, mailing.site(), email="twice@example.net")
    settled(mailing, comment_id)
    assert mailing.decide(comment_id, "approve").status == 200
    assert len(mailing.one(comment_id)["deliveries"]) == 1
    inbox.to("twice@example.net")


def test_the_mail_shows_no_other_address(mailing: Service, inbox: Mailbox) -> None:
    approved(
        mailing, mailing.site(), email="me@example.net", author="x other@example.org", comment="to third@example.org"
    )
    mail = inbox.to("me@example.net")
    assert "example.org" not in part(mail, "plain") + part(mail, "html") + str(mail["Subject"])


@pytest.mark.parametrize(
    "name",
    [
        "x\r\nBcc: evil@example.org",
        "x\nBcc: evil@example.org",
        "x\u2028Bcc: evil@example.org",
        "=?utf-8?q?x=0aBcc:_e=40e.org?=",
    ],
    ids=["crlf", "lf", "line separator", "encoded word"],
)
@pytest.mark.parametrize("where", ["author", "thread_title"])
def test_no_field_of_a_comment_adds_a_header(mailing: Service, inbox: Mailbox, name: str, where: str) -> None:
    site = mailing.site()
    address = f"hdr-{site}@example.net"
    answer = mailing.post(
        f"/api/v1/sites/{site}/comments",
        {"author": "x", "email": address, "comment": "hello there", "thread": "41", where: name},
    )
    if answer.status == 422:
        assert answer.errors == {where: "invalid"}
        return
    assert answer.status == 202
    assert mailing.decide(answer.json["id"], "approve").status == 200
    mail = inbox.to(address)
    assert mail["Bcc"] is None
    assert len(mail.get_all("To")) == len(mail.get_all("Subject")) == len(mail.get_all("From")) == 1


def test_the_name_of_a_site_adds_no_header(mailing: Service, inbox: Mailbox) -> None:
    name = "News\r\nBcc: evil@example.org"
    answer = mailing.send("POST", "/api/v1/sites", {"id": "injected", "name": name, "policy": {"rate_limits": False}})
    if answer.status != 201:
        assert answer.status == 422
        return
    approved(mailing, "injected", email="injected@example.net")
    assert inbox.to("injected@example.net")["Bcc"] is None


def test_an_unknown_mailbox_ends_dead(mailing: Service) -> None:
    comment_id = approved(mailing, mailing.site(), email="unknown@example.net")
    delivery = settled(mailing, comment_id)
    assert (delivery["state"], delivery["attempts"][0]["status"]) == ("dead", 550)
    assert "unknown@" not in mailing.get(f"/api/v1/comments/{comment_id}", "test-admin-token").text


def test_a_mailbox_that_asks_to_come_later_stays_queued(mailing: Service) -> None:
    delivery = settled(mailing, approved(mailing, mailing.site(), email="later@example.net"))
    assert (delivery["state"], delivery["attempts"][0]["status"]) == ("queued", 451)
    assert delivery["due_at"] > delivery["attempts"][0]["at"]


def test_without_an_smtp_server_the_mail_is_kept_as_undeliverable(service: Service, site: str) -> None:
    comment_id = approved(service, site)
    delivery = settled(service, comment_id)
    assert delivery["state"] == "undeliverable"
    assert "MODERATION_SMTP_URL" in delivery["attempts"][0]["detail"]
    assert service.one(comment_id)["delivery"]["state"] == "none"
