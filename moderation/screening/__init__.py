"""The machine reads first, and says why: an ordered list of pure rules, (Submission, Facts, Rulebook) → Reason or nothing.

Whatever a rule does wrong, a human decides: an exception is a reason to hold, never to publish and never to drop.
"""

from collections.abc import Callable
from time import perf_counter_ns

from moderation.model import Submission
from moderation.policy import Policy
from moderation.screening import form, habits, history, mode, people, words
from moderation.screening.mode import HELD
from moderation.screening.outcome import SEVERITY, Facts, Reason, Verdict
from moderation.screening.rulebook import Rulebook

Rule = Callable[[Submission, Facts, Rulebook], Reason | None]
RULES: tuple[Rule, ...] = (
    people.allowed,
    form.trap_field,
    form.fill_time,
    form.url_field,
    people.blocked,
    words.word_lists,
    words.links,
    people.disposable,
    people.impersonation,
    history.near_duplicate,
    habits.repetition,
    habits.shouting,
    habits.foreign_script,
    history.learned,
    people.first_time,
    mode.site_mode,
)
_NOTHING_FOUND = [HELD]
USUAL = Verdict("hold", (HELD,), HELD.rule)
OF_THE_FORM = frozenset({form.trap_field, form.fill_time})  # they look at how it was sent, not at what it says
OVERRULED = frozenset({"blocks", "word_lists", "disposable"})  # by the allow-list


def active(policy: Policy) -> tuple[Rule, ...]:
    """The rules that can say anything under a policy. Where all waits for a human, what only holds and costs time need not run."""
    publishes = any(
        mode not in {"hold_all", "closed"} for mode in (policy.mode, *(t.mode for t in policy.threads.values())) if mode
    )
    wanted: dict[Rule, object] = {
        people.allowed: policy.allow,
        form.trap_field: policy.trap_field,
        form.fill_time: policy.form_stamp != "off",
        form.url_field: policy.url != "allow",
        people.blocked: policy.blocks,
        words.word_lists: policy.words,
        words.links: policy.max_links is not None,
        people.disposable: policy.disposable,
        people.impersonation: policy.names or policy.impersonation,
        history.near_duplicate: policy.near_duplicates,
        habits.repetition: policy.repetition if publishes or policy.repetition != "hold" else None,
        habits.shouting: policy.shouting if publishes or policy.shouting != "hold" else None,
        habits.foreign_script: policy.languages,
        history.learned: policy.learning,
        people.first_time: policy.first_time,
    }
    return tuple(rule for rule in RULES if wanted.get(rule, True))


def screen(said: Submission, facts: Facts, book: Rulebook, rules: tuple[Rule, ...] = RULES) -> Verdict:
    """Run them all, so that a moderator sees everything that was found; the gravest decides, and among equals the first."""
    reasons: list[Reason] = []
    micros: list[tuple[str, int]] = []
    started = perf_counter_ns()
    for rule in rules:
        try:
            reason = rule(said, facts, book)
        except Exception as error:
            reason = Reason(rule.__name__, "hold", f"failed: {type(error).__name__}")
        ended = perf_counter_ns()
        micros.append((rule.__name__, (ended - started) // 1000))
        started = ended
        if reason is not None:
            reasons.append(reason)
    if reasons == _NOTHING_FOUND and facts.risk is None:
        return USUAL  # the usual case: made once
    if reasons and reasons[0].rule == "allow_list":
        reasons = [r._replace(verdict="pass") if r.rule in OVERRULED else r for r in reasons]
    counted = [reason for reason in reasons if reason.verdict != "pass"]
    decides = max(counted, key=lambda reason: SEVERITY[reason.verdict], default=HELD)
    if decides.verdict == "publish":  # nothing publishes but the site's mode, which speaks last
        decides = counted[-1] if counted[-1].rule == "site_mode" else HELD
    return Verdict(decides.verdict, tuple(reasons), decides.rule, tuple(micros), facts.risk)


__all__ = ["HELD", "OF_THE_FORM", "RULES", "USUAL", "Facts", "Reason", "Rule", "Verdict", "active", "screen"]
