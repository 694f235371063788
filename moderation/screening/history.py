"""Rules about what came before: near-duplicates, and the learned risk."""

from moderation.model import Submission
from moderation.screening.outcome import Facts, Reason
from moderation.screening.rulebook import Rulebook


def near_duplicate(_: Submission, facts: Facts, book: Rulebook) -> Reason | None:
    """Somebody said almost the same lately."""
    outcome = book.policy.near_duplicates
    return Reason("near_duplicate", outcome, f"almost the same as {facts.alike}") if outcome and facts.alike else None


def learned(_: Submission, facts: Facts, book: Rulebook) -> Reason | None:
    """What decisions taught: above one risk it is spam, where the site says so; above another a human looks."""
    policy, risk = book.policy, facts.risk
    if risk is None:
        return None
    why = f"{risk * 100:.0f} %: {', '.join(facts.risk_words)}" if facts.risk_words else f"{risk * 100:.0f} %"
    if policy.spam_above is not None and risk >= policy.spam_above:
        return Reason("learned", "spam", why)
    return Reason("learned", "hold", why) if risk >= policy.hold_above else None
