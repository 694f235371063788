"""Writes approved comments as data files for Hugo, Jekyll, Eleventy and the like. Standard library only.

    write_data.py serve --out DIR --state DIR [--run COMMAND] [--port 8000]       from webhooks, as they come
    write_data.py sync  --out DIR --state DIR --service URL --site ID [THREAD…]   from the public API, whole

One JSON file per thread, and index.json: thread → name of its file. The files are made from a small SQLite database in the state
folder, in one transaction with it: what is answered is on disk, and serve and sync may run side by side.
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import re
import sqlite3
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from rebuild import Rebuilder, add_server_arguments, changes_the_site, folder, in_words, of_command, write_durably
from receiver import Event, Misconfigured, Refused, from_environment, keys, log, serve

STATUS_OF = {"comment.approved": "approved", "comment.pending": "pending", "comment.rejected": "rejected", "comment.spam": "spam", "comment.erased": "erased"}  # fmt: skip
# What is published, one by one: an endpoint may be given the address too, and it must not get into a file.
FIELDS = ("id", "parent", "text", "html", "locale", "direction", "created_at", "approved_at")
AUTHOR_FIELDS = ("id", "name", "url")
INDEX = "index"
_PLAIN_NAME = re.compile(r"(?!t-)[a-z0-9][a-z0-9_-]{0,99}")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PAGE_SIZE, REQUEST_SECONDS = 200, 30
_TABLE = """CREATE TABLE IF NOT EXISTS comment (
  id TEXT PRIMARY KEY, thread TEXT NOT NULL, sequence INTEGER NOT NULL, status TEXT NOT NULL, shown TEXT) WITHOUT ROWID"""
_NEWER = """INSERT INTO comment VALUES (:id, :thread, :sequence, :status, :shown) ON CONFLICT (id) DO UPDATE
  SET sequence = :sequence, status = :status, shown = :shown
  WHERE comment.status != 'erased' AND (:status = 'erased' OR :sequence > comment.sequence)"""


def file_name(thread: str) -> str:
    """A thread's name as it is when it is plain, else one made from its hash: no path, no two threads in one file, also where case does not count."""
    if _PLAIN_NAME.fullmatch(thread) and thread != INDEX:
        return thread
    return "t-" + hashlib.sha256(thread.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def shown(comment: Event) -> str:
    """What a page may show of a comment, as JSON."""
    author = comment.get("author")
    kept = {name: comment.get(name) for name in FIELDS}
    kept["author"] = {name: author.get(name) for name in AUTHOR_FIELDS} if isinstance(author, dict) else {}
    return json.dumps(kept, ensure_ascii=False)


class Data:
    """The database and the files made from it. One writer at a time, whatever process it is in."""

    def __init__(self, state: Path, out: Path) -> None:
        self._path, self._out = state / "comments.sqlite3", out
        self._lock = threading.Lock()
        with self._writing() as database:
            database.execute(_TABLE)
            for (thread,) in database.execute("SELECT DISTINCT thread FROM comment").fetchall():
                self._publish(database, thread)  # an earlier life may have ended before it came to this
            self._write_index(database)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, contextlib.closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                database.execute("ROLLBACK")
                raise

    def take(self, status: str, sequence: int, comment: Event) -> bool:
        """One event; an older one than the last of its comment changes nothing. The files are on disk when it returns. Whether they changed."""
        row = {
            "id": comment["id"],
            "thread": comment["thread"],
            "sequence": sequence,
            "status": status,
            "shown": shown(comment) if status == "approved" else None,
        }
        with self._writing() as database:
            database.execute(_NEWER, row)
            return self._publish(database, comment["thread"])

    def known(self, thread: str) -> dict[str, int]:
        """Sequence of every comment of a thread."""
        with self._writing() as database:
            return dict(database.execute("SELECT id, sequence FROM comment WHERE thread = ?", (thread,)).fetchall())

    def threads(self) -> list[str]:
        with self._writing() as database:
            return [
                thread
                for (thread,) in database.execute("SELECT DISTINCT thread FROM comment ORDER BY thread").fetchall()
            ]

    def replace(self, thread: str, before: dict[str, int], items: list[Event]) -> bool:
        """A whole thread as the API had it. What an event changed since `before` was read is left alone: it knows better."""
        standing = {item["id"]: item for item in items}
        with self._writing() as database:
            now = {
                comment_id: (sequence, status)
                for comment_id, sequence, status in database.execute(
                    "SELECT id, sequence, status FROM comment WHERE thread = ?", (thread,)
                )
            }
            for comment_id in standing.keys() | before.keys():
                sequence, status = now.get(comment_id, (-1, ""))
                if sequence != before.get(comment_id, -1) or status == "erased":
                    continue
                item = standing.get(comment_id)
                if item or status == "approved":
                    row = (comment_id, thread, sequence, "approved" if item else "gone", shown(item) if item else None)
                    database.execute("INSERT OR REPLACE INTO comment VALUES (?, ?, ?, ?, ?)", row)
            return self._publish(database, thread)

    def _publish(self, database: sqlite3.Connection, thread: str) -> bool:
        """Whether a file changed. The index never names one that is not there: a generator may read at any moment."""
        rows = database.execute(
            "SELECT shown FROM comment WHERE thread = ? AND status = 'approved' ORDER BY id", (thread,)
        ).fetchall()
        comments = [json.loads(row) for (row,) in rows]
        if not comments:
            return self._write_index(database) | self._put(file_name(thread), None)
        content = {"thread": thread, "count": len(comments), "comments": comments}
        return self._put(file_name(thread), content) | self._write_index(database)

    def _write_index(self, database: sqlite3.Connection) -> bool:
        rows = database.execute(
            "SELECT DISTINCT thread FROM comment WHERE status = 'approved' ORDER BY thread"
        ).fetchall()
        return self._put(INDEX, {thread: file_name(thread) for (thread,) in rows})

    def _put(self, name: str, content: object) -> bool:
        path = self._out / f"{name}.json"
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        try:
            before = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            before = None
        if content is None:
            path.unlink(missing_ok=True)
        elif before != text:
            write_durably(path, text)
        return before != (None if content is None else text)


def read_event(event: Event) -> tuple[str, int, Event] | None:
    """Status, sequence and comment of an event; None for those about something else. Raises Refused."""
    status, comment, sequence = (
        STATUS_OF.get(event["type"]),
        event["data"].get("comment"),
        event["data"].get("sequence"),
    )
    if status is None:
        return None
    if (
        not isinstance(comment, dict)
        or not isinstance(comment.get("id"), str)
        or not _ID.fullmatch(comment["id"])
        or not isinstance(comment.get("thread"), str)
        or type(sequence) is not int
        or not 0 <= sequence < 1 << 62
    ):
        raise Refused(422, "the event names no comment")
    return status, sequence, comment


class Unanswered(Exception):
    """Why the service's list could not be read."""


def approved(service: str, site: str, thread: str) -> list[Event]:
    """Every approved comment of a thread, oldest first. Raises Unanswered."""
    address = f"{service.rstrip('/')}/api/v1/sites/{urllib.parse.quote(site, safe='')}/threads/{urllib.parse.quote(thread, safe='')}/comments"
    items: list[Event] = []
    cursor = ""
    while True:
        query = urllib.parse.urlencode({"limit": PAGE_SIZE, **({"cursor": cursor} if cursor else {})})
        try:
            with urllib.request.urlopen(f"{address}?{query}", timeout=REQUEST_SECONDS) as answer:  # noqa: S310  main() looked at the scheme
                page = json.load(answer)
            found = [item for item in page["items"] if _ID.fullmatch(item["id"])]
            cursor = page["next_cursor"] or ""
        except urllib.error.HTTPError as error:
            raise Unanswered(f"thread {thread!r}: the service answered {error.code}") from None
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            raise Unanswered(f"thread {thread!r}: no answer that can be read ({type(error).__name__})") from None
        items += found
        if not cursor:
            return items


def sync(data: Data, service: str, site: str, threads: list[str]) -> int:
    """Fetch threads and write them; how many could not be fetched, which stay as they were."""
    failed = 0
    for thread in threads:
        before = data.known(thread)
        try:
            items = approved(service, site, thread)
        except Unanswered as error:
            log.error("%s", error)
            failed += 1
            continue
        data.replace(thread, before, items)
    log.info("%d threads written, %d failed", len(threads) - failed, failed)
    return failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Write approved comments as data files for a static site.")
    places = argparse.ArgumentParser(add_help=False)
    places.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="such as data/comments (Hugo), _data/comments (Jekyll, Eleventy)",
    )
    places.add_argument(
        "--state", type=Path, required=True, metavar="DIR", help="the database; not inside of what is published"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", parents=[places], help="receive webhooks")
    serving.add_argument("--site", metavar="ID", help="take events of this site only")
    serving.add_argument("--run", metavar="COMMAND", help="after changes, such as 'hugo --source /srv/site'")
    add_server_arguments(serving)
    syncing = commands.add_parser("sync", parents=[places], help="read the service's public API")
    syncing.add_argument("--service", required=True, metavar="URL")
    syncing.add_argument("--site", required=True, metavar="ID")
    syncing.add_argument("thread", nargs="*", help="none: all that are known; -: one a line on standard input")
    return parser


def main(arguments: list[str] | None = None) -> None:
    said = _parser().parse_args(arguments)
    if said.command == "sync":
        if not re.match(r"https?://[^/\s]+", said.service):
            raise Misconfigured("--service wants an address such as https://comments.example.org")
        data = Data(folder(said.state), folder(said.out))
        named = [line.rstrip("\n") for line in sys.stdin] if said.thread == ["-"] else said.thread
        sys.exit(1 if sync(data, said.service, said.site, [one for one in named if one] or data.threads()) else 0)
    secret_keys = keys(from_environment("WEBHOOK_SECRET"))
    data = Data(folder(said.state), folder(said.out))
    rebuilder = Rebuilder(folder(said.state), of_command(said.run), said.quiet, said.longest) if said.run else None
    if rebuilder:
        rebuilder.start()

    def take(event: Event) -> Event:
        found = read_event(event)
        if found is None:
            return {"result": "ignored"}
        if said.site and event["data"].get("site") != said.site:
            raise Refused(422, "the event is about another site")
        changed = data.take(*found)
        if rebuilder and (changed or changes_the_site(event)):  # a repeat may come because this was killed just here
            rebuilder.ask()
        return {"result": found[0]}

    serve(said.host, said.port, secret_keys, take)


if __name__ == "__main__":
    in_words(main)
