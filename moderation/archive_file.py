"""A file of comments on disk: what it is, read as often as need be, and how far it was read."""

import gzip
import os
import sqlite3
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from moderation.archives import disqus, isso, jsonlines, remark42, wxr
from moderation.archives.archived import Entry
from moderation.archives.recognise import HEAD_BYTES, recognise
from moderation.errors import Unreadable

_READERS: dict[str, Callable[[BinaryIO], Iterator[Entry]]] = {
    "wxr": wxr.read,
    "disqus": disqus.read,
    "remark42": remark42.read,
    "jsonl": jsonlines.read,
}


class ArchiveFile:
    """`size` and `position` are bytes, for Isso rows."""

    def __init__(self, path: Path, wanted: str = "auto") -> None:
        """Raises Unreadable when it is no file, none of the formats, or not the wanted one."""
        self._path, self.position = path, 0
        with _translated():
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise Unreadable("It is no file; it is read twice, so it can't be a pipe.")
            with path.open("rb") as raw:
                self._packed = raw.read(2) == b"\x1f\x8b"
            with self._open() as (_, file):
                self.format = recognise(file.read(HEAD_BYTES))
            if self.format == "isso" and self._packed:
                raise Unreadable("It is a packed database: unpack it first.")
            if wanted not in {"auto", self.format}:
                raise Unreadable(f"It is not {wanted}; it looks like {self.format}.")
            self.size = path.stat().st_size
            if self.format == "isso":
                with closing(self._database()) as database:
                    self.size = isso.count(database)

    @contextmanager
    def _open(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """The file, and what is to be read of it."""
        with self._path.open("rb") as raw:
            if self._packed:
                with gzip.open(raw) as unpacked:
                    yield raw, unpacked  # type: ignore[misc]  # close enough to a BinaryIO
            else:
                yield raw, raw

    def _database(self) -> sqlite3.Connection:
        database = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)
        database.execute("PRAGMA trusted_schema = OFF")
        return database

    def entries(self) -> Iterator[Entry]:
        """Every comment, from the beginning. Raises Unreadable."""
        with _translated():
            if self.format == "isso":
                with closing(self._database()) as database:
                    for self.position, entry in enumerate(isso.read(database), 1):
                        yield entry
                return
            with self._open() as (raw, file):
                for entry in _READERS[self.format](file):
                    self.position = raw.tell()
                    yield entry


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except EOFError:
        raise Unreadable("It is cut short: what is packed in it breaks off.") from None
    except (zlib.error, gzip.BadGzipFile):
        raise Unreadable("It is damaged: it can't be unpacked.") from None
    except sqlite3.Error:
        raise Unreadable("It is no database that can be opened.") from None
    except OSError as error:
        raise Unreadable(f"It can't be read: {error.strerror}.") from None
