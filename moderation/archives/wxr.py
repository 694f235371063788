"""WordPress eXtended RSS, versions 1.0 to 1.2: what Tools → Export of WordPress writes."""

from collections.abc import Iterator
from typing import BinaryIO

from moderation.archives.archived import Archived, Entry, Reason, Skipped, ms_of
from moderation.archives.elements import Start, elements
from moderation.archives.prose import to_text
from moderation.model import Status

_ITEM = "rss/channel/item"
_COMMENT = _ITEM + "/wp:comment"
_STATUSES = {
    "1": Status.APPROVED,
    "approve": Status.APPROVED,
    "approved": Status.APPROVED,
    "0": Status.PENDING,
    "hold": Status.PENDING,
    "spam": Status.SPAM,
    "trash": Status.REJECTED,
    "post-trashed": Status.REJECTED,
}
_TYPES = frozenset({"", "comment", "review"})  # reviews are what shops call their comments


def read(file: BinaryIO) -> Iterator[Entry]:
    """Every comment of every item. Raises Unreadable."""
    item: dict[str, str] = {}
    comment: dict[str, str] = {}
    for event in elements(file):
        where, _, name = event.path.rpartition("/")
        if isinstance(event, Start):
            if event.path == _ITEM:
                item = {}
            elif event.path == _COMMENT:
                comment = {}
        elif event.path == _COMMENT:
            yield _entry(item, comment)
        elif where == _COMMENT:
            comment[name] = event.text
        elif where == _ITEM and name in {"title", "link", "wp:post_id"}:
            item[name] = event.text


def _entry(item: dict[str, str], comment: dict[str, str]) -> Entry:
    def said(name: str) -> str:
        return comment.get("wp:comment_" + name, "").strip()

    source_id, kind = said("id"), said("type")
    if kind in {"pingback", "trackback"}:
        return Skipped(source_id, Reason.PINGBACK)
    if kind not in _TYPES:
        return Skipped(source_id, Reason.OTHER_TYPE)
    status = _STATUSES.get(said("approved"))
    if status is None:
        return Skipped(source_id, Reason.UNKNOWN_STATUS)
    parent = said("parent")
    return Archived(
        source_id=source_id,
        status=status,
        created_ms=ms_of(said("date_gmt")) or ms_of(said("date")),  # drafts have 0000-00-00 in one of them
        thread=item.get("wp:post_id", ""),
        thread_url=item.get("link", ""),
        thread_title=to_text(item.get("title", ""), keep_lines=False),
        text=to_text(said("content"), keep_lines=True),
        name=to_text(said("author"), keep_lines=False),
        email=said("author_email"),
        url=said("author_url"),
        parent="" if parent == "0" else parent,
        external_id=source_id,
    )
