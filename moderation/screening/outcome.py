"""What rules are told, and what they say."""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

SEVERITY = {"publish": 0, "hold": 1, "spam": 2, "reject": 3}
STATUS = {"publish": "approved", "hold": "pending", "spam": "spam", "reject": "rejected"}


class Reason(NamedTuple):
    """What one rule said. `verdict` is hold, spam, reject, publish, or pass for what an allow-list overruled."""

    rule: str
    verdict: str
    detail: str


class Facts(NamedTuple):
    """What is known beside the comment itself. The first are known at the door, the others are asked of Redis when a policy needs them."""

    at: float = 0.0  # Unix seconds
    author: str = ""  # pseudonym
    address: str = ""  # of the client
    trap: bool = False
    fill_seconds: float | None = None  # None: no stamp; negative: a forged one
    identified: bool = False  # the site signed for this author
    confirmed: bool = False  # they pressed the link of a mail to this address, in this browser
    approved: int = 0  # the author's comments so far
    moderators: tuple[str, ...] = ()  # their names
    name_owner: str = ""  # the regular whose name looks like this one
    thread_first_ms: int = 0  # when the thread's first comment came
    alike: str = ""  # a recent comment that says almost the same
    risk: float | None = None  # learned: 0 … 1
    risk_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all rules came to, with the trace: what each said, and how long it took."""

    verdict: str
    reasons: tuple[Reason, ...]
    decided_by: str = ""
    micros: tuple[tuple[str, int], ...] = field(default=())
    risk: float | None = None
    then: str = ""  # what it will be when outside checkers do not object

    @property
    def status(self) -> str:
        """Of the comment."""
        return STATUS[self.verdict]

    def trace(self) -> dict[str, Any]:
        """As it is kept beside the comment."""
        kept: dict[str, Any] = {} if self.risk is None else {"risk": round(self.risk, 4)}
        if self.then:
            kept["then"] = self.then
        return kept | {
            "verdict": self.verdict,
            "by": self.decided_by,
            "reasons": [list(reason) for reason in self.reasons],
            "us": dict(self.micros),
        }


def until_checked(found: Verdict, checkers: tuple[str, ...]) -> Verdict:
    """What the rules would publish waits until the outside checkers have answered."""
    if found.verdict != "publish":
        return found
    asked = Reason("outside_checkers", "hold", f"asked: {', '.join(checkers)}")
    return replace(found, verdict="hold", reasons=(*found.reasons, asked), decided_by=asked.rule, then="publish")
