"""Digests, and what is known of mailboxes: done twice it is done once, whoever is killed between two steps."""

from typing import Any

from moderation import lifecycle
from moderation.model import Decision, Site, Submission
from moderation.store import comments, keys, mailboxes, outbox, review, sites
from moderation.store.connection import Store
from moderation.store.mailboxes import Suppression
from moderation.store.outbox import Job, Settlement
from moderation.store.review import DecisionRequest
from tests.fault.proxy import Valkey
from tests.store.conftest import PARTITION, SITE, take
from workers.tell import NAMED_MAX, TellSender

MODS = ("one@example.net", "two@example.net")


async def notified(store: Store, mode: str = "digest") -> Site:
    sealed = tuple(store.privacy.seal(address, f"site:{SITE}") for address in MODS)
    site = Site(id=SITE, name="News", notify=sealed, notify_mode=mode)  # type: ignore[arg-type]
    await sites.save(store, site)
    return site


async def submit(store: Store, count: int = 1) -> list[str]:
    site, version = await sites.load(store, SITE)
    found = []
    for _ in range(count):
        said = Submission("ليلى", "", "", f"نص {keys.new_id(0)}", "41", locale="ar")
        found.append((await comments.submit(store, site, version, said, address="")).comment_id)
    return found


async def digest(store: Store) -> Job:
    """The digest that is due, which must be the only thing."""
    (job,) = await take(store)
    assert (job.kind, job.target) == ("tell", "digest")
    return job


async def told(store: Store) -> list[Job]:
    jobs = await take(store)
    assert {job.kind for job in jobs} <= {"mail"}
    return sorted(jobs, key=lambda job: job.target)


async def settle(store: Store, job: Job, **more: Any) -> None:
    assert await outbox.settle(store, job, Settlement("delivered", **more), {"ok": True, "code": "ok"})


async def test_the_first_waiting_comment_has_a_digest_made_and_the_next_ones_wait_for_the_second(
    store: Store, server: Valkey
) -> None:
    await notified(store)
    first = await submit(store)
    job = await digest(store)
    assert (await TellSender(store).deliver(job)).ok
    await settle(store, job)
    mails = await told(store)
    assert {mail.target for mail in mails} == {f"moderator:{store.privacy.address_id(a)}" for a in MODS}
    assert [mail.event["comments"].split() for mail in mails] == [first, first]
    more = await submit(store, 500)
    assert await take(store) == []
    server.client.delete(f"{keys.tag(PARTITION)}dgs:{SITE}")  # the five minutes are over …
    lane = f"{keys.tag(PARTITION)}lane:tell:{SITE}"
    (waiting,) = server.client.zrange(lane, 0, -1)
    assert 0 < server.client.zscore(lane, waiting) - float(server.client.time()[0]) * 1000 <= 301_000
    await outbox.retry(store, waiting)  # … and so is the wait of the second one
    job = await digest(store)
    assert (await TellSender(store).deliver(job)).ok
    await settle(store, job)
    mails = await told(store)
    assert len(mails) == 2
    assert mails[0].event["total"] == 500
    assert mails[0].event["comments"].split() == more[:NAMED_MAX]
    assert server.client.llen(f"{keys.tag(PARTITION)}dg:{SITE}") == 0


async def test_a_worker_killed_after_any_step_of_a_digest_tells_once(store: Store) -> None:
    await notified(store)
    ids = await submit(store, 3)
    job = await digest(store)
    closed = await mailboxes.close_digest(store, SITE, job.event["id"], 300, NAMED_MAX)
    assert closed is not None
    late = await submit(store)  # comes after the snapshot: it belongs to the next one
    again = await mailboxes.close_digest(store, SITE, job.event["id"], 300, NAMED_MAX)
    assert again == closed
    assert closed["comments"].split() == ids
    for _ in range(3):
        assert (await TellSender(store).deliver(job)).ok
    await settle(store, job)
    assert [mail.event["comments"].split() for mail in await told(store)] == [ids, ids]
    assert await store.pipe.call("LRANGE", f"{keys.tag(PARTITION)}dg:{SITE}", 0, -1) == late


async def test_what_is_not_waiting_any_more_is_not_told(store: Store) -> None:
    await notified(store)
    for comment_id in await submit(store, 2):
        comment = await comments.load(store, comment_id)
        await review.decide(store, comment, DecisionRequest(Decision.SPAM, "m"), lifecycle.plan(Decision.SPAM), "")
    job = await digest(store)
    outcome = await TellSender(store).deliver(job)
    assert (outcome.ends_as, outcome.detail) == ("cancelled", "everything was decided in the meantime")
    await settle(store, job)
    assert await told(store) == []
    await submit(store)
    assert (await digest(store)).event["id"] != job.event["id"]  # the next one has its own, at once


async def test_each_comment_is_told_once_to_each(store: Store) -> None:
    await notified(store, "each")
    (comment_id,) = await submit(store)
    (job,) = await take(store)
    assert (job.kind, job.target) == ("tell", "moderators")
    for _ in range(2):
        assert (await TellSender(store).deliver(job)).ok
    await settle(store, job)
    assert [mail.comment_id for mail in await told(store)] == [comment_id] * 2


async def test_a_site_without_anybody_to_tell_writes_nothing_of_it(store: Store, server: Valkey) -> None:
    await submit(store)
    assert await take(store) == []
    assert not [key for key in server.client.keys("*") if ":dg:" in key or ":lane:" in key]


async def test_suppressions_have_scopes_and_the_widest_is_named(store: Store) -> None:
    who, thread = store.privacy.address_id("a@example.net"), keys.thread_key("41")
    for scope in (mailboxes.thread_scope(SITE, thread), mailboxes.site_scope(SITE), mailboxes.ALL):
        assert await mailboxes.suppression(store, who, SITE, "" if "thread" in scope else thread) is None or scope != mailboxes.thread_scope(SITE, thread)  # fmt: skip
        await mailboxes.suppress(store, Suppression(who, scope, "unsubscribed", "2026-01-01T00:00:00Z"))
        found = await mailboxes.suppression(store, who, SITE, thread)
        assert found is not None
        assert found.scope == scope
    assert (await mailboxes.suppression(store, who, "other")) is not None
    await mailboxes.lift(store, who, mailboxes.ALL)
    assert await mailboxes.suppression(store, who, "other") is None
    await mailboxes.lift(store, who)
    assert await mailboxes.suppressions(store) == ([], None)


async def test_suppressions_are_walked_page_by_page(store: Store) -> None:
    for n in range(7):
        who = store.privacy.address_id(f"{n}@example.net")
        await mailboxes.suppress(store, Suppression(who, mailboxes.ALL, "bounced", "2026-01-01T00:00:00Z", "•••"))
    seen, cursor = [], ""
    while True:
        page, more = await mailboxes.suppressions(store, cursor, 3)
        seen += [one.recipient for one in page]
        if more is None:
            break
        cursor = more
    assert len(seen) == len(set(seen)) == 7


async def test_the_first_reason_stays(store: Store) -> None:
    who = store.privacy.address_id("a@example.net")
    for reason in ("complained", "bounced"):
        await mailboxes.suppress(store, Suppression(who, mailboxes.ALL, reason, "2026-01-01T00:00:00Z"))
    assert [one.reason for one in await mailboxes.of_recipient(store, who)] == ["complained"]


async def test_a_delivery_counts_once_for_the_day_however_often_it_is_tried(store: Store) -> None:
    async def goes(delivery: str) -> bool:
        return await mailboxes.within_daily_cap(store, "who", delivery, "2026-01-31", 2)

    assert [await goes(d) for d in ("a", "a", "b", "c", "a", "b", "c")] == [True, True, True, False, True, True, False]
    assert await mailboxes.within_daily_cap(store, "who", "c", "2026-02-01", 2)


async def test_a_person_is_asked_to_confirm_by_one_mail(store: Store) -> None:
    assert [await mailboxes.may_ask(store, SITE, "who", d) for d in ("a", "a", "b")] == [True, True, False]


async def test_a_digest_that_was_lost_is_made_again_by_the_next_comment(store: Store, server: Valkey) -> None:
    await notified(store)
    lost = await submit(store)
    job = await digest(store)
    server.client.delete(f"{keys.tag(PARTITION)}dl:{job.delivery_id}")  # expired, or ended while nobody could do it
    server.client.delete(f"{keys.tag(PARTITION)}lane:tell:{SITE}")
    late = await submit(store)
    job = await digest(store)
    assert (await TellSender(store).deliver(job)).ok
    await settle(store, job)
    assert [mail.event["comments"].split() for mail in await told(store)] == [lost + late] * 2
