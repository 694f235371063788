"""The real service in a process of its own, and a small client for it."""

import contextlib
import http.client
import http.server
import itertools
import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ADMIN = "test-admin-token"
HTML = "text/html,application/xhtml+xml"
POLL_SECONDS = 0.02  # how soon a server of ours notices that it is closed; half a second by default


_PORTS = range(20_000, 32_768)  # below those that Linux, and all the more others, give to who asks for any
_next_port = itertools.count(random.SystemRandom().randrange(len(_PORTS)))  # another suite begins elsewhere


def free_port() -> int:
    """A port that is nobody's until who asked binds it, or binds it again after a kill: the system chooses none of these, and we none twice."""
    for number in itertools.islice(_next_port, len(_PORTS)):
        port = _PORTS[number % len(_PORTS)]
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def until(what: str, condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait for a condition, never for a time; says what it waited for when it gives up. Only a failure takes all of the seconds."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:.0f} s for: {what}")


@dataclass
class Answer:
    """Status, headers (lower case) and body of one answer."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def text(self) -> str:
        return self.raw.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def errors(self) -> dict[str, str]:
        """field → code of a 422."""
        return {e["field"]: e["code"] for e in self.json["errors"]}


@dataclass
class Service:
    """`moderation serve` on a free port with a data directory of its own."""

    data: Path
    environ: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ("serve",)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.data / "service.log"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Service":
        self.data.mkdir(parents=True, exist_ok=True)
        environ = {k: v for k, v in os.environ.items() if not k.startswith("MODERATION_")}
        environ |= {"MODERATION_ADMIN_TOKEN": ADMIN, "MODERATION_EGRESS_ALLOW": "127.0.0.0/8", "MODERATION_GRACE_SECONDS": "0", **self.environ}  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moderation", *self.command, "--port", str(self.port), "--data", str(self.data)],
                env=environ, stdout=log, stderr=log,
            )  # fmt: skip
        until("the service to be ready", self._ready, 60)
        return self

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended: {self.log.read_text()[-2000:]}")
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, token: str | None = None, **headers: str) -> Answer:
        auth = {"authorization": f"Bearer {token}"} if token else {}
        return self.request("GET", path, None, auth | headers)

    def send(self, method: str, path: str, data: Any = None, token: str | None = ADMIN, **headers: str) -> Answer:
        """A JSON request, with the admin token unless told otherwise."""
        auth = {"authorization": f"Bearer {token}"} if token else {}
        return self.request(
            method, path, json.dumps(data or {}).encode(), {"content-type": "application/json"} | auth | headers
        )

    def post(self, path: str, data: Any, **headers: str) -> Answer:
        """A JSON post without login."""
        return self.send("POST", path, data, None, **headers)

    def form(self, path: str, data: dict[str, str], **headers: str) -> Answer:
        """What a browser sends."""
        body = urllib.parse.urlencode(data).encode()
        return self.request(
            "POST", path, body, {"content-type": "application/x-www-form-urlencoded", "accept": HTML} | headers
        )

    def site(self, **changes: Any) -> str:
        """A fresh site; its id. Rate limits are off unless asked for."""
        name = "t-" + uuid.uuid4().hex[:10]
        fields = {
            "id": name, "name": "صحيفة الاختبار", "origins": ["https://news.example"], "locale": "ar", "policy": {"rate_limits": False},
        }  # fmt: skip
        answer = self.send("POST", "/api/v1/sites", fields | changes)
        assert answer.status == 201, answer.text
        return name

    def comment(self, site: str, **changes: str) -> dict[str, Any]:
        """A waiting comment; the receipt."""
        answer = self.post(f"/api/v1/sites/{site}/comments", said(**changes))
        assert answer.status == 202, answer.text
        return answer.json  # type: ignore[no-any-return]

    def decide(self, comment_id: str, decision: str, **more: Any) -> Answer:
        return self.send("POST", f"/api/v1/comments/{comment_id}/decisions", {"decision": decision, **more})

    def one(self, comment_id: str) -> dict[str, Any]:
        return self.get(f"/api/v1/comments/{comment_id}", ADMIN).json  # type: ignore[no-any-return]


def said(**changes: str) -> dict[str, str]:
    """A good comment, different each time."""
    return {
        "author": "ليلى", "email": f"reader-{uuid.uuid4().hex[:8]}@example.net", "comment": f"شكراً على التقرير {uuid.uuid4().hex[:8]}",
        "thread": "41", **changes,
    }  # fmt: skip


class Receiver:
    """A site's webhook endpoint: keeps what came; `answers` decides the status of each."""

    def __init__(self, answers: Callable[[int], tuple[int, bytes]] = lambda n: (200, b"")) -> None:
        self.received: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        self.count = 0
        one_at_a_time = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                with one_at_a_time:
                    outer.count += 1
                    number = outer.count
                status, answer = answers(number)
                outer.received.put(({":path": self.path} | {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = (
                1024  # of the 5 by default the others wait seconds for their next SYN, until they time out
            )

            def handle_error(self, *_: object) -> None:
                """A sender that went away, such as a service that was stopped."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True).start()

    def next(self, seconds: float = 60) -> tuple[dict[str, str], bytes]:
        try:
            return self.received.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no webhook within {seconds} s") from None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def running(data: Path, command: tuple[str, ...] = ("serve",), **environ: str) -> Iterator[Service]:
    """A service of one's own for the time of a test."""
    service = Service(data, environ, command).start()
    try:
        yield service
    finally:
        if service.process and service.process.poll() is None:
            service.stop()
