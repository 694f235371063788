"""`moderation backup` and `moderation restore`: of the embedded server. A Redis of one's own has its own ways."""

import asyncio
import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from moderation import log, service
from moderation.archive_commands import target
from moderation.errors import ConfigurationError, Unreadable
from moderation.settings import Settings, load
from moderation.store import snapshot

Data = Annotated[Path | None, typer.Option(help="Data directory (MODERATION_DATA_DIR).")]
_PIECE_BYTES = 1024 * 1024


def mount(app: typer.Typer) -> None:
    """Add both to the program's commands."""
    app.command()(backup)
    app.command()(restore)


def _settings(data: Path | None) -> Settings:
    settings = load({"data_dir": data})
    log.configure(settings.log_level, as_json=settings.log_format == "json")
    if settings.redis_url is not None:
        raise ConfigurationError(
            ["MODERATION_REDIS_URL is set: copy that Redis by its own means (its append-only file or a replica)"]
        )
    return settings


def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write (tar); nobody else may read it.")],
    data: Data = None,
) -> None:
    """Copy everything that was acknowledged so far into one file; the service may run. The secret key is not in it: keep that elsewhere."""
    settings = _settings(data)

    async def work() -> None:
        async with service.store_of(settings) as store, snapshot.taken(store, settings.data_dir) as copy:
            await asyncio.to_thread(_pack, copy, file)

    asyncio.run(work())
    key = "MODERATION_SECRET_KEY" if settings.secret_key else str(settings.data_dir / "secret.key")
    print(f"{file}: {file.stat().st_size} bytes. Without the key ({key}) no address in it can be read: keep that, too, in another place.")  # fmt: skip


def _pack(folder: Path, file: Path) -> None:
    """As long as each file was when its turn came: the server goes on writing."""
    files = sorted(folder.iterdir())
    total = sum(one.stat().st_size for one in files)
    bar = typer.progressbar(length=max(1, total), label="writing", file=sys.stderr)
    with target(str(file)) as out, tarfile.open(fileobj=out, mode="w") as archive, bar as shown:
        for one in files:
            with open(one, "rb") as content:
                about = archive.gettarinfo(arcname=f"{folder.name}/{one.name}", fileobj=content)
                about.uid = about.gid = 0
                about.uname = about.gname = ""
                archive.addfile(about, content)
            shown.update(about.size)


def restore(
    file: Annotated[Path, typer.Argument(help="What `moderation backup` wrote.")],
    data: Data = None,
) -> None:
    """Put a backup into a new data directory. Put the secret key of its time there, too, before you start the service."""
    settings = _settings(data)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with tempfile.TemporaryDirectory(prefix="restore-", dir=settings.data_dir) as folder:
            with tarfile.open(file) as archive:
                archive.extractall(folder, filter="data")
            os.sync()
            snapshot.put_back(Path(folder), settings.data_dir)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Unreadable(f"{file}: {error}") from None
    print(f"Restored into {settings.data_dir}.")
    if not settings.secret_key and not (settings.data_dir / "secret.key").exists():
        print("The secret key is missing: put secret.key (mode 0600) there, or set MODERATION_SECRET_KEY, before you start.")  # fmt: skip
