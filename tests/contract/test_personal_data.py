"""What is kept of somebody: seen, taken along and deleted, by a link that only their mailbox gets, or by an admin."""

import base64
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from moderation import links
from moderation.privacy import Privacy
from tests.mailbox import FROM, Mailbox, part, smtp_server
from tests.mailbox import links as links_of
from tests.service import ADMIN, HTML, Receiver, Service, running, until

ASK = "/personal-data"


@pytest.fixture(scope="module")
def inbox() -> Iterator[tuple[Mailbox, str]]:
    box = Mailbox()
    with smtp_server(box) as port:
        yield box, f"smtp://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def mailing(inbox: tuple[Mailbox, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("personal"), MODERATION_SMTP_URL=inbox[1], MODERATION_MAIL_FROM=FROM) as found:
        yield found


def somebody() -> str:
    return f"canary-{uuid.uuid4().hex[:8]}@example.net"


def ask(service: Service, email: str, **headers: str) -> str:
    """What the page says."""
    answer = service.form(ASK, {"email": email}, **headers)
    assert answer.status == 202
    assert email not in answer.text
    return answer.text


def mailed(box: Mailbox, email: str) -> str:
    """The path of the link."""
    return links_of(box.to(email), "personal-data")[0]


def test_a_person_sees_takes_along_and_deletes_what_is_kept(mailing: Service, inbox: tuple[Mailbox, str]) -> None:
    box, who, receiver = inbox[0], somebody(), Receiver()
    arabic, english = mailing.site(name="صحيفة الحيّ"), mailing.site(name="Daily", locale="en")
    mailing.send("POST", f"/api/v1/sites/{arabic}/endpoints", {"url": receiver.url, "events": ["comment.erased"]})
    approved = mailing.comment(arabic, email=who, comment="تعليق منشور", notify_replies="1")["id"]
    spam = mailing.comment(arabic, email=who.upper(), comment="رسالة أخرى")["id"]
    waiting = mailing.comment(english, email=who, comment=f"mine, write to {who}")["id"]
    other = mailing.comment(english)["id"]
    mailing.decide(approved, "approve")
    mailing.decide(spam, "spam")
    until("the mail on approval", lambda: box.all_to(who))
    ask(mailing, who)
    until("the link", lambda: len(box.all_to(who)) == 2)
    mail = box.all_to(who)[-1]
    assert who not in part(mail, "plain") + part(mail, "html")
    path = links_of(mail, "personal-data")[0]

    page = mailing.get(path, accept=HTML)
    assert page.status == 200
    assert "تعليق منشور" in page.text
    assert who not in page.text
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")

    found = mailing.get(path + "/data.json")
    assert "attachment" in found.headers["content-disposition"]
    assert who not in found.text
    kept = {one["id"]: one for one in found.json["comments"]}
    assert set(kept) == {approved, spam, waiting}
    assert {one["status"] for one in kept.values()} == {"approved", "pending"}  # of spam a spammer learns nothing
    assert kept[approved]["notify_replies"]
    assert [mail["about"] for mail in kept[approved]["mails"]] == ["author"]

    assert mailing.get(path + "/erase").status == 405
    receipt = mailing.form(path + "/erase", {})
    assert receipt.status == 200
    assert who not in receipt.text
    for gone in (approved, spam, waiting):
        assert mailing.get(f"/api/v1/comments/{gone}", ADMIN).status == 404
    assert mailing.get(f"/api/v1/comments/{other}", ADMIN).status == 200
    told = {json.loads(receiver.next()[1])["data"]["comment"]["id"] for _ in range(2)}
    assert told == {approved, spam}
    for site in (arabic, english):
        (entry,) = [e for e in mailing.get(f"/api/v1/sites/{site}/audit", ADMIN).json["items"] if e["action"] == "address.erased"]  # fmt: skip
        assert entry["by"] == "person"
        assert entry["detail"] in receipt.text
    assert mailing.get(path, accept=HTML).status == 404
    receiver.close()


def test_nobody_learns_whether_an_address_is_known(mailing: Service, inbox: tuple[Mailbox, str]) -> None:
    known, unknown, site = somebody(), somebody(), mailing.site()
    mailing.comment(site, email=known)
    assert ask(mailing, known).split("<main")[1] == ask(mailing, unknown).split("<main")[1]
    as_json = [mailing.post(ASK, {"email": address}) for address in (known, unknown)]
    assert [answer.status for answer in as_json] == [202, 202]
    assert as_json[0].raw == as_json[1].raw
    mailed(inbox[0], known)
    assert inbox[0].all_to(unknown) == []


def test_asking_again_and_again_is_one_mail(mailing: Service, inbox: tuple[Mailbox, str]) -> None:
    who, site = somebody(), mailing.site()
    comment_id = mailing.comment(site, email=who)["id"]
    for _ in range(5):
        ask(mailing, who)
    until("the link", lambda: inbox[0].all_to(who))
    sent = [d for d in mailing.one(comment_id)["deliveries"] if d["target"] == "person"]
    assert 1 <= len(sent) <= 2  # two when the clock passed a full hour meanwhile


def test_who_unsubscribed_still_gets_the_link_but_who_is_unreachable_does_not(mailing: Service, inbox: tuple[Mailbox, str]) -> None:  # fmt: skip
    box, who, site = inbox[0], somebody(), mailing.site()
    comment_id = mailing.comment(site, email=who)["id"]
    mailing.decide(comment_id, "approve")
    mailing.form(links_of(box.to(who), "u")[0], {"scope": "all"})
    ask(mailing, who)
    until("the link", lambda: len(box.all_to(who)) == 2)
    bounced = somebody()
    mailing.send("POST", "/api/v1/mail/suppressions", {"email": bounced})
    second = mailing.comment(site, email=bounced)["id"]
    ask(mailing, bounced)
    until("a decision about the mail", lambda: [d for d in mailing.one(second)["deliveries"] if d["state"] == "held"])
    assert box.all_to(bounced) == []


@pytest.mark.parametrize("email", ["", "nobody", "a@b\r\nBcc: c@example.net", "x" * 300 + "@example.net"])
def test_what_is_no_address_is_said_so(mailing: Service, email: str) -> None:
    page = mailing.form(ASK, {"email": email}, **{"accept-language": "ar"})
    assert page.status == 422
    assert 'dir="rtl"' in page.text
    assert mailing.post(ASK, {"email": email}).errors["email"] in {"required", "invalid"}


def test_a_network_asks_a_few_times(tmp_path: Path) -> None:
    with running(tmp_path / "asked", ("serve", "--no-workers")) as service:
        answers = [service.post(ASK, {"email": somebody()}) for _ in range(32)]
        assert [answer.status for answer in answers] == [202] * 30 + [429] * 2
        assert int(answers[-1].headers["retry-after"]) > 0


def test_a_link_is_of_one_day_and_of_one_comment(mailing: Service) -> None:
    site = mailing.site()
    one, other = (mailing.comment(site, email=somebody())["id"] for _ in range(2))
    key = Privacy([base64.b64decode((mailing.data / "secret.key").read_text())])
    good, old = (
        links.person(key, "", one, time.time() - passed) for passed in (links.PERSON_SECONDS - 60, links.PERSON_SECONDS + 1)
    )  # fmt: skip
    assert mailing.get(good).status == 200
    for path in (old, good.replace(one, other), good[:-1] + ("0" if good[-1] != "0" else "1")):
        for method, more in (("GET", ""), ("GET", "/data.json"), ("POST", "/erase")):
            assert mailing.request(method, path + more, b"").status == 404


def test_an_admin_gives_it_out_and_it_is_written_down(service: Service, site: str) -> None:
    who = somebody()
    comment_id = service.comment(site, email=who, comment=f"write to {who}")["id"]
    found = service.send("POST", "/api/v1/personal-data", {"email": who})
    assert [one["id"] for one in found.json["comments"]] == [comment_id]
    assert who not in found.text
    assert service.get(f"/api/v1/sites/{site}/audit", ADMIN).json["items"][0]["action"] == "address.exported"
    assert service.send("POST", "/api/v1/personal-data", {"email": "x"}).errors == {"email": "invalid"}
    token = service.send("POST", "/api/v1/tokens", {"name": "x", "role": "admin", "sites": [site]}).json["token"]
    assert service.send("POST", "/api/v1/personal-data", {"email": who}, token).status == 403


def test_the_shell_writes_it_into_a_file(service: Service, site: str, tmp_path: Path) -> None:
    who, file = somebody(), tmp_path / "kept.json"
    comment_id = service.comment(site, email=who)["id"]
    command = [sys.executable, "-m", "moderation", "personal-data", who, str(file), "--data", str(service.data)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1 comments" in said.stderr
    assert [one["id"] for one in json.loads(file.read_text())["comments"]] == [comment_id]
    assert file.stat().st_mode & 0o077 == 0
    assert who not in said.stdout + said.stderr + file.read_text()
    command[4] = "nobody"
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2


def test_retention_is_set_and_checked(service: Service, site: str) -> None:
    path = f"/api/v1/sites/{site}"
    assert service.get(path, ADMIN).json["retention"] == dict.fromkeys(("pending", "approved", "rejected", "spam"))
    changed = service.send("PATCH", path, {"retention": {"spam": 30}})
    assert changed.json["retention"]["spam"] == 30
    for wrong in (0, -1, 40_000, "x", 1.5):
        assert service.send("PATCH", path, {"retention": {"spam": wrong}}).errors.keys() == {"retention.spam"}
