"""Submissions per second as a ratio to a bare aiohttp form handler; both up at once, slices interleaved and shuffled.

    python -m tests.benchmark.submissions [--rounds 15] [--connections 64]

Needs wrk (Debian: apt-get install wrk). Prints medians; asserts nothing but that no answer was 5xx.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.service import Service, free_port, until

SLICE_SECONDS = 2
_SCRIPT = Path(__file__).with_name("post.lua")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Slice:
    """One slice of load."""

    per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    refused: int


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def load(url: str, pid: int, connections: int, script: Path = _SCRIPT, *arguments: str) -> Slice:
    """One slice against one server."""
    before = cpu_seconds(pid)
    output = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{SLICE_SECONDS}s", "-s", str(script), url, "--", *arguments],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    requests, seconds, p50, p99, status, broken = output.split("RESULT ")[1].split()
    used = cpu_seconds(pid) - before
    count = max(int(requests), 1)
    return Slice(count / float(seconds), used / count * 1e6, float(p50), float(p99), int(status) + int(broken))


def median(slices: list[Slice], of: Callable[[Slice], float]) -> float:
    return statistics.median(of(s) for s in slices)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("this needs wrk: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        service = Service(
            Path(folder),
            {"MODERATION_TRUSTED_PROXIES": "127.0.0.0/8", "MODERATION_LOG_LEVEL": "warning"},
            ("serve", "--no-workers"),
        )
        service.start()
        site = service.site(policy={})
        port = free_port()
        bare = subprocess.Popen([sys.executable, "-m", "tests.benchmark.bare", str(port)])
        try:
            until("the baseline to answer", lambda: answers(port))
            assert service.process is not None
            urls = {
                "bare": (f"http://127.0.0.1:{port}/comments", bare.pid),
                "service": (f"{service.base}/api/v1/sites/{site}/comments", service.process.pid),
            }
            found: dict[str, list[Slice]] = {"bare": [], "service": []}
            for number in range(-1, options.rounds):
                for name in random.sample(list(urls), 2):
                    part = load(*urls[name], options.connections)
                    if number >= 0:  # the first round warms up
                        found[name].append(part)
                print(f"\rround {number + 1}/{options.rounds}", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
            ratios = sorted(s.per_second / b.per_second for s, b in zip(found["service"], found["bare"], strict=True))
            cpu = statistics.median(b.cpu_us / s.cpu_us for s, b in zip(found["service"], found["bare"], strict=True))
            print(
                f"{options.connections} connections, {options.rounds} rounds of {SLICE_SECONDS} s, appendfsync always, one process"
            )
            for name, slices in found.items():
                print(
                    f"{name:8} {median(slices, lambda s: s.per_second):8.0f}/s  {median(slices, lambda s: s.cpu_us):6.0f} us CPU"
                    f"  p50 {median(slices, lambda s: s.p50_ms):.1f} ms  p99 {median(slices, lambda s: s.p99_ms):.1f} ms"
                )
            print(
                f"ratio    {statistics.median(ratios):.2f} (rounds {ratios[0]:.2f} to {ratios[-1]:.2f}); by CPU {cpu:.2f}"
            )
            best = {name: max(s.per_second for s in slices) for name, slices in found.items()}
            print(f"best slices (the least disturbed): {best['service'] / best['bare']:.2f}")
            refused = sum(s.refused for s in found["service"])
            print(f"answers other than 2xx, or broken: {refused}")
            if refused:
                sys.exit(1)
        finally:
            bare.terminate()
            bare.wait()
            service.stop()


def answers(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
