"""What an import does, or would do, in figures; the same for a trial and for the run."""

from collections import Counter
from dataclasses import dataclass, field

from moderation.archives.archived import Archived, Reason
from moderation.model import Status, Submission
from moderation.privacy import mask_addresses
from moderation.submission import clean

_NAMED_MAX = 5  # ids that are named of each kind


@dataclass(slots=True)
class Some:
    """How many, and the first few of them by their old ids. Ids may be anything, so addresses in them are masked."""

    count: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, source_id: str) -> None:
        self.count += 1
        if len(self.ids) < _NAMED_MAX:
            self.ids.append(mask_addresses(clean(source_id)[:60]) or "?")


@dataclass(slots=True)
class Report:
    """What a run does, or would do."""

    format: str
    read: int = 0
    created: Counter[Status] = field(default_factory=Counter)
    existed: int = 0
    skipped: dict[Reason, Some] = field(default_factory=dict)
    orphans: Some = field(default_factory=Some)
    threads: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def skip(self, source_id: str, reason: Reason) -> None:
        self.skipped.setdefault(reason, Some()).add(source_id)

    def count_new(self, found: Archived, said: Submission) -> None:
        self.created[found.status] += 1
        for what, given, kept in (("addresses", found.email, said.email), ("links", found.url, said.url)):
            if given.strip() and not kept:
                self.left_out[what] += 1

    def summary(self) -> str:
        """One line for the audit log."""
        skipped = sum(some.count for some in self.skipped.values())
        return f"{self.format}: {self.created.total()} new, {self.existed} there already, {skipped} skipped, {self.threads} threads"
