"""The noun of every format: one comment as a file tells of it, or why it is passed over."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from moderation.model import Status


class Reason(StrEnum):
    """Why a comment of a file is not taken."""

    PINGBACK = "a pingback or trackback"
    OTHER_TYPE = "no reader's comment (its type)"
    DELETED = "deleted there already"
    UNKNOWN_STATUS = "its status is not known"
    NO_ID = "it has no id"
    TWICE = "the same id twice"
    NO_THREAD = "no page is named"
    LONG_THREAD = "the page's name is too long"
    NO_TEXT = "there is no text"
    LONG_TEXT = "the text is too long"
    NO_DATE = "there is no date"
    FUTURE = "its date is in the future"
    DAMAGED = "a line that can't be read"


class Decided(NamedTuple):
    """What became of a comment, where the file knows."""

    at: str | None = None
    by: str | None = None
    reason: str | None = None
    approved_at: str | None = None
    sequence: int = 0


class Archived(NamedTuple):
    """One comment, as far as the file knows it. Text is plain already; nothing else is cleaned yet."""

    source_id: str
    status: Status
    created_ms: int | None
    thread: str
    text: str
    name: str = ""
    email: str = ""
    url: str = ""
    thread_url: str = ""
    thread_title: str = ""
    parent: str = ""
    locale: str = ""
    external_id: str = ""
    notify_replies: bool = False
    decided: Decided = Decided()
    history: tuple[dict[str, Any], ...] = ()
    home: str = ""  # the site that an archive of ours was made of


class Skipped(NamedTuple):
    """One that is not taken."""

    source_id: str
    reason: Reason


Entry = Archived | Skipped


def ms_of(text: str) -> int | None:
    """Milliseconds since 1970 of an ISO 8601 date; without a zone it is UTC. None for what is no date after 1970."""
    try:
        at = datetime.fromisoformat(text.strip())
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        whole = at.replace(microsecond=0).timestamp()
    except (ValueError, OverflowError):
        return None
    return int(whole) * 1000 + at.microsecond // 1000 if whole > 0 else None


def iso(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"
