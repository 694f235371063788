"""What a worker that is told to end can't finish is due again at once, under the same id."""

import asyncio

import pytest

from moderation.store.connection import Store
from moderation.store.outbox import Job
from tests.store.conftest import approve, endpoint, take
from workers import engine
from workers.engine import Engine
from workers.retry import Outcome


class Hanging:
    """A receiver that never answers."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[str] = asyncio.Queue()

    async def deliver(self, job: Job) -> Outcome:
        self.asked.put_nowait(job.delivery_id)
        await asyncio.Event().wait()
        raise AssertionError("never comes here")


async def test_what_it_cannot_finish_is_given_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "DRAIN_SECONDS", 0.05)
    await endpoint(store)
    await approve(store, 3)
    sender = Hanging()
    worker = Engine(store, {"webhook": sender})
    running = asyncio.create_task(worker.run())
    under_way = {await asyncio.wait_for(sender.asked.get(), 60) for _ in range(3)}
    assert await take(store) == []
    worker.stop()
    await asyncio.wait_for(running, 60)
    again = await take(store)
    assert {job.delivery_id for job in again} == under_way
    assert [job.attempts for job in again] == [0, 0, 0]  # being broken off is no attempt
    assert [job.abandoned for job in again] == [0, 0, 0]  # and nobody died of them
