"""`moderation import` and `moderation export`."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import typer

from moderation import log, service
from moderation.archive_file import ArchiveFile
from moderation.archives import jsonlines, wxr_writer
from moderation.archives.archived import Entry
from moderation.errors import ConfigurationError, Unreadable
from moderation.model import Site, Status
from moderation.settings import Settings, load
from moderation.store import archive, comments, export, sites
from moderation.store.connection import Store
from moderation.store.report import Report, Some

Data = Annotated[Path | None, typer.Option(help="Data directory (MODERATION_DATA_DIR).")]
ReadFormat = Literal["auto", "wxr", "disqus", "isso", "remark42", "jsonl"]
WrittenFormat = Literal["jsonl", "wxr"]
_STEP = 100  # comments between two looks at the bar


def mount(app: typer.Typer) -> None:
    """Add both to the program's commands."""
    app.command("import")(import_)
    app.command("export")(export_)


def _settings(data: Path | None) -> Settings:
    settings = load({"data_dir": data})
    log.configure(settings.log_level, as_json=settings.log_format == "json")
    return settings


def import_(
    site_id: Annotated[str, typer.Argument(metavar="SITE")],
    file: Annotated[Path, typer.Argument(help="Export, backup or database of another system, or an archive of ours.")],
    format: Annotated[ReadFormat, typer.Option(help="What the file is.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    data: Data = None,
) -> None:
    """Take comments in: from WordPress, Disqus, Isso, Remark42 or an archive of ours. Nobody is told; doing it again adds nothing."""
    settings = _settings(data)
    try:
        asyncio.run(_import(settings, site_id, ArchiveFile(file, format), dry_run))
    except Unreadable as error:
        raise Unreadable(f"{file}: {error}") from None


async def _import(settings: Settings, site_id: str, file: ArchiveFile, dry_run: bool) -> None:
    async with service.store_of(settings) as store:
        site, _ = await sites.load(store, site_id)
        with contextlib.closing(archive.Import(store, site, file.format)) as running:
            report = await running.plan(_watched(file, "reading"))
            if not dry_run:
                await running.carry_out(_watched(file, "writing"))
    _print(report)
    if dry_run:
        print("This was a trial: nothing has changed.", file=sys.stderr)


def _watched(file: ArchiveFile, label: str) -> Iterator[Entry]:
    """The entries, with a bar on stderr."""
    with typer.progressbar(length=max(1, file.size), label=label, file=sys.stderr) as bar:
        shown = 0
        for number, entry in enumerate(file.entries()):
            if number % _STEP == 0:
                bar.update(file.position - shown)
                shown = file.position
            yield entry
        bar.update(file.size - shown)


def _print(report: Report) -> None:
    by_status = ", ".join(f"{status} {report.created[status]}" for status in Status)
    print(f"{'format':<18}{report.format:>9}")
    print(f"{'read':<18}{report.read:>9}")
    print(f"{'created':<18}{report.created.total():>9}  {by_status}")
    print(f"{'existed already':<18}{report.existed:>9}")
    print(f"{'skipped':<18}{sum(some.count for some in report.skipped.values()):>9}")
    for reason, some in sorted(report.skipped.items()):
        print(f"{'':<18}{some.count:>9}  {reason}: {_named(some)}")
    print(f"{'orphans':<18}{report.orphans.count:>9}" + (f"  {_named(report.orphans)}" if report.orphans.count else ""))
    print(f"{'threads':<18}{report.threads:>9}")
    for what, count in sorted(report.left_out.items()):
        print(f"{'left out':<18}{count:>9}  {what} of authors that are not valid")


def _named(some: Some) -> str:
    return ", ".join(some.ids) + (", …" if some.count > len(some.ids) else "")


def export_(
    site_id: Annotated[str, typer.Argument(metavar="SITE")],
    file: Annotated[str, typer.Argument(help="Where to; - is standard output.")] = "-",
    format: Annotated[WrittenFormat, typer.Option(help="jsonl is whole; wxr is for WordPress.")] = "jsonl",
    with_addresses: Annotated[
        bool, typer.Option("--with-addresses", help="With e-mail addresses, in clear. Goes into the audit log.")
    ] = False,
    data: Data = None,
) -> None:
    """Give a site's comments out, oldest first; e-mail addresses stay hidden unless asked for."""
    settings = _settings(data)

    async def work() -> None:
        async with service.store_of(settings) as store:
            site, _ = await sites.load(store, site_id)
            with target(file) as out:
                if with_addresses:
                    await archive.record(store, site.id, "export.addresses", format)
                await _export(store, site, format, with_addresses, out)

    asyncio.run(work())


async def _export(store: Store, site: Site, format: str, with_addresses: bool, out: BinaryIO) -> None:
    total = sum([await comments.count(store, site.id, status) for status in Status])
    lines = _lines(store, site, with_addresses) if format == "jsonl" else _items(store, site, with_addresses)
    with typer.progressbar(length=max(1, total), label="writing", file=sys.stderr) as bar:
        async for line in lines:
            out.write(line)
            bar.update(1)


async def _lines(store: Store, site: Site, with_addresses: bool) -> AsyncIterator[bytes]:
    yield jsonlines.header(site.id, addresses=with_addresses)
    count = 0
    async for found in export.walk(store, site.id, with_addresses=with_addresses):
        count += 1
        yield jsonlines.write(found)
    yield jsonlines.footer(count)


async def _items(store: Store, site: Site, with_addresses: bool) -> AsyncIterator[bytes]:
    yield wxr_writer.head(site.name, site.origins[0] if site.origins else "", site.locale).encode()
    thread = 0
    async for found in export.walk_by_thread(store, site.id, with_addresses=with_addresses):
        between = ""
        if found.thread != thread:
            between = (wxr_writer.end_item() if thread else "") + wxr_writer.begin_item(found.thread, found.archived)
            thread = found.thread
        yield (between + wxr_writer.comment(found.number, found.parent, found.archived)).encode()
    yield ((wxr_writer.end_item() if thread else "") + wxr_writer.tail()).encode()


@contextlib.contextmanager
def target(name: str) -> Iterator[BinaryIO]:
    """A file has its name only once it is whole; nobody else may read it."""
    if name == "-":
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # whoever read it has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        return
    part = Path(name + ".part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(name)
    except OSError as error:
        raise ConfigurationError([f"{name} can't be written: {error.strerror}"]) from None
