"""Writes that a replica must have before they are answered."""

from collections.abc import Iterator

import pytest

from moderation.errors import Unavailable
from moderation.model import Site, Status, Submission
from moderation.privacy import Privacy
from moderation.screening import USUAL
from moderation.store import comments, corrections, erasure, sites
from moderation.store.connection import open_store
from tests.fault.proxy import Valkey, valkey
from tests.service import until

SITE = Site(id="news", name="News")
SAID = Submission("ليلى", "", "", "نص", "41", locale="ar")


@pytest.fixture
def replica(server: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server.client.flushall()
    server.client.config_set("repl-diskless-sync-delay", 0)
    with valkey(tmp_path_factory.mktemp("replica")) as found:
        found.client.replicaof("127.0.0.1", server.port)
        until("the replica", lambda: server.client.wait(1, 100) == 1)
        yield found


async def test_a_repeated_submission_is_no_more_acknowledged_than_the_first(server: Valkey, replica: Valkey) -> None:
    """The repetition writes nothing, on a connection that wrote nothing: WAIT alone would be content with that."""
    store = await open_store(server.url, Privacy([b"k" * 32]), 1, 1)
    await sites.create(store, SITE)
    assert (await comments.submit(store, SITE, "1", SAID, address="", idempotency_key="before")).status == "pending"
    said = SAID._replace(text="another")
    replica.freeze()
    try:
        with pytest.raises(Unavailable):
            await comments.submit(store, SITE, "1", said, address="", idempotency_key="a")
        other = await open_store(server.url, Privacy([b"k" * 32]), 1, 1)
        with pytest.raises(Unavailable):
            await comments.submit(other, SITE, "1", said, address="", idempotency_key="a")
        await other.close()
        assert await comments.count(store, SITE.id, Status.PENDING) == 2
    finally:
        replica.thaw()
    assert (await comments.submit(store, SITE, "1", said, address="", idempotency_key="a")).status == "pending"
    assert await comments.count(store, SITE.id, Status.PENDING) == 2
    await store.close()


async def test_what_is_corrected_or_erased_stays_so_after_a_failover(server: Valkey, replica: Valkey) -> None:
    store = await open_store(server.url, Privacy([b"k" * 32]), 1, 1)
    await sites.create(store, SITE)
    accepted = await comments.submit(store, SITE, "1", SAID, address="")
    before = await comments.load(store, accepted.comment_id)
    after = await corrections.correct(store, SITE, before, SAID._replace(text="another"), USUAL)
    replica.freeze()
    try:
        with pytest.raises(Unavailable):
            await corrections.correct(store, SITE, after, SAID._replace(text="a third"), USUAL)
        with pytest.raises(Unavailable):
            await erasure.erase(store, after, "m")
    finally:
        replica.thaw()
    await store.close()
