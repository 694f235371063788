"""What the site does with what no rule objected to."""

from datetime import datetime

from moderation.model import Submission
from moderation.policy import Policy
from moderation.screening.outcome import Facts, Reason
from moderation.screening.rulebook import Rulebook

HELD = Reason("site_mode", "hold", "hold_all")
_DAY_MS = 86_400_000


def is_closed(policy: Policy, thread: str, facts: Facts) -> bool:
    """Whether a thread takes no comments (any more)."""
    ends = policy.closes_at(thread)
    if policy.mode_of(thread) == "closed" or (ends and datetime.fromisoformat(ends).timestamp() <= facts.at):
        return True
    days = policy.close_after_days
    return bool(days and facts.thread_first_ms and facts.at * 1000 > facts.thread_first_ms + days * _DAY_MS)


def site_mode(said: Submission, facts: Facts, book: Rulebook) -> Reason | None:
    """Hold, or publish, or publish for those who have earned it. `closed` is refused at the door; here it would hold."""
    policy = book.policy
    mode = policy.mode_of(said.thread) if policy.threads else policy.mode
    if mode == "hold_all":
        return HELD
    if mode == "publish_unless_flagged":
        return Reason("site_mode", "publish", mode)
    if mode != "trust":
        return HELD
    if not (facts.identified or facts.confirmed):
        return Reason("site_mode", "hold", "trust: the address is not confirmed")
    wanted = book.policy.trust_after
    if facts.approved < wanted:
        return Reason("site_mode", "hold", f"trust: {facts.approved} of {wanted} approved comments")
    return Reason("site_mode", "publish", f"trust: {facts.approved} approved comments")
