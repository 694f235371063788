"""The secret key is changed under a service that goes on: nothing is lost, nobody notices, and the old key is needed no more."""

import base64
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path

from standardwebhooks import Webhook

from tests.fault.proxy import valkey
from tests.service import ADMIN, HTML, Receiver, running, said

OLD, NEW = (base64.b64encode(letter * 32).decode() for letter in (b"o", b"n"))


def test_a_key_is_changed_while_comments_come(data: Path, receiver: Receiver) -> None:
    email = "amal.private@example.net"
    with running(data, MODERATION_SECRET_KEY=OLD) as service:
        site = service.site()
        secret = service.send("POST", f"/api/v1/sites/{site}/endpoints", {"url": receiver.url}).json["secret"]
        first = service.comment(site, email=email)
        author = service.one(first["id"])["author"]["id"]
        service.stop()
    link = urllib.parse.urlsplit(first["status_url"]).path
    with running(data, MODERATION_SECRET_KEY=f"{NEW} {OLD}") as service:
        second = service.comment(site, email=email)
        command = [sys.executable, "-m", "moderation", "reseal", "--yes", "--data", str(data)]
        environ = {k: v for k, v in os.environ.items() if not k.startswith("MODERATION_")}
        environ["MODERATION_SECRET_KEY"] = f"{NEW} {OLD}"
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "Nothing needs an older key any more" in done.stdout
        third = service.comment(site, email=email)
        assert service.get(link, None, accept=HTML).status == 200
        service.stop()
    with running(data, MODERATION_SECRET_KEY=NEW) as service:
        for receipt in (first, second, third):
            found = service.one(receipt["id"])
            assert found["author"]["id"] == author
            assert found["author"]["email_masked"] == "a•••@e•••.net"
            contact = service.send("POST", f"/api/v1/comments/{receipt['id']}/contact")
            assert contact.json["email"] == email
        assert service.decide(first["id"], "approve").status == 200
        headers, raw = receiver.next()
        Webhook(secret).verify(raw, headers)
        assert (
            service.get(link).status == 404
        )  # signed with a key that is gone; docs/security.md says how long to keep it
        fresh = service.comment(site, **said(email=email))
        assert service.get(urllib.parse.urlsplit(fresh["status_url"]).path).status == 200
        assert service.get("/api/v1/comments", ADMIN).status == 200
        service.stop()
    with_wrong = subprocess.run(
        [sys.executable, "-m", "moderation", "check", "--data", str(data)], env=environ | {"MODERATION_SECRET_KEY": OLD}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert with_wrong.returncode != 0
    assert "another key" in with_wrong.stdout + with_wrong.stderr


def test_a_generated_key_that_is_not_the_datas_is_told_loudly(tmp_path: Path) -> None:
    with valkey(tmp_path / "valkey") as server:
        for folder in ("first", "second"):
            with running(tmp_path / folder, ("serve", "--no-workers"), MODERATION_REDIS_URL=server.url) as service:
                service.comment(service.site())
            told = "with another secret key" in service.log.read_text()
            assert told == (folder == "second")
