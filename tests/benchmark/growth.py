"""Resident memory of the HTTP process after 20,000 submissions and after 200,000; both over 64 connections, Redis a process of its own.

python -m tests.benchmark.growth [--first 20000] [--all 200000]
"""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.flood import comments, flood
from tests.service import Service

_PAGE = os.sysconf("SC_PAGE_SIZE")


def main(first: int, last: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), {"MODERATION_LOG_LEVEL": "warning"}, ("serve", "--no-workers")).start()
        try:
            assert service.process
            memory = Path(f"/proc/{service.process.pid}/statm")
            site = service.site()
            seen = {}
            for start in range(0, last, first):
                count = min(first, last - start)
                statuses = asyncio.run(flood(service.port, comments(site, start, count), 64))
                if statuses != {202: count}:
                    sys.exit(f"other answers than 202: {statuses}")
                seen[start + count] = int(memory.read_text().split()[1]) * _PAGE / 2**20
                print(f"{start + count:,} submissions: {seen[start + count]:.1f} MiB", flush=True)
            print(f"ratio {seen[last] / seen[first]:.3f}")
        finally:
            service.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=20_000)
    parser.add_argument("--all", type=int, default=200_000)
    chosen = parser.parse_args()
    main(chosen.first, chosen.all)
