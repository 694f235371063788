"""Reads of a thread of 50 approved comments as a ratio to a bare aiohttp handler with a blob of that size in memory; slices in turn and shuffled.

    python -m tests.benchmark.reads [--rounds 15] [--connections 64]

Needs wrk. Every read asks Redis for the version of the thread: nothing stale is served.
"""

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmark.isso import ours
from tests.benchmark.submissions import Slice, answers, load, median
from tests.service import free_port, until

_SCRIPT = Path(__file__).with_name("peers.lua")


def measure(rounds: int, connections: int) -> None:
    port = free_port()
    bare = subprocess.Popen([sys.executable, "-m", "tests.benchmark.bare", str(port)])
    try:
        with tempfile.TemporaryDirectory() as folder, ours(Path(folder)) as service:
            until("the baseline to answer", lambda: answers(port))
            urls = {"bare": (f"http://127.0.0.1:{port}/blob", bare.pid), "service": (service.read, service.pid)}
            found: dict[str, list[Slice]] = {"bare": [], "service": []}
            for number in range(-1, rounds):  # the first warms up
                for name in random.sample(list(urls), 2):
                    part = load(*urls[name], connections, _SCRIPT, "read")
                    if number >= 0:
                        found[name].append(part)
    finally:
        bare.terminate()
        bare.wait()
    ratios = sorted(s.per_second / b.per_second for s, b in zip(found["service"], found["bare"], strict=True))
    cpu = statistics.median(b.cpu_us / s.cpu_us for s, b in zip(found["service"], found["bare"], strict=True))
    for name, slices in found.items():
        print(
            f"{name:8} {median(slices, lambda s: s.per_second):8.0f}/s  {median(slices, lambda s: s.cpu_us):6.0f} us CPU"
        )
    print(f"ratio    {statistics.median(ratios):.2f} (rounds {ratios[0]:.2f} to {ratios[-1]:.2f}); by CPU {cpu:.2f}")
    print(f"answers other than 200, or broken: {sum(s.refused for s in found['service'])}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--connections", type=int, default=64)
    chosen = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("this needs wrk: apt-get install wrk")
    measure(chosen.rounds, chosen.connections)
