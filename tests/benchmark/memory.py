"""Bytes of Redis per pending comment with a 400-byte text, over 100,000 (used_memory before and after).

python -m tests.benchmark.memory [--count 100000]
"""

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
from pathlib import Path

from moderation.model import Site, Submission
from moderation.privacy import Privacy
from moderation.store import comments, sites
from moderation.store.connection import Store, open_store
from moderation.store.embedded import EmbeddedServer

_WORDS = [
    "شكراً",
    "على",
    "هذا",
    "التقرير",
    "المفصّل",
    "ولكن",
    "عندي",
    "سؤال",
    "حول",
    "الجزء",
    "الثاني",
    "منه",
    "هل",
    "يمكن",
    "توضيح",
    "الفكرة",
    "بمثال",
    "عملي",
    "من",
    "فضلكم",
]


def text(size: int = 400) -> str:
    """About `size` bytes of Arabic, different each time."""
    words = [secrets.token_hex(4)]
    while len(" ".join(words).encode()) < size:
        words.append(random.choice(_WORDS))
    return " ".join(words).encode()[:size].decode("utf-8", "ignore")


async def measure(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder))
        server.lock()
        await server.start()
        store = await open_store(server.url, Privacy([secrets.token_bytes(32)]), 16)
        site = Site(id="bench", name="bench", locale="ar")
        await sites.create(store, site)
        try:
            before = await _used(store)
            await fill(store, site, count)
            after = await _used(store)
            print(
                f"{(after - before) / count:.0f} bytes per pending comment over {count:,} (400-byte text, 1 comment per author, 100 per thread)"
            )
        finally:
            await store.close()
            await server.stop()


async def _used(store: Store) -> int:
    said = await store.pipe.call("INFO", "memory")
    return int(said.partition("used_memory:")[2].split()[0])


async def fill(store: Store, site: Site, count: int, version: str = "1", first: int = 0) -> None:
    """So many waiting comments."""
    for start in range(first, first + count, 500):
        batch = [
            Submission(f"ليلى {n}", f"reader{n}@example.org", "", text(), f"thread-{n // 100}", locale="ar")
            for n in range(start, min(start + 500, first + count))
        ]
        await asyncio.gather(*[comments.submit(store, site, version, said, address="") for said in batch])
        print(f"\r{start + len(batch):,}/{first + count:,}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    asyncio.run(measure(parser.parse_args().count))
