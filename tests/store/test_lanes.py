"""What a lane lets through: cap, rate, pause, window; what disables an endpoint; what is held, and made again."""

import time
from dataclasses import replace
from typing import Any

import pytest

from moderation.store import endpoints, keys, outbox, replays
from moderation.store.connection import Store
from moderation.store.endpoints import Keys
from moderation.store.outbox import PATIENCE, Job, Settlement
from tests.fault.proxy import Valkey
from tests.store.conftest import LONG, PARTITION, SITE, approve, endpoint, later, state, take, take_when_due

DAY = 86_400_000
FAILED = Settlement("queued", LONG, lane="fail")
WELL = Settlement("delivered", lane="ok")


async def settle(store: Store, job: Job, step: Settlement, **more: Any) -> None:
    assert await outbox.settle(store, job, step, {"ok": step.lane == "ok", "code": "x"}, **more)


async def lane_state(store: Store, endpoint_id: str) -> dict[str, str]:
    flat = await store.pipe.call("HGETALL", f"{keys.tag(PARTITION)}ls:{endpoints.lane(endpoint_id)}")
    return dict(zip(flat[::2], flat[1::2], strict=True))


async def health(store: Store, endpoint_id: str) -> endpoints.Health:
    found, _ = await endpoints.load(store, SITE, endpoint_id)
    return (await endpoints.health(store, found))[0]


async def test_a_lane_gives_at_most_what_its_endpoint_takes_at_once(store: Store) -> None:
    await endpoint(store, max_in_flight=3)
    await approve(store, 10)
    jobs = await take(store)
    assert len(jobs) == 3
    assert await take(store) == []
    await settle(store, jobs[0], WELL)
    assert len(await take(store)) == 1


async def test_a_rate_lets_one_second_s_worth_go_and_then_keeps_its_pace(store: Store) -> None:
    await endpoint(store, rate_per_second=5)
    await approve(store, 9)
    started = time.monotonic()
    taken = len(await take(store))
    assert taken == 5
    elapsed = 0.0
    while taken < 9:
        wait_ms, more = await outbox.take(store, PARTITION, 50, LONG, 50)
        taken += len(more)
        elapsed = time.monotonic() - started
        assert taken <= 5 + elapsed * 5 + 1
        assert 0 < wait_ms <= 200 or taken == 9
    assert elapsed >= 0.6


async def test_a_paused_lane_waits_and_no_attempt_is_used(store: Store, server: Valkey) -> None:
    slow, quick = await endpoint(store), await endpoint(store)
    await approve(store, 3)
    jobs = await take(store)
    first = next(j for j in jobs if j.target == slow)
    await settle(store, first, replace(FAILED, delay_ms=0, pause_ms=LONG, window="1"))
    for job in jobs:
        if job is not first:
            await settle(store, job, Settlement("queued", 0))
    others = await take(store)
    assert {job.target for job in others} == {quick}
    for job in others:
        await settle(store, job, WELL)
    assert (await health(store, slow)).state == "cooling"
    later(server, LONG)
    (probe,) = await take_when_due(store)
    assert probe.target == slow
    assert await take(store) == []  # half open: one at a time
    await settle(store, probe, WELL)
    pair = await take(store)
    assert [job.target for job in pair] == [slow, slow]
    assert (await health(store, slow)).state == "ok"


async def test_the_window_opens_by_doubling(store: Store) -> None:
    slow = await endpoint(store, max_in_flight=5)
    await approve(store, 20)
    jobs = await take(store)
    await settle(store, jobs[0], replace(FAILED, window="1"))
    for job in jobs[1:]:
        await settle(store, job, Settlement("queued", LONG))
    widths = []
    for _ in range(4):
        jobs = await take(store)
        widths.append(len(jobs))
        await settle(store, jobs[0], WELL)
        for job in jobs[1:]:
            await settle(store, job, Settlement("delivered"))
    assert widths == [1, 2, 4, 5]
    assert "w" not in await lane_state(store, slow)


async def test_two_events_answered_gone_disable_and_one_alone_does_not(store: Store) -> None:
    endpoint_id = await endpoint(store)
    await approve(store, 3)
    first, second, third = await take(store)
    gone = Settlement("dead", lane="fail", asked="gone")
    await settle(store, first, gone)
    assert (await health(store, endpoint_id)).state == "failing"
    await outbox.retry(store, first.delivery_id)
    (again,) = await take(store)
    await settle(store, again, gone)
    assert (await endpoints.load(store, SITE, endpoint_id))[0].enabled
    await settle(store, second, gone)
    found = await health(store, endpoint_id)
    assert (found.state, found.disabled_reason) == ("disabled", "gone")
    await settle(store, third, WELL)


async def test_a_success_forgets_a_410(store: Store) -> None:
    endpoint_id = await endpoint(store)
    await approve(store, 3)
    first, second, third = await take(store)
    gone = Settlement("dead", lane="fail", asked="gone")
    await settle(store, first, gone)
    await settle(store, second, WELL)
    await settle(store, third, gone)
    assert (await endpoints.load(store, SITE, endpoint_id))[0].enabled


async def test_an_endpoint_may_ask_to_be_disabled(store: Store) -> None:
    endpoint_id = await endpoint(store)
    await approve(store)
    (job,) = await take(store)
    await settle(store, job, Settlement("delivered", lane="fail", asked="asked"))
    assert (await health(store, endpoint_id)).disabled_reason == "asked"


async def failing_for(store: Store, endpoint_id: str, days: float, failures: int = 20, messages: int = 5) -> None:
    """As if it had done nothing but fail for so long."""
    now = int((await store.pipe.call("TIME"))[0]) * 1000
    key = f"{keys.tag(PARTITION)}ls:{endpoints.lane(endpoint_id)}"
    await store.pipe.call("HSET", key, "since", round(now - days * DAY), "ff", failures, "fm", messages, "f", failures)


async def fail_once(store: Store) -> None:
    await approve(store)
    await settle(store, (await take_when_due(store, 1))[0], FAILED)


async def told(store: Store) -> list[tuple[str, str]]:
    """(event, whom) of the deliveries about endpoints that wait."""
    return [(job.event["type"], job.target) for job in await take(store) if "endpoint" in job.event]


async def test_five_days_of_nothing_but_failures_disable_and_somebody_is_told(store: Store) -> None:
    endpoint_id = await endpoint(store)
    other = await endpoint(store, events=("endpoint.disabled", "endpoint.failing"), threads=("news/",))
    await failing_for(store, endpoint_id, 5.01)
    await fail_once(store)
    found = await health(store, endpoint_id)
    assert (found.state, found.disabled_reason) == ("disabled", "failing")
    assert sorted(await told(store)) == [("endpoint.disabled", other), ("endpoint.disabled", "admins")]


@pytest.mark.parametrize(("days", "failures", "messages"), [(4.99, 20, 5), (9, 5, 5), (9, 20, 1)])
async def test_less_does_not_disable(store: Store, days: float, failures: int, messages: int) -> None:
    endpoint_id = await endpoint(store)
    await failing_for(store, endpoint_id, days, failures, messages)
    await fail_once(store)
    assert (await endpoints.load(store, SITE, endpoint_id))[0].enabled


async def test_warnings_go_out_once_after_a_day_and_once_after_three(store: Store) -> None:
    endpoint_id = await endpoint(store)
    seen = []
    for days in (0.9, 1.1, 1.2, 3.1, 3.2):
        await failing_for(store, endpoint_id, days)
        await fail_once(store)
        seen.append(len(await told(store)))
    assert seen == [0, 1, 0, 1, 0]


async def test_patience_is_what_it_is_told(store: Store) -> None:
    endpoint_id = await endpoint(store)
    await approve(store, 3)
    patience = replace(PATIENCE, disable_ms=0, failures=3)
    for job in await take(store):
        assert (await endpoints.load(store, SITE, endpoint_id))[0].enabled
        await settle(store, job, FAILED, patience=patience)
    assert not (await endpoints.load(store, SITE, endpoint_id))[0].enabled


async def switch(store: Store, endpoint_id: str, on: bool) -> None:
    found, secrets = await endpoints.load(store, SITE, endpoint_id)
    await endpoints.save(store, found, secrets, switch=on, at="2026-01-01T00:00:00.000Z")


async def test_events_of_a_disabled_endpoint_are_held_and_can_be_replayed(store: Store) -> None:
    endpoint_id = await endpoint(store)
    (before,) = await approve(store)
    await switch(store, endpoint_id, False)
    (meanwhile,) = await approve(store)
    assert await take(store) == []
    assert (await state(store, before), await state(store, meanwhile)) == (("held", 0), ("held", 0))
    await switch(store, endpoint_id, True)
    assert await take(store) == []
    found, _ = await endpoints.load(store, SITE, endpoint_id)
    job_id = await replays.start(store, found, 0, 0, "held", "m", "")
    assert await run(store, job_id) == {"seen": 2, "made": 2}
    assert {job.comment_id for job in await take(store) if job.kind == "webhook"} == {before, meanwhile}


async def run(store: Store, job_id: str) -> dict[str, int]:
    """A replay, step by step, as a worker does it."""
    doc = next(job.event for job in await take_when_due(store) if job.kind == "replay")
    found, _ = await endpoints.load(store, SITE, doc["endpoint"])
    while not await replays.step(store, doc, found):
        pass
    done = await replays.load(store, job_id)
    assert done["state"] == "done"
    return {"seen": done["done"], "made": done["queued"]}


async def test_a_replay_that_is_cut_off_goes_on_where_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "_PAGE", 2)
    endpoint_id = await endpoint(store)
    await approve(store, 5)
    for job in await take(store):
        await settle(store, job, Settlement("dead"))
    found, _ = await endpoints.load(store, SITE, endpoint_id)
    job_id = await replays.start(store, found, 0, 0, "dead", "m", "")
    doc = next(job.event for job in await take_when_due(store) if job.kind == "replay")
    await replays.step(store, doc, found)
    assert {k: (await replays.load(store, job_id))[k] for k in ("state", "done", "total")} == {
        "state": "running",
        "done": 2,
        "total": 5,
    }
    while not await replays.step(store, doc, found):
        pass
    assert (await replays.load(store, job_id))["queued"] == 5
    assert len(await take(store)) == 5


async def test_missing_events_are_those_it_wants_and_never_had(store: Store) -> None:
    first = await endpoint(store)
    ids = await approve(store, 2) + await approve(store, thread="sport/9")
    for job in await take(store):
        await settle(store, job, WELL)
    late = await endpoint(store, threads=("41",))
    found, _ = await endpoints.load(store, SITE, late)
    assert (await run(store, await replays.start(store, found, 0, 0, replays.MISSING, "m", "")))["made"] == 2
    jobs = await take(store)
    again = await replays.start(store, found, 0, 0, replays.MISSING, "m", "")  # by now there is nothing missing
    assert (await run(store, again))["made"] == 0
    assert {(job.comment_id, job.target) for job in jobs} == {(i, late) for i in ids[:2]}
    assert first not in {job.target for job in jobs}


async def test_a_range_of_time_is_a_range(store: Store) -> None:
    endpoint_id = await endpoint(store)
    await approve(store)
    (job,) = await take(store)
    await settle(store, job, Settlement("dead"))
    found, _ = await endpoints.load(store, SITE, endpoint_id)
    made = outbox.created_ms(job.delivery_id)
    for since, until, count in ((made + 1, 0, 0), (0, made - 1, 0), (made, made, 1)):
        assert (await run(store, await replays.start(store, found, since, until, "dead", "m", "")))["made"] == count


async def test_only_threads_that_begin_so_reach_an_endpoint(store: Store) -> None:
    await endpoint(store, threads=("sport/", "news/2026"))
    await approve(store, thread="weather/1")
    wanted = [*await approve(store, thread="sport/1"), *await approve(store, thread="news/2026/x")]
    assert [job.comment_id for job in await take(store)] == wanted


async def test_a_ping_goes_to_a_disabled_endpoint_too(store: Store) -> None:
    endpoint_id = await endpoint(store)
    await switch(store, endpoint_id, False)
    event = {"id": store.new_id(SITE), "type": "endpoint.ping", "at": "", "site": SITE, "endpoint": {"id": endpoint_id}}
    made = {"kind": "webhook", "target": endpoint_id, "lane": endpoints.lane(endpoint_id), "site": SITE, "always": True}
    assert await outbox.enqueue(store, event["id"], event, **made)
    assert not await outbox.enqueue(store, event["id"], event, **made)
    assert [job.event["type"] for job in await take(store)] == ["endpoint.ping"]


async def test_the_log_of_an_endpoint_lists_by_state_newest_first(store: Store) -> None:
    endpoint_id = await endpoint(store)
    await approve(store, 5)
    jobs = await take(store)
    for job, end in zip(jobs, ("delivered", "dead", "dead", "delivered", "cancelled"), strict=True):
        await settle(store, job, Settlement(end))
    lane = endpoints.lane(endpoint_id)
    ids = [job.delivery_id for job in jobs]
    assert [d["id"] for d in await outbox.page(store, SITE, lane, ["dead"])] == [ids[2], ids[1]]
    first = await outbox.page(store, SITE, lane, ["dead", "delivered"], limit=3)
    assert [d["id"] for d in first] == [ids[3], ids[2], ids[1]]
    assert [d["id"] for d in await outbox.page(store, SITE, lane, ["dead", "delivered"], cursor=ids[1])] == [ids[0]]
    assert first[0]["type"] == "comment.approved"
    await outbox.trim(store, SITE, lane, ("dead", "delivered"), ids[2])
    assert [d["id"] for d in await outbox.page(store, SITE, lane, ["dead", "delivered"])] == [ids[3], ids[2]]


async def test_what_is_retried_by_hand_starts_its_schedule_anew(store: Store) -> None:
    await endpoint(store)
    (comment_id,) = await approve(store)
    (job,) = await take(store)
    assert await outbox.requeue(store, job.delivery_id) == "busy"
    await settle(store, job, Settlement("dead", lane="fail"))
    assert await outbox.requeue(store, job.delivery_id) == "ok"
    (again,) = await take(store)
    assert (again.event["id"], again.attempts) == (job.event["id"], 0)
    await settle(store, again, WELL)
    assert await state(store, comment_id) == ("delivered", 2)
    assert await outbox.requeue(store, store.new_id(SITE)) == "missing"


async def test_outcomes_are_counted(store: Store, server: Valkey) -> None:
    await endpoint(store)
    await approve(store, 2)
    one, two = await take(store)
    await outbox.settle(store, one, WELL, {"code": "ok"})
    await outbox.settle(store, two, FAILED, {"code": "dns"})
    found = await outbox.backlog(store)
    assert found.outcomes == {("webhook", "ok"): 1, ("webhook", "dns"): 1}
    assert found.waiting == 1


async def test_a_change_of_something_else_does_not_switch_an_endpoint_on(store: Store) -> None:
    endpoint_id = await endpoint(store)
    seen, secrets = await endpoints.load(store, SITE, endpoint_id)
    await switch(store, endpoint_id, False)
    await endpoints.save(store, seen.model_copy(update={"description": "new"}), secrets)
    found, _ = await endpoints.load(store, SITE, endpoint_id)
    assert (found.enabled, found.description) == (False, "new")


def test_a_secret_is_valid_until_it_ends() -> None:
    found = Keys((("new", 0), ("old", 2000), ("older", 1000)))
    assert found.valid(999) == ["new", "old", "older"]
    assert found.valid(1000) == ["new", "old"]
    assert found.valid(5000) == ["new"]
