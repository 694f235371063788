"""A real server, and what every test of a script begins with."""

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from moderation import lifecycle
from moderation.model import Decision, Endpoint, Site, Submission
from moderation.privacy import Privacy
from moderation.store import comments, endpoints, keys, outbox, review, sites
from moderation.store.connection import Store, open_store
from moderation.store.endpoints import Keys
from moderation.store.outbox import Job
from moderation.store.review import DecisionRequest
from tests.fault.proxy import Valkey, valkey

LONG, SHORT = 60_000, 30
SITE = "news"
PARTITION = keys.site_partition(SITE, 1)
_numbers = itertools.count()


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


async def endpoint(store: Store, **more: Any) -> str:
    """An endpoint that nothing holds back, unless told otherwise; its id."""
    fields = {"url": "http://127.0.0.1:9/hook", "max_in_flight": 50, "rate_per_second": 1000, **more}
    made = Endpoint(id=store.new_id(SITE), site=SITE, **fields)
    await endpoints.save(store, made, Keys((("whsec_" + "a" * 32, 0),)), switch=True)
    return made.id


async def approve(store: Store, count: int = 1, thread: str = "41", mails: str = "", **more: Any) -> list[str]:
    """Approved comments, each with a webhook for every endpoint; their ids."""
    site, version = await sites.load(store, SITE)
    ids = []
    for _ in range(count):
        said = Submission("ليلى", "", "", f"نص {next(_numbers)}", thread, locale="ar")
        accepted = await comments.submit(store, site, version, said, address="")
        comment = await comments.load(store, accepted.comment_id)
        wanted = DecisionRequest(Decision.APPROVE, "m", **more)
        await review.decide(store, comment, wanted, lifecycle.plan(Decision.APPROVE), mails)
        ids.append(comment.id)
    return ids


async def take(store: Store, limit: int = 50, lease_ms: int = LONG, per_lane: int = 50) -> list[Job]:
    return (await outbox.take(store, PARTITION, limit, lease_ms, per_lane))[1]


async def take_when_due(store: Store, limit: int = 50, lease_ms: int = LONG) -> list[Job]:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        if found := await take(store, limit, lease_ms):
            return found
    raise AssertionError("nothing became due")


def later(server: Valkey, ms: int) -> None:
    """As if so much time had passed: whatever is due, or paused, or leased, is so much nearer to its end."""
    tag = keys.tag(PARTITION)
    for key in (name for kind in ("lanes", "lane:*", "fl:*") for name in server.client.scan_iter(tag + kind)):
        for member in server.client.zrange(key, 0, -1):
            server.client.zincrby(key, -ms, member)
    for key in server.client.scan_iter(f"{tag}ls:*"):
        if server.client.hexists(key, "until"):
            server.client.hincrby(key, "until", -ms)


async def state(store: Store, comment_id: str) -> tuple[str, int]:
    """State of the only delivery, and its number of attempts."""
    (found,) = await outbox.deliveries(store, comment_id)
    return found["state"], len(found["attempts"])
