"""Giving a site's comments out, oldest first, a page at a time."""

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any, NamedTuple

from pydantic_core import from_json

from moderation.archives.archived import Archived, Decided
from moderation.model import Comment, Status
from moderation.privacy import Sealed, mask_addresses
from moderation.store import comments
from moderation.store.comments import parse_value
from moderation.store.connection import Store

_PAGE = 200


class Numbered(NamedTuple):
    """A comment with numbers instead of ids, for systems that count; 0 is no parent."""

    archived: Archived
    number: int
    parent: int
    thread: int


async def _pages(store: Store, site: str) -> AsyncIterator[list[Comment]]:
    cursor = ""
    while found := (await comments.page(store, site, list(Status), cursor=cursor, limit=_PAGE)).items:
        yield found
        cursor = found[-1].id


async def walk(store: Store, site: str, *, with_addresses: bool) -> AsyncIterator[Archived]:
    """Every comment of a site that is there throughout, exactly once. Without addresses what people typed is masked, as the desk shows it."""
    async for found in _pages(store, site):
        for archived in await _describe(store, found, with_addresses):
            yield archived


async def walk_by_thread(store: Store, site: str, *, with_addresses: bool) -> AsyncIterator[Numbered]:
    """The same, one thread after the other. The order is noted on disk first, so that memory stays flat."""
    with closing(_Order()) as order:
        async for found in _pages(store, site):
            order.note(found)
        for thread, ids in order.batches():
            there = [comment for comment in await comments.load_many(store, ids) if comment]
            described = await _describe(store, there, with_addresses)
            for comment, archived in zip(there, described, strict=True):
                number, parent = order.number(comment.id), order.number(comment.head.get("p") or "")
                yield Numbered(archived, number, parent, thread)


class _Order:
    """A temporary SQLite database: which comments a thread has, and their numbers."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # '' is a file of its own that ends with the connection
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("CREATE TABLE thread (number INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        self._db.execute("CREATE TABLE comment (number INTEGER PRIMARY KEY, id TEXT UNIQUE, thread INTEGER)")
        self._db.execute("CREATE INDEX of_thread ON comment (thread, number)")
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.close()

    def note(self, found: list[Comment]) -> None:
        """The next comments, oldest first."""
        for comment in found:
            name = comment.body["thread"]
            self._db.execute("INSERT OR IGNORE INTO thread (name) VALUES (?)", (name,))
            self._db.execute(
                "INSERT INTO comment (id, thread) SELECT ?, number FROM thread WHERE name = ?", (comment.id, name)
            )

    def batches(self) -> Iterator[tuple[int, list[str]]]:
        """Threads in the order of their first comments, with some ids each time."""
        for (thread,) in self._db.execute("SELECT number FROM thread ORDER BY number"):
            rows = self._db.execute("SELECT id FROM comment WHERE thread = ? ORDER BY number", (thread,))
            while some := rows.fetchmany(_PAGE):
                yield thread, [row[0] for row in some]

    def number(self, comment_id: str) -> int:
        """0 for what is not there."""
        found = self._db.execute("SELECT number FROM comment WHERE id = ?", (comment_id,)).fetchone()
        return int(found[0]) if found else 0


async def _describe(store: Store, found: list[Comment], with_addresses: bool) -> list[Archived]:
    """With their histories, and parents under the ids that they go out with."""
    commands: list[tuple[Any, ...]] = []
    for comment in found:
        tag, parent = store.tag_of_id(comment.id), comment.head.get("p")
        commands.append(("LRANGE", f"{tag}h:{comment.id}", 0, -1))
        commands.append(("GET", f"{tag}c:{parent}") if parent else ("ECHO", ""))
    replies = iter(await store.pipe.call_many(commands))
    described = []
    for comment, history, value in zip(found, replies, replies, strict=True):
        parent = _archive_id(parse_value(comment.head["p"], value)) if value else ""
        steps = [step for entry in history if "decision" in (step := from_json(entry))]
        described.append(_archived(store, comment, parent, steps, with_addresses))
    return described


def _archive_id(comment: Comment) -> str:
    """The id it had when it first went into an archive: it keeps it through all of them."""
    return str(comment.body.get("archive_id") or comment.id)


def _archived(
    store: Store, comment: Comment, parent: str, history: list[dict[str, Any]], with_addresses: bool
) -> Archived:
    body, head = comment.body, comment.head
    name, text, email = body["name"], body["text"], ""
    if with_addresses:
        email = _open(store, comment, "email")
        if original := _open(store, comment, "original"):
            name, text = json.loads(original)
    else:
        history = [{k: mask_addresses(v) if isinstance(v, str) else v for k, v in step.items()} for step in history]
    return Archived(
        source_id=_archive_id(comment),
        status=comment.status,
        created_ms=comment.created_ms,
        thread=body["thread"],
        text=text,
        name=name,
        email=email,
        url=body.get("url") or "",
        thread_url=body.get("thread_url") or "",
        thread_title=body.get("thread_title") or "",
        parent=parent,
        locale=body["locale"],
        external_id=head.get("x") or body.get("external_id") or "",
        notify_replies=bool(email and body.get("notify")),
        decided=Decided(head.get("at"), head.get("by"), head.get("r"), head.get("ap"), head.get("q") or 0),
        history=tuple(history),
        home=comment.site,
    )


def _open(store: Store, comment: Comment, field: str) -> str:
    """A sealed field in full; '' when it is not there, or its key is gone."""
    try:
        return store.privacy.open(comment.body[field], comment.id) if comment.body.get(field) else ""
    except Sealed:
        return ""
