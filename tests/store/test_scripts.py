"""take.lua and settle.lua against a real server: the lease, its fence, the cap of a lane, the order."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from moderation import lifecycle
from moderation.model import Decision, Endpoint, Site, Submission
from moderation.privacy import Privacy
from moderation.store import comments, endpoints, keys, outbox, review, sites
from moderation.store.connection import Store, open_store
from moderation.store.outbox import Job
from moderation.store.review import DecisionRequest
from tests.fault.proxy import Valkey, valkey
from workers import egress
from workers.engine import Engine
from workers.webhook import WebhookSender

LONG, SHORT = 60_000, 30
SITE = "news"
PARTITION = keys.site_partition(SITE, 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("valkey")) as found:
        yield found


@pytest.fixture
async def store(server: Valkey) -> AsyncIterator[Store]:
    """An empty store with one site."""
    server.client.flushall()
    found = await open_store(server.url, Privacy([b"k" * 32]), 1)
    await sites.create(found, Site(id=SITE, name="News"))
    yield found
    await found.close()


_numbers = itertools.count()


async def endpoint(store: Store) -> str:
    made = Endpoint(id=store.new_id(SITE), site=SITE, url="http://127.0.0.1:9/hook")
    await endpoints.save(store, made, ["whsec_" + "a" * 32])
    return made.id


async def approve(store: Store, count: int = 1, **more: int) -> list[str]:
    """Approved comments, each with a webhook for every endpoint; their ids."""
    site, version = await sites.load(store, SITE)
    ids = []
    for _ in range(count):
        said = Submission("ليلى", "", "", f"نص {next(_numbers)}", "41", locale="ar")
        accepted = await comments.submit(store, site, version, said, address="")
        comment = await comments.load(store, accepted.comment_id)
        wanted = DecisionRequest(Decision.APPROVE, "m", **more)
        await review.decide(store, comment, wanted, lifecycle.plan(Decision.APPROVE), "")
        ids.append(comment.id)
    return ids


async def take(store: Store, limit: int = 50, lease_ms: int = LONG, per_lane: int = 50) -> list[Job]:
    return (await outbox.take(store, PARTITION, limit, lease_ms, per_lane))[1]


async def take_when_due(store: Store, limit: int = 50) -> list[Job]:
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        if found := await take(store, limit):
            return found
    raise AssertionError("nothing became due")


async def state(store: Store, comment_id: str) -> tuple[str, int]:
    """State of the only delivery, and its number of attempts."""
    (found,) = await outbox.deliveries(store, comment_id)
    return found["state"], len(found["attempts"])


async def test_a_settle_with_an_old_lease_writes_nothing(store: Store) -> None:
    await endpoint(store)
    (comment_id,) = await approve(store)
    (old,) = await take(store, lease_ms=SHORT)
    (new,) = await take_when_due(store)
    assert not await outbox.settle(store, old, "dead", 0, {"ok": False}, "their-id")
    assert await state(store, comment_id) == ("queued", 0)
    assert "x" not in (await comments.load(store, comment_id)).head
    assert await outbox.settle(store, new, "delivered", 0, {"ok": True})
    assert not await outbox.settle(store, new, "dead", 0, {"ok": False})
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
    assert await outbox.settle(store, held, "delivered", 0, {"ok": True})
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
    slow = await endpoint(store)
    await approve(store, 5)
    first = await take(store, per_lane=2)
    assert [job.target for job in first] == [slow, slow]
    quick = await endpoint(store)
    await approve(store)
    assert [job.target for job in await take(store, per_lane=2)] == [quick]
    assert await outbox.settle(store, first[0], "delivered", 0, {"ok": True})
    (freed,) = await take(store, per_lane=2)
    assert freed.target == slow
    assert freed.delivery_id not in {job.delivery_id for job in first}


async def test_what_is_due_first_goes_first_and_what_is_not_due_stays(store: Store) -> None:
    await endpoint(store)
    ids = await approve(store, 3)
    jobs = await take(store, limit=1) + await take(store, limit=1) + await take(store, limit=1)
    assert [job.comment_id for job in jobs] == ids
    for job, delay_ms in zip(jobs, (300, LONG, 100), strict=True):
        assert await outbox.settle(store, job, "queued", delay_ms, {"ok": False})
    wait_ms, none = await outbox.take(store, PARTITION, 50, LONG, 50)
    assert none == []
    assert 0 < wait_ms <= 100
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
    assert await outbox.settle(store, job, "delivered", 0, {"ok": True}, "wp-7")
    assert (await comments.load(store, comment_id)).head["x"] == "wp-7"
    assert await store.pipe.call("HGET", f"{keys.tag(PARTITION)}x:{SITE}", "wp-7") == comment_id


async def test_a_deleted_endpoint_ends_its_deliveries_as_dead(store: Store) -> None:
    endpoint_id = await endpoint(store)
    ids = await approve(store, 8)
    await endpoints.remove(store, SITE, endpoint_id)
    async with WebhookSender(store, egress.Guard(())) as sender:
        engine = Engine(store, {"webhook": sender})
        running = asyncio.create_task(engine.run())
        async with asyncio.timeout(20):
            while [await state(store, i) for i in ids] != [("dead", 1)] * 8:
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
        assert await outbox.settle(store, first, "queued", LONG, {"ok": False})
        assert await outbox.settle(store, second, "delivered", 0, {"ok": True}, "wp-8")
    finally:
        server.client.config_set("maxmemory", "0")
    assert (await state(store, retried), await state(store, done)) == (("queued", 1), ("delivered", 1))
