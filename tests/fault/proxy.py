"""What stands between the service and a Redis of the test's own: a server process and a TCP proxy that misbehaves on demand."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from moderation.store.embedded import binary
from tests.service import free_port, until


class Valkey:
    """A durable server on loopback, as an operator would run one; `settings` change that."""

    def __init__(self, folder: Path, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        chosen = {"appendonly": "yes", "appendfsync": "always", "save": "", "maxmemory-policy": "noeviction"} | settings
        options = [part for name, value in chosen.items() for part in (f"--{name}", value)]
        self._command = [
            str(binary()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), *options
        ]  # fmt: skip
        self.url = f"redis://127.0.0.1:{self.port}"
        self.client = redis.Redis(port=self.port, decode_responses=True, retry=Retry(NoBackoff(), 0))
        self.start()

    def start(self) -> None:
        """At first, and again after a kill."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until("the server to answer", self._answers)

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait(60)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.client.ping())
        return False

    def freeze(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        self.client.close()
        self.kill()


@contextlib.contextmanager
def valkey(folder: Path, **settings: str) -> Iterator[Valkey]:
    """A server for the time of a test."""
    found = Valkey(folder, **settings)
    try:
        yield found
    finally:
        found.close()


class Proxy:
    """Passes bytes on, unless told to hang (`passing.clear()`) or to cut the line instead of answering a request."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self.passing = threading.Event()
        self.passing.set()
        self.lose_reply_to = b""  # the line is cut when the reply to a request that contains these bytes arrives
        self.lost = 0
        self.delay_seconds = 0.0  # of each piece of a reply
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}"
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream))
                self.open += [client, server]
                cut = threading.Event()
                for source, target in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pump, args=(source, target, cut, source is server), daemon=True
                    ).start()

    def _pump(self, source: socket.socket, target: socket.socket, cut: threading.Event, replies: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.passing.wait()
                if replies and self.delay_seconds:
                    time.sleep(self.delay_seconds)
                if not replies and self.lose_reply_to and self.lose_reply_to in data:
                    cut.set()
                if replies and cut.is_set():
                    self.lost += 1
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.passing.set()
        for end in (self._door, *self.open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """A proxy for the time of a test."""
    found = Proxy(port)
    try:
        yield found
    finally:
        found.close()
