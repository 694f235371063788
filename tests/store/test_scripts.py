"""take.lua and settle.lua against a real server: the lease, its fence, the cap of a lane, the order."""

import asyncio

import pytest

from moderation.errors import Conflict
from moderation.store import comments, endpoints, keys, outbox, review
from moderation.store.connection import Store, open_store
from moderation.store.outbox import Job, Settlement
from tests.fault.proxy import Valkey
from tests.store.conftest import LONG, PARTITION, SHORT, SITE, approve, endpoint, later, state, take, take_when_due
from workers.engine import ABANDONED_MAX, Engine
from workers.guard import Guard
from workers.retry import WEBHOOK_WAITS, Outcome
from workers.webhook import WebhookSender


async def test_a_settle_with_an_old_lease_writes_nothing(store: Store) -> None:
    await endpoint(store)
    (comment_id,) = await approve(store)
    (old,) = await take(store, lease_ms=SHORT)
    (new,) = await take_when_due(store)
    assert not await outbox.settle(store, old, Settlement("dead"), {"ok": False}, external_id="their-id")
    assert await state(store, comment_id) == ("queued", 0)
    assert "x" not in (await comments.load(store, comment_id)).head
    assert await outbox.settle(store, new, Settlement("delivered"), {"ok": True})
    assert not await outbox.settle(store, new, Settlement("dead"), {"ok": False})
    assert await state(store, comment_id) == ("delivered", 1)


async def test_a_lease_that_ends_gives_the_same_delivery_to_another_worker(store: Store) -> None:
    await endpoint(store)
    await approve(store)
    (old,) = await take(store, lease_ms=SHORT)
    (new,) = await take_when_due(store)
    assert (new.delivery_id, new.event["id"], new.comment_id) == (old.delivery_id, old.event["id"], old.comment_id)
    assert new.lease > old.lease
    assert await take(store) == []


async def test_a_renewed_lease_is_held_and_a_lost_one_is_not_renewed(store: Store, server: Valkey) -> None:
    endpoint_id = await endpoint(store)
    await approve(store)
    (old,) = await take(store, lease_ms=SHORT)
    (held,) = await take_when_due(store)
    assert not await outbox.renew(store, old, LONG)
    assert await outbox.renew(store, held, 2 * LONG)
    ends = [server.client.zscore(f"{keys.tag(0)}{name}:ep:{endpoint_id}", held.delivery_id) for name in ("fl", "lane")]
    assert min(ends) >= int(held.lease) + LONG
    assert await outbox.settle(store, held, Settlement("delivered"), {"ok": True})
    assert not await outbox.renew(store, held, LONG)


async def test_two_workers_never_take_one_delivery(store: Store, server: Valkey) -> None:
    await endpoint(store)
    await approve(store, 45)
    other = await open_store(server.url, store.privacy, 1)
    takes = await asyncio.gather(*[take(s, limit=7) for _ in range(10) for s in (store, other)])
    await other.close()
    ids = [job.delivery_id for jobs in takes for job in jobs]
    assert len(ids) == len(set(ids)) == 45


async def test_a_lane_gives_no_more_than_its_share_and_holds_up_no_other(store: Store) -> None:
    slow = await endpoint(store, max_in_flight=2)
    await approve(store, 5)
    first = await take(store)
    assert [job.target for job in first] == [slow, slow]
    quick = await endpoint(store)
    await approve(store)
    assert [job.target for job in await take(store)] == [quick]
    assert await outbox.settle(store, first[0], Settlement("delivered"), {"ok": True})
    (freed,) = await take(store)
    assert freed.target == slow
    assert freed.delivery_id not in {job.delivery_id for job in first}


async def test_what_is_due_first_goes_first_and_what_is_not_due_stays(store: Store, server: Valkey) -> None:
    await endpoint(store)
    ids = await approve(store, 3)
    jobs = await take(store, limit=1) + await take(store, limit=1) + await take(store, limit=1)
    assert [job.comment_id for job in jobs] == ids
    for job, delay_ms in zip(jobs, (3 * LONG, 9 * LONG, LONG), strict=True):
        assert await outbox.settle(store, job, Settlement("queued", delay_ms), {"ok": False})
    wait_ms, none = await outbox.take(store, PARTITION, 50, LONG, 50)
    assert none == []
    assert 0 < wait_ms <= LONG
    later(server, 4 * LONG)
    (first,), (second,) = await take_when_due(store, 1), await take_when_due(store, 1)
    assert [first.comment_id, second.comment_id] == [ids[2], ids[0]]
    assert (first.attempts, second.attempts) == (1, 1)
    assert await take(store) == []


async def test_a_delivery_whose_undo_time_runs_is_not_handed_out(store: Store) -> None:
    await endpoint(store)
    (comment_id,) = await approve(store, undo_seconds=60)
    assert await take(store) == []
    await review.undo(store, await comments.load(store, comment_id), "m")
    assert await outbox.deliveries(store, comment_id) == []


async def test_nothing_to_do_is_said_so(store: Store) -> None:
    assert await outbox.take(store, PARTITION, 50, LONG, 5) == (-1, [])


async def test_the_external_id_of_an_answer_is_kept_and_found(store: Store) -> None:
    await endpoint(store)
    (comment_id,) = await approve(store)
    (job,) = await take(store)
    assert await outbox.settle(store, job, Settlement("delivered"), {"ok": True}, external_id="wp-7")
    assert (await comments.load(store, comment_id)).head["x"] == "wp-7"
    assert await store.pipe.call("HGET", f"{keys.tag(PARTITION)}x:{SITE}", "wp-7") == comment_id


async def test_a_deleted_endpoint_cancels_its_deliveries(store: Store) -> None:
    endpoint_id = await endpoint(store)
    ids = await approve(store, 8)
    await endpoints.remove(store, SITE, endpoint_id)
    async with WebhookSender(store, Guard(())) as sender:
        engine = Engine(store, {"webhook": sender})
        running = asyncio.create_task(engine.run())
        async with asyncio.timeout(60):
            while [await state(store, i) for i in ids] != [("cancelled", 1)] * 8:
                await asyncio.sleep(0.02)
        engine.stop()
        await running
    (delivery,) = await outbox.deliveries(store, ids[0])
    assert "deleted" in delivery["attempts"][0]["detail"]


async def test_full_memory_does_not_stop_the_workers(store: Store, server: Valkey) -> None:
    await endpoint(store)
    retried, done = await approve(store, 2)
    server.client.config_set("maxmemory", "1")
    try:
        first, second = await take(store)
        assert await outbox.settle(store, first, Settlement("queued", LONG), {"ok": False})
        assert await outbox.settle(store, second, Settlement("delivered"), {"ok": True}, external_id="wp-8")
    finally:
        server.client.config_set("maxmemory", "0")
    assert (await state(store, retried), await state(store, done)) == (("queued", 1), ("delivered", 1))


class Deadly:
    """Whoever makes a delivery with it would die: it is not to be asked again."""

    async def deliver(self, job: Job) -> Outcome:
        raise AssertionError("tried again")


async def test_a_delivery_that_every_worker_dies_of_ends_as_dead_and_stops_no_other(store: Store) -> None:
    await endpoint(store)
    (comment_id,) = await approve(store)
    (delivery,) = await outbox.deliveries(store, comment_id)
    for attempt in range(1, len(WEBHOOK_WAITS) + 2):
        for _ in range(ABANDONED_MAX):
            assert await take_when_due(store, lease_ms=SHORT)  # and dies
        engine = Engine(store, {"webhook": Deadly()})
        running = asyncio.create_task(engine.run())
        async with asyncio.timeout(60):
            while (await state(store, comment_id))[1] < attempt:
                await asyncio.sleep(0.01)
        engine.stop()
        await running
        if attempt <= len(WEBHOOK_WAITS):
            assert await outbox.requeue(store, delivery["id"]) == "ok"  # do not wait for the schedule
    (ended,) = await outbox.deliveries(store, comment_id)
    assert ended["state"] == "dead"
    assert {found["code"] for found in ended["attempts"]} == {"abandoned"}
    assert await outbox.requeue(store, delivery["id"], by_hand=True) == "ok"


async def test_an_attempt_that_ends_forgets_the_workers_that_died(store: Store) -> None:
    await endpoint(store)
    await approve(store)
    (job,) = await take(store, lease_ms=SHORT)
    (again,) = await take_when_due(store)
    assert (job.abandoned, again.abandoned) == (0, 1)
    assert await outbox.settle(store, again, Settlement("queued"), {"ok": False})
    assert [found.abandoned for found in await take_when_due(store)] == [0]


async def test_what_was_handed_out_is_not_undone_even_if_the_clock_says_so(store: Store) -> None:
    """It was asked for by hand before its time, or the clock was set back."""
    await endpoint(store)
    (comment_id,) = await approve(store, undo_seconds=60)
    (delivery,) = await outbox.deliveries(store, comment_id)
    await outbox.requeue(store, delivery["id"], by_hand=True)
    (job,) = await take(store)
    assert await outbox.settle(store, job, Settlement("delivered"), {"ok": True})
    with pytest.raises(Conflict):
        await review.undo(store, await comments.load(store, comment_id), "m")
    assert (await comments.load(store, comment_id)).status.value == "approved"
