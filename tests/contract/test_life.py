"""A comment's life in any order, against a model of a page: whatever was asked, the service and the model tell the same story.

`make fuzz` lets it run for long, with other lives each time.
"""

import json
import os
import time
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.service import ADMIN, Answer, Receiver, Service, running, said, until

LONG = "FUZZ_SECONDS" in os.environ
LEADS_TO = {"approve": "approved", "reject": "rejected", "spam": "spam", "hold": "pending"}
STATUSES = ("pending", "approved", "rejected", "spam")
PEOPLE = ("amal", "badr")
EVENTS = ["comment.submitted", "comment.approved", "comment.rejected", "comment.spam", "comment.pending", "comment.erased"]  # fmt: skip


@dataclass
class Undo:
    """What a decision was made of, while it can be taken back."""

    until: float
    status: str
    by: str | None
    reason: str | None
    sequence: int
    event: tuple[str, str, int]


@dataclass
class Life:
    """What the model knows of one comment."""

    id: str
    private: str
    said: dict[str, str]
    key: str
    status: str = "pending"
    version: int = 1
    sequence: int = 0
    by: str | None = None
    reason: str | None = None
    holder: str | None = None
    undo: Undo | None = None
    gone: bool = False
    history: list[tuple[str, str, str, str]] = field(default_factory=list)  # by, decision, from, to


class Heard:
    """Webhooks by site, from one receiver for all lives."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._by_site: dict[str, dict[str, tuple[str, str, int]]] = {}

    def of(self, site: str) -> dict[str, tuple[str, str, int]]:
        """webhook-id → comment, type, sequence."""
        while not self._receiver.received.empty():
            headers, raw = self._receiver.received.get()
            event = json.loads(raw)
            found = (event["data"]["comment"]["id"], event["type"], event["data"]["sequence"])
            known = self._by_site.setdefault(event["data"]["site"], {})
            assert known.setdefault(headers["webhook-id"], found) == found  # all attempts of one event say the same
        return self._by_site.get(site, {})


class Lives(RuleBasedStateMachine):
    """Rules are what people do; after each the whole site is looked at."""

    comments = Bundle("comments")
    service: Service
    heard: Heard
    receiver: Receiver

    @initialize()
    def open(self) -> None:
        self.site = self.service.site()
        self.lives: list[Life] = []
        self.expected: list[tuple[str, str, int]] = []
        self.held_back: dict[
            tuple[str, str, int], float
        ] = {}  # event → when it is sent, unless it is taken back before
        self.waited = 0
        asked = {"url": self.receiver.url, "events": EVENTS, "rate_per_second": 1000, "max_in_flight": 50}
        made = self.service.send("POST", f"/api/v1/sites/{self.site}/endpoints", asked)
        assert made.status == 201
        self.deliveries = f"/api/v1/sites/{self.site}/endpoints/{made.json['id']}/deliveries?limit=200"
        tokens = [
            self.service.send("POST", "/api/v1/tokens", {"name": name, "role": "moderator", "sites": [self.site]})
            for name in PEOPLE
        ]
        self.tokens = {name: token.json["token"] for name, token in zip(PEOPLE, tokens, strict=True)}

    # what visitors do

    def _post(self, fields: dict[str, str], key: str = "") -> Answer:
        headers = {"idempotency-key": key} if key else {}
        return self.service.post(f"/api/v1/sites/{self.site}/comments", fields, **headers)

    @rule(target=comments, with_key=st.booleans())
    def submit(self, with_key: bool) -> Life:
        fields, key = said(), uuid.uuid4().hex if with_key else ""
        answer = self._post(fields, key)
        assert answer.status == 202
        private = urllib.parse.urlsplit(answer.json["status_url"]).path
        life = Life(answer.json["id"], private, fields, key)
        self.lives.append(life)
        self.expected.append((life.id, "comment.submitted", 0))
        return life

    @rule(life=comments, other=st.booleans())
    def repeat(self, life: Life, other: bool) -> None:
        if life.key:
            fields = life.said | ({"comment": "something else"} if other else {})
            answer = self._post(fields, life.key)
            stands = life.status == "approved" and not life.gone
            assert answer.status == (409 if other else 201 if stands else 202)
            if not other:
                assert (answer.json["id"], answer.json["status"]) == (life.id, "approved" if stands else "pending")

    @rule(life=comments, with_key=st.booleans())
    def say_it_again(self, life: Life, with_key: bool) -> None:
        if not life.gone:
            answer = self._post(life.said, uuid.uuid4().hex if with_key else "")
            assert (answer.status, answer.json["code"]) == (409, "duplicate")

    @rule(life=consumes(comments), target=comments, by_admin=st.booleans())
    def take_away(self, life: Life, by_admin: bool) -> Any:
        """The commenter withdraws it, or an admin erases it; what was said may be said again."""
        if by_admin:
            status = self.service.send("DELETE", f"/api/v1/comments/{life.id}").status
        else:
            status = self.service.request("DELETE", life.private).status
        assert status == (404 if life.gone else 204)
        if life.gone:
            return multiple()
        life.gone = True
        self.expected.append((life.id, "comment.erased", life.sequence + 1))
        return life

    # what moderators do

    @rule(who=st.sampled_from(PEOPLE), limit=st.integers(1, 3))
    def claim(self, who: str, limit: int) -> None:
        answer = self.service.send(
            "POST", "/api/v1/queue/claim", {"limit": limit, "lease_seconds": 3600}, self.tokens[who]
        )
        free = [
            life for life in self.lives if life.status == "pending" and not life.gone and life.holder in {None, who}
        ]
        assert [item["id"] for item in answer.json["items"]] == [life.id for life in free[:limit]]
        for life in free[:limit]:
            life.holder = who

    @rule(life=comments, who=st.sampled_from(PEOPLE), force=st.booleans())
    def claim_one(self, life: Life, who: str, force: bool) -> None:
        asked = {"ids": [life.id], "force": force, "lease_seconds": 3600}
        answer = self.service.send("POST", "/api/v1/queue/claim", asked, self.tokens[who])
        can = life.status == "pending" and not life.gone and (force or life.holder in {None, who})
        assert [item["id"] for item in answer.json["items"]] == ([life.id] if can else [])
        if can:
            life.holder = who

    @rule(who=st.sampled_from(PEOPLE), life=comments, all_of_them=st.sampled_from([True, True, False]))
    def release(self, who: str, life: Life, all_of_them: bool) -> None:
        asked = {} if all_of_them else {"ids": [life.id]}
        answer = self.service.send("POST", "/api/v1/queue/release", asked, self.tokens[who])
        mine = [one for one in self.lives if one.holder == who and not one.gone and (all_of_them or one is life)]
        assert set(answer.json["released"]) == {one.id for one in mine}
        for one in mine:
            one.holder = None

    def _refused(self, life: Life, who: str, decision: str, version: int | None, force: bool) -> int:
        """The status of a refusal, 0 for none."""
        if life.gone:
            return 404
        if version is not None and version != life.version:
            return 409
        if life.status == LEADS_TO[decision]:
            return 0
        return 409 if life.holder not in {None, who} and not force else 0

    def _decided(self, life: Life, who: str, decision: str, reason: str | None, undo_seconds: int) -> None:
        status = LEADS_TO[decision]
        if life.status == status:
            return
        life.history.append((who, decision, life.status, status))
        event = (life.id, f"comment.{status}", life.sequence + 1)
        ends = time.monotonic() + undo_seconds
        life.undo = Undo(ends, life.status, life.by, life.reason, life.sequence, event) if undo_seconds else None
        life.status, life.by, life.reason, life.holder = status, who, reason, None
        life.version, life.sequence = life.version + 1, life.sequence + 1
        self.expected.append(event)
        if undo_seconds:
            self.held_back[event] = ends

    @rule(
        life=comments, who=st.sampled_from(PEOPLE), decision=st.sampled_from(sorted(LEADS_TO)), stale=st.sampled_from([None, False, True]),
        force=st.booleans(), undo_seconds=st.sampled_from([0, 0, 60]), reason=st.sampled_from([None, "insult"]),
    )  # fmt: skip
    def decide(self, life: Life, who: str, decision: str, stale: bool | None, force: bool, undo_seconds: int, reason: str | None) -> None:  # fmt: skip
        version = None if stale is None else life.version - 1 if stale else life.version
        asked = {"decision": decision, "force": force, "undo_seconds": undo_seconds, "reason": reason} | ({} if version is None else {"version": version})  # fmt: skip
        answer = self.service.send("POST", f"/api/v1/comments/{life.id}/decisions", asked, self.tokens[who])
        refused = self._refused(life, who, decision, version, force)
        assert answer.status == (refused or 200), answer.text
        if not refused:
            self._decided(life, who, decision, reason, undo_seconds)
            assert (answer.json["status"], answer.json["version"]) == (life.status, life.version)

    @rule(who=st.sampled_from(PEOPLE), decision=st.sampled_from(sorted(LEADS_TO)), some=st.lists(comments, min_size=1, max_size=4), force=st.booleans())  # fmt: skip
    def decide_many(self, who: str, decision: str, some: list[Life], force: bool) -> None:
        asked = {"ids": [life.id for life in some] + ["nonsense"], "decision": decision, "force": force}
        answer = self.service.send("POST", "/api/v1/decisions", asked, self.tokens[who])
        *results, last = answer.json["results"]
        assert last["error"]["status"] == 404
        different = list({life.id: life for life in some}.values())
        assert [result["id"] for result in results] == [life.id for life in different]
        for life, result in zip(different, results, strict=True):
            refused = self._refused(life, who, decision, None, force)
            assert result.get("error", {}).get("status", 0) == refused
            if not refused:
                self._decided(life, who, decision, None, 0)
                assert result["status"] == life.status

    def _undo(self, life: Life, who: str) -> None:
        answer = self.service.send("POST", f"/api/v1/comments/{life.id}/undo", {}, self.tokens[who])
        can = life.undo is not None and time.monotonic() < life.undo.until
        assert answer.status == (404 if life.gone else 200 if can else 409)
        if life.gone or not can:
            return
        undo, life.undo = life.undo, None
        assert undo is not None
        life.history.append((who, "undo", life.status, undo.status))
        life.status, life.by, life.reason, life.sequence = undo.status, undo.by, undo.reason, undo.sequence
        life.version += 1
        self.expected.remove(undo.event)
        del self.held_back[undo.event]

    @rule(life=comments, who=st.sampled_from(PEOPLE))
    def undo(self, life: Life, who: str) -> None:
        self._undo(life, who)

    @precondition(lambda self: self.waited < 1)
    @rule(life=comments, who=st.sampled_from(PEOPLE))
    def undo_too_late(self, life: Life, who: str) -> None:
        """A second is over: it was sent."""
        if life.gone:
            return
        self.waited += 1
        decision = next(one for one in sorted(LEADS_TO) if LEADS_TO[one] != life.status)
        asked = {"decision": decision, "force": True, "undo_seconds": 1}
        assert self.service.send("POST", f"/api/v1/comments/{life.id}/decisions", asked, self.tokens[who]).status == 200
        self._decided(life, who, decision, None, 1)
        event = life.id, f"comment.{life.status}", life.sequence
        until("the event to be sent", lambda: event in self.heard.of(self.site).values())
        assert life.undo is not None
        life.undo.until = 0.0
        self._undo(life, who)

    # what holds at any time

    @invariant()
    def everybody_sees_the_same(self) -> None:
        there = [life for life in self.lives if not life.gone]
        listed = self.service.get(f"/api/v1/comments?site={self.site}&limit=200", ADMIN).json
        assert listed["total"] == len(there)
        shown = [(item["id"], item["status"], item["version"], item["decided_by"], item["reason"], (item["claim"] or {}).get("by")) for item in listed["items"]]  # fmt: skip
        assert shown == [(one.id, one.status, one.version, one.by, one.reason, one.holder) for one in there]
        for status in STATUSES:
            found = self.service.get(f"/api/v1/comments?site={self.site}&status={status}&limit=1", ADMIN).json
            assert found["total"] == sum(life.status == status for life in there)
        public = self.service.get(f"/api/v1/sites/{self.site}/threads/41/comments?limit=200").json
        assert [item["id"] for item in public["items"]] == [life.id for life in there if life.status == "approved"]
        assert public["total"] == len(public["items"])

    @invariant()
    def the_last_one_has_its_whole_history(self) -> None:
        if self.lives:
            life = max(self.lives, key=lambda one: (len(one.history), one.gone))
            answer = self.service.get(f"/api/v1/comments/{life.id}", ADMIN)
            assert answer.status == (404 if life.gone else 200)
            if not life.gone:
                kept = [(step["by"], step["decision"], step["from"], step["to"]) for step in answer.json["history"]]
                assert kept == life.history

    def teardown(self) -> None:
        """In the end everything was heard, and nothing that did not happen."""
        if not getattr(self, "lives", None):
            return
        for who in PEOPLE:
            released = self.service.send("POST", "/api/v1/queue/release", {}, self.tokens[who]).json["released"]
            assert set(released) == {life.id for life in self.lives if life.holder == who and not life.gone}
        listed = self.service.get(self.deliveries, ADMIN).json["items"]
        assert len(self.expected) > 190 or Counter(one["type"] for one in listed) == Counter(kind for _, kind, _ in self.expected)  # fmt: skip
        gone = {life.id for life in self.lives if life.gone}
        now = time.monotonic()
        due = [
            event for event in self.expected
            if self.held_back.get(event, 0) < now and (event[0] not in gone or event[1] == "comment.erased")
        ]  # fmt: skip
        until("all events", lambda: set(due) <= set(self.heard.of(self.site).values()))
        heard = list(self.heard.of(self.site).values())
        assert set(heard) <= set(self.expected)
        assert len(heard) == len(set(heard))  # each under one id
        for life in self.lives:
            numbers = [number for comment, _, number in self.expected if comment == life.id]
            assert numbers == sorted(set(numbers))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("life")) as service:
        yield service


def test_any_life_is_told_the_same_by_all(lived: Service, receiver: Receiver) -> None:
    Lives.service, Lives.receiver, Lives.heard = lived, receiver, Heard(receiver)
    if LONG:
        ends = time.monotonic() + int(os.environ["FUZZ_SECONDS"])
        while time.monotonic() < ends:
            run_state_machine_as_test(Lives, settings=settings(_SETTINGS, max_examples=50, stateful_step_count=60, derandomize=False, phases=list(Phase)))  # fmt: skip
    else:
        run_state_machine_as_test(Lives, settings=_SETTINGS)
    assert "Traceback" not in lived.log.read_text()


_SETTINGS = settings(
    max_examples=30, stateful_step_count=30, derandomize=True, database=None, deadline=None, print_blob=False,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
)  # fmt: skip
