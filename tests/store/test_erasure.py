"""What is erased is gone: from every key, from the file once it is rewritten, and also when a kill came in between."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest

from moderation import lifecycle, links
from moderation.errors import Conflict
from moderation.model import Comment, Decision, Retention, Site, Status, Submission
from moderation.privacy import Privacy
from moderation.store import comments, erasure, keys, mailboxes, outbox, personal, review, sites
from moderation.store.connection import Store, open_store
from moderation.store.mailboxes import Suppression
from moderation.store.outbox import Settlement
from moderation.store.review import DecisionRequest
from tests.fault.proxy import Valkey, valkey
from tests.store.conftest import endpoint
from workers import housekeeping
from workers.drafts import Drafts

SITE, WHO = "news", "layla@example.net"
DAY = 86_400


@pytest.fixture
async def store(server: Valkey) -> AsyncIterator[Store]:
    server.client.flushall()
    found = await open_store(server.url, Privacy([b"k" * 32]), 2)
    for name in (SITE, "other"):
        await sites.create(found, Site(id=name, name="News"))
    yield found
    await found.close()


async def write(store: Store, text: str, site: str = SITE, email: str = WHO, name: str = "Layla Rare") -> Comment:
    found, version = await sites.load(store, site)
    accepted = await comments.submit(store, found, version, Submission(name, email, "", text, "41", locale="en"), address="")  # fmt: skip
    return await comments.load(store, accepted.comment_id)


async def decide(store: Store, comment: Comment, decision: Decision) -> None:
    await review.decide(store, comment, DecisionRequest(decision, "m"), lifecycle.plan(decision), "author")


def cut(*_: object, **__: object) -> NoReturn:
    raise asyncio.CancelledError  # as a kill does: nothing after this line runs


def traces(server: Valkey, *words: str) -> list[str]:
    """Keys that hold one of the words, in their name or their value."""
    found = []
    for key in server.client.scan_iter(count=1000):
        name = key if isinstance(key, str) else key.decode()
        dumped = server.client.execute_command("DUMP", key, **{"NEVER_DECODE": True})
        if any(word in name or word.encode() in bytes(dumped) for word in words):
            found.append(name)
    return found


async def test_nothing_of_a_person_stays_but_that_they_want_no_mail(store: Store, server: Valkey) -> None:
    recipient = store.privacy.address_id(WHO)
    for n in range(3):
        await decide(store, await write(store, f"text {n}"), Decision.APPROVE)
    await write(store, "waits", "other")
    stays = await write(store, "somebody else", email="maya@example.net", name="Maya")
    await mailboxes.confirm(store, SITE, recipient)
    await mailboxes.may_ask(store, SITE, recipient, "x")
    await mailboxes.suppress(store, Suppression(recipient, mailboxes.ALL, "unsubscribed", "now", "l•••@e•••.net", "d"))
    names = [store.privacy.author_id(site, WHO, "") for site in (SITE, "other")]
    assert len(traces(server, "Layla Rare", *names)) > 5
    assert await store.pipe.call("HLEN", f"{store.tag_of_site(SITE)}nm:{SITE}") == 1  # a regular's name

    receipt = await erasure.erase_address(store, WHO.upper(), "person")
    assert receipt.sites == {SITE: 3, "other": 1}
    assert traces(server, "Layla Rare", "text 1", "waits", *names) == []
    assert await store.pipe.call("HLEN", f"{store.tag_of_site(SITE)}nm:{SITE}") == 0
    assert not await mailboxes.is_confirmed(store, SITE, recipient)
    (left,) = await mailboxes.of_recipient(store, recipient)
    assert (left.reason, left.address_masked, left.detail) == ("unsubscribed", "", "")
    assert (await comments.load(store, stays.id)).body["name"] == "Maya"


async def test_a_name_goes_with_the_last_comment_that_stands_under_it(store: Store) -> None:
    three = [await write(store, f"text {n}") for n in range(3)]
    for one in three:
        await decide(store, one, Decision.APPROVE)
    key = f"{store.tag_of_site(SITE)}nm:{SITE}"
    for one in three:
        assert await store.pipe.call("HLEN", key) == 1
        await erasure.erase(store, one, "author")
    assert await store.pipe.call("HLEN", key) == 0
    assert await store.pipe.call("HLEN", f"{store.tag_of_site(SITE)}ok:{SITE}") == 0


async def withdrawn_under_two_names(store: Store) -> str:
    """Three approved comments under one name and one under another go one by one; where the names of regulars are kept."""
    written = [await write(store, f"text {n}", name="Amal") for n in range(3)]
    written.append(await write(store, "the last", name="Layla"))
    for one in written:
        await decide(store, one, Decision.APPROVE)
    for one in written:
        await erasure.erase(store, one, "author")
    key = f"{store.tag_of_site(SITE)}nm:{SITE}"
    assert await store.pipe.call("HLEN", key) == 1  # the script knows but the name of its own comment
    return key


async def test_an_earlier_name_goes_with_the_last_comment_too(store: Store) -> None:
    key = await withdrawn_under_two_names(store)
    for n in range(3):
        await decide(store, await write(store, f"text {n}", email="maya@example.net", name="Maya"), Decision.APPROVE)
    await erasure.keep_promises(store, round(time.time() * 1000))
    assert await store.pipe.call("HVALS", key) == [store.privacy.author_id(SITE, "maya@example.net", "")]


async def test_erasing_an_address_finds_names_of_comments_that_went_before(store: Store) -> None:
    key = await withdrawn_under_two_names(store)
    await erasure.erase_address(store, WHO, "person")
    assert await store.pipe.call("HLEN", key) == 0


async def test_all_is_erased_although_others_erase_the_same_page_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    written = [await write(store, f"text {n}") for n in range(6)]
    sooner, erase = {one.id for one in written[:2]}, erasure.erase

    async def beaten(store: Store, comment: Comment, by: str) -> bool:
        if comment.id in sooner:
            await erase(store, comment, "retention")
        return await erase(store, comment, by)

    monkeypatch.setattr(erasure, "_PAGE", 2)
    monkeypatch.setattr(erasure, "erase", beaten)
    assert (await erasure.erase_address(store, WHO, "person")).sites == {SITE: 4}
    assert not any(await comments.load_many(store, [one.id for one in written]))


async def test_both_ids_by_which_a_site_knew_a_comment_are_free_again(store: Store) -> None:
    await endpoint(store, events=["comment.approved"])
    found, version = await sites.load(store, SITE)
    said = Submission("Layla", WHO, "", "text", "41", locale="en", external_id="form-7")
    accepted = await comments.submit(store, found, version, said, address="")
    await decide(store, await comments.load(store, accepted.comment_id), Decision.APPROVE)
    _, jobs = await outbox.take(store, keys.site_partition(SITE, 2), 10, 60_000, 10)
    (job,) = [job for job in jobs if job.kind == "webhook"]
    await outbox.settle(store, job, Settlement("delivered"), {"code": "ok"}, external_id="stored-8")
    key = f"{store.tag_of_site(SITE)}x:{SITE}"
    assert sorted(await store.pipe.call("HKEYS", key)) == ["form-7", "stored-8"]
    await erasure.erase(store, await comments.load(store, accepted.comment_id), "author")
    assert await store.pipe.call("EXISTS", key) == 0


async def test_answers_of_receivers_live_no_longer_than_what_finds_them(store: Store, server: Valkey) -> None:
    await endpoint(store, events=["comment.approved"])
    one = await write(store, "text")
    await decide(store, one, Decision.APPROVE)
    partition = keys.site_partition(SITE, 2)
    _, jobs = await outbox.take(store, partition, 10, 60_000, 10)
    (job,) = [job for job in jobs if job.kind == "webhook"]
    tag = keys.tag(partition)
    for key in (f"{tag}dl:{job.delivery_id}", f"{tag}cd:{one.id}"):
        server.client.expire(key, 3600)  # it waited for long, say for its endpoint to be enabled
    await outbox.settle(store, job, Settlement("delivered"), {"code": "ok", "answer": "said: text"})
    assert 0 < server.client.ttl(f"{tag}at:{job.delivery_id}") <= 3600


async def test_an_address_is_found_however_its_letters_are_put_together(store: Store) -> None:
    await write(store, "text", email="zo\u00eb@example.net")
    assert (await erasure.erase_address(store, "zoe\u0308@example.net", "person")).sites == {SITE: 1}


async def test_a_link_that_waited_for_the_mail_server_is_good_for_a_day_all_the_same(store: Store) -> None:
    one = await write(store, "text")
    await personal.ask(store, one.id, round((time.time() - 2 * DAY) * 1000))
    _, (job,) = await outbox.take(store, keys.site_partition(SITE, 2), 10, 60_000, 10)
    draft = await Drafts(store, "https://comments.example").of(job)
    *_, comment_id, expires, signature = draft.values["link"].split("/")
    assert links.person_is_ours(store.privacy, comment_id, expires, signature, time.time() + DAY - 60)


async def test_an_erasure_that_was_cut_short_is_finished(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    written = [await write(store, f"text {n}") for n in range(5)]

    with monkeypatch.context() as patched:
        patched.setattr(erasure, "erase", cut)
        with pytest.raises(asyncio.CancelledError):
            await erasure.erase_address(store, WHO, "person")
    at = round(time.time() * 1000)
    await erasure.finish(store, at)  # whoever began may still be at it
    assert all(await comments.load_many(store, [one.id for one in written]))
    sealed = await store.pipe.call("HVALS", keys.GLOBAL + "erasing")
    assert sealed
    assert WHO not in str(sealed)
    await erasure.finish(store, at + 3_600_000)
    assert not any(await comments.load_many(store, [one.id for one in written]))
    assert await store.pipe.call("EXISTS", keys.GLOBAL + "erasing") == 0


async def test_comments_go_when_their_site_keeps_them_no_longer(store: Store) -> None:
    kept = {status: await write(store, f"to be {status}") for status in Status}
    for decision, status in ((Decision.APPROVE, "approved"), (Decision.REJECT, "rejected"), (Decision.SPAM, "spam")):
        await decide(store, kept[Status(status)], decision)
    site, _ = await sites.load(store, SITE)
    await sites.save(store, site.model_copy(update={"retention": Retention(spam=30, rejected=90)}))
    at = time.time()

    async def left(days: float) -> set[str]:
        await housekeeping.once(store, at + days * DAY)
        found = await comments.load_many(store, [one.id for one in kept.values()])
        return {one.status.value for one in found if one}

    assert await left(29.9) == {"pending", "approved", "rejected", "spam"}
    assert await left(30.1) == {"pending", "approved", "rejected"}
    assert await left(91) == {"pending", "approved"}
    assert await left(4000) == {"pending", "approved"}
    audit = await review.audit(store, SITE)
    assert [entry["by"] for entry in audit if entry["action"] == "comment.erased"] == ["retention"] * 2


async def test_what_was_approved_meanwhile_is_not_purged(store: Store) -> None:
    one = await write(store, "spam at first")
    await decide(store, one, Decision.SPAM)
    seen = await comments.load(store, one.id)
    await decide(store, seen, Decision.APPROVE)
    assert not await erasure.erase(store, seen, "retention", only=Status.SPAM)
    assert (await comments.load(store, one.id)).status is Status.APPROVED


async def test_a_site_whose_deletion_was_cut_short_is_deleted_to_the_end(store: Store, server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    one = await write(store, "unmistakable-words")
    await decide(store, one, Decision.APPROVE)
    with monkeypatch.context() as patched:
        patched.setattr(sites, "parse_value", cut)
        with pytest.raises(asyncio.CancelledError):
            await sites.remove(store, SITE)
    with pytest.raises(Conflict):  # a new one would lose its comments to the end of the old one
        await sites.create(store, Site(id=SITE, name="News"))
    await housekeeping.once(store, time.time())
    assert traces(server, "unmistakable-words") == []
    assert await comments.load_many(store, [one.id]) == [None]
    assert await store.pipe.call("GET", keys.GLOBAL + "rewritten") == "1"  # the files are
    await sites.create(store, Site(id=SITE, name="News"))


async def test_the_file_is_rewritten_once_something_was_erased(tmp_path: Path) -> None:
    with valkey(tmp_path) as server:
        store = await open_store(server.url, Privacy([b"k" * 32]), 2)
        await sites.create(store, Site(id=SITE, name="News"))
        one = await write(store, "unmistakable-words")
        assert not await erasure.rewrite_files(store)

        def in_files() -> bool:
            return any(b"unmistakable-words" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

        assert in_files()
        await erasure.erase(store, one, "author")
        assert in_files()
        assert await erasure.rewrite_files(store)
        assert not in_files()
        assert not await erasure.rewrite_files(store)
        await store.close()
