"""A changed policy, tried on what was said before: what would have become of it, beside what did."""

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from moderation.model import Comment, Site, Status, Submission
from moderation.privacy import Sealed
from moderation.screening import Facts, active, screen
from moderation.screening.rulebook import compile_policy
from moderation.screening.similar import bands
from moderation.store import comments, past
from moderation.store.connection import Store

NOT_REPLAYED = ("networks", "trap_field", "form_stamp", "rates")  # what they look at is not kept
_PAGE = 100
_SHOWN_MAX = 200


@dataclass(slots=True)
class Trial:
    """The figures so far."""

    total: int = 0
    looked_at: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # (what it is, what it would be) → comments
    changes: list[dict[str, Any]] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """What the policy would have done, in figures a moderator asks for."""
        seen = self.outcomes
        decided = {status.value for status in Status} - {"pending"}
        return {
            "total": self.total,
            "looked_at": self.looked_at,
            "outcomes": [{"is": was, "would_be": now, "comments": n} for (was, now), n in sorted(seen.items())],
            "wrongly_hidden": seen["approved", "spam"] + seen["approved", "rejected"],
            "wrongly_published": seen["rejected", "approved"] + seen["spam", "approved"],
            "rightly_published": seen["approved", "approved"],
            "rightly_hidden": sum(seen[was, now] for was in ("spam", "rejected") for now in ("spam", "rejected")),
            "left_to_humans": sum(n for (was, now), n in seen.items() if now == "pending" and was in decided),
            "not_replayed": list(NOT_REPLAYED),
            "changes": self.changes,
        }


def _as_shown(store: Store, comment: Comment) -> Submission:
    """As the rules saw it: typed addresses masked."""
    body, email = comment.body, ""
    if body.get("email"):
        with contextlib.suppress(Sealed):  # a key is missing: rules about the address find nothing
            email = store.privacy.open(body["email"], comment.id)
    return Submission(body["name"], email, body.get("url", ""), body["text"], body["thread"], locale=body["locale"])


async def _facts(store: Store, site: Site, comment: Comment, said: Submission) -> Facts:
    """By what is known now; a comment's own approval does not speak for it."""
    facts = Facts(at=comment.created_ms / 1000, author=comment.body["who"])
    if not site.policy.asks_past:
        return facts
    names = bands(said.text) if site.policy.near_duplicates else ()
    facts = await past.learn_of(store, site, said, names, facts)
    own = 1 if comment.status is Status.APPROVED else 0
    return facts._replace(approved=facts.approved - own, alike="" if facts.alike == comment.id else facts.alike)


async def step(store: Store, site: Site, trial: Trial, cursor: str, limit: int = _PAGE) -> str | None:
    """Try the next page, newest first; returns the cursor of the one after it, None at the end."""
    found = await comments.page(store, site.id, list(Status), cursor=cursor, newest=True, limit=limit)
    trial.total = found.total
    book, rules = compile_policy(site.policy), active(site.policy)
    for comment in found.items:
        said = _as_shown(store, comment)
        facts = await _facts(store, site, comment, said)
        verdict = screen(said, facts, book, rules)
        trial.looked_at += 1
        trial.outcomes[comment.status.value, verdict.status] += 1
        if verdict.status not in {comment.status.value, "pending"} and len(trial.changes) < _SHOWN_MAX:
            trial.changes.append(
                {
                    "id": comment.id,
                    "is": comment.status.value,
                    "would_be": verdict.status,
                    "decided_by": verdict.decided_by,
                    "reasons": [reason._asdict() for reason in verdict.reasons],
                }
            )
    return found.items[-1].id if len(found.items) == limit else None


async def run(store: Store, site: Site, *, cursor: str, seconds: float) -> tuple[Trial, str | None]:
    """As many comments as fit into the time, and where to go on."""
    trial, ends = Trial(), time.monotonic() + seconds
    at: str | None = cursor
    while at is not None and time.monotonic() < ends:
        at = await step(store, site, trial, at)
    return trial, at
