"""A whole copy of the embedded server's files at one moment, while it goes on."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import redis.asyncio

from moderation.errors import ConfigurationError, Unavailable
from moderation.store.connection import Store
from moderation.store.servers import asking

_FOLDER = "appendonlydir"
_ASK_SECONDS = 10
_QUIET_WITHIN_SECONDS = 600
_REWRITES = "auto-aof-rewrite-percentage"


@contextlib.asynccontextmanager
async def taken(store: Store, data_dir: Path) -> AsyncIterator[Path]:
    """A folder beside the files with links to them. All that was acknowledged before is in it; the last entry may be cut, which the
    server expects of a file after a crash. Meanwhile the files are not rewritten. Raises Unavailable, ConfigurationError.
    """
    files = data_dir / "redis" / _FOLDER
    async with asking(store.address, store.address.nodes[0], _ASK_SECONDS) as connection:
        before = str((await connection.config_get(_REWRITES))[_REWRITES])
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
            await connection.config_set(_REWRITES, before)


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
