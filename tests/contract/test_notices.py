"""Mails to moderators, to who was replied to and to admins; the links in them; who gets none, and why."""

import base64
import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.mailbox import FROM, Mailbox, links, part, smtp_server
from tests.service import ADMIN, Answer, Receiver, Service, running, until

BOUNCE_SECRET = "whsec_" + base64.b64encode(b"b" * 24).decode()


@pytest.fixture(scope="module")
def inbox() -> Iterator[tuple[Mailbox, int]]:
    found = Mailbox()
    with smtp_server(found) as port:
        yield found, port


@pytest.fixture(scope="module")
def mailing(inbox: tuple[Mailbox, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(
        tmp_path_factory.mktemp("mailing"),
        MODERATION_SMTP_URL=f"smtp://127.0.0.1:{inbox[1]}",
        MODERATION_MAIL_FROM=FROM,
        MODERATION_BOUNCE_SECRET=BOUNCE_SECRET,
    ) as found:
        yield found


@pytest.fixture
def box(inbox: tuple[Mailbox, int]) -> Mailbox:
    return inbox[0]


def address(name: str = "reader") -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}@example.net"


def moderated(service: Service, *moderators: str, mode: str = "each", **more: Any) -> str:
    return service.site(notify=list(moderators), notify_mode=mode, **more)


def press(service: Service, path: str, **fields: str) -> Answer:
    return service.form(path, fields)


def mails(service: Service, site: str, state: str = "") -> list[dict[str, Any]]:
    query = f"?state={state}" if state else ""
    return service.get(f"/api/v1/sites/{site}/mails{query}", ADMIN).json["items"]  # type: ignore[no-any-return]


def the_mail(service: Service, site: str, target: str) -> dict[str, Any]:
    """The only mail of a site to somebody, once it was tried."""

    def tried() -> dict[str, Any] | None:
        found = [m for m in mails(service, site) if m["target"].startswith(target)]
        assert len(found) <= 1
        return found[0] if found and found[0]["attempts"] else None

    return until(f"the mail to {target}", tried)  # type: ignore[no-any-return]


def why(mail: dict[str, Any]) -> tuple[str, str]:
    return mail["state"], mail["attempts"][-1]["detail"] if mail["attempts"] else ""


# moderators


def test_each_waiting_comment_is_told_to_each_moderator_in_a_mail_of_their_own(mailing: Service, box: Mailbox) -> None:
    first, second = address("mod"), address("mod")
    site = moderated(mailing, first, second, name="صحيفة الصباح")
    comment = mailing.comment(
        site, author="ليلى", comment="سؤال عن https://spam.example/x وشكراً", thread_title="المكتبة"
    )
    one, other = box.to(first), box.to(second)
    assert "صحيفة الصباح" in one["Subject"]
    assert "تعليق واحد بانتظار المراجعة" in one["Subject"]
    plain, html = part(one, "plain"), part(one, "html")
    assert "ليلى" in plain
    assert "المكتبة" in plain
    assert 'dir="rtl"' in html
    assert "https://spam.example" not in plain + html  # what a stranger wrote is no link
    assert "r•••@e•••.net" in plain
    assert second not in one.as_string()
    assert len(links(one, "m")) == 3
    assert set(links(one, "m")).isdisjoint(links(other, "m"))
    assert mailing.one(comment["id"])["delivery"]["state"] == "none"  # telling moderators is no delivery to the site


def test_the_headers_say_what_kind_of_mail_it_is(mailing: Service, box: Mailbox) -> None:
    mod = address("mod")
    site = moderated(mailing, mod)
    mailing.comment(site)
    mail = box.to(mod)
    for name in ("From", "To", "Subject", "Date", "Message-ID", "List-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Auto-Submitted"):  # fmt: skip
        assert len(mail.get_all(name)) == 1, name
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Unsubscribe"] == f"<{mailing.base}{links(mail, 'u')[0]}>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-ID"].startswith(f"<{site}.")


def test_a_digest_is_sent_at_once_and_the_next_one_waits(mailing: Service, box: Mailbox) -> None:
    mod = address("mod")
    site = moderated(mailing, mod, mode="digest")
    mailing.comment(site)
    box.to(mod)
    for _ in range(100):
        mailing.comment(site)
    time.sleep(0.5)  # nothing more must come
    assert len(box.all_to(mod)) == 1


def test_many_comments_at_once_become_a_handful_of_mails(mailing: Service, box: Mailbox) -> None:
    mod = address("mod")
    site = moderated(mailing, mod, mode="digest", locale="en")
    for _ in range(500):
        mailing.comment(site)
    mail = box.to(mod)
    assert len(links(mail, "m")) <= 30  # at most ten comments are shown


@pytest.mark.parametrize("mode", ["off", "digest"])
def test_nobody_is_told_where_nobody_is_named_or_it_is_off(mailing: Service, mode: str) -> None:
    site = mailing.site(notify=[address()] if mode == "off" else [], notify_mode=mode)
    mailing.comment(site)
    time.sleep(0.3)
    assert mails(mailing, site) == []


def test_what_was_decided_before_the_mail_goes_is_not_told(mailing: Service) -> None:
    site = moderated(mailing, address("later"), mode="each")
    comment_id = mailing.comment(site)["id"]
    found = the_mail(mailing, site, "moderator:")
    assert found["state"] == "queued"
    mailing.decide(comment_id, "spam")
    assert mailing.send("POST", f"/api/v1/deliveries/{found['id']}/retry").status == 202
    ended = until("the end", lambda: next((m for m in mails(mailing, site) if m["state"] == "cancelled"), None))
    assert why(ended) == ("cancelled", "everything was decided in the meantime")


# the links


def told(mailing: Service, box: Mailbox, **said: str) -> tuple[str, dict[str, str], str]:
    """A comment, its three links, and the moderator who got them."""
    mod = address("mod")
    site = moderated(mailing, mod)
    comment_id = mailing.comment(site, **said)["id"]
    return comment_id, dict(zip(("approve", "reject", "spam"), links(box.to(mod), "m"), strict=True)), site


@pytest.mark.parametrize(("name", "status"), [("approve", "approved"), ("reject", "rejected"), ("spam", "spam")])
def test_a_link_opens_a_page_that_asks_and_its_button_decides(
    mailing: Service, box: Mailbox, name: str, status: str
) -> None:
    comment_id, found, _ = told(mailing, box, comment="هل هذا <b>صحيح</b>؟")
    page = mailing.get(found[name], accept="text/html", **{"accept-language": "ar"})
    assert page.status == 200
    assert 'dir="rtl"' in page.text
    assert "هل هذا &lt;b&gt;صحيح&lt;/b&gt;؟" in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert mailing.one(comment_id)["status"] == "pending"
    assert press(mailing, found[name]).status == 200
    decided = mailing.one(comment_id)
    assert decided["status"] == status
    assert decided["decided_by"].startswith("mail:")
    assert len(decided["history"]) == 1


def test_whoever_decides_by_mail_sees_what_the_desk_shows(mailing: Service, box: Mailbox) -> None:
    policy = {"words": [{"name": "scams", "outcome": "hold", "entries": ["casino"]}]}
    mod = address("mod")
    site = moderated(mailing, mod, policy=policy)
    mailing.comment(site, author="P\u200bat", comment="A fine cas\u200bino")
    page = mailing.get(links(box.to(mod), "m")[0], accept="text/html", **{"accept-language": "en"}).text
    assert page.count('class="unseen" title="U+200B') == 2
    assert "<mark>" in page
    assert "Listed words" in page


def test_a_scanner_that_opens_every_link_changes_nothing(mailing: Service, box: Mailbox) -> None:
    mod, reader = address("mod"), address()
    site = moderated(mailing, mod)
    comment_id = mailing.comment(site, email=reader, notify_replies="1")["id"]
    mail = box.to(mod)
    for path in [*links(mail, "m"), *links(mail, "u")]:
        for method in ("GET", "HEAD", "OPTIONS"):
            mailing.request(method, path, None, {"accept": "text/html"})
    assert mailing.one(comment_id)["status"] == "pending"
    mailing.decide(comment_id, "approve")
    mail = box.to(reader)
    for path in [*links(mail, "n"), *links(mail, "u")]:
        assert mailing.get(path, accept="text/html").status == 200
    mailing.comment(site)
    box.to(mod, 2)  # still told
    assert suppressions(mailing, reader) == []


def test_a_link_works_once_and_only_while_nobody_else_decided(mailing: Service, box: Mailbox) -> None:
    comment_id, found, _ = told(mailing, box)
    assert press(mailing, found["approve"]).status == 200
    assert press(mailing, found["approve"]).status == 409
    assert press(mailing, found["spam"]).status == 409
    assert mailing.one(comment_id)["status"] == "approved"
    assert mailing.decide(comment_id, "hold").status == 200
    assert press(mailing, found["approve"]).status == 409  # it belongs to the comment as it was
    assert mailing.one(comment_id)["status"] == "pending"


def test_a_link_respects_another_moderator_s_hold(mailing: Service, box: Mailbox) -> None:
    comment_id, found, site = told(mailing, box)
    assert len(mailing.send("POST", "/api/v1/queue/claim", {"site": site}).json["items"]) == 1
    assert press(mailing, found["approve"]).status == 409
    mailing.send("POST", "/api/v1/queue/release", {})
    assert press(mailing, found["approve"]).status == 200
    assert mailing.one(comment_id)["status"] == "approved"


def test_a_link_of_somebody_who_is_no_longer_told_does_nothing(mailing: Service, box: Mailbox) -> None:
    comment_id, found, site = told(mailing, box)
    mailing.send("PATCH", f"/api/v1/sites/{site}", {"notify": [address("other")]})
    assert mailing.get(found["approve"], accept="text/html").status == 404
    assert press(mailing, found["approve"]).status == 404
    assert mailing.one(comment_id)["status"] == "pending"


def changed(path: str) -> Iterator[str]:
    """Every part of a link, changed."""
    parts = path.split("/")
    swaps = {3: "spam", 4: "0" * 24, 5: "9", 6: str(int(parts[6]) + 999), 7: parts[7][:-1] + ("0" if parts[7][-1] != "0" else "1")}  # fmt: skip
    for at, other in swaps.items():
        yield "/".join([*parts[:at], other, *parts[at + 1 :]])


def test_no_part_of_a_link_can_be_changed(mailing: Service, box: Mailbox) -> None:
    comment_id, found, _ = told(mailing, box)
    other_id, others, _ = told(mailing, box)
    for path in [*changed(found["approve"]), found["approve"].replace(comment_id, other_id)]:
        assert mailing.get(path, accept="text/html").status == 404
        assert press(mailing, path).status == 404
    for path in ("/m/x/y/z/1/2/3", "/m/x/approve/z/a/b/%D9%A1", "/u/a/b/c/d", "/n/x/y"):
        assert press(mailing, path).status == 404
    assert mailing.one(comment_id)["status"] == mailing.one(other_id)["status"] == "pending"
    assert others != found


def test_links_have_the_address_of_the_settings_not_of_the_request(inbox: tuple[Mailbox, int], data: Any) -> None:
    box, port = inbox
    mod = address("mod")
    public = "https://comments." + "long-name." * 20 + "example/base"
    with running(
        data, MODERATION_SMTP_URL=f"smtp://127.0.0.1:{port}", MODERATION_MAIL_FROM=FROM, MODERATION_PUBLIC_URL=public
    ) as service:
        site = moderated(service, mod)
        body = json.dumps({"author": "x", "email": address(), "comment": "hello", "thread": "1"}).encode()
        service.request("POST", f"/api/v1/sites/{site}/comments", body, {"content-type": "application/json", "host": "evil.example"})  # fmt: skip
        mail = box.to(mod)
        assert "evil.example" not in mail.as_string() + part(mail, "plain")
        raw = next(e.content for e in box.got if mod in e.rcpt_tos)
        assert isinstance(raw, bytes)
        line = next(line for line in raw.split(b"\r\n") if line.startswith(b"List-Unsubscribe:"))
        assert line.startswith(f"List-Unsubscribe: <{public}/u/".encode())  # whole and on one line, however long
        assert line.endswith(b">")
        assert f"{public}/m/" in part(mail, "plain")


# replies


def replied(service: Service, site: str, reader: str, **said: str) -> tuple[str, str]:
    """A published comment whose author wants to be told, and a published reply."""
    parent = service.comment(site, email=reader, notify_replies="1", **said)["id"]
    service.decide(parent, "approve")
    return parent, reply_to(service, site, parent)


def reply_to(service: Service, site: str, parent: str, **said: str) -> str:
    reply: str = service.comment(site, parent=parent, **{"author": "مها", "comment": "جواب مفيد", **said})["id"]
    assert service.decide(reply, "approve").status == 200
    return reply


def test_who_confirmed_is_told_of_an_approved_reply(mailing: Service, box: Mailbox) -> None:
    reader = address()
    site = mailing.site(thread_url_template="https://news.example/?p={thread}")
    parent = mailing.comment(site, email=reader, notify_replies="1", comment="سؤالي", locale="ar")["id"]
    mailing.decide(parent, "approve")
    (confirm,) = links(box.to(reader), "n")
    assert "سؤالي" in mailing.get(confirm, accept="text/html").text
    assert press(mailing, confirm).status == 200
    reply = reply_to(mailing, site, parent)
    mail = box.to(reader, 2)
    assert "مها" in mail["Subject"]
    plain = part(mail, "plain")
    assert "جواب مفيد" in plain
    assert "سؤالي" in plain
    assert f"https://news.example/?p=41#comment-{reply}" in plain
    first = box.all_to(reader)[0]
    assert mail["References"] == mail["In-Reply-To"] == first["References"]
    assert mail["Message-ID"] != first["Message-ID"]
    another = mailing.comment(site, email=reader, notify_replies="1", locale="ar")["id"]
    mailing.decide(another, "approve")
    assert links(box.to(reader, 3), "n") == []  # confirmed: not asked again


def test_who_did_not_confirm_is_asked_once_and_told_nothing(mailing: Service, box: Mailbox) -> None:
    reader, site = address(), mailing.site()
    parent, reply = replied(mailing, site, reader)
    asked = box.to(reader, 2)
    assert "جواب مفيد" not in part(asked, "plain") + part(asked, "html")
    assert len(links(asked, "n")) == 1
    second = reply_to(mailing, site, parent, comment="جواب آخر")
    (held,) = until("the second", lambda: [d for d in mailing.one(second)["deliveries"] if d["attempts"] and d["target"] == "reply"])  # fmt: skip
    assert why(held) == ("held", "the wish to be told of replies was not confirmed")
    box.to(reader, 2)
    assert {d["target"] for d in mailing.one(reply)["deliveries"]} == {"author", "reply"}


def test_a_reply_that_nobody_asked_for_is_told_to_nobody(mailing: Service) -> None:
    site = mailing.site()
    parent = mailing.comment(site)["id"]
    mailing.decide(parent, "approve")
    reply = reply_to(mailing, site, parent)
    assert [d["target"] for d in mailing.one(reply)["deliveries"]] == ["author"]


def test_a_reply_that_the_rules_publish_is_told_only_to_who_asked(mailing: Service, box: Mailbox) -> None:
    asked, silent = address(), address()
    site = mailing.site(policy={"rate_limits": False, "mode": "publish_unless_flagged"})
    path = f"/api/v1/sites/{site}/comments"
    parents = {who: mailing.post(path, {"author": "x", "email": who, "comment": f"words of {n}", "thread": "1", **more}).json["id"] for n, (who, more) in enumerate([(asked, {"notify_replies": True}), (silent, {})])}  # fmt: skip
    for who in (asked, silent):
        fields = {
            "author": "y",
            "email": address(),
            "comment": f"reply to {who[:14]}",
            "thread": "1",
            "parent": parents[who],
        }
        assert mailing.post(path, fields).status == 201
    box.to(asked, 2)  # that it is published, with the question; and that there is a reply
    until("all to end", lambda: all(m["state"] != "queued" for m in mails(mailing, site)))
    assert box.all_to(silent) == []
    assert "nobody asked to be told of replies" in {why(m)[1] for m in mails(mailing, site, "cancelled")}


def test_links_lead_to_the_site_only(mailing: Service, box: Mailbox) -> None:
    reader = address()
    site = mailing.site(thread_url_template="https://news.example/?p={thread}")
    fields = {
        "author": "Free https://evil.example/a www.evil.example",
        "thread_url": "https://evil.example/login",
        "thread_title": "evil.example/b",
    }
    comment_id = mailing.comment(site, email=reader, **fields)["id"]
    mailing.decide(comment_id, "approve")
    mail = box.to(reader)
    assert f"https://news.example/?p=41#comment-{comment_id}" in part(mail, "plain")
    assert "evil.example" not in part(mail, "plain") + part(mail, "html")
    own = mailing.comment(site, email=reader, thread_url="https://news.example/own#x")["id"]
    mailing.decide(own, "approve")
    assert f"https://news.example/own#comment-{own}" in part(box.to(reader, 2), "plain")


def test_a_decision_taken_back_and_made_again_is_told_once(mailing: Service, box: Mailbox) -> None:
    reader, site = address("later"), mailing.site()
    comment_id = mailing.comment(site, email=reader)["id"]
    for decision in ("approve", "hold", "approve"):
        assert mailing.decide(comment_id, decision).status == 200
        until("an attempt", lambda: all(m["attempts"] for m in mails(mailing, site)))
    first = mails(mailing, site)[-1]
    mailing.send("POST", f"/api/v1/deliveries/{first['id']}/retry")
    ended = until(
        "the end of the first", lambda: next((m for m in mails(mailing, site) if m["state"] == "cancelled"), None)
    )
    assert ended["id"] == first["id"]
    assert why(ended)[1] == "decided otherwise in the meantime"


def test_a_reply_to_oneself_is_no_news(mailing: Service, box: Mailbox) -> None:
    reader, site = address(), mailing.site()
    parent = mailing.comment(site, email=reader, notify_replies="1")["id"]
    mailing.decide(parent, "approve")
    reply = reply_to(mailing, site, parent, email=reader)
    found = until("an attempt", lambda: next((d for d in mailing.one(reply)["deliveries"] if d["target"] == "reply" and d["attempts"]), None))  # fmt: skip
    assert why(found) == ("cancelled", "it is a reply to oneself")
    box.to(reader, 2)


def test_undo_takes_back_the_mails_that_were_not_sent(mailing: Service, box: Mailbox) -> None:
    reader, site = address(), mailing.site()
    comment_id = mailing.comment(site, email=reader)["id"]
    mailing.decide(comment_id, "approve", undo_seconds=60)
    assert mailing.send("POST", f"/api/v1/comments/{comment_id}/undo").status == 200
    assert mails(mailing, site) == []
    assert box.all_to(reader) == []


# rejections


def test_a_rejection_is_told_with_its_reason_where_the_site_wants_it(mailing: Service, box: Mailbox) -> None:
    reader, site = address(), mailing.site(mail_rejections=True)
    comment_id = mailing.comment(site, email=reader, locale="ar")["id"]
    mailing.decide(comment_id, "reject", reason="off_topic")
    mail = box.to(reader)
    assert "لم يُنشر تعليقك" in mail["Subject"]
    assert "لا يتعلق بموضوع الصفحة." in part(mail, "plain")


@pytest.mark.parametrize(("decision", "wanted"), [("reject", False), ("spam", True), ("spam", False)])
def test_nobody_is_told_of_spam_nor_of_a_rejection_unless_wanted(mailing: Service, decision: str, wanted: bool) -> None:
    site = mailing.site(mail_rejections=wanted)
    comment_id = mailing.comment(site)["id"]
    mailing.decide(comment_id, decision)
    assert mailing.one(comment_id)["deliveries"] == []


# no more mails


def suppressions(service: Service, who: str) -> list[dict[str, Any]]:
    found = service.get(f"/api/v1/mail/suppressions?email={who}", ADMIN)
    assert who not in found.text
    return found.json["items"]  # type: ignore[no-any-return]


ONE_CLICK = b"List-Unsubscribe=One-Click"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (ONE_CLICK, "application/x-www-form-urlencoded"),
        (b'--x\r\ncontent-disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n', "multipart/form-data; boundary=x"),
        (b"", "text/plain"),
        (b"\xff\xfe&&&=", "application/x-www-form-urlencoded"),
    ],
    ids=["form", "multipart", "nothing", "rubbish"],
)  # fmt: skip
def test_one_click_ends_the_site_s_mails_at_once(mailing: Service, box: Mailbox, body: bytes, kind: str) -> None:
    reader, site = address(), mailing.site()
    mailing.decide(mailing.comment(site, email=reader)["id"], "approve")
    path = str(box.to(reader)["List-Unsubscribe"])[1 + len(mailing.base) : -1]
    for _ in range(2):
        assert mailing.request("POST", path, body, {"content-type": kind}).status == 200
    comment_id = mailing.comment(site, email=reader)["id"]
    mailing.decide(comment_id, "approve")
    (found,) = until("an attempt", lambda: [d for d in mailing.one(comment_id)["deliveries"] if d["attempts"]])
    assert why(found) == ("held", "unsubscribed (site)")
    elsewhere = mailing.site()
    mailing.decide(mailing.comment(elsewhere, email=reader)["id"], "approve")
    box.to(reader, 2)


def test_unsubscribing_holds_for_mails_that_wait_already(mailing: Service, box: Mailbox) -> None:
    reader, site = address(), mailing.site()
    mailing.decide(mailing.comment(site, email=reader)["id"], "approve")
    path = links(box.to(reader), "u")[0]
    comment_id = mailing.comment(site, email=reader)["id"]
    mailing.decide(comment_id, "approve", undo_seconds=60)
    (waits,) = mailing.one(comment_id)["deliveries"]
    assert waits["state"] == "queued"
    assert press(mailing, path, scope="all").status == 200
    assert mailing.send("POST", f"/api/v1/deliveries/{waits['id']}/retry").status == 202  # nobody waits for the minute
    (found,) = until("an attempt", lambda: [d for d in mailing.one(comment_id)["deliveries"] if d["attempts"]])
    assert why(found) == ("held", "unsubscribed (all)")
    box.to(reader)


def test_one_discussion_can_be_left_alone(mailing: Service, box: Mailbox) -> None:
    reader, site = address(), mailing.site()
    mailing.decide(mailing.comment(site, email=reader, thread="1")["id"], "approve")
    path = links(box.to(reader), "u")[0]
    assert press(mailing, path, scope="thread").status == 200
    mailing.decide(mailing.comment(site, email=reader, thread="2")["id"], "approve")
    box.to(reader, 2)
    held = mailing.comment(site, email=reader, thread="1")["id"]
    mailing.decide(held, "approve")
    until("it is held", lambda: mailing.one(held)["deliveries"][0]["state"] == "held")


def test_who_confirms_again_after_leaving_is_told_again(mailing: Service, box: Mailbox) -> None:
    reader, site = address(), mailing.site()
    parent = mailing.comment(site, email=reader, notify_replies="1")["id"]
    mailing.decide(parent, "approve")
    mail = box.to(reader)
    press(mailing, links(mail, "u")[0], scope="site")
    assert len(suppressions(mailing, reader)) == 1
    press(mailing, links(mail, "n")[0])
    assert suppressions(mailing, reader) == []
    reply_to(mailing, site, parent)
    box.to(reader, 2)


def test_a_suppression_is_made_and_lifted_by_hand_and_what_was_held_can_be_sent(mailing: Service, box: Mailbox) -> None:
    reader, site = address(), mailing.site()
    made = mailing.send(
        "POST", "/api/v1/mail/suppressions", {"email": reader, "site": site, "detail": "asked by phone"}
    )
    assert made.status == 201
    assert made.json["address_masked"] == "r•••@e•••.net"
    assert (made.json["reason"], made.json["scope"]) == ("by_hand", f"site:{site}")
    comment_id = mailing.comment(site, email=reader)["id"]
    mailing.decide(comment_id, "approve")
    held = the_mail(mailing, site, "author")
    assert why(held) == ("held", "by_hand (site)")
    listed = mailing.get("/api/v1/mail/suppressions?limit=200", ADMIN).json["items"]
    assert made.json["recipient"] in {one["recipient"] for one in listed}
    lifted = f"/api/v1/mail/suppressions/{made.json['recipient']}"
    assert mailing.send("DELETE", lifted).status == 204
    assert mailing.send("DELETE", lifted).status == 404
    assert mailing.send("POST", f"/api/v1/deliveries/{held['id']}/retry").status == 202
    box.to(reader)


@pytest.mark.parametrize("email", ["", "no address", "a@b@c.example"])
def test_a_suppression_needs_an_address(mailing: Service, email: str) -> None:
    assert mailing.send("POST", "/api/v1/mail/suppressions", {"email": email}).errors == {"email": "invalid"}


def test_an_address_gets_no_more_than_twenty_mails_a_day(mailing: Service, box: Mailbox) -> None:
    until("the day to be long enough", lambda: time.time() % 86_400 < 86_400 - 60, 90)  # days change at midnight, UTC
    reader, site = address(), mailing.site()
    for n in range(22):
        mailing.decide(mailing.comment(site, email=reader, thread=str(n))["id"], "approve")
    until("all to end", lambda: {m["state"] for m in mails(mailing, site)} <= {"delivered", "held"} and len(mails(mailing, site)) == 22)  # fmt: skip
    held = mails(mailing, site, "held")
    assert len(box.all_to(reader)) == 20
    assert {why(m) for m in held} == {("held", "20 mails went to this address today")}


# bounces


def report(service: Service, body: dict[str, Any], secret: str = BOUNCE_SECRET, at: int | None = None) -> Answer:
    raw, report_id = json.dumps(body).encode(), f"msg_{uuid.uuid4().hex}"
    when = datetime.fromtimestamp(at or time.time(), UTC)
    signature = Webhook(secret).sign(report_id, when, raw.decode())
    headers = {"webhook-id": report_id, "webhook-timestamp": str(int(when.timestamp())), "webhook-signature": signature}
    return service.request("POST", "/api/v1/mail/bounces", raw, {"content-type": "application/json"} | headers)


@pytest.mark.parametrize(("kind", "reason"), [("bounce.hard", "bounced"), ("complaint", "complained")])
def test_a_reported_hard_bounce_or_complaint_ends_the_mails(mailing: Service, kind: str, reason: str) -> None:
    reader, site = address(), mailing.site()
    answer = report(mailing, {"type": kind, "email": reader.upper(), "more": {"of": "the relay's"}})
    assert (answer.status, answer.json) == (200, {"suppressed": True})
    assert [one["reason"] for one in suppressions(mailing, reader)] == [reason]
    mailing.decide(mailing.comment(site, email=reader)["id"], "approve")
    assert why(the_mail(mailing, site, "author")) == ("held", f"{reason} (all)")


def test_soft_bounces_add_up(mailing: Service) -> None:
    reader = address()
    answers = [report(mailing, {"type": "bounce.soft", "email": reader}).json["suppressed"] for _ in range(4)]
    assert answers == [False, False, False, True]


def test_a_report_that_comes_again_counts_once(mailing: Service) -> None:
    reader, raw = address(), ""
    raw = json.dumps({"type": "bounce.soft", "email": reader})
    when = datetime.fromtimestamp(time.time(), UTC)
    headers = {
        "webhook-id": "same",
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": Webhook(BOUNCE_SECRET).sign("same", when, raw),
    }
    for _ in range(6):
        answer = mailing.request(
            "POST", "/api/v1/mail/bounces", raw.encode(), {"content-type": "application/json"} | headers
        )
        assert answer.json == {"suppressed": False}


def test_a_detail_given_by_hand_hides_addresses(mailing: Service) -> None:
    made = mailing.send(
        "POST", "/api/v1/mail/suppressions", {"email": address(), "detail": "asked by layla@example.net"}
    )
    assert "layla@" not in made.text


def test_reports_are_signed(mailing: Service, service: Service) -> None:
    body = {"type": "bounce.hard", "email": address()}
    other = "whsec_" + base64.b64encode(b"c" * 24).decode()
    assert report(mailing, body, secret=other).status == 401
    assert report(mailing, body, at=int(time.time()) - 3600).status == 401
    assert mailing.send("POST", "/api/v1/mail/bounces", body).status == 401  # not even the admin token
    assert report(service, body).status == 404  # no secret is set
    assert report(mailing, {"type": "bounce.other", "email": address()}).errors == {"type": "invalid"}
    assert suppressions(mailing, body["email"]) == []


# admins


def test_admins_are_told_when_a_moderator_s_mailbox_is_gone(mailing: Service, box: Mailbox) -> None:
    gone, other = address("unknown"), address("mod")
    site = moderated(mailing, gone, other, locale="en")
    mailing.comment(site)
    mail = box.to(other, 2)
    mail = next(m for m in box.all_to(other) if "can't be delivered" in m["Subject"])
    plain = part(mail, "plain")
    assert "u•••@e•••.net" in plain
    assert "550 5.1.1" in plain
    assert gone not in plain + part(mail, "html")
    assert [one["reason"] for one in suppressions(mailing, gone)] == ["refused"]
    (dead,) = [m for m in mails(mailing, site) if m["state"] == "dead"]
    assert dead["target"].startswith("moderator:")
    until("no mail to the mailbox that is gone", lambda: any(why(m) == ("held", "refused (all)") for m in mails(mailing, site)))  # fmt: skip


def test_admins_are_told_of_a_disabled_endpoint(mailing: Service, box: Mailbox) -> None:
    mod = address("mod")
    site = moderated(mailing, mod, mode="off", locale="en")
    receiver = Receiver(lambda n: (410, b""))
    made = mailing.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url})
    assert made.status == 201
    for _ in range(2):
        mailing.decide(mailing.comment(site)["id"], "approve")
    mail = box.to(mod)
    assert "A webhook endpoint was disabled" in mail["Subject"]
    assert receiver.url in part(mail, "plain")
    assert "410" in part(mail, "plain")
    receiver.close()


# who may see what


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v1/mail/suppressions"), ("POST", "/api/v1/mail/suppressions"), ("DELETE", "/api/v1/mail/suppressions/" + "0" * 24), ("GET", "/api/v1/sites/{site}/mails")],
)  # fmt: skip
def test_mails_are_for_admins(mailing: Service, method: str, path: str) -> None:
    site = mailing.site()
    path = path.replace("{site}", site)
    assert mailing.send(method, path, {}, None).status == 401
    of_site = {"name": "x", "role": "admin", "sites": [site]}
    token = mailing.send("POST", "/api/v1/tokens", of_site).json["token"]
    assert mailing.send(method, path, {}, token).status == (200 if site in path else 403)
    viewer = mailing.send("POST", "/api/v1/tokens", {"name": "x", "role": "moderator"}).json["token"]
    assert mailing.send(method, path, {}, viewer).status == 403


def test_previews_need_a_sign_in_and_show_every_mail(mailing: Service) -> None:
    assert mailing.get("/review/mails").status == 303  # to the door
    assert mailing.get("/review/mails/reply/en").status == 401
    for kind in ("published", "rejected", "confirm", "reply", "waiting", "endpoint", "undeliverable", "test"):
        for lang in ("ar", "en"):
            letter = mailing.get(f"/review/mails/{kind}/{lang}", ADMIN)
            assert f'lang="{lang}"' in letter.text
            assert "script" not in letter.headers["content-security-policy"]
    assert mailing.get("/review/mails/nothing/en", ADMIN).status == 404
