"""Lines of JSON out of a file: bounded, and numbered for whoever has to look."""

from collections.abc import Iterator
from typing import BinaryIO

from pydantic_core import from_json

from moderation.errors import Unreadable

_LINE_MAX = 1 << 22
_FIRST_MAX = 1 << 26  # headers list people and pages


def objects(file: BinaryIO) -> Iterator[tuple[int, dict[str, object] | None]]:
    """(number, object) of every line that is not blank; None instead of what is none. What is no UTF-8 becomes U+FFFD.

    Raises Unreadable when the last line breaks off.
    """
    number = 0
    while line := file.readline(_FIRST_MAX if number == 0 else _LINE_MAX):
        number += 1
        found = _object(line)
        if found is not None or line.strip():
            if found is None and not line.endswith(b"\n") and not _skip_rest(file):
                raise Unreadable(f"It is cut short: line {number} breaks off.")
            yield number, found


def _skip_rest(file: BinaryIO) -> bool:
    """Whether a line without end is one that is far too long: to its end then."""
    read = False
    while part := file.readline(_LINE_MAX):
        read = True
        if part.endswith(b"\n"):
            break
    return read


def _object(line: bytes) -> dict[str, object] | None:
    try:
        found = from_json(line.decode("utf-8-sig", "replace"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
