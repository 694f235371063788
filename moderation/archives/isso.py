"""The SQLite database of Isso. Markdown stays as it was typed; tags that people or importers put into it do not."""

import html
import re
import sqlite3
from collections.abc import Iterator

from moderation.archives.archived import Archived, Entry, Reason, Skipped
from moderation.archives.prose import to_text
from moderation.errors import Unreadable
from moderation.model import Status

_VALUE_MAX = 1 << 22  # bytes of one value
_STATUSES = {1: Status.APPROVED, 2: Status.PENDING}
_DELETED = 4
_ERRORS = (sqlite3.Error, UnicodeDecodeError)  # the latter when a damaged schema gets into the message of an error
_MARKUP = re.compile(r"</?(?:p|br|a|div|blockquote|pre|code|em|strong|b|i|u|ul|ol|li|img|span)\b[^<>]*>", re.IGNORECASE)
_QUERY = """SELECT comments.id, parent, created, mode, text, author, email, website, uri, title
FROM comments LEFT JOIN threads ON threads.id = comments.tid ORDER BY comments.id"""


def count(database: sqlite3.Connection) -> int:
    """How many comments there are. Raises Unreadable."""
    try:
        return int(database.execute("SELECT count(*) FROM comments").fetchone()[0])
    except _ERRORS as error:
        raise _unreadable(error) from None


def read(database: sqlite3.Connection) -> Iterator[Entry]:
    """Every comment, in the order of their ids. Raises Unreadable."""
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_MAX)
    database.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        for row in database.execute(_QUERY):
            yield _entry(*row)
    except _ERRORS as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> Unreadable:
    if "no such" in str(error):
        return Unreadable("It is a SQLite database, but not one of Isso.")
    return Unreadable("The database is damaged, cut short or locked.")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _entry(
    number: int, parent: object, created: object, mode: object, text: object, author: object, email: object,
    website: object, uri: object, title: object,
) -> Entry:  # fmt: skip
    if mode == _DELETED:
        return Skipped(str(number), Reason.DELETED)
    status = _STATUSES.get(mode) if isinstance(mode, int) else None
    if status is None:
        return Skipped(str(number), Reason.UNKNOWN_STATUS)
    said = _text(text)
    return Archived(
        source_id=str(number),
        status=status,
        created_ms=int(created * 1000) if isinstance(created, int | float) and 0 < created < 1e11 else None,
        thread=_text(uri),
        thread_url=_text(uri),
        thread_title=_text(title),
        text=to_text(said, keep_lines=True) if _MARKUP.search(said) else said,
        name=html.unescape(_text(author)),  # Isso escapes these on the way in
        email=html.unescape(_text(email)),
        url=html.unescape(_text(website)),
        parent=str(parent) if isinstance(parent, int) else "",
        external_id=str(number),
    )
