"""Our own archive, version 1: a header, one line a comment, and a last line that says how many. Reading and writing. See docs/import.md."""

from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import to_json

from moderation.archives.archived import Archived, Decided, Entry, Reason, Skipped, iso, ms_of
from moderation.archives.lines import objects
from moderation.errors import Unreadable
from moderation.model import Status

FORMAT, VERSION = "moderation-comments", 1
_Short = Annotated[str, StringConstraints(max_length=300)]
_Long = Annotated[str, StringConstraints(max_length=5000)]


class _Part(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)


class _Thread(_Part):
    id: str
    url: str | None = None
    title: str | None = None


class _Author(_Part):
    name: str = ""
    url: str | None = None
    email: str | None = None


class _Step(_Part):
    """One entry of the history."""

    at: _Short
    by: _Short
    decision: _Short
    from_: _Short | None = Field(None, alias="from")
    to: _Short | None = None
    version: int | None = None
    reason: _Short | None = None
    note: _Long | None = None


class _Line(_Part):
    id: str
    thread: _Thread
    parent: str | None = None
    status: Status
    created_at: str
    author: _Author = _Author()
    text: str
    locale: str | None = None
    external_id: str | None = None
    notify_replies: bool = False
    decided_at: _Short | None = None
    decided_by: _Short | None = None
    reason: _Short | None = None
    approved_at: _Short | None = None
    sequence: int = Field(0, ge=0, lt=1 << 31)
    history: list[_Step] = Field([], max_length=1000)


def is_header(line: dict[str, object]) -> bool:
    """Whether a first line is that of one of our archives."""
    return line.get("format") == FORMAT


def read(file: BinaryIO) -> Iterator[Entry]:
    """Every comment. Raises Unreadable, also when the last line is missing or tells another number."""
    lines = objects(file)
    _, header = next(lines, (0, None))
    if header is None or not is_header(header):
        raise Unreadable("It is no archive of ours: its first line is not that of one.")
    if header.get("version") != VERSION:
        raise Unreadable("It was made by a newer version: upgrade this one.")
    home, seen = str(header.get("site", "")), 0
    for number, line in lines:
        if line and line.get("end") is True:
            if line.get("comments") != seen:
                raise Unreadable(f"It is not whole: its last line tells of another number of comments than {seen}.")
            return
        seen += 1
        try:
            yield _entry(_Line.model_validate(line), home)
        except ValidationError:
            yield Skipped(f"line {number}", Reason.DAMAGED)
    raise Unreadable(f"It is cut short: the last line is missing, after {seen} comments.")


def _entry(line: _Line, home: str) -> Archived:
    return Archived(
        source_id=line.id,
        status=line.status,
        created_ms=ms_of(line.created_at),
        thread=line.thread.id,
        thread_url=line.thread.url or "",
        thread_title=line.thread.title or "",
        text=line.text,
        name=line.author.name,
        email=line.author.email or "",
        url=line.author.url or "",
        parent=line.parent or "",
        locale=line.locale or "",
        external_id=line.external_id or "",
        notify_replies=line.notify_replies,
        decided=Decided(line.decided_at, line.decided_by, line.reason, line.approved_at, line.sequence),
        history=tuple(step.model_dump(by_alias=True, exclude_none=True) for step in line.history),
        home=home,
    )


def header(site: str, *, addresses: bool) -> bytes:
    """The first line."""
    return to_json({"format": FORMAT, "version": VERSION, "site": site, "addresses": addresses}) + b"\n"


def write(found: Archived) -> bytes:
    """One line."""
    assert found.created_ms is not None
    decided = found.decided
    line: dict[str, Any] = {
        "id": found.source_id,
        "thread": _filled({"id": found.thread, "url": found.thread_url, "title": found.thread_title}),
        "parent": found.parent,
        "status": found.status,
        "created_at": iso(found.created_ms),
        "author": _filled({"name": found.name, "url": found.url, "email": found.email}),
        "text": found.text,
        "locale": found.locale,
        "external_id": found.external_id,
        "notify_replies": found.notify_replies,
        "decided_at": decided.at,
        "decided_by": decided.by,
        "reason": decided.reason,
        "approved_at": decided.approved_at,
        "sequence": decided.sequence,
        "history": found.history,
    }
    return to_json(_filled(line)) + b"\n"


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def footer(count: int) -> bytes:
    """The last line."""
    return to_json({"end": True, "comments": count}) + b"\n"
