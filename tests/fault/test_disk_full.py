"""The disk under the append-only file is full: the embedded server ends, what is not on disk is not acknowledged, and it heals once there is room."""

import os
from pathlib import Path

import pytest

from tests.fault.disks import small_disk
from tests.fault.steady import Steady
from tests.service import Service, said, until

TIMES = int(os.environ.get("FAULT_ROUNDS", "1"))  # `make fault` takes 5


@pytest.mark.timeout(1200)
def test_a_full_disk_acknowledges_nothing_that_is_not_on_it_and_heals(data: Path) -> None:
    for number in range(TIMES):
        with small_disk(data / str(number) / "redis", 4) as disk:
            service = Service(data / str(number)).start()
            load = Steady(service)
            with load:
                load.until_more("before the disk is full", 100)
                disk.fill()
                refused = load.statuses[503]
                until("submissions to be refused", lambda load=load, n=refused: load.statuses[503] > n + 5, 60)
                until(
                    "it is said in the log", lambda service=service: "embedded server ended" in service.log.read_text()
                )
                assert service.get("/healthz").status == 200
                answer = service.post(load.path, said())
                assert (answer.status, answer.json["code"]) == (503, "unavailable")
                disk.enlarge(64)
                load.until_more("once there is room", 100)
            assert service.get("/readyz").status == 200
            figures = load.reconcile()
            load.close()
            service.stop()
        assert set(load.statuses) <= {200, 201, 202, 409, 503}
        print(f"disk full and enlarged: {figures}, 0 lost")
