"""The machine reads first, and says why: an ordered list of pure rules, (Submission, Policy) → Reason or nothing.

Today one rule: the site's mode. A rule that breaks must hold the comment for a human, so `screen` treats any exception
as a reason to hold.
"""

from collections.abc import Callable
from dataclasses import dataclass

from moderation.model import Policy, Submission


@dataclass(frozen=True, slots=True)
class Reason:
    """What one rule said."""

    rule: str
    verdict: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all of them came to: `hold` for a human."""

    verdict: str
    reasons: tuple[Reason, ...]


HELD = Reason("site_mode", "hold", "hold_all")
Rule = Callable[[Submission, Policy], Reason | None]


def site_mode(_: Submission, policy: Policy) -> Reason | None:
    """Everything waits for a human."""
    return HELD if policy.mode == "hold_all" else None


RULES: tuple[Rule, ...] = (site_mode,)
HOLD_ALL = Verdict("hold", (HELD,))


def screen(submission: Submission, policy: Policy, rules: tuple[Rule, ...] = RULES) -> Verdict:
    """Run the rules in order."""
    reasons: list[Reason] = []
    for rule in rules:
        try:
            reason = rule(submission, policy)
        except Exception as error:  # whatever a rule does wrong, a human decides
            reason = Reason(getattr(rule, "__name__", "rule"), "hold", f"failed: {type(error).__name__}")
        if reason:
            reasons.append(reason)
    return Verdict("hold", tuple(reasons))
