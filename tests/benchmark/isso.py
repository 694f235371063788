"""Submissions and reads beside Isso on the same machine: both up at once, slices in turn and shuffled, the median of the rounds' ratios.

    python -m tests.benchmark.isso [--rounds 15] [--connections 64] [--workers 2]

Installs Isso and gunicorn with pip into a virtual environment of their own (--venv keeps it). Needs wrk. Isso runs as its documentation has it
(gunicorn, sync workers; two were its best here), moderation on, its guard against floods off, as ours is; SQLite's defaults sync every comment, as ours does. It
renders Markdown when a comment comes and when it is read; we render HTML once per change. Reads are of a thread of 50 comments.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.benchmark.submissions import answers
from tests.service import Service, free_port, said, until

SLICE_SECONDS, COUNT = 2, 50
_SCRIPT = Path(__file__).with_name("peers.lua")
_CONFIGURATION = """\
[general]
dbpath = {database}
host = http://127.0.0.1:{port}/
notify = stdout
[moderation]
enabled = true
[server]
listen = http://127.0.0.1:{port}
trusted-proxies = 127.0.0.1
[guard]
enabled = false
[hash]
salt = benchmark
"""


class Server(NamedTuple):
    """Where to submit to and to read from, and the process that answers."""

    submit: str
    read: str
    pid: int


def install(folder: Path) -> Path:
    """The programs of a virtual environment that has Isso."""
    programs = folder / "bin"
    if not (programs / "gunicorn").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", "isso", "gunicorn", "setuptools<81"], check=True)  # fmt: skip
    return programs


@contextlib.contextmanager
def isso(programs: Path, folder: Path, workers: int) -> Iterator[Server]:
    """Isso, with a thread to read."""
    port, database = free_port(), folder / "comments.db"
    configuration = folder / "isso.cfg"
    configuration.write_text(_CONFIGURATION.format(database=database, port=port))
    with (folder / "isso.log").open("wb") as log:
        process = subprocess.Popen(
            [programs / "gunicorn", "-b", f"127.0.0.1:{port}", "-w", str(workers), "--preload", "isso.run"],
            env=os.environ | {"ISSO_SETTINGS": str(configuration)}, stdout=log, stderr=log, cwd=folder, start_new_session=True,
        )  # fmt: skip
    try:
        until("Isso to answer", lambda: process.poll() is not None or answers(port))
        if process.poll() is not None:
            sys.exit((folder / "isso.log").read_text()[-2000:])
        base, page = f"http://127.0.0.1:{port}", urllib.parse.quote("/read/", safe="")
        for _ in range(COUNT):
            comment = {"author": "ليلى", "email": "reader@example.org", "title": "t", "text": said()["comment"] * 4}
            asked = urllib.request.Request(f"{base}/new?uri={page}", json.dumps(comment).encode(), {"Content-Type": "application/json"})  # fmt: skip
            urllib.request.urlopen(asked).close()
        with contextlib.closing(sqlite3.connect(database, timeout=10)) as rows:
            rows.execute("UPDATE comments SET mode = 1")  # approved
            rows.commit()
        read = f"{base}/?uri={page}&limit={COUNT}&nested_limit={COUNT}"
        assert len(json.load(urllib.request.urlopen(read))["replies"]) == COUNT
        yield Server(f"{base}/new?uri={urllib.parse.quote('/submitted/', safe='')}", read, process.pid)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(
            ProcessLookupError
        ):  # a worker that is in the middle of an answer may outlive its master
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[Server]:
    """The same of our own service."""
    environ = {"MODERATION_TRUSTED_PROXIES": "127.0.0.0/8", "MODERATION_LOG_LEVEL": "warning"}
    service = Service(folder, environ, ("serve", "--no-workers")).start()
    try:
        site = service.site()
        text = said()["comment"] * 4
        for number in range(COUNT):
            comment = service.comment(site, thread="read", comment=f"{text} {number}")
            assert service.decide(comment["id"], "approve").status == 200
        read = f"/api/v1/sites/{site}/threads/read/comments?limit={COUNT}"
        assert len(service.get(read).json["items"]) == COUNT
        assert service.process
        yield Server(f"{service.base}/api/v1/sites/{site}/comments", service.base + read, service.process.pid)
    finally:
        service.stop()


def load(url: str, kind: str, connections: int) -> float:
    """Requests a second; none may fail."""
    output = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{SLICE_SECONDS}s", "--timeout", "10s", "-s", str(_SCRIPT), url, "--", kind],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    requests, seconds, _, _, status, broken = output.split("RESULT ")[1].split()
    if int(status) + int(broken):
        print(f"{kind} {url}: {status} refused, {broken} broken of {requests}", file=sys.stderr)
    return int(requests) / float(seconds)


def measure(programs: Path, folder: Path, rounds: int, connections: int, workers: int) -> None:
    theirs_in, ours_in = folder / "isso", folder / "ours"
    theirs_in.mkdir()
    with isso(programs, theirs_in, workers) as theirs, ours(ours_in) as own:
        slices = {
            ("submissions", "Isso"): (theirs.submit, "isso"), ("submissions", "ours"): (own.submit, "ours"),
            ("reads", "Isso"): (theirs.read, "read"), ("reads", "ours"): (own.read, "read"),
        }  # fmt: skip
        found: dict[tuple[str, str], list[float]] = {name: [] for name in slices}
        for number in range(-1, rounds):  # the first warms up
            for name in random.sample(list(slices), len(slices)):
                rate = load(*slices[name], connections)
                if number >= 0:
                    found[name].append(rate)
            print(f"\rround {number + 1}/{rounds}", end="", file=sys.stderr, flush=True)
    print(f"\n{connections} connections, {rounds} rounds of {SLICE_SECONDS} s; Isso: gunicorn, {workers} sync workers")
    for act in ("submissions", "reads"):
        own_rates, their_rates = found[act, "ours"], found[act, "Isso"]
        ratios = sorted(a / b for a, b in zip(own_rates, their_rates, strict=True))
        print(
            f"{act:>11}: ours {statistics.median(own_rates):.0f}/s, Isso {statistics.median(their_rates):.0f}/s, "
            f"ratio {statistics.median(ratios):.1f} (rounds {ratios[0]:.1f} to {ratios[-1]:.1f})"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--venv", type=Path)
    chosen = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("this needs wrk: apt-get install wrk")
    with tempfile.TemporaryDirectory() as made:
        found_in = install(chosen.venv or Path(made) / "venv")
        measure(found_in, Path(made), chosen.rounds, chosen.connections, chosen.workers)
