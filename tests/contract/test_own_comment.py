"""The commenter's private page: saying it otherwise while it waits, and the mail that confirms notices of replies."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.mailbox import FROM, Mailbox, links, smtp_server
from tests.service import HTML, Receiver, Service, running, said, until


def path_of(service: Service, receipt: dict[str, Any]) -> str:
    return str(receipt["status_url"]).removeprefix(service.base)


def test_what_waits_is_corrected_and_read_anew(service: Service, receiver: Receiver) -> None:
    site = service.site(policy={"rate_limits": False, "max_links": 0})
    service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url, "events": ["comment.submitted"]})
    receipt = service.comment(site, comment="الخطأ هنا https://a.example", email="canary-own@example.net")
    before = service.one(receipt["id"])
    assert [reason["rule"] for reason in before["screening"]["reasons"]] == ["links", "site_mode"]
    path = path_of(service, receipt)
    page = service.get(path, accept=HTML)
    assert "<textarea" in page.text
    answer = service.form(path, {"comment": "الصواب هنا, me@example.com", "author": "ليلى س", "version": "1"})
    assert (answer.status, answer.headers["location"]) == (303, f"{path}?done=corrected")
    after = service.one(receipt["id"])
    assert (after["version"], after["status"], after["author"]["name"]) == (2, "pending", "ليلى س")
    assert "الصواب هنا" in after["text"]
    assert "me@example.com" not in json.dumps(after)  # masked as in any comment
    assert after["author"]["email_masked"] == before["author"]["email_masked"]
    assert after["author"]["id"] == before["author"]["id"]
    assert "links" not in [reason["rule"] for reason in after["screening"]["reasons"]]
    assert [step["action"] for step in after["history"]] == ["corrected"]
    events = [json.loads(receiver.next()[1]) for _ in range(2)]
    assert sorted(event["data"]["sequence"] for event in events) == [0, 1]
    assert service.decide(receipt["id"], "approve", version=1).status == 409  # nobody approves what they did not read
    assert service.decide(receipt["id"], "approve", version=2).status == 200


def test_what_was_decided_is_not_changed_any_more(service: Service, site: str) -> None:
    receipt = service.comment(site)
    path = path_of(service, receipt)
    service.decide(receipt["id"], "approve")
    assert "<textarea" not in service.get(path, accept=HTML).text
    answer = service.send("PATCH", path, {"comment": "something else"}, None)
    assert (answer.status, answer.json["code"]) == (409, "decided")
    assert service.form(path, {"comment": "something else"}).status == 409
    assert service.one(receipt["id"])["version"] == 2


def test_an_author_of_spam_learns_nothing(service: Service, site: str) -> None:
    receipt = service.comment(site)
    path = path_of(service, receipt)
    service.decide(receipt["id"], "spam")
    answer = service.send("PATCH", path, {"comment": "said better"}, None)
    assert (answer.status, answer.json["status"]) == (200, "pending")
    found = service.one(receipt["id"])
    assert (found["status"], found["text"]) == ("spam", "said better")


def test_a_correction_that_the_rules_take_for_spam_is_spam(service: Service, receiver: Receiver) -> None:
    words = [{"name": "w", "outcome": "spam", "entries": ["casino"]}]
    site = service.site(policy={"rate_limits": False, "words": words})
    service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url, "events": ["comment.spam"]})
    receipt = service.comment(site, comment="harmless")
    service.send("POST", "/api/v1/queue/claim", {"site": site, "limit": 5, "lease_seconds": 60})
    answer = service.send("PATCH", path_of(service, receipt), {"comment": "casino"}, None)
    assert answer.json["status"] == "pending"
    found = service.one(receipt["id"])
    assert (found["status"], found["decided_by"], found["claim"]) == ("spam", "rules", None)
    assert service.get(f"/api/v1/comments?site={site}&status=spam", "test-admin-token").json["total"] == 1
    event = json.loads(receiver.next()[1])  # as if it had come so
    assert (event["type"], event["data"]["previous_status"], event["data"]["sequence"]) == (
        "comment.spam",
        "pending",
        1,
    )


def test_a_stale_page_an_empty_text_and_a_repetition_are_said_so(service: Service, site: str) -> None:
    fields = said(comment="the first")
    first = service.post(f"/api/v1/sites/{site}/comments", fields).json
    second = service.post(f"/api/v1/sites/{site}/comments", fields | {"comment": "the second"}).json
    path = path_of(service, second)
    assert service.form(path, {"comment": "x", "version": "7"}).status == 409
    empty = service.form(path, {"comment": "  ", "version": "1"}, **{"accept-language": "ar"})
    assert empty.status == 422
    assert 'id="comment-error"' in empty.text
    assert service.send("PATCH", path, {"comment": ""}, None).errors == {"comment": "required"}
    assert service.send("PATCH", path, {"comment": "the first"}, None).json["code"] == "duplicate"
    assert service.send("PATCH", path, {"comment": "the first", "status": "approved"}, None).status == 422
    assert service.one(second["id"])["version"] == 1
    assert service.send("PATCH", path, {"comment": "a third"}, None).status == 200
    # what was said before may be said again, what is said now not
    again = service.post(f"/api/v1/sites/{site}/comments", fields | {"comment": "the second"})
    assert again.status == 202
    assert service.post(f"/api/v1/sites/{site}/comments", fields | {"comment": "a third"}).status == 409
    assert service.one(first["id"])["status"] == "pending"


@pytest.mark.parametrize(("kind", "raw", "status"), [("application/json", b'{"comment": "x"}', 415), ("text/plain", b"x", 415), ("application/x-www-form-urlencoded", b"act=withdrawal", 422), ("multipart/form-data; boundary=x", b"nonsense", 400), ("application/x-www-form-urlencoded", b"\xff=\xff", 400)])  # fmt: skip
def test_what_can_t_be_read_withdraws_nothing(service: Service, site: str, kind: str, raw: bytes, status: int) -> None:
    receipt = service.comment(site)
    answer = service.request("POST", path_of(service, receipt), raw, {"content-type": kind})
    assert answer.status == status
    assert service.one(receipt["id"])["status"] == "pending"


def test_a_form_with_parts_corrects_too(service: Service, site: str) -> None:
    receipt = service.comment(site)
    raw = b'--x\r\nContent-Disposition: form-data; name="comment"\r\n\r\nin parts\r\n--x--\r\n'
    answer = service.request(
        "POST", path_of(service, receipt), raw, {"content-type": "multipart/form-data; boundary=x"}
    )
    assert answer.status == 303
    assert service.one(receipt["id"])["text"] == "in parts"


def test_corrections_come_to_an_end(service: Service, site: str) -> None:
    path = path_of(service, service.comment(site))
    answers = [service.send("PATCH", path, {"comment": f"again {n}"}, None) for n in range(21)]
    assert [answer.status for answer in answers] == [200] * 20 + [429]
    assert "retry-after" in answers[-1].headers


@pytest.fixture(scope="module")
def box() -> Iterator[tuple[Mailbox, int]]:
    found = Mailbox()
    with smtp_server(found) as port:
        yield found, port


def test_the_mail_that_confirms_notices_comes_when_asked_for_and_once(box: tuple[Mailbox, int], tmp_path_factory: pytest.TempPathFactory) -> None:  # fmt: skip
    mail, port = box
    smtp = {"MODERATION_SMTP_URL": f"smtp://127.0.0.1:{port}", "MODERATION_MAIL_FROM": FROM}
    with running(tmp_path_factory.mktemp("own"), **smtp) as service:
        site = service.site(locale="en")
        receipt = service.comment(site, email="layla@example.net", notify_replies="1", locale="en")
        path = path_of(service, receipt)
        assert 'value="confirm"' in service.get(path, accept=HTML).text
        for _ in range(2):
            assert service.form(path, {"act": "confirm"}).status == 303
        confirm = links(mail.to("layla@example.net"), "n")[0]
        assert "Somebody replied" not in mail.to("layla@example.net")["Subject"]
        assert service.request("POST", confirm, b"").status == 200
        until("the page to say so", lambda: 'value="confirm"' not in service.get(path, accept=HTML).text)
        quiet = service.comment(site, locale="en")
        assert 'value="confirm"' not in service.get(path_of(service, quiet), accept=HTML).text
        service.form(path_of(service, quiet), {"act": "confirm"})
        assert not [d for d in service.one(quiet["id"])["deliveries"] if d["target"] == "confirm"]
