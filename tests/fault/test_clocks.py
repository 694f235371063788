"""The time of day jumps, for Redis and for us alike, two hours ahead and an hour back: nothing is lost, doubled or sent though undone."""

import os
import shutil
import struct
import subprocess
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import redis

from tests.fault.disks import unavailable
from tests.fault.steady import Steady
from tests.service import Service, running, until

HOUR = 3_600_000
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # `make fault` takes 5
_SHIM = Path(__file__).parent / "clock.c"


class Clock:
    """A shim in front of the system's clock, for the processes that are started with its variables."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            unavailable("there is no C compiler (cc) to build the clock shim with")
        folder.mkdir(parents=True, exist_ok=True)
        library, self._file = folder / "clock.so", folder / "clock"
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(_SHIM)], check=True, timeout=60)
        self.set(0)
        self.environ = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self._file)}

    def set(self, ahead_ms: int) -> None:
        """In place: the processes look at the same bytes."""
        with self._file.open("r+b" if self._file.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("=q", ahead_ms))


@pytest.mark.timeout(1200)
def test_a_clock_that_jumps_loses_and_doubles_nothing(data: Path) -> None:
    clock = Clock(data / "clock")
    with running(data / "service", **clock.environ) as service:
        load, server = Steady(service), redis.Redis(unix_socket_path=str(service.data / "redis.sock"))
        with load:
            for jump in (2 * HOUR, -1 * HOUR, 0, 2 * HOUR) * ROUNDS:
                load.until_more("before a jump", 60)
                clock.set(jump)
                until(
                    "Redis and us to see it", lambda j=jump: _ahead(server.time()[0], j) and _ahead(_date(service), j)
                )
            load.until_more("after the jumps", 60)
        figures = load.reconcile(shared=True)
        load.close()
    assert set(load.statuses) <= {200, 201, 202, 409}
    print(f"{ROUNDS} × clocks +2 h, -1 h, 0, +2 h: {figures}")


def _ahead(seen: float, jump_ms: int) -> bool:
    return abs((seen - time.time()) * 1000 - jump_ms) < HOUR / 10


def _date(service: Service) -> float:
    return parsedate_to_datetime(service.get("/healthz").headers["date"]).timestamp()
