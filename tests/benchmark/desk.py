"""The first page of the queue over many waiting comments, beside the same over a hundred: rounds in turn, the ratio of medians.

python -m tests.benchmark.desk [--count 100000] [--rounds 100]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from moderation.model import Moderator, Role
from moderation.privacy import Privacy
from moderation.settings import load
from moderation.store import people, sessions, sites
from moderation.store.connection import open_store
from moderation.web.auth import SESSION_COOKIE
from tests.benchmark.memory import fill
from tests.service import Service, running

SMALL = 100


async def prepare(service: Service, few: str, many: str, count: int) -> str:
    """Fills both sites; returns the cookie of a moderator."""
    settings = load({"data_dir": service.data})
    store = await open_store((service.data / "redis.url").read_text(), Privacy(settings.keys()), settings.partitions)
    try:
        for name, size in ((few, SMALL), (many, count)):
            site, version = await sites.load(store, name)
            await fill(store, site, size, version)
        await people.add_user(store, Moderator(name="bench", role=Role.MODERATOR), "a long password")
        return f"{SESSION_COOKIE}={await sessions.open_session(store, 'bench')}"
    finally:
        await store.close()


def measure(count: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as service:
        few, many = service.site(), service.site()
        cookie = asyncio.run(prepare(service, few, many, count))
        for query in ("", "&sort=newest"):
            took: dict[str, list[float]] = {few: [], many: []}
            for _ in range(rounds):
                for name in (few, many):
                    began = time.perf_counter()
                    answer = service.get(f"/review?site={name}{query}", None, cookie=cookie)
                    took[name].append(time.perf_counter() - began)
                    assert "<article" in answer.text, answer.status  # some of the 25 share a row
            small, large = statistics.median(took[few]), statistics.median(took[many])
            print(f"{query or 'oldest':>13}: {count:,} ÷ {SMALL} waiting = {large / small:.2f} ({large * 1000:.1f} ms ÷ {small * 1000:.1f} ms)")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=100)
    asked = parser.parse_args()
    measure(asked.count, asked.rounds)
