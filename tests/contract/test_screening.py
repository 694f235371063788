"""Screening through the door: what a policy makes of comments, and that it explains itself."""

import contextlib
import http.server
import json
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from moderation import links, stamps
from moderation.privacy import Privacy
from moderation.settings import load
from tests.service import ADMIN, POLL_SECONDS, Answer, Receiver, Service, said, until

OPEN = {"mode": "publish_unless_flagged", "rate_limits": False}


def site_with(service: Service, **policy: Any) -> str:
    return service.site(policy=OPEN | policy)


def post(service: Service, site: str, **fields: str) -> Answer:
    return service.post(f"/api/v1/sites/{site}/comments", said(**fields))


def change(service: Service, site: str, **policy: Any) -> Answer:
    return service.send("PATCH", f"/api/v1/sites/{site}", {"policy": policy})


def screening(service: Service, comment_id: str) -> dict[str, Any]:
    return service.one(comment_id)["screening"]  # type: ignore[no-any-return]


def found_by(service: Service, comment_id: str) -> dict[str, str]:
    return {r["rule"]: r["verdict"] for r in screening(service, comment_id)["reasons"]}


def test_by_default_the_trace_says_that_a_human_decides(service: Service, site: str) -> None:
    found = screening(service, service.comment(site)["id"])
    assert (found["verdict"], found["decided_by"]) == ("hold", "site_mode")
    assert found["reasons"] == [{"rule": "site_mode", "verdict": "hold", "detail": "hold_all"}]


def test_what_no_rule_flags_is_published_at_once(service: Service, receiver: Receiver) -> None:
    site = site_with(service)
    service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url})
    answer = post(service, site)
    assert (answer.status, answer.json["status"]) == (201, "approved")
    comment = service.one(answer.json["id"])
    assert (comment["status"], comment["decided_by"]) == ("approved", "rules")
    event = json.loads(receiver.next()[1])
    assert (event["type"], event["data"]["previous_status"], event["data"]["sequence"]) == ("comment.approved", None, 1)
    assert event["data"]["decision"]["by"] == "rules"
    public = service.get(f"/api/v1/sites/{site}/threads/41/comments").json
    assert [c["id"] for c in public["items"]] == [comment["id"]]
    assert [entry["by"] for entry in comment["history"]] == ["rules"]
    assert service.decide(comment["id"], "reject").json["version"] == 2


def test_a_spammer_learns_nothing_and_moderators_are_not_troubled(service: Service, receiver: Receiver) -> None:
    site = site_with(service, words=[{"name": "قمار", "outcome": "spam", "entries": ["كازينو"]}])
    service.send(
        "POST",
        f"/api/v1/sites/{site}/endpoints",
        {"url": receiver.url, "events": ["comment.spam", "comment.submitted"]},
    )
    answer = post(service, site, comment="أفضل كَـازِينُو على الإنترنت")
    assert (answer.status, answer.json["status"]) == (202, "pending")
    status = service.get("/" + answer.json["status_url"].split("/", 3)[3])
    assert status.json["status"] == "pending"
    comment = service.one(answer.json["id"])
    assert comment["status"] == "spam"
    assert comment["screening"]["decided_by"] == "word_lists"
    detail = next(r["detail"] for r in comment["screening"]["reasons"] if r["rule"] == "word_lists")
    assert detail == "قمار: كازينو"
    assert json.loads(receiver.next()[1])["type"] == "comment.spam"
    assert service.get(f"/api/v1/comments?site={site}&status=pending", ADMIN).json["total"] == 0
    assert service.get(f"/api/v1/sites/{site}/threads/41/comments").json["total"] == 0


def test_a_browser_is_told_the_same_whatever_the_rules_say(service: Service) -> None:
    site = site_with(
        service, words=[{"outcome": "spam", "entries": ["casino"]}, {"outcome": "reject", "entries": ["poker"]}]
    )
    pages = [
        service.form(f"/api/v1/sites/{site}/comments", said(comment=text)) for text in ("casino here", "poker here")
    ]
    assert {page.status for page in pages} == {202}
    published = service.form(f"/api/v1/sites/{site}/comments", said(redirect_to="https://news.example/41"))
    assert "comment_status=approved" in published.headers["location"]


def test_every_reason_is_told_and_the_gravest_decides(service: Service) -> None:
    site = site_with(service, words=[{"outcome": "hold", "entries": ["offer"]}], languages=["ar"])
    answer = post(
        service,
        site,
        email="x@mailinator.com",
        comment="AN OFFER FOR YOU AND ALL OF YOUR FRIENDS, TODAY AND TOMORROW AND THE DAY AFTER IT: http://a.co http://b.co http://c.co",
    )
    assert answer.status == 202
    assert found_by(service, answer.json["id"]) == {
        "word_lists": "hold", "links": "hold", "disposable": "hold", "shouting": "hold", "foreign_script": "hold", "site_mode": "publish",
    }  # fmt: skip
    trace = screening(service, answer.json["id"])
    assert {rule["rule"] for rule in trace["rules"]} >= set(found_by(service, answer.json["id"]))
    assert all(isinstance(rule["us"], int) for rule in trace["rules"])


def test_closed_sites_and_threads_refuse(service: Service) -> None:
    site = site_with(
        service,
        threads={
            "shut": {"mode": "closed"},
            "ended": {"close_at": "2020-01-01T00:00:00Z"},
            "held": {"mode": "hold_all"},
        },
    )
    assert [post(service, site, thread=t).status for t in ("shut", "ended", "held", "other")] == [403, 403, 202, 201]
    assert post(service, site, thread="shut").json["code"] == "closed"
    change(service, site, mode="closed")
    assert post(service, site).status == 403
    change(service, site, mode="hold_all", close_after_days=1)
    assert post(service, site).status == 202


def confirmed(service: Service, site: str, email: str) -> dict[str, str]:
    """As if the link of a mail had been pressed; the cookie of that browser."""
    comment_id = post(service, site, email=email).json["id"]
    settings = load({"data_dir": service.data}, {})
    path = links.confirm(Privacy(settings.keys()), "", comment_id)
    answer = service.form(path, {})
    assert answer.status == 200
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


def test_trust_needs_approvals_and_a_confirmed_address(service: Service) -> None:
    site, email = site_with(service, mode="trust", trust_after=2), f"{uuid.uuid4().hex[:8]}@example.net"
    first, second = post(service, site, email=email).json["id"], post(service, site, email=email).json["id"]
    for comment_id in (first, second):
        service.decide(comment_id, "approve")
    path = f"/api/v1/sites/{site}/comments"
    assert post(service, site, email=email).status == 202
    browser = confirmed(service, site, email)
    assert post(service, site, email=email).status == 202  # whoever only types the address
    assert service.post(path, said(email=email), **browser).status == 201
    assert service.post(path, said(email="other@example.net"), **browser).status == 202
    forged = {"cookie": browser["cookie"][:-1] + ("0" if browser["cookie"][-1] != "0" else "1")}
    assert service.post(path, said(email=email), **forged).status == 202
    service.decide(first, "reject")  # one approval less
    last = service.post(path, said(email=email), **browser)
    assert last.status == 201  # the rules' own approval counts: three, then two
    service.decide(second, "spam")
    service.decide(last.json["id"], "hold")
    assert service.post(path, said(email=email), **browser).status == 202


def test_a_site_may_sign_for_its_own_people(service: Service) -> None:
    site, email = site_with(service, mode="trust"), f"{uuid.uuid4().hex[:8]}@example.net"
    key = service.get(f"/api/v1/sites/{site}/identity-key", ADMIN).json["key"]
    service.decide(post(service, site, email=email).json["id"], "approve")
    soon = int(time.time()) + 600
    assert post(service, site, email=email, identity=stamps.sign_identity(key, email.upper(), soon)).status == 201
    for wrong in (stamps.sign_identity("0" * 32, email, soon), stamps.sign_identity(key, "x" + email, soon), stamps.sign_identity(key, email, soon - 9999), f"{soon}.", "x", "٩٩.x"):  # fmt: skip
        assert post(service, site, email=email, identity=wrong).status == 202
    assert service.get(f"/api/v1/sites/{site}/identity-key").status == 401


def test_first_comments_and_names_that_are_taken(service: Service) -> None:
    site = site_with(service, first_time="hold", impersonation="hold")
    email = f"{uuid.uuid4().hex[:8]}@example.net"
    for _ in range(3):
        service.decide(post(service, site, email=email, author="سامي الكاتب").json["id"], "approve")
    assert post(service, site, email=email, author="سامي الكاتب").status == 201
    other = post(service, site, email="other@example.net", author="سـامي  الكاتب")
    assert found_by(service, other.json["id"])["impersonation"] == "hold"
    change(service, site, impersonation=None, first_time=None)
    assert post(service, site, email="other@example.net", author="سامي الكاتب").status == 201


def test_near_duplicates_of_the_last_days_are_held(service: Service) -> None:
    site = site_with(service, near_duplicates="hold", max_links=None)
    text = "عرض خاص لكل القراء الكرام زوروا {} اليوم واربحوا {} دولاراً في مسابقتنا الجديدة مع هدايا مجانية"
    first = post(service, site, comment=text.format("https://a.example", 100))
    assert first.status == 201
    second = post(service, site, comment=text.format("https://b.example", 250))
    assert second.status == 202
    detail = next(
        r["detail"] for r in screening(service, second.json["id"])["reasons"] if r["rule"] == "near_duplicate"
    )
    assert first.json["id"] in detail
    assert post(service, site, comment="تعليق آخر مختلف تماماً عن المكتبة وساعات عملها الجديدة في المساء").status == 201


def test_form_stamps_and_traps(service: Service) -> None:
    site = site_with(service, form_stamp="required", min_fill_seconds=60, trap_field="homepage_2")
    form = service.get(f"/api/v1/sites/{site}/form", origin="https://news.example")
    assert form.headers["access-control-allow-origin"] == "*"
    assert form.json["trap_field"] == "homepage_2"
    quick = post(service, site, form_stamp=form.json["form_stamp"])
    assert service.one(quick.json["id"])["status"] in {"spam", "pending"}
    stamp = stamps.new(Privacy(load({"data_dir": service.data}, {}).keys()), site, time.time() - 61)
    assert post(service, site, form_stamp=stamp).status == 201
    assert post(service, site, form_stamp=stamp[:-1] + ("0" if stamp[-1] != "0" else "1")).status == 202
    assert post(service, site).status == 202
    trapped = service.form(f"/api/v1/sites/{site}/comments", said(form_stamp=stamp, homepage_2="http://x.example"))
    assert trapped.status == 202
    assert service.get(f"/api/v1/comments?site={site}&status=spam", ADMIN).json["total"] >= 1


@pytest.mark.parametrize("kind", ["author", "thread", "site", "network", "address"])
def test_rates_by_author_thread_site_network_and_address(service: Service, kind: str) -> None:
    site = service.site(
        policy=OPEN | {"rate_limits": True, "rates": {"address": None, kind: {"count": 2, "seconds": 3600}}}
    )
    fields = {"email": "same@example.net", "thread": "1"}
    answers = [post(service, site, **fields) for _ in range(3)]
    assert [a.status for a in answers] == [201, 201, 429]
    assert int(answers[2].headers["retry-after"]) > 0
    elsewhere = post(service, site, email="other@example.net", thread="2")
    assert elsewhere.status == (201 if kind in {"author", "thread"} else 429)


def test_learning_raises_the_risk_of_what_is_refused(service: Service) -> None:
    site = service.site(policy={"rate_limits": False, "learning": True, "max_links": None})
    bad = "اربح المال بسرعة من البيت راسلني على الخاص الآن {}"
    good = "قرأت التقرير كاملاً وأعجبني ما كُتب عن المكتبة وقاعة الأطفال {}"
    for n in range(12):
        service.decide(post(service, site, comment=bad.format(n)).json["id"], "spam")
        service.decide(post(service, site, comment=good.format(n)).json["id"], "approve")
    risky, harmless = (
        post(service, site, comment=bad.format("x")).json["id"],
        post(service, site, comment=good.format("x")).json["id"],
    )
    risks = [screening(service, one)["risk"] for one in (risky, harmless)]
    assert risks[0] > 0.8 > 0.2 > risks[1]
    (why,) = [r["detail"] for r in screening(service, risky)["reasons"] if r["rule"] == "learned"]
    assert any(word in why for word in ("المال", "اربح", "البيت", "راسلني", "الخاص", "بسرعه"))
    queue = service.get(f"/api/v1/comments?site={site}&status=pending&sort=risk", ADMIN).json
    assert [c["id"] for c in queue["items"]] == [risky, harmless]
    walked, cursor = [], ""
    while True:
        page = service.get(f"/api/v1/comments?site={site}&sort=risk&limit=7&cursor={cursor}", ADMIN).json
        walked += [c["id"] for c in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(walked) == len(set(walked)) == 26


def test_undo_takes_the_lesson_back(service: Service) -> None:
    site = service.site(policy={"rate_limits": False, "learning": True})
    text = "نص واحد يتكرر قوله {}"
    before = screening(service, post(service, site, comment=text.format(1)).json["id"])["risk"]
    taught = post(service, site, comment=text.format(2)).json["id"]
    service.decide(taught, "spam", undo_seconds=60)
    between = screening(service, post(service, site, comment=text.format(3)).json["id"])["risk"]
    assert service.send("POST", f"/api/v1/comments/{taught}/undo").status == 200
    after = screening(service, post(service, site, comment=text.format(4)).json["id"])["risk"]
    assert between > before + 0.2
    assert after == pytest.approx(before, abs=1e-3)


def test_a_risk_acts_by_itself_only_above_what_the_site_says(service: Service) -> None:
    site = site_with(service, learning=True)
    text = "اربح المال بسرعة من البيت {}"
    for n in range(15):
        service.decide(post(service, site, comment=text.format(n)).json["id"], "spam")
    held = post(service, site, comment=text.format("a"))
    assert (held.status, service.one(held.json["id"])["status"]) == (202, "pending")
    change(service, site, spam_above=0.6)
    assert service.one(post(service, site, comment=text.format("b")).json["id"])["status"] == "spam"


# trying


def past_of(service: Service) -> str:
    site = service.site(policy={"rate_limits": False})
    for n, (text, decision) in enumerate([("كازينو مجاني", "spam"), ("Casino now", "spam"), ("شكراً لكم", "approve"), ("Nice casino report", "approve"), ("بلا قرار", "")]):  # fmt: skip
        comment_id = post(service, site, comment=f"{text} {n}").json["id"]
        if decision:
            service.decide(comment_id, decision)
    path = f"/api/v1/comments?site={site}"
    until("nothing to be under way", lambda: all(one["delivery"]["state"] == "none" for one in service.get(path, ADMIN).json["items"]))  # fmt: skip
    return site


TRIED = {"mode": "publish_unless_flagged", "words": [{"outcome": "spam", "entries": ["casino", "كازينو"]}]}


def test_a_policy_is_tried_on_the_past_and_changes_nothing(service: Service) -> None:
    site = past_of(service)
    before = service.get(f"/api/v1/comments?site={site}", ADMIN).json["items"]
    answer = service.send("POST", f"/api/v1/sites/{site}/policy/try", {"policy": TRIED})
    assert answer.status == 200
    found = answer.json
    assert (found["total"], found["looked_at"], found["next_cursor"]) == (5, 5, None)
    assert {(o["is"], o["would_be"]): o["comments"] for o in found["outcomes"]} == {
        ("approved", "approved"): 1, ("approved", "spam"): 1, ("spam", "spam"): 2, ("pending", "approved"): 1,
    }  # fmt: skip
    assert (found["wrongly_hidden"], found["wrongly_published"], found["rightly_hidden"]) == (1, 0, 2)
    assert {c["would_be"] for c in found["changes"]} == {"spam", "approved"}
    assert service.get(f"/api/v1/comments?site={site}", ADMIN).json["items"] == before
    assert service.get(f"/api/v1/sites/{site}", ADMIN).json["policy"]["mode"] == "hold_all"


def test_a_wrong_policy_is_named_before_it_is_tried_or_saved(service: Service) -> None:
    site = service.site()
    wrong = {"words": [{"entries": ["fine"]}, {"entries": ["/(/"]}]}
    for answer in (
        service.send("POST", f"/api/v1/sites/{site}/policy/try", {"policy": wrong}),
        change(service, site, **wrong),
    ):
        assert answer.errors == {"policy.words.1": "invalid"}
        assert "/(/" in answer.json["errors"][0]["message"]
    assert service.send("POST", f"/api/v1/sites/{site}/policy/try", {"policy": {"colour": 1}}).status == 422
    assert service.send("POST", "/api/v1/sites", {"id": "wrong-list", "name": "x", "policy": wrong}).status == 422


def test_the_shell_tries_a_policy_with_progress(service: Service, tmp_path: Path) -> None:
    site = past_of(service)
    (tmp_path / "policy.json").write_text(json.dumps(TRIED))
    command = [
        sys.executable,
        "-m",
        "moderation",
        "rules",
        "try",
        site,
        str(tmp_path / "policy.json"),
        "--data",
        str(service.data),
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "5 of 5 comments" in found.stdout
    assert "wrongly hidden 1, wrongly published 0" in found.stdout
    assert "word_lists: words: casino" in found.stdout
    (tmp_path / "wrong.json").write_text('{"words": [{"entries": ["/(/"]}]}')
    command[6] = str(tmp_path / "wrong.json")
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "policy.words.0" in found.stderr
    assert "Traceback" not in found.stderr


# outside checkers


def akismet_answers(words: dict[str, str]) -> Any:
    """An HTTP server whose answer depends on the comment."""
    heard: list[tuple[str, dict[str, str]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            fields = dict(urllib.parse.parse_qsl(raw.decode()))
            heard.append((self.path, fields))
            answer = next((a for word, a in words.items() if word in fields.get("comment_content", "")), "false")
            self.send_response(500 if answer == "broken" else 200)
            body = answer.encode()
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
    return server, heard


@pytest.fixture
def akismet() -> Any:
    server, heard = akismet_answers({"spam": "true", "broken": "broken", "odd": "invalid"})
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    server.server_close()


def with_akismet(service: Service, url: str, **policy: Any) -> str:
    site = site_with(service, **policy)
    answer = service.send("PUT", f"/api/v1/sites/{site}/checkers/akismet", {"key": "k3y", "url": url, "test": True})
    assert answer.status == 200
    assert "k3y" not in answer.text
    return site


def test_akismet_is_asked_after_the_answer_and_its_word_is_acted_on(service: Service, akismet: Any) -> None:
    url, heard = akismet
    site = with_akismet(service, url)
    good, bad = (
        post(service, site, comment="a kind word", url="https://me.example/"),
        post(service, site, comment="this is spam"),
    )
    assert (good.status, bad.status) == (202, 202)  # nobody waits for it
    until(
        "both to be decided", lambda: [service.one(a.json["id"])["status"] for a in (good, bad)] == ["approved", "spam"]
    )
    comment = service.one(bad.json["id"])
    assert comment["decided_by"] == "akismet"
    assert comment["screening"]["checkers"] == {"akismet": "spam"}
    assert [e.get("action") for e in comment["history"]] == ["checked", None]
    path, fields = next(h for h in heard if h[1]["comment_content"] == "a kind word")
    assert path == "/1.1/comment-check"
    assert fields["api_key"] == "k3y"
    assert fields["is_test"] == "true"
    assert fields["user_ip"] == "127.0.0.1"
    assert fields["comment_author_url"] == "https://me.example/"
    assert not any("@" in value for value in fields.values())  # no address leaves


def test_akismet_is_told_when_a_human_sees_it_otherwise(service: Service, akismet: Any) -> None:
    url, heard = akismet
    site = with_akismet(service, url)
    bad, good = (
        post(service, site, comment="this is spam").json["id"],
        post(service, site, comment="a kind word").json["id"],
    )
    until("both to be decided", lambda: [service.one(a)["status"] for a in (good, bad)] == ["approved", "spam"])
    service.decide(bad, "approve")
    service.decide(good, "spam")
    until("both reports", lambda: {"/1.1/submit-ham", "/1.1/submit-spam"} <= {path for path, _ in heard})
    ham = next(fields for path, fields in heard if path == "/1.1/submit-ham")
    assert ham["comment_content"] == "this is spam"
    before = len(heard)
    service.decide(bad, "spam")
    until(
        "it is settled",
        lambda: all(d["state"] != "queued" for d in service.one(bad)["deliveries"] if d["kind"] == "check"),
    )
    assert len(heard) == before  # now they agree


@pytest.mark.parametrize("word", ["broken", "odd"])
def test_a_checker_that_does_not_answer_holds_the_comment_for_a_human(
    service: Service, akismet: Any, word: str
) -> None:
    url, _ = akismet
    site = with_akismet(service, url)
    comment_id = post(service, site, comment=f"{word} words").json["id"]
    (check,) = until("an attempt", lambda: [d for d in service.one(comment_id)["deliveries"] if d["kind"] == "check" and d["attempts"]])  # fmt: skip
    assert check["state"] == "queued"  # it is asked again later
    assert service.one(comment_id)["status"] == "pending"
    assert service.decide(comment_id, "approve").status == 200


def test_a_human_who_was_quicker_is_not_overruled(service: Service, akismet: Any) -> None:
    url, _ = akismet
    site = with_akismet(service, url, mode="hold_all")
    comment_id = post(service, site, comment="not broken but spam").json["id"]
    service.decide(comment_id, "approve", force=True)
    until(
        "it is settled",
        lambda: all(d["state"] != "queued" for d in service.one(comment_id)["deliveries"] if d["kind"] == "check"),
    )
    status = service.one(comment_id)["status"]
    assert status == "approved" or service.one(comment_id)["decided_by"] == "akismet"  # whoever came first


def test_what_the_rules_hold_stays_held_when_checkers_find_nothing(service: Service, akismet: Any) -> None:
    url, heard = akismet
    site = with_akismet(service, url, mode="hold_all")
    comment_id = post(service, site, comment="a kind word").json["id"]
    until("an answer", lambda: service.one(comment_id)["screening"]["checkers"] == {"akismet": "publish"})
    assert service.one(comment_id)["status"] == "pending"
    assert service.send("DELETE", f"/api/v1/sites/{site}/checkers/akismet").status == 204
    asked = len(heard)
    assert service.one(post(service, site).json["id"])["deliveries"] == []  # nobody is to be asked
    assert len(heard) == asked
    assert service.get(f"/api/v1/sites/{site}/checkers", ADMIN).json == {"items": []}


def external(service: Service, receiver: Receiver, **policy: Any) -> tuple[str, str]:
    site = site_with(service, **policy)
    made = service.send("PUT", f"/api/v1/sites/{site}/checkers/external", {"url": receiver.url})
    assert made.status == 200
    return site, made.json["secret"]


def test_an_external_checker_gets_a_signed_request_and_answers_at_once(service: Service) -> None:
    answers = {"verdict": "reject", "reason": "rude"}
    receiver = Receiver(lambda n: (200, json.dumps(answers).encode()))
    site, secret = external(service, receiver)
    comment_id = post(service, site, author="x me@example.org").json["id"]
    headers, raw = receiver.next()
    sent = Webhook(secret).verify(raw, headers)
    assert sent["type"] == "comment.screening"
    assert sent["data"]["comment"]["id"] == comment_id
    assert "@example" not in raw.decode()
    until("it is rejected", lambda: service.one(comment_id)["status"] == "rejected")
    comment = service.one(comment_id)
    assert comment["decided_by"] == "external"
    assert next(e["detail"] for e in comment["history"] if e.get("action") == "checked") == "rude"
    receiver.close()


def answer_later(
    service: Service, comment_id: str, secret: str, body: dict[str, str], at: float | None = None, path: str = ""
) -> Answer:
    raw, when = json.dumps(body), datetime.fromtimestamp(at or time.time(), UTC)
    headers = {
        "webhook-id": "a1",
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": Webhook(secret).sign("a1", when, raw),
    }
    path = path or f"/api/v1/comments/{comment_id}/screening"
    return service.request("POST", path, raw.encode(), {"content-type": "application/json"} | headers)


def test_an_external_checker_may_answer_later(service: Service) -> None:
    receiver = Receiver(lambda n: (202, b""))
    site, secret = external(service, receiver)
    comment_id = post(service, site).json["id"]
    receiver.next()
    assert service.one(comment_id)["status"] == "pending"
    wrong = answer_later(service, comment_id, "whsec_" + "A" * 32, {"comment": comment_id, "verdict": "publish"})
    late = answer_later(service, comment_id, secret, {"comment": comment_id, "verdict": "publish"}, time.time() - 3600)
    assert (wrong.status, late.status) == (401, 401)
    assert answer_later(service, comment_id, secret, {"comment": comment_id, "verdict": "perhaps"}).status == 422
    assert answer_later(service, comment_id, secret, {"comment": comment_id, "verdict": "publish"}).json == {
        "id": comment_id,
        "status": "approved",
    }
    assert (
        answer_later(service, comment_id, secret, {"comment": comment_id, "verdict": "spam"}).json["status"]
        == "approved"
    )  # decided already
    receiver.close()


def test_what_a_checker_said_of_a_text_says_nothing_of_its_correction(service: Service) -> None:
    receiver = Receiver(lambda n: (202, b""))
    site, secret = external(service, receiver)
    receipt = post(service, site, comment="a kind word").json
    first = json.loads(receiver.next()[1])["data"]
    path = receipt["status_url"].removeprefix(service.base)
    assert service.send("PATCH", path, {"comment": "no kind word"}, None).status == 200
    second = json.loads(receiver.next()[1])["data"]
    assert second["comment"]["text"] == "no kind word"
    said = {"comment": receipt["id"], "verdict": "publish"}

    def answered(asked: dict[str, Any]) -> str:
        path = asked["answer_to"].removeprefix(service.base)
        return str(answer_later(service, receipt["id"], secret, said, path=path).json["status"])

    assert answered(first) == "pending"
    assert not service.one(receipt["id"])["screening"].get("checkers")
    assert answered(second) == "approved"
    receiver.close()


@pytest.mark.parametrize(
    "answer", [b"", b"ok", b"[]", b'{"verdict": 1}', b'{"verdict": "publish"', b'{"verdict": "approve"}']
)
def test_an_answer_that_is_none_holds_the_comment(service: Service, answer: bytes) -> None:
    receiver = Receiver(lambda n: (200, answer))
    site, _ = external(service, receiver)
    comment_id = post(service, site).json["id"]
    (check,) = until("an attempt", lambda: [d for d in service.one(comment_id)["deliveries"] if d["kind"] == "check" and d["attempts"]])  # fmt: skip
    assert (check["state"], check["attempts"][0]["code"]) == ("queued", "answer")
    assert service.one(comment_id)["status"] == "pending"
    receiver.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "checkers"), ("PUT", "checkers/akismet"), ("PUT", "checkers/external"), ("DELETE", "checkers/akismet"), ("POST", "policy/try"), ("GET", "identity-key")],
)  # fmt: skip
def test_screening_is_set_up_by_admins(service: Service, site: str, method: str, path: str) -> None:
    moderator = service.send("POST", "/api/v1/tokens", {"name": "m", "role": "moderator"}).json["token"]
    assert service.send(method, f"/api/v1/sites/{site}/{path}", {}, None).status == 401
    assert service.send(method, f"/api/v1/sites/{site}/{path}", {}, moderator).status == 403
    assert service.send(method, f"/api/v1/sites/nowhere/{path}", {}).status == 404


def test_a_site_can_t_name_checkers_itself(service: Service, site: str) -> None:
    assert service.send("PATCH", f"/api/v1/sites/{site}", {"checkers": ["akismet"]}).json["checkers"] == []
    assert service.send("PUT", f"/api/v1/sites/{site}/checkers/other", {}).status in {404, 405}


def test_surrogates_and_other_hostile_text_are_screened(service: Service) -> None:
    site = site_with(
        service,
        words=[{"outcome": "spam", "entries": ["casino"]}],
        languages=["ar"],
        near_duplicates="hold",
        learning=True,
    )
    path = f"/api/v1/sites/{site}/comments"
    for text in ("ca\\ud800sino", "\\u202ecasino", "c\\u200basino"):
        raw = json.dumps(said()).replace('"comment": "', f'"comment": "{text} ').encode()
        answer = service.request("POST", path, raw, {"content-type": "application/json"})
        assert answer.status in {202, 400, 422}
        if answer.status == 202:
            assert service.one(answer.json["id"])["status"] == "spam"
    for text in ("http://a.b " * 5900, "ẗ̴̘́ͅ" * 9000, "\u2066" * 60_000 + "x", "\ufdfa" * 65_000):
        answer = post(service, site, comment=text)
        assert answer.status == 202
        assert "failed" not in json.dumps(screening(service, answer.json["id"]))


def test_no_trace_holds_a_typed_address(service: Service) -> None:
    site = site_with(service, words=[{"outcome": "hold", "entries": ["*bet", "example"]}], learning=True)
    canary = f"canary{uuid.uuid4().hex[:8]}"
    for text in (f"{canary}@example.org " * 13, f"write to {canary}@casinobet.com", f"{canary}@example.org"):
        answer = post(service, site, comment=text, author=f"{canary}@example.org")
        assert canary not in service.get(f"/api/v1/comments/{answer.json['id']}", ADMIN).text
    for path in service.data.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # Redis rewrites its file when it likes
            assert not path.is_file() or canary.encode() not in path.read_bytes(), path


def test_a_policy_that_opens_again_is_believed_at_once(service: Service) -> None:
    site = site_with(service, threads={"shut": {"mode": "closed"}})
    assert post(service, site, thread="shut").status == 403
    change(service, site, threads={}, first_time="hold")
    assert post(service, site, thread="shut").status == 202


def test_a_walk_by_risk_goes_on_when_the_page_before_was_decided(service: Service) -> None:
    site = service.site(policy={"rate_limits": False, "learning": True})
    ids = {post(service, site).json["id"] for _ in range(6)}
    path = f"/api/v1/comments?site={site}&status=pending&sort=risk&limit=2"
    first = service.get(path, ADMIN).json
    seen = [c["id"] for c in first["items"]]
    for comment_id in seen:
        service.decide(comment_id, "approve")
    cursor = first["next_cursor"]
    while cursor:
        page = service.get(f"{path}&cursor={cursor}", ADMIN).json
        seen += [c["id"] for c in page["items"]]
        cursor = page["next_cursor"]
    assert sorted(seen) == sorted(ids)


def test_what_a_machine_decided_teaches_nothing(service: Service) -> None:
    site = site_with(service, learning=True, words=[{"outcome": "spam", "entries": ["casino"]}])
    text = "a casino text said again and again {}"
    before = screening(service, post(service, site, comment=text.format(1)).json["id"])["risk"]
    second = post(service, site, comment=text.format(2)).json["id"]
    service.decide(second, "approve", undo_seconds=60)
    assert service.send("POST", f"/api/v1/comments/{second}/undo").status == 200
    after = screening(service, post(service, site, comment=text.format(3)).json["id"])["risk"]
    assert after == pytest.approx(before, abs=1e-3)


def test_undo_gives_a_name_back(service: Service) -> None:
    site = site_with(service, impersonation="hold")
    email, name = f"{uuid.uuid4().hex[:8]}@example.net", "نورا الحسن"
    change(service, site, mode="hold_all")
    ids = [post(service, site, email=email, author=name).json["id"] for _ in range(3)]
    for comment_id in ids[:2]:
        service.decide(comment_id, "approve")
    service.decide(ids[2], "approve", undo_seconds=60)
    service.send("POST", f"/api/v1/comments/{ids[2]}/undo")
    change(service, site, mode="publish_unless_flagged")
    assert post(service, site, email="other@example.net", author=name).status == 201


@pytest.mark.parametrize("header", ["user-agent", "referer"])
def test_odd_bytes_of_a_browser_reach_no_checker_as_an_error(service: Service, akismet: Any, header: str) -> None:
    url, heard = akismet
    site = with_akismet(service, url)
    raw = json.dumps(said(comment="a kind word")).encode()
    value = (
        "https://news.example/41?email=a%40b.example#x"
        if header == "referer"
        else b"Moz\xffilla a@b.example".decode("latin-1")
    )
    answer = service.request("POST", f"/api/v1/sites/{site}/comments", raw, {"content-type": "application/json", "origin": "https://news.example", header: value})  # fmt: skip
    assert answer.status == 202
    until("the question", lambda: heard)
    assert not any("a@b" in part or "email" in part for part in heard[0][1].values())


def test_an_answer_about_one_comment_says_nothing_of_another(service: Service) -> None:
    receiver = Receiver(lambda n: (202, b""))
    site, secret = external(service, receiver)
    one, other = post(service, site).json["id"], post(service, site).json["id"]
    assert answer_later(service, other, secret, {"comment": one, "verdict": "publish"}).errors == {"comment": "invalid"}
    assert service.one(other)["status"] == "pending"
    receiver.close()


def test_the_desk_publishes_only_what_was_shown(service: Service, tmp_path: Path) -> None:
    site = service.site()
    text = "تعليق طويل بما يكفي ليكون له شبيه يقوله غيره بعده بكلمات قليلة مختلفة عنه {}"
    ids = [post(service, site, comment=text.format(n)).json["id"] for n in ("", "https://evil.example")]
    command = [
        sys.executable,
        "-m",
        "moderation",
        "user",
        "add",
        f"mod-{site}",
        "--site",
        site,
        "--data",
        str(service.data),
    ]
    password = subprocess.run(
        command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    ).stdout.split()[-1]
    signed_in = service.form("/review/sign-in", {"name": f"mod-{site}", "password": password}, origin=service.base)
    cookie = {"cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    page = service.get("/review", None, **cookie).text
    assert page.count("<article") == 1  # one row for both
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    assert token is not None
    fields = {"form_token": token[1], "also": ids[1]}
    assert (
        service.form(
            f"/review/comments/{ids[0]}", fields | {"decision": "approve"}, origin=service.base, **cookie
        ).status
        == 303
    )
    assert [service.one(i)["status"] for i in ids] == ["approved", "pending"]
    done = service.form(f"/review/comments/{ids[0]}", fields | {"decision": "spam"}, origin=service.base, **cookie)
    assert done.status == 303
    assert [service.one(i)["status"] for i in ids] == ["spam", "spam"]
    batch = re.search(r"batch=([\w-]+)", done.headers["location"])
    assert batch is not None
    assert service.form("/review/undo", fields | {"batch": batch[1]}, origin=service.base, **cookie).status == 303
    assert [service.one(i)["status"] for i in ids] == ["approved", "pending"]  # the whole row, as it was
    assert (
        service.form("/review/comments/zzzz", fields | {"decision": "spam"}, origin=service.base, **cookie).status
        == 404
    )
