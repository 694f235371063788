"""The one table of a comment's life: decision → status and event. Lua gets a row of it as arguments; it never knows it."""

from dataclasses import dataclass

from moderation.model import Decision, Status


@dataclass(frozen=True, slots=True)
class Transition:
    """What a decision leads to, from any other status. Deciding what is already so changes nothing."""

    status: Status
    event: str


TABLE: dict[Decision, Transition] = {
    Decision.APPROVE: Transition(Status.APPROVED, "comment.approved"),
    Decision.REJECT: Transition(Status.REJECTED, "comment.rejected"),
    Decision.SPAM: Transition(Status.SPAM, "comment.spam"),
    Decision.HOLD: Transition(Status.PENDING, "comment.pending"),
}


def plan(decision: Decision) -> Transition:
    """The row for a decision."""
    return TABLE[decision]
