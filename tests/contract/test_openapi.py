"""The served description holds: a generator of requests (schemathesis) reads it and holds every answer against it, in walks along
its links too. Nothing may be an error of ours, undeclared, or of another shape than declared.

`make fuzz` lets it run for long, with other requests each time.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.service import ADMIN, Service, running

LONG = "FUZZ_SECONDS" in os.environ
WALKS = 400 if LONG else 30
SITE = "news"
# A valid body by the schema may still be none by a rule that a schema can't say (an address, a pattern), and `Allow` names methods of
# other paths that match too: what these two checks find is no lie.
NOT_CHECKED = "positive_data_acceptance,allow_header_conformance" + (",negative_data_rejection" if LONG else "")


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without workers, so that nothing leaves the machine whatever is generated."""
    with running(tmp_path_factory.mktemp("openapi"), ("serve", "--no-workers")) as found:
        policy = {"rate_limits": False, "duplicate_window_seconds": 0, "trap_field": "homepage"}
        assert found.send("POST", "/api/v1/sites", {"id": SITE, "name": "News", "policy": policy}).status == 201
        yield found


def known(service: Service) -> dict[str, list[str]]:
    """Things that are there, by the parameter that names them."""
    receipts = [service.comment(SITE) for _ in range(6)]
    approved, rejected, gone, *waiting = [receipt["id"] for receipt in receipts]
    service.decide(approved, "approve")
    service.decide(rejected, "reject", reason="insult")
    base = f"/api/v1/sites/{SITE}"
    made = [service.send("POST", base + "/endpoints", {"url": f"https://{n}.example/"}).json["id"] for n in "ab"]
    assert service.send("PUT", base + "/checkers/external", {"url": "https://c.example/"}).status == 200
    delivery = service.send("POST", f"{base}/endpoints/{made[0]}/ping").json["delivery"]
    replay = service.send("POST", f"{base}/endpoints/{made[0]}/replay", {"since": "2026-01-01T00:00:00Z"})
    private = urlsplit(receipts[2]["status_url"]).path.split("/")
    return {
        "site": [SITE], "id": [approved, rejected, *waiting], "thread": ["41"], "endpoint": made, "delivery": [delivery],
        "job": [replay.json["id"]], "checker": ["external", "akismet"], "type": ["comment.approved", "endpoint.ping"],
        "private_id": [gone], "private_token": [private[3]], "nobody": ["nobody"],
    }  # fmt: skip


def configuration(words: dict[str, list[str]]) -> str:
    """Most requests name what is there; the site itself is not deleted."""
    lines = []
    for name, values in words.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}", ""]
    bound = [name for name in words if not name.startswith(("private", "nobody"))]
    lines += [f'[parameters."path.{name}"]\ndictionary = "{name}"\nprobability = 0.8\n' for name in bound]
    lines += [
        '[[operations]]\ninclude-path = "/c/{id}/{token}"',
        'parameters = { "path.id" = { dictionary = "private_id" }, "path.token" = { dictionary = "private_token" } }',
        '[[operations]]\ninclude-name = "DELETE /api/v1/sites/{site}"\nparameters = { "path.site" = { dictionary = "nobody" } }',
    ]
    lines += [
        f'[phases.stateful]\nmax-steps = 8\n[phases.stateful.generation]\nmode = "positive"\nmax-examples = {WALKS}'
    ]
    return "\n".join(lines)


def _told(output: str) -> str:
    """What schemathesis found, without the requests themselves: they are long."""
    return "\n".join(line[:300] for line in output.splitlines() if "curl" not in line)[-20_000:]


def test_every_answer_is_as_the_description_says(described: Service, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(configuration(known(described)))
    amount = (
        ["--max-time", os.environ["FUZZ_SECONDS"], "-n", "300"] if LONG else ["-n", "15", "--generation-deterministic"]
    )
    run = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{described.base}/openapi.json", "--header", f"Authorization: Bearer {ADMIN}",
            "--exclude-path", "/api/v1/queue/stream", "--exclude-checks", NOT_CHECKED, "--phases", "examples,coverage,fuzzing,stateful", "--request-timeout", "60", "--no-shrink",
            "--continue-on-failure", "--warnings", "off", "--no-color", *amount,
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=int(os.environ.get("FUZZ_SECONDS", "120")) + 120,
    )  # fmt: skip
    assert run.returncode == 0, _told(run.stdout) + run.stderr[-2000:]
    generated = re.search(r"(\d+) generated, (\d+) passed", run.stdout)
    assert generated, run.stdout[-2000:]
    assert int(generated[1]) > 3000
    log = described.log.read_text()
    assert "Traceback" not in log
    assert described.get("/readyz").status == 200


def test_every_operation_says_what_it_answers(described: Service) -> None:
    description = described.get("/openapi.json").json
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                empty = status in {"204", "303", "304"}
                assert empty or answer["content"], (method, path, status)
                if int(status) >= 400 and path != "/readyz":
                    assert "application/problem+json" in answer["content"]


def test_the_live_queue_answers_as_described(described: Service) -> None:
    declared = described.get("/openapi.json").json["paths"]["/api/v1/queue/stream"]["get"]["responses"]["200"][
        "content"
    ]
    assert list(declared) == ["text/event-stream"]
    assert described.get("/api/v1/queue/stream").status == 401
    assert described.get("/api/v1/queue/stream?site=nobody", ADMIN).status == 404
