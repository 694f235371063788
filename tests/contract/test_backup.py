"""A backup taken while the service runs, and what comes of it elsewhere."""

import contextlib
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import redis

from tests.service import ADMIN, Service, running


def moderation(*arguments: object, **environ: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "moderation", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", **environ})  # fmt: skip


def test_a_backup_holds_what_was_acknowledged_and_starts_elsewhere(service: Service, site: str, tmp_path: Path) -> None:
    ids = [service.comment(site, email="canary-backup@example.net")["id"] for _ in range(20)]
    service.decide(ids[0], "approve")
    file, elsewhere = tmp_path / "backup.tar", tmp_path / "elsewhere"
    found = moderation("backup", file, "--data", service.data)
    assert found.returncode == 0, found.stderr
    assert file.stat().st_mode & 0o077 == 0
    assert b"canary-backup" not in file.read_bytes()
    with tarfile.open(file) as archive:
        assert not any("secret" in name for name in archive.getnames())
    assert not list(service.data.glob("backup-*"))
    later = service.comment(site)["id"]  # the original goes on

    restored = moderation("restore", file, "--data", elsewhere)
    assert restored.returncode == 0, restored.stderr
    assert "secret key is missing" in restored.stdout
    shutil.copy(service.data / "secret.key", elsewhere / "secret.key")
    with running(elsewhere) as copy:
        kept = {c["id"]: c for c in copy.get(f"/api/v1/comments?site={site}&limit=200", ADMIN).json["items"]}
        assert set(kept) == set(ids)
        assert kept[ids[0]]["status"] == "approved"
        assert kept[ids[1]]["author"]["email_masked"] == "c•••@e•••.net"
    again = moderation("restore", file, "--data", elsewhere)
    assert (again.returncode, "there already" in again.stderr) == (2, True)
    assert service.one(later)["status"] == "pending"


HOLD = """
import asyncio, sys
from pathlib import Path
from moderation import service, settings
from moderation.store import snapshot

async def hold(found):
    async with service.store_of(found) as store, snapshot.taken(store, found.data_dir):
        print("taken", flush=True)
        await asyncio.sleep(600)

asyncio.run(hold(settings.load({"data_dir": Path(sys.argv[1])})))
"""


@contextlib.contextmanager
def backup_under_way(data: Path) -> Iterator[None]:
    """One that is killed in the middle."""
    holding = subprocess.Popen([sys.executable, "-c", HOLD, str(data)], stdout=subprocess.PIPE)
    try:
        assert holding.stdout is not None
        assert holding.stdout.readline() == b"taken\n"
        yield
    finally:
        holding.kill()
        holding.wait(10)


def test_a_killed_backup_leaves_nothing_that_keeps_what_is_erased(tmp_path: Path) -> None:
    with running(tmp_path / "data") as service:
        with backup_under_way(service.data):
            found = moderation("backup", tmp_path / "b.tar", "--data", service.data)
            assert (found.returncode, "another backup" in found.stderr) == (2, True)
        assert list(service.data.glob("backup-*/appendonlydir"))
        found = moderation("backup", tmp_path / "b.tar", "--data", service.data)
        assert found.returncode == 0, found.stderr
        assert not list(service.data.glob("backup-*/"))
        url = (service.data / "redis.url").read_text()
        with redis.Redis(unix_socket_path=unquote(url.removeprefix("unix://"))) as client:
            assert client.config_get("auto-aof-rewrite-percentage") == {"auto-aof-rewrite-percentage": "100"}
        with backup_under_way(service.data):
            pass
        service.stop()
        service.start()
        assert not list(service.data.glob("backup-*/"))


def test_a_backup_without_a_running_service(tmp_path: Path) -> None:
    assert moderation("site", "add", "news", "--data", tmp_path / "data").returncode == 0
    found = moderation("backup", tmp_path / "b.tar", "--data", tmp_path / "data")
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_redis_of_ones_own_has_its_own_ways(command: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no archive")
    found = moderation(command, tmp_path / "x", "--data", tmp_path, MODERATION_REDIS_URL="redis://127.0.0.1:1")
    assert (found.returncode, "MODERATION_REDIS_URL" in found.stderr) == (2, True)


def test_what_is_no_backup_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no archive")
    found = moderation("restore", tmp_path / "x", "--data", tmp_path / "data")
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
