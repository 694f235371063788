"""A copy of the data directory, made while comments come in, starts elsewhere with all that was acknowledged before the copy began."""

import os
import shutil
from pathlib import Path

import pytest

from tests.fault.load import stored
from tests.fault.processes import child
from tests.fault.steady import Steady, plan
from tests.service import Service, running

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # `make fault` takes 5


@pytest.mark.timeout(1200)
def test_a_copy_made_under_load_holds_all_that_was_acknowledged_before(data: Path) -> None:
    with running(data / "original") as service:
        load = Steady(service)
        with load:
            for number in range(ROUNDS):
                load.until_more("before the copy", 200)
                _copied_and_complete(service, load, data / f"copy-{number}")
            load.until_more("after the last copy")
        load.reconcile()
        load.close()


def _copied_and_complete(service: Service, load: Steady, folder: Path) -> None:
    comments = {comment_id for _, comment_id in list(load.acknowledged.values())}
    decided = {comment_id for comment_id in load.decided.copy() if not plan(comment_id)[1]}  # the others are undone
    shutil.copytree(service.data, folder, ignore=shutil.ignore_patterns("*.sock", "service.log"))
    server = child(service, "valkey-server")
    with running(folder, ("serve", "--no-workers")) as copy:
        found = {item["id"]: item for item in stored(copy, load.site)}
        assert comments <= found.keys()
        assert decided
        assert "pending" not in {found[comment_id]["status"] for comment_id in decided}
        copy.comment(load.site)
    assert child(service, "valkey-server") == server, "the original goes on"
    print(f"copied under load: {len(comments)} comments and {len(decided)} decisions, all there")
