"""Taking an archive in. Read twice: the first time to plan, which changes nothing; the second time to write what is new.

Ids are made of a comment's old id and date, so a run that was killed is simply repeated.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pydantic_core import to_json

from moderation.archives.archived import Archived, Entry, Reason, Skipped, iso, ms_of
from moderation.errors import Invalid, NotFound, Unavailable, Unreadable
from moderation.model import Site, Status, Submission, created_ms
from moderation.privacy import mask_addresses
from moderation.screening.folding import name_key
from moderation.store import keys, scripts
from moderation.store.comments import REGULAR_AFTER, load_many, make_body, parse_value
from moderation.store.connection import ReplyError, Store
from moderation.store.ledger import Ledger, Row
from moderation.store.report import Report
from moderation.submission import EXTERNAL_MAX, clean, is_comment_id, tidy

BY = "import"  # who decided, where the file does not know
_BATCH = 200
_FUTURE_MS = 86_400_000  # clocks and zones differ by so much
_PAUSES_SECONDS = (0.2, 1, 3, 10)
_REASONS = {
    ("comment", "required"): Reason.NO_TEXT,
    ("comment", "too_long"): Reason.LONG_TEXT,
    ("thread", "required"): Reason.NO_THREAD,
    ("thread", "too_long"): Reason.LONG_THREAD,
}


def _submission(site: Site, found: Archived) -> Submission:
    """Raises Invalid."""
    url = found.thread_url
    if url.startswith("/") and not url.startswith("//") and len(site.origins) == 1:
        url = site.origins[0] + url  # Isso knows paths only
    said = tidy(
        Submission(
            name=found.name,
            email=found.email,
            url=found.url,
            text=found.text,
            thread=found.thread,
            thread_url=url,
            thread_title=found.thread_title,
            locale=found.locale or site.locale,
            notify_replies=found.notify_replies,
            external_id=found.external_id,
        )
    )
    return said if said.locale else said._replace(locale=site.locale)


class _Candidate(NamedTuple):
    place: int
    found: Archived
    said: Submission
    source_id: str
    derived_id: str
    own_id: str  # where an archive of ours may name a comment of this very site


class Import:
    """One file on its way into one site: planned, then carried out."""

    def __init__(self, store: Store, site: Site, source: str) -> None:
        """`source` is the format: ids of one say nothing about those of another."""
        self.report = Report(source)
        self._store, self._site, self._source = store, site, source
        self._tag = store.tag_of_site(site.id)
        self._partition = keys.site_partition(site.id, store.partitions)
        self._ledger = Ledger()
        self._latest_ms = int(time.time() * 1000) + _FUTURE_MS

    def close(self) -> None:
        self._ledger.close()

    async def plan(self, entries: Iterable[Entry]) -> Report:
        """Read everything; nothing changes. Raises Unreadable, Unavailable."""
        batch: list[_Candidate] = []
        for place, entry in enumerate(entries):
            self.report.read += 1
            candidate = self._examine(place, entry)
            if isinstance(candidate, Reason):
                self.report.skip(entry.source_id, candidate)
            else:
                batch.append(candidate)
            if len(batch) == _BATCH:
                await self._enter(batch)
                batch.clear()
        await self._enter(batch)
        self._ledger.settle_parents()
        for source_id in self._ledger.orphans():
            self.report.orphans.add(source_id)
        self.report.threads = self._ledger.threads()
        return self.report

    def _examine(self, place: int, entry: Entry) -> _Candidate | Reason:
        if isinstance(entry, Skipped):
            return entry.reason
        source_id, ms = clean(entry.source_id)[:EXTERNAL_MAX], entry.created_ms
        if not source_id:
            return Reason.NO_ID
        if ms is None:
            return Reason.NO_DATE
        if ms > self._latest_ms:
            return Reason.FUTURE
        try:
            said = _submission(self._site, entry)
        except Invalid as error:
            return _REASONS[error.errors[-1].field, error.errors[-1].code]
        derived = keys.id_of(ms, "\x00".join((self._site.id, self._source, source_id)), self._partition)
        ours = self._source == "jsonl" and is_comment_id(source_id)
        fits = ours and keys.partition_of(source_id) == self._partition and created_ms(source_id) == ms
        return _Candidate(place, entry, said, source_id, derived, source_id if fits else "")

    async def _enter(self, batch: list[_Candidate]) -> None:
        """Which of them are here, under which id; the ledger keeps it."""
        commands: list[tuple[Any, ...]] = []
        for candidate in batch:
            commands.append(("EXISTS", f"{self._tag}c:{candidate.derived_id}"))
            commands.append(("GET", f"{self._tag}c:{candidate.own_id}") if candidate.own_id else ("ECHO", ""))
            commands.append(("HGET", f"{self._tag}x:{self._site.id}", candidate.said.external_id))
        replies = iter(await self._store.pipe.call_many(commands))
        found = list(zip(batch, replies, replies, replies, strict=True))
        doubles = await self._doubles(
            [(candidate, known) for candidate, there, _, known in found if known and not there]
        )
        for candidate, there, own, known in found:
            comment_id, is_new = self._identify(candidate, bool(there), own, doubles)
            keeps = not known or known == comment_id
            thread, parent = keys.thread_key(candidate.said.thread), clean(candidate.found.parent)[:EXTERNAL_MAX]
            row = Row(candidate.place, candidate.source_id, thread, parent, comment_id, is_new, keeps)
            if not self._ledger.add(row):
                self.report.skip(candidate.source_id, Reason.TWICE)
            elif is_new:
                self.report.count_new(candidate.found, candidate.said)
            else:
                self.report.existed += 1

    async def _doubles(self, known: list[tuple[_Candidate, str]]) -> dict[str, str]:
        """Comments that came through us before WordPress had them, and the site told us its id of them: old id → ours. The same number alone
        says little, another system may have had it: page and author must be the same too."""
        if self._source != "wxr":
            return {}
        there = await load_many(self._store, [comment_id for _, comment_id in known])
        return {
            candidate.source_id: comment.id
            for (candidate, _), comment in zip(known, there, strict=True)
            if comment
            and comment.body["thread"] == candidate.said.thread
            and comment.body["who"]
            == self._store.privacy.author_id(self._site.id, candidate.said.email, candidate.said.name)
        }

    def _identify(
        self, candidate: _Candidate, there: bool, own: str | None, doubles: dict[str, str]
    ) -> tuple[str, bool]:
        """Its id here, and whether it is new."""
        if there:
            return candidate.derived_id, False
        if candidate.source_id in doubles:
            return doubles[candidate.source_id], False
        if candidate.own_id and own and parse_value(candidate.own_id, own).site == self._site.id:
            return candidate.own_id, False
        if candidate.own_id and not own and candidate.found.home == self._site.id:
            return candidate.own_id, True  # the same site, set up again: links to its comments go on to work
        return candidate.derived_id, True

    async def carry_out(self, entries: Iterable[Entry]) -> None:
        """Write what the plan found to be new, and one entry in the audit log. Raises Unreadable when the file is another by now, NotFound, Unavailable."""
        await record(self._store, self._site.id, "import", self.report.summary())
        if not self.report.created:
            return
        written: asyncio.Future[None] = asyncio.ensure_future(asyncio.sleep(0))
        try:
            for batch in self._commands(entries):  # Redis writes one while the next is made ready
                await written
                written = asyncio.ensure_future(self._write(batch))
                await asyncio.sleep(0)  # it begins
                await asyncio.sleep(0)  # and leaves
        finally:
            await written

    def _commands(self, entries: Iterable[Entry]) -> Iterator[list[tuple[Any, ...]]]:
        batch: list[tuple[Any, ...]] = []
        for place, entry in enumerate(entries):
            row = self._ledger.find(clean(entry.source_id)[:EXTERNAL_MAX])
            if row is None or row.place != place or not row.is_new:
                continue
            if not isinstance(entry, Archived):
                raise Unreadable("The file changed while it was read.")
            batch.append(self._command(row, entry))
            if len(batch) == _BATCH:
                yield batch
                batch = []
        yield batch

    def _command(self, row: Row, found: Archived) -> tuple[Any, ...]:
        tag, site, thread = self._tag, self._site.id, row.thread
        comment_id = row.comment_id
        said = _submission(self._site, found)
        if not row.keeps_external_id:
            said = said._replace(external_id="")
        body = make_body(self._store.privacy, site, comment_id, said, None)
        if self._source == "jsonl" and row.source_id != comment_id:
            body["archive_id"] = mask_addresses(row.source_id)  # it goes out again under the id it came with
        parent = self._ledger.find(row.parent) if row.parent else None
        value = to_json(_head(found, parent.comment_id if parent else "")) + b"\n" + to_json(body)
        names = [
            f"{tag}c:{comment_id}",
            f"{tag}site:{site}",
            f"{tag}s:{site}:{found.status}",
            f"{tag}t:{site}:{thread}:{found.status}",
            f"{tag}a:{body['who']}",
            f"{tag}x:{site}",
            f"{tag}h:{comment_id}",
            f"{tag}tv:{site}:{thread}",
        ]
        history = [to_json({name: _quiet(value) for name, value in step.items()}) for step in found.history]
        spelling = name_key(body["name"]) if found.status is Status.APPROVED else ""
        arguments = (comment_id, value, tag, site, found.status, body["who"], said.external_id, spelling, REGULAR_AFTER)
        return ("EVALSHA", scripts.script("import").sha, len(names), *names, *arguments, *history)

    async def _write(self, batch: list[tuple[Any, ...]]) -> None:
        """Sent again when Redis was away for a moment: the script knows what it did."""
        for pause in (*_PAUSES_SECONDS, None):
            try:
                replies = await self._send(batch)
            except Unavailable:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
                continue
            if "site" in replies:
                raise NotFound("There is no such site.")
            return

    async def _send(self, batch: list[tuple[Any, ...]]) -> list[Any]:
        """All of it; a server that does not know the script is given it, by one of them that is then repeated."""
        try:
            return await self._store.pipe.call_many(batch)
        except ReplyError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        _evalsha, _sha, *rest = batch[0]
        await self._store.pipe.call("EVAL", scripts.script("import").source, *rest)
        return await self._store.pipe.call_many(batch)


def _head(found: Archived, parent: str) -> dict[str, Any]:
    """What became of it: as the file says, else at the time it was written."""
    decided = found.decided
    at, by = _instant(decided.at), _quiet(decided.by or "")
    if found.status is not Status.PENDING and not (at and by):
        assert found.created_ms is not None
        at, by = iso(found.created_ms), BY
    head: dict[str, Any] = {"s": found.status, "v": 1}
    approved_at = (_instant(decided.approved_at) or at) if found.status is Status.APPROVED else ""
    fields = {
        "p": parent,
        "at": at,
        "by": by,
        "ap": approved_at,
        "r": _quiet(decided.reason or ""),
        "q": decided.sequence,
    }
    return head | {name: value for name, value in fields.items() if value}


def _quiet(value: Any) -> Any:
    """What somebody typed, its addresses masked."""
    return mask_addresses(clean(value, lines=True)) if isinstance(value, str) else value


def _instant(text: str | None) -> str:
    ms = ms_of(text or "")
    return iso(ms) if ms is not None else ""


async def record(store: Store, site: str, action: str, detail: str) -> None:
    """An entry in the site's audit log."""
    key = f"{store.tag_of_site(site)}audit:{site}"
    entry = ("by", "shell", "action", action, "detail", detail)
    await store.pipe.call("XADD", key, "MAXLEN", "~", 100_000, "*", *entry)
