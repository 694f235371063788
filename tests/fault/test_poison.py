"""A delivery that every worker dies of stops no other, and does not kill for ever."""

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.fault.processes import children
from tests.service import Receiver, Service, running, until


def _hook(service: Service, site: str, url: str) -> None:
    assert service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": url}).status == 201


def _delivery(service: Service, comment_id: str) -> dict[str, Any]:
    (found,) = [d for d in service.one(comment_id)["deliveries"] if d["kind"] == "webhook"]
    return found


@pytest.mark.timeout(300)
def test_a_delivery_that_kills_its_worker_stops_no_other_and_is_put_off(data: Path, receiver: Receiver) -> None:
    with running(data) as service:
        deaths, ended = [], threading.Event()

        def kills(_: int) -> tuple[int, bytes]:
            assert service.process is not None
            with contextlib.suppress(KeyError, ProcessLookupError):
                os.kill(children(service.process.pid)["workers"], signal.SIGKILL)
                deaths.append(1)
            ended.wait(0.5)  # nobody is there to hear the answer
            return 500, b""

        poison = Receiver(kills)
        bad, good = service.site(), service.site()
        _hook(service, bad, poison.url)
        _hook(service, good, receiver.url)
        deadly = service.comment(bad)["id"]
        assert service.decide(deadly, "approve").status == 200
        others = []
        while not _delivery(service, deadly)["attempts"]:  # others flow between the deaths
            others.append(service.comment(good)["id"])
            assert service.decide(others[-1], "approve").status == 200
            until("another's delivery", lambda: _delivery(service, others[-1])["state"] == "delivered")
            assert len(deaths) < 10
        (attempt,) = _delivery(service, deadly)["attempts"]
        assert (attempt["code"], attempt["ok"]) == ("abandoned", False)
        assert service.one(deadly)["delivery"]["state"] == "failing"
        assert len(deaths) == 3
        poison.close()
    print(f"{len(deaths)} workers died of one delivery before it was put off; {len(others)} others were made meanwhile")
