"""Receives the service's webhooks: a small server that believes only what is signed. Standard library only.

The secret comes from WEBHOOK_SECRET, or from the file that WEBHOOK_SECRET_FILE names; several while one is rotated, spaces between.
"""

import base64
import binascii
import hashlib
import hmac
import http.server
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TOLERANCE_SECONDS = 300
BODY_MAX_BYTES = 2 * 1024 * 1024
KEY_MIN_BYTES = 24  # Standard Webhooks: 24 to 64
log = logging.getLogger("receiver")
Event = dict[str, Any]


class Misconfigured(Exception):
    """What is wrong, in words for whoever starts the program."""


class Refused(Exception):
    """The answer to a request that can't be taken: status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def from_environment(name: str) -> str:
    """A secret from the variable, or from the file that the variable with _FILE behind it names; '' when neither is set."""
    file = os.environ.get(f"{name}_FILE")
    try:
        return Path(file).read_text().strip() if file else os.environ.get(name, "").strip()
    except OSError as error:
        raise Misconfigured(f"{name}_FILE can't be read: {error.strerror}") from None


def keys(text: str) -> list[bytes]:
    """The bytes of each secret (whsec_…). Raises Misconfigured."""
    found = []
    for secret in text.split():
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = b""
        if len(key) < KEY_MIN_BYTES:
            raise Misconfigured(
                "WEBHOOK_SECRET holds something that is no secret of an endpoint: whsec_…, copied whole"
            )
        found.append(key)
    if not found:
        raise Misconfigured("set WEBHOOK_SECRET or WEBHOOK_SECRET_FILE to the secret that came with the endpoint")
    return found


def verify(secrets: list[bytes], headers: Mapping[str, str], body: bytes, now: float) -> Event:
    """The event of a delivery (Standard Webhooks 1.0). Raises Refused: 401 for what the service did not sign, 400 for what can't be read."""
    message, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message or not stamp or not headers.get("webhook-signature"):
        raise Refused(401, "not signed")
    if not (stamp.isascii() and stamp.isdecimal()) or abs(now - int(stamp[:12])) > TOLERANCE_SECONDS:
        raise Refused(401, "its time is more than five minutes away from this machine's")
    signed = f"{message}.{stamp}.".encode() + body
    wanted = [b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in secrets]
    given = [one.encode("utf-8", "replace") for one in headers["webhook-signature"].split(" ")]
    if not any([hmac.compare_digest(one, right) for one in given for right in wanted]):  # noqa: C419  all of them are looked at
        raise Refused(401, "wrong signature: another secret, or the body was changed on its way")
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str) or not isinstance(event.get("data"), dict):
        raise Refused(400, "the body can't be read")
    return event


def serve(host: str, port: int, secrets: list[bytes], take: Callable[[Event], Event]) -> None:
    """Answer until SIGTERM. `take` gets what is genuine and returns the answer; what it raises but Refused is a 500, and comes again."""

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 15  # as long as the service waits

        def do_GET(self) -> None:
            self.answer(200, {"ok": True})

        def do_POST(self) -> None:
            try:
                self.answer(200, take(self.genuine()))
            except Refused as refused:
                log.warning("refused: %s", refused)
                self.answer(refused.status, {"error": str(refused)})
            except Exception:
                log.exception("a delivery could not be taken; it will come again")
                self.answer(500, {"error": "it could not be taken"})

        def genuine(self) -> Event:
            headers = {name.lower(): value for name, value in self.headers.items()}
            return verify(secrets, headers, self.body(), time.time())

        def body(self) -> bytes:
            size = self.headers.get("content-length", "")
            if not (size.isascii() and size.isdecimal()):
                raise Refused(411, "no length")
            if len(size) > 9 or int(size) > BODY_MAX_BYTES:
                raise Refused(413, "too large")
            try:
                body = self.rfile.read(int(size))
            except OSError:
                body = b""
            if len(body) < int(size):
                raise Refused(400, "not whole")
            return body

        def answer(self, status: int, data: Event) -> None:
            body = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """What matters is logged where it is known."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A sender that went away; it will come again."""

    try:
        server = Server((host, port), Handler)
    except OSError as error:
        raise Misconfigured(f"can't listen on {host}:{port}: {error.strerror}") from None
    asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_stop.set())
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        log.info("listening on http://%s:%s", host, port)
        asked_to_stop.wait()
        server.shutdown()
    log.info("stopped")
