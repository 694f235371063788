"""kill -9 of every process under load: nothing acknowledged is lost, nothing is doubled, nothing decided stays unsent."""

import os
import time
from pathlib import Path

import pytest

from tests.fault.processes import kill_at_random
from tests.fault.steady import Steady
from tests.service import running

KILLS = int(os.environ.get("FAULT_KILLS", "60"))  # `make fault` takes 1,000
A_ROUND = 100  # kills after which the books are compared: a service that grew for hours is another test
SEED = int(os.environ.get("FAULT_SEED", "7"))


@pytest.mark.timeout(7200)
def test_nothing_is_lost_or_doubled_whatever_process_is_killed(data: Path) -> None:
    for first in range(0, KILLS, A_ROUND):
        began = time.monotonic()
        with running(data / str(first)) as service:
            load = Steady(service)
            with load:
                killed = kill_at_random(service, load, min(A_ROUND, KILLS - first), SEED + first)
            took = time.monotonic() - began
            figures = load.reconcile()
            load.close()
        assert set(load.statuses) <= {200, 201, 202, 409, 503}
        print(f"{killed.total()} kills in {took:.0f} s {dict(killed)}: {figures}, settled {time.monotonic() - began - took:.0f} s later")  # fmt: skip
