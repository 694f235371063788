"""Rules about how the form was filled in."""

from moderation.model import Submission
from moderation.screening.outcome import Facts, Reason
from moderation.screening.rulebook import Rulebook

_FEW_SECONDS_SPAM = 1.0


def url_field(said: Submission, _: Facts, book: Rulebook) -> Reason | None:
    """A field that the site wants empty."""
    if said.url and book.policy.url != "allow":
        return Reason("url_field", book.policy.url, "the url field is filled in")
    return None


def trap_field(_: Submission, facts: Facts, book: Rulebook) -> Reason | None:
    """A field that people do not see."""
    return Reason("trap_field", "spam", f"{book.policy.trap_field} is filled in") if facts.trap else None


def fill_time(_: Submission, facts: Facts, book: Rulebook) -> Reason | None:
    """The form was opened and sent within a time that people need. The stamp is signed; an old one may have been collected."""
    policy, seconds = book.policy, facts.fill_seconds
    if policy.form_stamp == "off":
        return None
    if seconds is None:
        return Reason("fill_time", "hold", "the form's stamp is missing") if policy.form_stamp == "required" else None
    if seconds < 0:
        return Reason("fill_time", "hold", "the form's stamp is not ours")
    if seconds < policy.min_fill_seconds:
        verdict = "spam" if seconds < min(_FEW_SECONDS_SPAM, policy.min_fill_seconds) else "hold"
        return Reason("fill_time", verdict, f"filled in within {seconds:.1f} s")
    if seconds > policy.max_fill_seconds:
        return Reason("fill_time", "hold", f"the form was opened {seconds / 3600:.0f} hours before")
    return None
