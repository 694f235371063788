"""A service with something behind each door: a comment, an endpoint, an account, signed links."""

import contextlib
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from moderation import links
from moderation.privacy import Privacy
from moderation.settings import load
from tests.service import Answer, Service, running

ANSWERED_WITHIN_SECONDS = 10.0  # a hang, not a measure of speed
GONE = "01990000-0000-7000-8000-0000000000ff"


@dataclass
class House:
    """A service with something behind each door, and how to address it."""

    service: Service
    names: dict[str, str]
    cookie: str
    form_token: str
    password: str

    def fill(self, text: str) -> str:
        filled = re.sub(r"<(\w+)>", lambda found: self.names.get(found[1], found[0]), text)
        return urllib.parse.quote(filled, "/%?&=:;,[]{}()<>*+'\"\\|^`!$@#~-._ ").replace(" ", "%20")

    def send(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        began = time.monotonic()
        answer = self.service.request(method, self.fill(path), body, headers)
        assert time.monotonic() - began < ANSWERED_WITHIN_SECONDS
        return answer


@contextlib.contextmanager
def a_house(data: Path, bounce_secret: str) -> Iterator[House]:
    """For the time of a module."""
    with running(data, MODERATION_BOUNCE_SECRET=bounce_secret, MODERATION_LOG_FORMAT="json") as service:
        site = service.site(notify=["mod@example.org"], notify_mode="off")
        comment = service.comment(site)
        made = service.send(
            "POST", f"/api/v1/sites/{site}/endpoints", {"url": "http://127.0.0.1:9/x", "enabled": False}
        )
        command = [sys.executable, "-m", "moderation", "user", "add", "chief", "--role", "admin", "--data", str(data)]
        shown = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL
        )
        own = {"origin": service.base, "sec-fetch-site": "same-origin"}
        password = shown.stdout.split("password ")[1].strip()
        entered = service.form("/review/sign-in", {"name": "chief", "password": password}, **own)
        cookie = entered.headers["set-cookie"].partition(";")[0]
        page = service.get("/review/account", None, cookie=cookie).text
        token = re.search(r'name="form_token" value="([^"]+)"', page)
        assert token
        privacy = Privacy(load({"data_dir": data}, environ={}).keys())
        recipient = privacy.address_id("mod@example.org")
        base = f"/api/v1/sites/{site}/endpoints"
        ping = service.send("POST", f"{base}/{made.json['id']}/ping").json["delivery"]
        other = service.send("POST", base, {"url": "http://127.0.0.1:9/y"}).json["id"]
        job = service.send("POST", f"{base}/{other}/replay", {"since": "2026-01-01T00:00:00Z"}).json["id"]
        subject = f"{comment['id']}/approve/{recipient}/1/{int(time.time()) + 3600}"
        names = {
            "site": site, "id": comment["id"], "status": urllib.parse.urlsplit(comment["status_url"]).path, "endpoint": made.json["id"], "gone": GONE, "delivery": ping, "job": job,
            "decide": f"/m/{subject}/{privacy.sign_link('moderate', subject)}",
            "leave": links.unsubscribe(privacy, "", recipient, site, "0" * 20), "confirm": links.confirm(privacy, "", comment["id"]),
        }  # fmt: skip
        yield House(service, names, cookie, token[1], password)
