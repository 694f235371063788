"""Which format a file is, by what stands in it."""

import re

from pydantic_core import from_json

from moderation.archives import jsonlines, remark42
from moderation.errors import Unreadable

HEAD_BYTES = 1 << 16
NONE = "It is none of these: an export of WordPress (WXR) or Disqus, a database of Isso, a backup of Remark42, an archive of ours."
_REMARK = re.compile(rb'^\{\s*"version"\s*:\s*\d+\s*,\s*"users"\s*:')
_ROOT = re.compile(rb"<(?![?!])(?:[\w.-]+:)?([\w.-]+)[^>]{0,4000}")


def recognise(head: bytes) -> str:
    """wxr, disqus, isso, remark42 or jsonl, from the first bytes of a file. Raises Unreadable when it is none of them."""
    if not head:
        raise Unreadable("It is empty.")
    if head.startswith(b"SQLite format 3\0"):
        return "isso"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = text.decode("utf-16", "replace").encode()
    if text.startswith(b"<"):
        return _xml(text)
    if text.startswith(b"{"):
        return _json(text)
    raise Unreadable(NONE)


def _xml(text: bytes) -> str:
    root = _ROOT.search(text)
    if root and root[1] == b"rss" and b"wordpress.org/export/" in text:
        return "wxr"
    if root and root[1] == b"disqus":
        return "disqus"
    raise Unreadable(NONE)


def _json(text: bytes) -> str:
    line, found, _ = text.partition(b"\n")
    if not found and _REMARK.match(line):
        return "remark42"  # its first line may be longer than what is looked at
    try:
        first = from_json(line.decode("utf-8", "replace"))
    except ValueError:
        first = None
    if isinstance(first, dict) and jsonlines.is_header(first):
        return "jsonl"
    if isinstance(first, dict) and remark42.is_header(first):
        return "remark42"
    raise Unreadable(NONE)
