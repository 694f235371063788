"""A whole copy of the embedded server's files at one moment, while it goes on."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import redis.asyncio

from moderation.errors import ConfigurationError, Unavailable
from moderation.store.connection import Store
from moderation.store.servers import asking

_FOLDER = "appendonlydir"
_ASK_SECONDS = 10
_QUIET_WITHIN_SECONDS = 600
_REWRITES, _USUALLY = "auto-aof-rewrite-percentage", "100"  # the server's own default, with which the embedded one runs


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """One backup at a time; what a killed one left is removed. Raises ConfigurationError."""
    lock = os.open(data_dir / "backup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError([f"another backup of {data_dir} is being taken"]) from None
        for left in data_dir.glob(f"backup-*/{_FOLDER}"):
            shutil.rmtree(left.parent)
        yield
    finally:
        os.close(lock)


@contextlib.asynccontextmanager
async def taken(store: Store, data_dir: Path) -> AsyncIterator[Path]:
    """A folder beside the files with links to them. All that was acknowledged before is in it; the last entry may be cut, which the
    server expects of a file after a crash. Meanwhile the server does not rewrite its files of itself. Raises Unavailable, ConfigurationError.
    """
    files = data_dir / "redis" / _FOLDER
    with _alone(data_dir):
        async with asking(store.address, store.address.nodes[0], _ASK_SECONDS) as connection:
            await connection.config_set(_REWRITES, "0")
            try:
                await _until_quiet(connection)
                with tempfile.TemporaryDirectory(prefix="backup-", dir=data_dir) as folder:
                    copy = Path(folder) / _FOLDER
                    copy.mkdir(mode=0o700)
                    for name in sorted(os.listdir(files)):
                        _link(files / name, copy / name)
                    yield copy
            finally:
                await connection.config_set(_REWRITES, _USUALLY)  # not what was found: a killed one leaves a 0


def tidy(data_dir: Path) -> None:
    """Remove what a killed backup left: its links would keep what was erased since, whatever is rewritten."""
    with contextlib.suppress(ConfigurationError), _alone(data_dir):
        pass


async def _until_quiet(connection: redis.asyncio.Redis) -> None:
    """No rewrite runs: until then two sets of files belong together."""
    for _ in range(_QUIET_WITHIN_SECONDS * 10):
        found = await connection.info("persistence")
        if not int(found["aof_rewrite_in_progress"]) and not int(found["aof_rewrite_scheduled"]):
            return
        await asyncio.sleep(0.1)
    raise Unavailable()


def _link(file: Path, copy: Path) -> None:
    try:
        os.link(file, copy)
    except OSError:  # a file system without hard links
        shutil.copy2(file, copy)


def put_back(copy: Path, data_dir: Path) -> None:
    """Into a data directory that has no comments yet. Raises ConfigurationError."""
    store = data_dir / "redis"
    if (store / _FOLDER).exists():
        raise ConfigurationError([f"{store / _FOLDER} is there already: restore into a new data directory (--data)"])
    store.mkdir(parents=True, exist_ok=True, mode=0o700)
    (copy / _FOLDER).rename(store / _FOLDER)
