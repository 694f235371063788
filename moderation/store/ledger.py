"""What an archive holds, in a file that goes with the program: only ids, pages and who answers whom; no name, no text, no address."""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

_CHAIN_MAX = 1000  # replies on replies; who goes on that long walks in a circle


class Row(NamedTuple):
    """One comment: its place in the file, its id there and here, whether it is new here, and whether the site may know it by its old id."""

    place: int
    source_id: str
    thread: str
    parent: str
    comment_id: str
    is_new: bool
    keeps_external_id: bool


class Ledger:
    """A temporary SQLite database, on disk, so that memory stays flat however long the file is."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # '' is a file of its own that ends with the connection
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute(
            "CREATE TABLE entry (place INTEGER, source TEXT PRIMARY KEY, thread TEXT, parent TEXT, id TEXT, new INTEGER,"
            " external INTEGER, orphan INTEGER DEFAULT 0) WITHOUT ROWID"
        )
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.close()

    def add(self, row: Row) -> bool:
        """Whether its id was not there yet."""
        return self._db.execute("INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, 0)", row).rowcount == 1

    def settle_parents(self) -> None:
        """A reply to what is not in the file, or on another page, or that leads back to itself, becomes one to the page."""
        self._db.execute(
            "UPDATE entry SET orphan = 1 WHERE parent <> '' AND NOT EXISTS (SELECT 1 FROM entry AS p"
            " WHERE p.source = entry.parent AND p.thread = entry.thread AND p.source <> entry.source)"
        )
        # along any circle there is one that is not younger than its parent
        backwards = self._db.execute(
            "SELECT entry.source FROM entry JOIN entry AS p ON p.source = entry.parent WHERE p.id >= entry.id AND NOT entry.orphan"
        ).fetchall()
        for (source,) in backwards:
            if self._is_circle(source):
                self._db.execute("UPDATE entry SET orphan = 1 WHERE source = ?", (source,))

    def _is_circle(self, source: str) -> bool:
        at = source
        for _ in range(_CHAIN_MAX):
            found = self._db.execute("SELECT parent FROM entry WHERE source = ? AND NOT orphan", (at,)).fetchone()
            if found is None or not found[0]:
                return False
            at = found[0]
            if at == source:
                return True
        return True

    def orphans(self) -> Iterator[str]:
        """Ids of new ones whose parent was cut."""
        for (source,) in self._db.execute("SELECT source FROM entry WHERE orphan AND new ORDER BY place"):
            yield source

    def threads(self) -> int:
        """How many pages there are."""
        return int(self._db.execute("SELECT count(DISTINCT thread) FROM entry").fetchone()[0])

    def find(self, source_id: str) -> Row | None:
        """The entry of an id."""
        found = self._db.execute(
            "SELECT place, source, thread, CASE WHEN orphan THEN '' ELSE parent END, id, new, external FROM entry WHERE source = ?",
            (source_id,),
        ).fetchone()
        return Row(*found) if found else None
