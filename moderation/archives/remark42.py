"""Backups of Remark42: a line about people and pages, then one line a comment. Its text is HTML."""

import html
from collections.abc import Iterator
from typing import BinaryIO

from pydantic import BaseModel, Field, ValidationError

from moderation.archives.archived import Archived, Entry, Reason, Skipped, ms_of
from moderation.archives.lines import objects
from moderation.archives.prose import to_text
from moderation.errors import Unreadable
from moderation.model import Status


class _User(BaseModel):
    id: str = ""
    name: str = ""


class _Locator(BaseModel):
    url: str = ""


class _Comment(BaseModel):
    id: str = ""
    pid: str = ""
    text: str = ""
    user: _User = _User()
    locator: _Locator = _Locator()
    time: str = ""
    title: str = ""
    deleted: bool = Field(False, alias="delete")


def is_header(line: dict[str, object]) -> bool:
    """Whether a first line is that of a backup."""
    return isinstance(line.get("version"), int) and {"users", "posts"} <= line.keys()


def read(file: BinaryIO) -> Iterator[Entry]:
    """Every comment; all of them were published, or are deleted. Raises Unreadable."""
    lines = objects(file)
    _, header = next(lines, (0, None))
    if header is None or not is_header(header):
        raise Unreadable("It is no backup of Remark42: its first line is not that of one.")
    addresses = dict(_addresses(header.pop("users")))
    for number, line in lines:
        try:
            comment = _Comment.model_validate(line)
        except ValidationError:
            yield Skipped(f"line {number}", Reason.DAMAGED)
            continue
        yield Skipped(comment.id, Reason.DELETED) if comment.deleted else _entry(comment, addresses)


def _entry(comment: _Comment, addresses: dict[str, str]) -> Archived:
    return Archived(
        source_id=comment.id,
        status=Status.APPROVED,
        created_ms=ms_of(comment.time),
        thread=comment.locator.url,
        thread_url=comment.locator.url,
        thread_title=html.unescape(comment.title),
        text=to_text(comment.text, keep_lines=False),
        name=html.unescape(comment.user.name),
        email=addresses.get(comment.user.id, ""),
        parent=comment.pid,
        external_id=comment.id,
    )


def _addresses(users: object) -> Iterator[tuple[str, str]]:
    """Only who asked for mails has an address there."""
    for user in users if isinstance(users, list) else []:
        details = user.get("details") if isinstance(user, dict) else None
        email = details.get("email") if isinstance(details, dict) else None
        if isinstance(email, str) and isinstance(user.get("id"), str):
            yield user["id"], email
