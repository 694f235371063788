"""`moderation erase` and `moderation personal-data`: what is kept of one address."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from moderation import log, service
from moderation.archive_commands import target
from moderation.errors import ConfigurationError
from moderation.settings import Settings, load
from moderation.store import erasure, personal, review
from moderation.submission import is_address

Data = Annotated[Path | None, typer.Option(help="Data directory (MODERATION_DATA_DIR).")]


def mount(app: typer.Typer) -> None:
    """Add both to the program's commands."""
    app.command()(erase)
    app.command("personal-data")(personal_data)


def _settings(data: Path | None, address: str) -> Settings:
    settings = load({"data_dir": data})
    log.configure(settings.log_level, as_json=settings.log_format == "json")
    if not is_address(address):
        raise ConfigurationError(["this is no e-mail address"])
    return settings


def erase(
    address: Annotated[str, typer.Argument(help="E-mail address whose comments are deleted for good, on every site.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
) -> None:
    """Delete every comment that was given with an address. Sites that subscribed to comment.erased are told."""
    settings = _settings(data, address)
    if not yes:
        typer.confirm("Delete them for good?", abort=True)

    async def work() -> None:
        async with service.store_of(settings) as store:
            receipt = await erasure.erase_address(store, address, "shell")
        for site, count in sorted(receipt.sites.items()):
            print(f"{site}: {count} erased")
        print(f"{receipt.sites.total()} erased in all; receipt {receipt.id} of {receipt.at}")

    asyncio.run(work())


def personal_data(
    address: Annotated[str, typer.Argument(help="E-mail address of who asked.")],
    file: Annotated[str, typer.Argument(help="Where to; - is standard output.")] = "-",
    data: Data = None,
) -> None:
    """Write what is kept of an address as one JSON document, for its owner. Goes into the audit log."""
    settings = _settings(data, address)

    async def work() -> None:
        async with service.store_of(settings) as store:
            kept = await personal.kept_of(store, address)
            for site in kept.sites:
                await review.note(store, site, "shell", "address.exported")
            with target(file) as out:
                async for piece in personal.document(store, address):
                    out.write(piece)
        print(f"{kept.total} comments", file=sys.stderr)

    asyncio.run(work())
