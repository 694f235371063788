"""What follows an attempt. Pure: the dice are passed in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_S, _M, _H = 1, 60, 3600
# Waits after attempts 1, 2, …; ten attempts over about 75 hours (Standard Webhooks, operational considerations).
WEBHOOK_WAITS = (5 * _S, 5 * _M, 30 * _M, 2 * _H, 5 * _H, 10 * _H, 14 * _H, 20 * _H, 24 * _H)
MAIL_WAITS = (1 * _M, 5 * _M, 15 * _M, 1 * _H, 4 * _H, 12 * _H, 24 * _H)
WAITS = {"webhook": WEBHOOK_WAITS, "mail": MAIL_WAITS}
JITTER = 0.2
RETRY_AFTER_MAX_SECONDS = 24 * _H


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to. `code` is a word such as `refused` or `timeout`; `final` means that no retry can help."""

    ok: bool
    code: str = ""
    status: int | None = None
    detail: str = ""
    final: bool = False
    undeliverable: bool = False
    retry_after_seconds: float = 0
    external_id: str = ""
    log: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """The next state of the delivery, and the wait before the next attempt."""

    state: str
    delay_ms: int = 0


def next_step(kind: str, outcome: Outcome, attempts_before: int, dice: Callable[[], float]) -> Step:
    """Done, retry at, or dead. `dice` gives a number in [0, 1)."""
    if outcome.ok:
        return Step("delivered")
    if outcome.undeliverable:
        return Step("undeliverable")
    waits = WAITS[kind]
    if outcome.final or attempts_before >= len(waits):
        return Step("dead")
    wait = waits[attempts_before] * (1 + JITTER * (2 * dice() - 1))
    wait = max(wait, min(outcome.retry_after_seconds, RETRY_AFTER_MAX_SECONDS))
    return Step("queued", round(wait * 1000))
