"""What follows an attempt: the schedule of the contract, and nothing else."""

from collections.abc import Callable

import pytest

from moderation.store.outbox import Settlement
from workers import retry
from workers.retry import RETRY_AFTER_MAX_SECONDS, Outcome


def next_step(kind: str, outcome: Outcome, attempts: int, dice: Callable[[], float], failures: int = 0) -> Settlement:
    return retry.next_step(kind, outcome, attempts, failures, dice)


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
    step = next_step("webhook", outcome, attempts, lambda: 0.5)
    assert (step.state, step.delay_ms) == ("queued", round(wait * 1000))


@pytest.mark.parametrize("kind", ["webhook", "mail"])
@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Outcome(True), "delivered"), (Outcome(False, final=True), "dead"), (Outcome(False, final=True, ends_as="cancelled"), "cancelled")],
)  # fmt: skip
def test_what_is_settled_is_settled_at_once(kind: str, outcome: Outcome, state: str) -> None:
    step = next_step(kind, outcome, 0, lambda: 0.5)
    assert (step.state, step.delay_ms) == (state, 0)


def test_mails_give_up_too() -> None:
    states = [next_step("mail", Outcome(False, "smtp", 451), n, lambda: 0.5).state for n in range(9)]
    assert states == ["queued"] * 7 + ["dead"] * 2


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_throttling_answer_cools_the_lane_longer_each_time(status: int) -> None:
    steps = [next_step("webhook", Outcome(False, "status", status), 0, lambda: 0.5, n) for n in range(8)]
    assert [s.pause_ms for s in steps] == [4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000]
    assert {(s.lane, s.window) for s in steps} == {("fail", "1")}
    asked = next_step("webhook", Outcome(False, "status", status, retry_after_seconds=1000), 0, lambda: 0.5)
    assert (asked.pause_ms, asked.delay_ms) == (1_000_000, 1_000_000)


def test_a_breaker_opens_after_ten_failures_in_a_row() -> None:
    pauses = [next_step("webhook", FAILED, 0, lambda: 0.5, n).pause_ms for n in (0, 8, 9, 10, 11, 30)]
    assert pauses == [0, 0, 5000, 10_000, 20_000, 300_000]


def test_a_receiver_that_hangs_gets_one_at_a_time() -> None:
    assert next_step("webhook", Outcome(False, "timeout"), 0, lambda: 0.5).window == "1"
    assert next_step("webhook", FAILED, 0, lambda: 0.5).window == ""


@pytest.mark.parametrize(
    "outcome", [Outcome(False, "blocked", final=True, spoke=False), Outcome(False, "internal", spoke=False)]
)
def test_what_says_nothing_of_the_receiver_does_not_count_against_it(outcome: Outcome) -> None:
    assert next_step("webhook", outcome, 0, lambda: 0.5).lane == ""
