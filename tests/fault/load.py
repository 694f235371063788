"""A steady, bounded load: careful clients that submit and approve, and the account of what was acknowledged."""

import http.client
import queue
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.service import ADMIN, Answer, Service, said, until

COMMENTS_MAX = 1500  # of one load
_PACE_SECONDS = 0.01


class Load:
    """Each submitter sends to the sites in turn, again under the same key until it is acknowledged; so does the approver."""

    def __init__(self, service: Service, sites: list[str], submitters: int = 3, insist_seconds: float = 120) -> None:
        self._service, self._sites, self._insist_seconds = service, sites, insist_seconds
        self.acknowledged: dict[str, tuple[str, str]] = {}  # id → site, text
        self.approved: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.failures: list[BaseException] = []
        self._waiting: queue.Queue[str | None] = queue.Queue(50)
        self._done = threading.Event()
        self._submitters = [threading.Thread(target=self._guarded, args=(self._submit, n)) for n in range(submitters)]
        self._approver = threading.Thread(target=self._guarded, args=(self._approve,))

    def __enter__(self) -> "Load":
        for thread in (*self._submitters, self._approver):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._submitters:
            thread.join(150)
        self._waiting.put(None)
        self._approver.join(150)

    def until_more(self, what: str, count: int = 30, seconds: float = 120) -> None:
        """Traffic goes on."""
        goals = len(self.acknowledged) + count, len(self.approved) + count
        until(
            f"traffic {what}",
            lambda: self.failures or (len(self.acknowledged) >= goals[0] and len(self.approved) >= goals[1]),
            seconds,
        )
        assert not self.failures

    def _guarded(self, job: Callable[..., None], *arguments: int) -> None:
        try:
            job(*arguments)
        except BaseException as error:
            self.failures.append(error)

    def _submit(self, number: int) -> None:
        while not self._done.wait(_PACE_SECONDS) and len(self.acknowledged) < COMMENTS_MAX:
            number += 1
            site, comment = self._sites[number % len(self._sites)], said()
            key = {"idempotency-key": uuid.uuid4().hex}
            receipt = self._insist(f"/api/v1/sites/{site}/comments", comment, 202, **key).json
            self.acknowledged[receipt["id"]] = site, comment["comment"]
            self._waiting.put(receipt["id"], timeout=60)

    def _approve(self) -> None:
        while comment_id := self._waiting.get():
            self._insist(f"/api/v1/comments/{comment_id}/decisions", {"decision": "approve"}, 200)
            self.approved.append(comment_id)

    def _insist(self, path: str, body: dict[str, str], good: int, **headers: str) -> Answer:
        def once() -> Answer | None:
            try:
                answer = self._service.send("POST", path, body, **headers)
            except (OSError, http.client.HTTPException):
                return None
            self.statuses[answer.status] += 1
            assert answer.status != 503 or int(answer.headers["retry-after"]) > 0
            assert answer.status in {good, 503}, answer.text
            return answer if answer.status == good else None

        return until(f"{good} from {path}", once, self._insist_seconds)  # type: ignore[no-any-return]

    def assert_kept(self) -> None:
        """Acknowledged and stored are the same, each once; so are approved and decided."""
        assert not self.failures
        found = {site: stored(self._service, site) for site in self._sites}
        wanted: dict[str, list[tuple[str, str]]] = {site: [] for site in self._sites}
        for comment_id, (site, text) in self.acknowledged.items():
            wanted[site].append((comment_id, text))
        for site in self._sites:
            assert sorted((item["id"], item["text"]) for item in found[site]) == sorted(wanted[site])
            approved = {item["id"] for item in found[site] if item["status"] == "approved"}
            assert approved == {comment_id for comment_id in self.approved if self.acknowledged[comment_id][0] == site}


def stored(service: Service, site: str) -> list[dict[str, Any]]:
    """All comments of a site, page by page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = service.get(f"/api/v1/comments?site={site}&limit=200&cursor={cursor}", ADMIN).json
        found += page["items"]
        cursor = page["next_cursor"]
    return found
