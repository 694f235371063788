"""What follows an attempt: for the delivery, and for the lane it came from. Pure: the dice are passed in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moderation.store.outbox import Settlement

_S, _M, _H = 1, 60, 3600
# Waits after attempts 1, 2, …; ten attempts over about 75 hours (Standard Webhooks, operational considerations).
WEBHOOK_WAITS = (5 * _S, 5 * _M, 30 * _M, 2 * _H, 5 * _H, 10 * _H, 14 * _H, 20 * _H, 24 * _H)
MAIL_WAITS = (1 * _M, 5 * _M, 15 * _M, 1 * _H, 4 * _H, 12 * _H, 24 * _H)
REPLAY_WAITS = (1 * _S,) * 60
TELL_WAITS = (1 * _S, 5 * _S, 30 * _S, *(5 * _M,) * 500)
CHECK_WAITS = (1 * _M, 5 * _M, 20 * _M, 1 * _H, 4 * _H, 12 * _H, 24 * _H)
WAITS = {"check": CHECK_WAITS, "webhook": WEBHOOK_WAITS, "mail": MAIL_WAITS, "replay": REPLAY_WAITS, "tell": TELL_WAITS}
JITTER = 0.2
RETRY_AFTER_MAX_SECONDS = 24 * _H
# Answers that speak of the receiver and not of this delivery: too many requests, or nobody home behind its proxy.
THROTTLED = frozenset({429, 502, 503, 504})
COOL_FIRST_SECONDS, PAUSE_MAX_SECONDS = 4, 5 * _M
BREAKER_FAILURES, BREAKER_FIRST_SECONDS = 10, 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to. `code` is a word such as `refused` or `timeout`; `final` means that no retry can help."""

    ok: bool
    code: str = ""
    status: int | None = None
    detail: str = ""
    final: bool = False
    ends_as: str = "dead"  # the state of what is final
    retry_after_seconds: float = 0
    asked: str = ""  # by the receiver: `gone` (410), `asked` (to be disabled)
    spoke: bool = True  # whether the attempt says anything of the receiver
    counts: bool = True  # False: a fault of the configuration, which uses up no attempt
    pause_seconds: float = 0  # for the whole lane
    external_id: str = ""
    log: dict[str, Any] = field(default_factory=dict)


def cancelled(why: str) -> Outcome:
    """Nothing is left to do, through nobody's fault."""
    return Outcome(False, "cancelled", detail=why, final=True, ends_as="cancelled", spoke=False)


def _jittered(seconds: float, dice: Callable[[], float]) -> float:
    return seconds * (1 + JITTER * (2 * dice() - 1))


def next_step(
    kind: str, outcome: Outcome, attempts_before: int, lane_failures: int, dice: Callable[[], float]
) -> Settlement:
    """Done, retry at, or ended. `dice` gives a number in [0, 1)."""
    health, pause, window = _lane(kind, outcome, lane_failures)
    pause = max(pause, outcome.pause_seconds)
    waits = WAITS[kind]
    state, delay = "delivered", 0.0
    if not outcome.ok and not outcome.counts and not outcome.final:
        state, delay = "queued", pause
    elif not outcome.ok and (outcome.final or attempts_before >= len(waits)):
        state = outcome.ends_as if outcome.final else "dead"
    elif not outcome.ok:
        longest = min(outcome.retry_after_seconds, RETRY_AFTER_MAX_SECONDS)
        state, delay = "queued", max(_jittered(waits[attempts_before], dice), longest)
    return Settlement(
        state,
        delay_ms=round(delay * 1000),
        counts=outcome.counts,
        lane=health,
        pause_ms=round(pause * 1000),
        window=window,
        asked=outcome.asked,
    )


def _lane(kind: str, outcome: Outcome, failures: int) -> tuple[str, float, str]:
    """How an attempt reflects on its lane: health, seconds to pause, width of the window afterwards.

    A receiver that asks for patience gets it for all of its deliveries; so does one that failed ten times in a row. Nothing
    that waits meanwhile uses up an attempt. One delivery then goes ahead; after its success two, four, … as the window opens.
    """
    if kind != "webhook" or not outcome.spoke:
        return "", 0, ""
    if outcome.ok:
        return "ok", 0, ""
    if outcome.status in THROTTLED:
        wait = min(COOL_FIRST_SECONDS * 2 ** min(failures, 10), PAUSE_MAX_SECONDS)
        return "fail", max(wait, min(outcome.retry_after_seconds, RETRY_AFTER_MAX_SECONDS)), "1"
    if failures + 1 >= BREAKER_FAILURES:
        beyond = min(failures + 1 - BREAKER_FAILURES, 10)
        return "fail", min(BREAKER_FIRST_SECONDS * 2**beyond, PAUSE_MAX_SECONDS), "1"
    return "fail", 0, "1" if outcome.code == "timeout" else ""
