"""How a site fares: counted from what is stored, so that nothing has to be counted while it is written, and nothing drifts."""

import statistics
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moderation.model import Comment, Status, created_ms
from moderation.store import comments, endpoints, keys
from moderation.store.connection import Store
from moderation.store.lessons import MACHINES

DAY_MS = 86_400_000
LOOKED_AT_MAX = 5000  # comments of a site, the newest, for everything but the counts by day
_PAGE = 500
AGES = {"1h": 3600, "1d": 86_400, "7d": 7 * 86_400, "older": 0}  # seconds


@dataclass(slots=True)
class Rule:
    """How often a rule spoke about comments that are decided, and how often a human published them all the same."""

    hits: int = 0
    overturned: int = 0

    @property
    def overturn_rate(self) -> float:
        return self.overturned / self.hits if self.hits else 0.0


@dataclass(slots=True)
class Figures:
    """Of one site or of several."""

    days: list[int] = field(default_factory=list)  # first ms of each day, oldest first
    by_day: dict[str, list[int]] = field(default_factory=dict)  # status → comments of each day
    looked_at: int = 0
    complete: bool = True  # whether all comments of the time were looked at
    waits_seconds: list[float] = field(default_factory=list)
    oldest_waiting_ms: int | None = None
    waiting_by_age: dict[str, int] = field(default_factory=lambda: dict.fromkeys(AGES, 0))
    by_moderator: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    rules: dict[str, Rule] = field(default_factory=lambda: defaultdict(Rule))
    receivers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(map(sum, self.by_day.values()))

    def total_of(self, status: str) -> int:
        return sum(self.by_day[status])

    @property
    def median_seconds(self) -> float | None:
        """Half of the decisions by people came within this time."""
        return statistics.median(self.waits_seconds) if self.waits_seconds else None

    @property
    def p95_seconds(self) -> float | None:
        if not self.waits_seconds:
            return None
        return sorted(self.waits_seconds)[min(len(self.waits_seconds) - 1, int(len(self.waits_seconds) * 0.95))]


async def of(store: Store, names: list[str], days: int) -> Figures:
    """The figures of the last days (UTC), today among them."""
    now = int(time.time() * 1000)
    first = now // DAY_MS * DAY_MS - (days - 1) * DAY_MS
    found = Figures([first + n * DAY_MS for n in range(days)], {status.value: [0] * days for status in Status})
    for name in names:
        await _count_days(store, name, found)
        await _age_of_queue(store, name, found, now)
        await _look_through(store, name, found, first)
        for endpoint in await endpoints.of_site(store, name):
            health, counts = await endpoints.health(store, endpoint)
            found.receivers.append({"site": name, "id": endpoint.id, "url": endpoint.url, "state": health.state, "last_success_ms": health.last_success_ms, **counts})  # fmt: skip
    return found


async def _count_days(store: Store, name: str, found: Figures) -> None:
    """UUIDv7 sort by time: the comments of a day lie between two ids."""
    tag = store.tag_of_site(name)
    commands = [
        ("ZLEXCOUNT", f"{tag}s:{name}:{status}", f"[{keys.lowest_id(day)}", f"({keys.lowest_id(day + DAY_MS)}")
        for status in found.by_day
        for day in found.days
    ]
    replies = iter(await store.pipe.call_many(commands))
    for row in found.by_day.values():
        for index in range(len(row)):
            row[index] += int(next(replies))


async def _age_of_queue(store: Store, name: str, found: Figures, now: int) -> None:
    index = f"{store.tag_of_site(name)}s:{name}:{Status.PENDING}"
    edges = [now - seconds * 1000 for seconds in AGES.values() if seconds]
    oldest, total, *younger = await store.pipe.call_many(
        [
            ("ZRANGE", index, 0, 0),
            ("ZCARD", index),
            *[("ZLEXCOUNT", index, f"[{keys.lowest_id(edge)}", "+") for edge in edges],
        ]
    )
    before = 0
    for age, count in zip(AGES, [*map(int, younger), int(total)], strict=True):
        found.waiting_by_age[age] += count - before
        before = count
    if oldest:
        found.oldest_waiting_ms = min(found.oldest_waiting_ms or now, created_ms(oldest[0]))


async def _look_through(store: Store, name: str, found: Figures, first: int) -> None:
    cursor, seen = "", 0
    while seen < LOOKED_AT_MAX:
        part = await comments.page(store, name, list(Status), cursor=cursor, newest=True, limit=_PAGE)
        recent = [comment for comment in part.items if comment.created_ms >= first]
        for comment in recent:
            _look_at(comment, found)
        seen += len(recent)
        if len(recent) < _PAGE:
            break
        cursor = part.items[-1].id
    else:
        found.complete = False
    found.looked_at += seen


def _look_at(comment: Comment, found: Figures) -> None:
    by, at = comment.head.get("by"), comment.head.get("at")
    if comment.status is Status.PENDING or not by or not at:
        return
    human = by not in MACHINES
    if human:
        found.by_moderator[by][comment.status.value] += 1
        found.waits_seconds.append(max(0.0, (_ms(at) - comment.created_ms) / 1000))
    for rule, verdict, _detail in (comment.body.get("screening") or {}).get("reasons", ()):
        if verdict in {"hold", "spam", "reject"} and rule != "site_mode":
            found.rules[rule].hits += 1
            found.rules[rule].overturned += human and comment.status is Status.APPROVED


def _ms(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)
