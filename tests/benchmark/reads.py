"""Reads per second as ratios to a bare aiohttp handler that returns the same bytes; all up at once, slices interleaved and shuffled.

    python -m tests.benchmark.reads [--rounds 15] [--connections 64] [--processes 1]

Needs wrk (Debian: apt-get install wrk). Prints medians; asserts nothing but that no answer was 4xx or 5xx.
"""

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from tests.benchmark.submissions import answers, cpu_seconds
from tests.service import Service, free_port, until

SLICE_SECONDS = 1
COMMENTS = 50
_REPORT = Path(__file__).with_name("get.lua")
_TEXTS = (
    "شكراً على هذا التقرير المفصّل، ولكن عندي سؤال حول الجزء الثاني منه: متى تفتح القاعة؟ ",
    "A calm and useful report; I would only add that the second figure lacks its year. ",
)


def fill(service: Service) -> str:
    """A site whose thread 41 has 50 approved comments: 25 kB as JSON."""
    site = service.site()
    ids = [
        service.comment(site, author=f"Reader {n}", comment=_TEXTS[n % 2] + uuid.uuid4().hex[:6])["id"]
        for n in range(COMMENTS)
    ]
    results = service.send("POST", "/api/v1/decisions", {"ids": ids, "decision": "approve"}).json["results"]
    assert {one["status"] for one in results} == {"approved"}
    return site


def load(url: str, pids: list[int], connections: int, headers: dict[str, str]) -> tuple[float, float, int]:
    """Answers a second, CPU of the processes in µs for each, and how many were wrong."""
    before = sum(map(cpu_seconds, pids))
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SLICE_SECONDS}s", "-s", str(_REPORT), *given, url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    requests, seconds, wrong = output.split("RESULT ")[1].split()
    used, count = sum(map(cpu_seconds, pids)) - before, max(int(requests), 1)
    return count / float(seconds), used / count * 1e6, int(wrong)


def http_processes(pid: int) -> list[int]:
    """A process and those it started, without Redis: for CPU times."""
    if b"valkey" in Path(f"/proc/{pid}/cmdline").read_bytes():
        return []
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *[one for child in found for one in http_processes(int(child))]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("this needs wrk: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        environ = {"MODERATION_LOG_LEVEL": "warning", "MODERATION_PROCESSES": str(options.processes)}
        service = Service(Path(folder), environ, ("serve", "--no-workers"))
        service.start()
        site = fill(service)
        paths = {
            "comments": f"/api/v1/sites/{site}/threads/41/comments",
            "counts": f"/api/v1/sites/{site}/counts?thread=41&thread=42",
            "page": f"/sites/{site}/threads/41",
        }
        bare: subprocess.Popen[bytes] | None = None
        try:
            found = {name: service.get(path) for name, path in paths.items()}
            known = {"if-none-match": found["comments"].headers["etag"]}
            port, blobs = free_port(), {}
            for name, answer in found.items():
                assert answer.status == 200, answer.text
                blobs[name] = Path(folder) / name
                blobs[name].write_bytes(answer.raw)
                print(f"{name}: {len(answer.raw):,} bytes")
            command = [sys.executable, "-m", "tests.benchmark.bare", str(port), *map(str, blobs.values())]
            bare = subprocess.Popen(command)
            until("the baseline to answer", lambda: answers(port))
            assert service.process is not None
            own, base = http_processes(service.process.pid), f"http://127.0.0.1:{port}"
            targets: dict[str, tuple[str, list[int], dict[str, str]]] = {
                f"bare {name}": (f"{base}/{name}", [bare.pid], {}) for name in paths
            }
            targets |= {name: (service.base + path, own, {}) for name, path in paths.items()}
            targets["comments 304"] = (service.base + paths["comments"], own, known)
            results: dict[str, list[tuple[float, float]]] = {name: [] for name in targets}
            for number in range(-1, options.rounds):
                for name in random.sample(list(targets), len(targets)):
                    url, pids, headers = targets[name]
                    rate, cpu, wrong = load(url, pids, options.connections, headers)
                    if wrong:
                        sys.exit(f"{name}: {wrong} answers were wrong")
                    if number >= 0:  # the first round warms up
                        results[name].append((rate, cpu))
                print(f"\rround {number + 1}/{options.rounds}", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
            print(
                f"{options.connections} connections, {options.rounds} rounds of {SLICE_SECONDS} s, {options.processes} process(es)"
            )
            for name, slices in results.items():
                line = f"{name:14} {statistics.median(r for r, _ in slices):8.0f}/s {statistics.median(c for _, c in slices):6.0f} us CPU"
                if not name.startswith("bare"):
                    beside = results["bare " + name.split()[0]]
                    ratios = sorted(ours[0] / theirs[0] for ours, theirs in zip(slices, beside, strict=True))
                    cpu = statistics.median(theirs[1] / ours[1] for ours, theirs in zip(slices, beside, strict=True))
                    line += f"   ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}); by CPU {cpu:.2f}"
                print(line)
        finally:
            if bare:
                bare.terminate()
                bare.wait()
            service.stop()


if __name__ == "__main__":
    main()
