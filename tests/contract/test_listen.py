"""`moderation listen`: what a developer sees of a webhook and of its signature."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from moderation.listen import fate
from moderation.privacy import new_secret
from tests.service import ADMIN, Service, free_port, until
from workers import signing

BODY = b'{"type":"comment.approved","data":{}}'
SECRET = new_secret("whsec_")


def test_it_prints_events_of_a_site_as_they_come_and_leaves_no_endpoint_behind(
    service: Service, site: str, tmp_path: Path
) -> None:
    output, port = tmp_path / "output", free_port()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MODERATION_")}
    environ |= {"MODERATION_EGRESS_ALLOW": "127.0.0.0/8"}
    command = [
        sys.executable,
        "-m",
        "moderation",
        "listen",
        "--site",
        site,
        "--port",
        str(port),
        "--data",
        str(service.data),
    ]
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environ)
    try:
        until("the listener", lambda: "Listening on" in output.read_text(), 60)
        comment_id = service.comment(site)["id"]
        service.decide(comment_id, "approve")
        until("both events", lambda: output.read_text().count("verified") == 2)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    text = output.read_text()
    for word in ("comment.submitted", "comment.approved", comment_id, "ليلى"):
        assert word in text
    assert service.get(f"/api/v1/sites/{site}/endpoints", ADMIN).json["items"] == []


def signed(secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    return signing.headers([secret], "msg_1", int(at or time.time()), BODY)


@pytest.mark.parametrize(
    ("secret", "headers", "body", "word"),
    [(SECRET, signed, BODY, "verified"), (SECRET, dict, BODY, "NOT SIGNED"), ("", signed, BODY, "--secret"),
     (new_secret("whsec_"), signed, BODY, "another secret"), (SECRET, signed, BODY + b" ", "changed on its way"),
     (SECRET, lambda: signed(at=time.time() - 4000), BODY, "s away"), (SECRET, lambda: {**signed(), "webhook-timestamp": "x"}, BODY, "WRONG")],
)  # fmt: skip
def test_the_fate_of_a_signature_is_told_in_words(
    secret: str, headers: Callable[[], dict[str, str]], body: bytes, word: str
) -> None:
    assert word in fate(secret, headers(), body)  # signed now: a signature is old after five minutes
