"""The receivers of docs/webhooks.md are run as they stand there, wherever their language is at hand."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.service import ADMIN, Service, free_port, until

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
LANGUAGES = {
    "python": ("receiver.py", [sys.executable, "receiver.py"]),
    "javascript": ("receiver.js", ["node", "receiver.js"]),
    "php": ("receiver.php", ["php", "-S", "127.0.0.1:{port}", "receiver.php"]),
    "go": ("receiver.go", ["./receiver"]),
}
_COMPILERS = {"go": ["go", "build", "-o", "receiver", "receiver.go"]}


def at_hand() -> list[str]:
    return [name for name, (_, command) in LANGUAGES.items() if shutil.which(_COMPILERS.get(name, command)[0])]


def code(language: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, f"one {language} receiver in the page"
    return str(blocks[0])


def test_every_language_has_its_receiver() -> None:
    assert all(code(name) for name in LANGUAGES)
    assert "python" in at_hand()


def post(port: int, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("language", at_hand())
def test_the_receivers_of_the_page_take_ours_and_refuse_others(
    service: Service, site: str, tmp_path: Path, language: str
) -> None:
    name, command = LANGUAGES[language]
    (tmp_path / name).write_text(code(language))
    port = free_port()
    made = service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": f"http://127.0.0.1:{port}/"}).json
    environ = os.environ | {
        "WEBHOOK_SECRET": made["secret"],
        "PORT": str(port),
        "GOFLAGS": "-mod=mod",
        "GO111MODULE": "off",
    }
    if language in _COMPILERS:
        subprocess.run(_COMPILERS[language], cwd=tmp_path, env=environ, check=True, timeout=170)
    process = subprocess.Popen(
        [part.format(port=port) for part in command], cwd=tmp_path, env=environ, stderr=subprocess.DEVNULL
    )
    try:
        until("the receiver to listen", lambda: _listens(port), 60)
        comment_id = service.comment(site)["id"]
        service.decide(comment_id, "approve")
        until("the delivery", lambda: service.one(comment_id)["delivery"]["state"] == "delivered")
        assert service.one(comment_id)["external_id"].endswith("-" + comment_id[:8])
        now = str(int(time.time()))
        for headers in ({}, {"webhook-id": "x", "webhook-timestamp": now, "webhook-signature": "v1,aGVsbG8="}):
            assert post(port, b"{}", headers) == 401
    finally:
        process.kill()
        process.wait()
    assert service.get("/readyz", ADMIN).status == 200


def _listens(port: int) -> bool:
    try:
        return post(port, b"{}", {}) == 401
    except OSError:
        return False
