"""Seconds and peak memory of the importing and of the exporting process, for two lengths of the same archive.

python -m tests.benchmark.archives [--counts 20000 100000] [--format wxr|jsonl]
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from moderation.archives import jsonlines, wxr_writer
from moderation.archives.archived import Archived
from moderation.model import Status
from tests.benchmark.memory import text

_STATUSES = [Status.APPROVED] * 8 + [Status.PENDING, Status.SPAM]


def generate(path: Path, count: int, form: str) -> None:
    """400-byte texts, a hundred comments a page, a tenth of them replies."""
    with path.open("wb") as out:
        out.write(jsonlines.header("x", addresses=True) if form == "jsonl" else wxr_writer.head("x", "", "ar").encode())
        for n in range(count):
            found = Archived(
                str(n + 1), _STATUSES[n % 10], 1_400_000_000_000 + n * 60_000, str(n // 100 + 1), text(), f"ليلى {n % 5000}", f"reader{n % 5000}@example.org",
                parent=str(n) if n % 10 == 5 else "",
            )  # fmt: skip
            if form == "jsonl":
                out.write(jsonlines.write(found))
                continue
            if n % 100 == 0:
                out.write(((wxr_writer.end_item() if n else "") + wxr_writer.begin_item(n // 100 + 1, found)).encode())
            out.write(wxr_writer.comment(n + 1, int(found.parent or 0), found).encode())
        out.write(jsonlines.footer(count) if form == "jsonl" else (wxr_writer.end_item() + wxr_writer.tail()).encode())


def run(data: Path, *arguments: str) -> tuple[float, int]:
    """Seconds, and the peak of the resident memory of the program, once it reads or writes, without its server; in MiB (Linux only)."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MODERATION_")}
    began, peak = time.monotonic(), 0
    process = subprocess.Popen(
        [sys.executable, "-m", "moderation", *arguments, "--data", str(data)], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )  # fmt: skip
    assert process.stderr
    process.stderr.read(1)  # the bar begins: what starting took is over (a password is hashed then, in 64 MiB)
    with contextlib.suppress(OSError):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    while process.poll() is None:  # getrusage would count what this process had when it forked
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
        time.sleep(0.05)
    assert process.returncode == 0
    return time.monotonic() - began, peak // 1024


def measure(count: int, form: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, data = Path(folder) / "archive", Path(folder) / "data"
        generate(file, count, form)
        run(data, "site", "add", "news", "--locale", "ar")
        size = file.stat().st_size / 1e6
        for name, arguments in (
            ("dry run", ["import", "news", str(file), "--dry-run"]),
            ("import", ["import", "news", str(file)]),
            ("again", ["import", "news", str(file)]),
            ("export", ["export", "news", str(Path(folder) / "out"), "--format", form]),
        ):
            seconds, mib = run(data, *arguments)
            print(f"{form:>6} {count:>8,} comments ({size:.0f} MB) {name:>8}: {seconds:6.1f} s, {mib} MiB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--format", choices=["wxr", "jsonl"], default="wxr")
    chosen = parser.parse_args()
    for wanted in chosen.counts:
        measure(wanted, chosen.format)
