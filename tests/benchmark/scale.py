"""What every act at the queue takes over a million waiting comments, beside the same over a thousand: two servers, acts in turn.

    python -m tests.benchmark.scale [--small 1000] [--big 1000000] [--rounds 300]

Needs 1.2 GB for a million. One client and no disk in the way (appendfsync everysec), so that the servers' own time shows.
"""

import argparse
import asyncio
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from moderation import lifecycle
from moderation.model import Decision, Site, Status, Submission
from moderation.privacy import Privacy
from moderation.store import comments, live, review, sites
from moderation.store.connection import Store, open_store
from moderation.store.live import Place
from moderation.store.review import DecisionRequest
from tests.benchmark.memory import fill, text
from tests.fault.proxy import Valkey, valkey

PAGE, BY = 50, "bench"


class Queue:
    """One store, filled."""

    def __init__(self, store: Store, site: Site, version: str) -> None:
        self._store, self._site, self._version = store, site, version
        self._middle = ""

    @classmethod
    async def filled(cls, server: Valkey, count: int) -> "Queue":
        store = await open_store(server.url, Privacy([secrets.token_bytes(32)]), 16)
        site = Site(id="bench", name="bench", locale="ar")
        await sites.create(store, site)
        _, version = await sites.load(store, site.id)
        made = cls(store, site, version)
        await fill(store, site, count // 2, version)
        made._middle = (await made._waiting(newest=True, limit=1))[0]
        await fill(store, site, count - count // 2, version, count // 2)
        return made

    async def _waiting(self, **how: object) -> list[str]:
        found = await comments.page(self._store, self._site.id, [Status.PENDING], **how)  # type: ignore[arg-type]
        return [comment.id for comment in found.items]

    async def first_page(self) -> None:
        assert len(await self._waiting(limit=PAGE)) == PAGE

    async def newest_page(self) -> None:
        assert len(await self._waiting(limit=PAGE, newest=True)) == PAGE

    async def page_in_the_middle(self) -> None:
        assert len(await self._waiting(limit=PAGE, cursor=self._middle)) == PAGE

    async def all_statuses(self) -> None:
        found = await comments.page(self._store, self._site.id, list(Status), limit=PAGE)
        assert len(found.items) == PAGE

    async def claim(self) -> None:
        assert len(await review.claim(self._store, self._site.id, BY, PAGE, 600)) == PAGE

    async def release(self) -> None:
        assert await review.release(self._store, self._site.id, BY, [])

    async def approve(self) -> None:
        self._decided = (await review.claim(self._store, self._site.id, BY, 1, 600))[0]
        await self._decide(Decision.APPROVE)

    async def take_back(self) -> None:
        await self._decide(Decision.HOLD)

    async def _decide(self, decision: Decision) -> None:
        wanted, leads_to = DecisionRequest(decision, BY), lifecycle.plan(decision)
        self._decided = await review.decide(self._store, self._decided, wanted, leads_to, "author")

    async def submit(self) -> None:
        number = secrets.token_hex(6)
        said = Submission(f"ليلى {number}", f"{number}@example.org", "", text(), "thread-1", locale="ar")
        await comments.submit(self._store, self._site, self._version, said, address="")

    async def look_at_the_live_queue(self) -> None:
        await live.changes(self._store, [self._site.id], Place())

    async def close(self) -> None:
        await self._store.close()


ACTS: tuple[tuple[Callable[[Queue], Awaitable[None]], float], ...] = (
    (Queue.first_page, 2), (Queue.newest_page, 2), (Queue.page_in_the_middle, 2), (Queue.all_statuses, 2), (Queue.claim, 3),
    (Queue.release, 3), (Queue.approve, 2.5), (Queue.take_back, 2.5), (Queue.submit, 2), (Queue.look_at_the_live_queue, 2),
)  # fmt: skip


async def measure(small: int, big: int, rounds: int) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        options = {"appendfsync": "everysec", "auto-aof-rewrite-percentage": "0"}
        with valkey(Path(folder) / "few", **options) as few, valkey(Path(folder) / "many", **options) as many:
            queues = [await Queue.filled(few, small), await Queue.filled(many, big)]
            took: dict[str, tuple[list[float], list[float]]] = {act.__name__: ([], []) for act, _ in ACTS}
            for number in range(-10, rounds):  # the first ten warm up
                for act, _ in ACTS:
                    for which in random.sample((0, 1), 2):
                        began = time.perf_counter()
                        await act(queues[which])
                        if number >= 0:
                            took[act.__name__][which].append((time.perf_counter() - began) * 1e6)
            for queue in queues:
                await queue.close()
    print(f"{rounds} rounds, {small:,} and {big:,} waiting; microseconds, p50 / p95")
    good = True
    for act, bar in ACTS:
        few_us, many_us = took[act.__name__]
        ratio = statistics.median(many_us) / statistics.median(few_us)
        good &= ratio <= bar
        shown = [f"{statistics.median(t):6.0f} / {statistics.quantiles(t, n=20)[-1]:6.0f}" for t in (few_us, many_us)]
        print(f"{act.__name__.replace('_', ' '):>24}: {shown[0]}   {shown[1]}   ratio {ratio:.2f} (bar {bar})")
    return good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--big", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=300)
    chosen = parser.parse_args()
    sys.exit(0 if asyncio.run(measure(chosen.small, chosen.big, chosen.rounds)) else 1)
