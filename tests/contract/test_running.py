"""Running it: health, figures, description, one service per data directory, an orderly end."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from tests.service import ADMIN, Service, free_port, running, said


def start_and_end(data: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to fail."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MODERATION_")}
    command = [sys.executable, "-m", "moderation", "serve", "--port", str(free_port()), "--data", str(data)]
    return subprocess.run(command, env=clean | environ, capture_output=True, text=True, timeout=60, check=False)


def test_it_says_that_it_is_alive_and_ready(service: Service) -> None:
    assert service.get("/healthz").status == 200
    assert service.get("/readyz").json == {"status": "ready"}


def test_too_few_replicas_are_said_where_readiness_is_asked(tmp_path: Path) -> None:
    with running(tmp_path / "data", MODERATION_REDIS_REPLICAS_TO_ACK="1") as alone:
        assert alone.post(f"/api/v1/sites/{alone.site()}/comments", said()).status == 503
        (reason,) = alone.get("/readyz").json["degraded"]
        assert "MODERATION_REDIS_REPLICAS_TO_ACK" in reason


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/embed.js"])
def test_head_answers_what_get_does_without_the_body(service: Service, path: str) -> None:
    asked, got = service.request("HEAD", path), service.get(path)
    assert (asked.status, asked.raw, asked.headers["content-type"]) == (200, b"", got.headers["content-type"])


def test_the_figures_count_what_happens(service: Service, site: str) -> None:
    def figure(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", service.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    taken, approvals = 'moderation_submissions_total{status="202"}', 'moderation_decisions_total{decision="approve"}'
    before = figure(taken), figure(approvals)
    for _ in range(3):
        comment = service.comment(site)["id"]
    assert figure(f'moderation_pending{{site="{site}"}}') == 3
    service.decide(comment, "approve")
    assert (figure(taken), figure(approvals)) == (before[0] + 3, before[1] + 1)
    assert figure(f'moderation_pending{{site="{site}"}}') == 2
    assert figure("moderation_redis_up") == 1


def test_every_figure_has_a_type(service: Service, site: str) -> None:
    service.decide(service.comment(site)["id"], "approve")
    families = {family.name: family for family in text_string_to_metric_families(service.get("/metrics").text)}
    assert {name: family.type for name, family in families.items() if family.samples and family.type == "unknown"} == {}
    assert families["moderation_submissions"].type == "counter"


def test_the_description_is_valid_openapi(service: Service) -> None:
    description = service.get("/openapi.json").json
    assert description["openapi"].startswith("3.1")
    validate(description)
    names = [o["operationId"] for path in description["paths"].values() for o in path.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("method", "path"),
    [("post", "/api/v1/sites/{site}/comments"), ("get", "/api/v1/comments"), ("get", "/api/v1/comments/{id}"), ("post", "/api/v1/queue/claim"),
     ("post", "/api/v1/queue/release"), ("post", "/api/v1/comments/{id}/decisions"), ("post", "/api/v1/decisions"), ("post", "/api/v1/comments/{id}/undo"),
     ("post", "/api/v1/sites"), ("post", "/api/v1/tokens"), ("post", "/api/v1/sites/{site}/endpoints"), ("get", "/api/v1/sites/{site}/threads/{thread}/comments")],
)  # fmt: skip
def test_the_description_has_the_routes_of_the_contract(service: Service, method: str, path: str) -> None:
    operation: dict[str, Any] = service.get("/openapi.json").json["paths"][path][method]
    assert operation["responses"].keys() & {"200", "201", "202"}
    assert "503" in operation["responses"]


def test_the_documentation_reads_offline(service: Service) -> None:
    page = service.get("/docs")
    assert page.status == 200
    assert "/api/v1/comments" in page.text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)
    assert "<script" not in page.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("DELETE", "/healthz", 405), ("PUT", "/api/v1/comments", 405)],
)
def test_what_is_not_there_is_a_problem_document(service: Service, method: str, path: str, status: int) -> None:
    answer = service.send(method, path)
    assert (answer.status, answer.json["status"]) == (status, status)
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_second_service_on_one_data_directory_is_refused(service: Service) -> None:
    second = start_and_end(service.data)
    assert second.returncode not in (0, None)
    assert "another service already runs on" in second.stderr
    assert "Traceback" not in second.stderr
    assert service.get("/readyz").status == 200


def test_a_wrong_start_names_every_mistake_and_no_secret(data: Path) -> None:
    failed = start_and_end(
        data, MODERATION_PROCESSES="0", MODERATION_EGRESS_ALLOW="x", MODERATION_SMTP_URL="smtp://u:hunt#er2@m", MODERATION_SECRET_KEY="secret-key-text"
    )  # fmt: skip
    assert failed.returncode == 2
    for name in ("PROCESSES", "EGRESS_ALLOW", "SMTP_URL", "SECRET_KEY"):
        assert f"MODERATION_{name}: " in failed.stderr
    assert "hunt" not in failed.stderr + failed.stdout
    assert "secret-key-text" not in failed.stderr + failed.stdout
    assert "Traceback" not in failed.stderr


def test_sigterm_ends_it_with_0_and_everything_is_there_again(data: Path) -> None:
    with running(data) as first:
        site = first.site()
        comment = first.comment(site)["id"]
        first.decide(comment, "approve")
        assert first.stop() == 0
    with running(data) as second:
        assert second.get(f"/api/v1/comments/{comment}", ADMIN).json["status"] == "approved"
        assert second.stop() == 0
    assert not (data / "redis.sock").exists()
    assert (data / "secret.key").stat().st_mode & 0o777 == 0o600
