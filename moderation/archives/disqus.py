"""What Disqus mails as an export: threads first, then the posts that name them."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from moderation.archives.archived import Archived, Entry, Reason, Skipped, ms_of
from moderation.archives.elements import Start, elements
from moderation.archives.prose import to_text
from moderation.model import Status

_THREAD, _POST, _ID = "disqus/thread", "disqus/post", "dsq:id"


class _Thread(NamedTuple):
    name: str
    url: str
    title: str


def read(file: BinaryIO) -> Iterator[Entry]:
    """Every post. The threads are kept in memory, a few hundred bytes each. Raises Unreadable."""
    threads: dict[str, _Thread] = {}
    own_id, said = "", dict[str, str]()
    for event in elements(file):
        path = event.path
        if isinstance(event, Start):
            if path in {_THREAD, _POST}:
                own_id, said = event.attributes.get(_ID, ""), {}
            elif _ID in event.attributes:  # the thread and the parent of a post
                said[path.partition("/")[2].partition("/")[2] + ":id"] = event.attributes[_ID]
        elif path == _THREAD:
            link = said.get("link", "").strip()
            title = to_text(said.get("title", ""), keep_lines=False)
            threads[own_id] = _Thread(said.get("id", "").strip() or link, link, title[:500])
        elif path == _POST:
            yield _entry(own_id, said, threads.get(said.get("thread:id", "")))
        elif path.startswith((_POST, _THREAD)):
            said[path.partition("/")[2].partition("/")[2]] = event.text


def _entry(own_id: str, said: dict[str, str], thread: _Thread | None) -> Entry:
    def holds(name: str) -> bool:
        return said.get(name, "").strip() == "true"

    if holds("isDeleted"):
        return Skipped(own_id, Reason.DELETED)
    if thread is None:
        return Skipped(own_id, Reason.NO_THREAD)
    status = Status.APPROVED if said.get("isApproved", "true").strip() != "false" else Status.PENDING
    return Archived(
        source_id=own_id,
        status=Status.SPAM if holds("isSpam") else status,
        created_ms=ms_of(said.get("createdAt", "")),
        thread=thread.name,
        thread_url=thread.url,
        thread_title=thread.title,
        text=to_text(said.get("message", ""), keep_lines=False),
        name=said.get("author/name", "") or said.get("author/username", ""),
        email=said.get("author/email", ""),
        parent=said.get("parent:id", ""),
        external_id=own_id,
    )
