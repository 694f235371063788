"""A worker hears of what became due at once, not at its next sweep."""

import asyncio
from typing import Any

import pytest

from moderation.errors import Unavailable
from moderation.store import outbox
from moderation.store.connection import Store
from moderation.store.outbox import Job
from tests.store.conftest import approve, endpoint
from workers.engine import Engine
from workers.retry import Outcome


class Receiver:
    """Takes everything."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def deliver(self, job: Job) -> Outcome:
        self.asked.set()
        return Outcome(True, "ok")


async def test_what_comes_during_the_first_look_after_an_absence_is_not_left_to_the_sweep(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await endpoint(store)
    receiver, nudged, looks = Receiver(), asyncio.Event(), 0
    worker = Engine(store, {"webhook": receiver})
    hear, look = worker._nudged, outbox.take

    def heard(partitions: Any) -> None:
        hear(partitions)
        nudged.set()

    async def take(*arguments: Any) -> tuple[int, list[Job]]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise Unavailable()
        found = await look(*arguments)
        if looks == 2:  # the answer is on its way while a decision is made, and its nudge overtakes it
            nudged.clear()
            await approve(store)
            await asyncio.wait_for(nudged.wait(), 10)
        return found

    monkeypatch.setattr(worker, "_nudged", heard)
    monkeypatch.setattr(outbox, "take", take)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(receiver.asked.wait(), 10)
    worker.stop()
    await asyncio.wait_for(running, 10)
