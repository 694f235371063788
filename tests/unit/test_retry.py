"""What follows an attempt: the schedule of the contract, and nothing else."""

import pytest

from workers.retry import RETRY_AFTER_MAX_SECONDS, Outcome, Step, next_step

FAILED = Outcome(False, "status", 500)
SCHEDULE = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]


@pytest.mark.parametrize(("attempts", "seconds"), list(enumerate(SCHEDULE)))
@pytest.mark.parametrize(("dice", "factor"), [(0.0, 0.8), (0.5, 1.0), (0.999999, 1.2)])
def test_waits_follow_the_schedule_within_a_fifth(attempts: int, seconds: int, dice: float, factor: float) -> None:
    step = next_step("webhook", FAILED, attempts, lambda: dice)
    assert step.state == "queued"
    assert step.delay_ms == pytest.approx(seconds * factor * 1000, rel=1e-4)


def test_ten_failed_attempts_are_the_end() -> None:
    states = [next_step("webhook", FAILED, n, lambda: 0.5).state for n in range(12)]
    assert states == ["queued"] * 9 + ["dead"] * 3


@pytest.mark.parametrize(
    ("attempts", "asked", "wait"),
    [(0, 3600, 3600), (0, 1, 5), (3, 60, 7200), (0, 10**8, RETRY_AFTER_MAX_SECONDS), (0, 0, 5)],
)
def test_a_longer_retry_after_is_honoured_up_to_a_day(attempts: int, asked: float, wait: float) -> None:
    outcome = Outcome(False, "status", 429, retry_after_seconds=asked)
    assert next_step("webhook", outcome, attempts, lambda: 0.5) == Step("queued", round(wait * 1000))


@pytest.mark.parametrize("kind", ["webhook", "mail"])
@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Outcome(True), "delivered"), (Outcome(False, final=True), "dead"), (Outcome(False, undeliverable=True), "undeliverable")],
)  # fmt: skip
def test_what_is_settled_is_settled_at_once(kind: str, outcome: Outcome, state: str) -> None:
    assert next_step(kind, outcome, 0, lambda: 0.5) == Step(state)


def test_mails_give_up_too() -> None:
    states = [next_step("mail", Outcome(False, "smtp", 451), n, lambda: 0.5).state for n in range(9)]
    assert states == ["queued"] * 7 + ["dead"] * 2
