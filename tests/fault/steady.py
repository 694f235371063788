"""A steady load of submissions, claims, decisions, undos and deliveries, all at the same time, and the account of it.

Clients are careful: what is not acknowledged is sent again, under the same key. So afterwards the books must agree, whatever
went wrong in between; `Steady.reconcile` compares them.
"""

import contextlib
import http.client
import json
import queue
import threading
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.fault.load import stored
from tests.fault.proxy import Proxy
from tests.service import ADMIN, Answer, Receiver, Service, said, until

SUBMITTERS, MODERATORS = 3, 2
_PACE_SECONDS = 0.04
_INSIST_SECONDS = 120.0
_BACKLOG_MAX = 150  # undecided comments: more would only make the end longer
_UNDO_SECONDS = 4
_LEASE_SECONDS = 60  # of a claim; what a moderator holds is given to the same one again
_DECISIONS = {"approve": "approved", "reject": "rejected", "spam": "spam"}
_SPEED = {"max_in_flight": 20, "rate_per_second": 1000}
EVENTS = ["comment.approved", "comment.rejected", "comment.spam"]


def plan(comment_id: str) -> tuple[str, bool]:
    """What the moderators think of a comment, whoever gets it: so a decision made twice is the same one; and whether it is undone at first."""
    number = zlib.crc32(comment_id.encode())
    return ("approve", "approve", "approve", "reject", "spam")[number % 5], number % 7 == 0


class Steady:
    """Submitters, moderators and a receiver that fails now and then, for one site."""

    def __init__(self, service: Service, comments_max: int = 2000) -> None:
        self.service, self._comments_max = service, comments_max
        self.receiver = Receiver(self._receipt)
        self.line = Proxy(int(urlsplit(self.receiver.url).port or 0))  # between the workers and the receiver
        self.site = service.site()
        self.path = f"/api/v1/sites/{self.site}/comments"
        hook = {"url": f"http://127.0.0.1:{self.line.port}/hook", "events": EVENTS, **_SPEED}
        assert service.send("POST", f"/api/v1/sites/{self.site}/endpoints", hook).status == 201
        self._tokens = [self._token(n) for n in range(MODERATORS)]
        self.acknowledged: dict[str, tuple[dict[str, str], str]] = {}  # key → what was sent, the id
        self.decided: Counter[str] = Counter()  # comment → decisions that were answered 200
        self.undone: Counter[str] = Counter()  # comment → undos that were answered 200
        self.unclear: Counter[str] = Counter()  # comment → undos of which an answer got lost
        self.statuses: Counter[int] = Counter()
        self.failures: list[BaseException] = []
        self.requests = 0  # acknowledged ones
        self._done, self._no_more = threading.Event(), threading.Event()
        self._hang = (
            threading.Event()
        )  # never set: a receipt now and then takes its time, so that kills strike in the middle of one
        self._submitters = [threading.Thread(target=self._guarded, args=(self._submit,)) for _ in range(SUBMITTERS)]
        self._moderators = [threading.Thread(target=self._guarded, args=(self._moderate, t)) for t in self._tokens]

    def _token(self, number: int) -> str:
        fields = {"name": f"moderator-{number}-{uuid.uuid4().hex[:6]}", "role": "moderator"}
        token: str = self.service.send("POST", "/api/v1/tokens", fields).json["token"]
        return token

    def _receipt(self, n: int) -> tuple[int, bytes]:
        if n % 10 == 0:
            self._hang.wait(0.2)
        return (500, b"") if n % 17 == 0 else (200, b"")

    def __enter__(self) -> "Steady":
        for thread in (*self._submitters, *self._moderators):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Submitting ends; the moderators go on until nothing waits."""
        self._done.set()
        for thread in self._submitters:
            thread.join(_INSIST_SECONDS + 10)
        self._no_more.set()
        for thread in self._moderators:
            thread.join(_INSIST_SECONDS + _LEASE_SECONDS + 30)
            assert not thread.is_alive(), "a comment waits that no moderator gets"

    def until_more(self, what: str, count: int = 20, seconds: float = 120) -> None:
        """Traffic goes on."""
        goal = self.requests + count
        until(f"traffic {what}", lambda: self.failures or self.requests >= goal, seconds)
        assert not self.failures, self.failures

    def _guarded(self, job: Callable[..., None], *arguments: str) -> None:
        try:
            job(*arguments)
        except BaseException as error:
            self.failures.append(error)

    def _submit(self) -> None:
        while not self._done.wait(_PACE_SECONDS) and len(self.acknowledged) < self._comments_max:
            if len(self.acknowledged) - len(self.decided) > _BACKLOG_MAX:
                continue
            key, comment = uuid.uuid4().hex, said()
            receipt = self._insist(self.path, comment, {201, 202}, None, **{"idempotency-key": key})[0].json
            self.acknowledged[key] = comment, receipt["id"]

    def _moderate(self, token: str) -> None:
        while True:
            ending = self._no_more.is_set()  # before the claim: what it does not find then, nobody submits any more
            asked = {"site": self.site, "limit": 5, "lease_seconds": _LEASE_SECONDS}
            items = self._insist("/api/v1/queue/claim", asked, {200}, token)[0].json["items"]
            for item in items:
                self._decide(item["id"], token)
            if ending and not items and not self._waiting():
                return
            if not items:
                time.sleep(0.05)

    def _waiting(self) -> bool:
        path = f"/api/v1/comments?site={self.site}&status=pending&limit=1"
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = self.service.get(path, ADMIN)
            return answer.status != 200 or bool(answer.json["items"])
        return True

    def _decide(self, comment_id: str, token: str) -> None:
        decision, hesitates = plan(comment_id)
        hesitates = hesitates and not self.undone[comment_id] and not self.unclear[comment_id]
        asked = {"decision": decision, "undo_seconds": _UNDO_SECONDS if hesitates else 0}
        path = f"/api/v1/comments/{comment_id}"
        if self._insist(f"{path}/decisions", asked, {200, 409}, token)[0].status == 409:
            return  # the claim ended meanwhile: somebody else has it
        self.decided[comment_id] += 1
        if not hesitates:
            return
        answer, lost = self._insist(f"{path}/undo", {}, {200, 409}, token)
        if answer.status == 200:
            self.undone[comment_id] += 1
        elif lost:
            self.unclear[comment_id] += 1

    def _insist(
        self, path: str, body: dict[str, Any], good: set[int], token: str | None, **headers: str
    ) -> tuple[Answer, int]:
        """Send until there is a good answer; also says how many answers got lost before."""
        lost = 0

        def once() -> Answer | None:
            nonlocal lost
            try:
                answer = self.service.send("POST", path, body, token, **headers)
            except (OSError, http.client.HTTPException):
                lost += 1
                return None
            self.statuses[answer.status] += 1
            if answer.status == 503:
                lost += 1
                assert int(answer.headers["retry-after"]) > 0
                return None
            assert answer.status in good, f"{answer.status} {answer.text}"
            return answer

        found = until(f"{good} from {path}", once, _INSIST_SECONDS)
        self.requests += 1
        return found, lost

    # the books

    def reconcile(self, seconds: float = 240, shared: bool = False) -> dict[str, int]:
        """Let the deliveries end, then compare; the figures. `shared`: claims ended early, so two may have made one decision."""
        assert not self.failures, self.failures
        until("every delivery to be settled", self._settled, seconds)
        found = {item["id"]: item for item in stored(self.service, self.site)}
        ids = [comment_id for _, comment_id in self.acknowledged.values()]
        self._assert_stored(ids)
        told = self._told()
        wanted: dict[tuple[str, str], str] = {}  # (comment, when it was decided) → event
        for comment_id in ids:
            one = self.service.one(comment_id)
            for at, event in self._assert_history(one, shared).items():
                wanted[comment_id, at] = event
            assert one["status"] == _DECISIONS[plan(comment_id)[0]]
        assert told.keys() == wanted.keys(), (
            "told and decided are the same: nothing of what was undone, everything else"
        )
        assert [events for events in told.values() if len(events) != 1] == [], "one webhook-id for one decision"
        assert {key: next(iter(events))[1] for key, events in told.items()} == wanted
        self._assert_keys()
        return {
            "comments": len(found),
            "decisions": len(wanted),
            "undone": sum(self.undone.values()) + sum(self.unclear.values()),
            "webhooks": self.receiver.count,
            "answered 503": self.statuses[503],
        }

    def _assert_stored(self, ids: list[str]) -> None:
        listed = [item["id"] for item in stored(self.service, self.site)]
        assert sorted(listed) == sorted(ids), "acknowledged and stored are the same, each once"

    def _settled(self) -> bool:
        """What failed is asked for again: its turn by the schedule may be minutes away."""
        states: Counter[str] = Counter()
        for item in stored(self.service, self.site):
            states[item["delivery"]["state"]] += 1
            if item["delivery"]["state"] == "failing":
                for delivery in self.service.one(item["id"])["deliveries"]:
                    if delivery["state"] == "queued":
                        self.service.send("POST", f"/api/v1/deliveries/{delivery['id']}/retry")
        if set(states) <= {"delivered"}:
            return True
        time.sleep(0.3)
        return False

    def _told(self) -> dict[tuple[str, str], set[tuple[str, str]]]:
        """(comment, when it was decided) → webhook ids and types that were received."""
        told: dict[tuple[str, str], set[tuple[str, str]]] = {}
        with contextlib.suppress(queue.Empty):
            while True:
                headers, body = self.receiver.received.get_nowait()
                event = json.loads(body)
                key = event["data"]["comment"]["id"], event["data"]["decision"]["at"]
                told.setdefault(key, set()).add((headers["webhook-id"], event["type"]))
        return told

    def _assert_history(self, one: dict[str, Any], shared: bool) -> dict[str, str]:
        """Decisions that were not undone, by time; counted against what was acknowledged."""
        standing: list[dict[str, Any]] = []
        undos = 0
        for entry in one["history"]:
            if entry["decision"] == "undo":
                standing.pop()
                undos += 1
            else:
                standing.append(entry)
        assert len(standing) == 1, f"decided once for good: {one['history']}"
        assert self.undone[one["id"]] <= undos <= self.undone[one["id"]] + self.unclear[one["id"]]
        made = len(one["history"]) - undos
        assert made == self.decided[one["id"]] or (shared and made < self.decided[one["id"]])
        assert one["version"] == 1 + len(one["history"])
        return {entry["at"]: f"comment.{entry['to']}" for entry in standing}

    def _assert_keys(self) -> None:
        for key, (comment, comment_id) in list(self.acknowledged.items())[:100]:
            again = self.service.post(self.path, comment, **{"idempotency-key": key})
            assert again.status in {201, 202}
            assert again.json["id"] == comment_id

    def close(self) -> None:
        self.line.close()
        self.receiver.close()
