"""A policy as the fields of a form, and back: pure, so that what a form keeps can be tested without one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moderation.policy import Block, Named, Policy, Rate

OUTCOMES = ("hold", "spam", "reject")
OFF = ""


@dataclass(frozen=True, slots=True)
class Control:
    """One field. `kind`: choice, flag, number, decimal, text, lines or words."""

    name: str
    kind: str
    options: tuple[str, ...] = ()


GROUPS: dict[str, tuple[Control, ...]] = {
    "publishing": (
        Control("mode", "choice", ("hold_all", "trust", "publish_unless_flagged", "closed")),
        Control("trust_after", "number"),
        Control("close_after_days", "number"),
        Control("threads", "lines"),
    ),
    "form": (
        Control("require_author", "flag"),
        Control("require_email", "flag"),
        Control("url", "choice", ("allow", *OUTCOMES)),
        Control("max_comment_length", "number"),
        Control("duplicate_window_seconds", "number"),
        Control("trap_field", "text"),
        Control("form_stamp", "choice", ("off", "optional", "required")),
        Control("min_fill_seconds", "number"),
        Control("max_fill_seconds", "number"),
    ),
    "words": (Control("words", "words"), Control("allow_words", "lines")),
    "text": (
        Control("max_links", "number"),
        Control("links", "choice", OUTCOMES),
        Control("repetition", "choice", (OFF, *OUTCOMES)),
        Control("shouting", "choice", (OFF, *OUTCOMES)),
        Control("near_duplicates", "choice", (OFF, *OUTCOMES)),
        Control("languages", "lines"),
        Control("scripts", "choice", OUTCOMES),
    ),
    "people": (
        Control("blocks", "lines"),
        Control("allow", "lines"),
        Control("first_time", "choice", (OFF, *OUTCOMES)),
        Control("names", "lines"),
        Control("impersonation", "choice", (OFF, *OUTCOMES)),
        Control("disposable", "choice", (OFF, *OUTCOMES)),
        Control("disposable_domains", "lines"),
    ),
    "learning": (Control("learning", "flag"), Control("hold_above", "decimal"), Control("spam_above", "decimal")),
    "pace": (Control("rate_limits", "flag"), Control("rates", "lines")),
}
LABELS = {
    "mode": "What becomes of a new comment",
    "trust_after": "Trust an author after so many published comments",
    "close_after_days": "Close a thread so many days after its first comment",
    "threads": "Threads of their own rules",
    "require_author": "A name is required",
    "require_email": "An e-mail address is required",
    "url": "When a web address is given",
    "max_comment_length": "Longest comment, in characters",
    "duplicate_window_seconds": "Seconds in which the same comment again is refused",
    "trap_field": "Name of a hidden field that only programs fill in",
    "form_stamp": "Signed time at which the form was opened",
    "min_fill_seconds": "Fewest seconds that a person needs for the form",
    "max_fill_seconds": "Most seconds that a form stays open",
    "words": "Word lists",
    "allow_words": "Words that are always fine",
    "max_links": "Links that a comment may have",
    "links": "With more links",
    "repetition": "With repetitions",
    "shouting": "Mostly in capitals",
    "near_duplicates": "Almost the same as another one",
    "languages": "Languages of the site",
    "scripts": "In a script that these languages do not use",
    "blocks": "Blocked",
    "allow": "Always fine",
    "first_time": "From authors without a published comment",
    "names": "Names that nobody else may use",
    "impersonation": "With a name that looks like a moderator's or a regular's",
    "disposable": "From a throw-away address",
    "disposable_domains": "More domains of throw-away addresses",
    "learning": "Learn from decisions, and tell the risk of each comment",
    "hold_above": "Hold from this risk on",
    "spam_above": "Spam from this risk on",
    "rate_limits": "Limit how fast comments may come",
    "rates": "How fast",
}
HELP = {
    "close_after_days": "Empty: never.",
    "threads": "One a line: mode or -, closing time or -, thread. Such as: closed - 41",
    "trap_field": "Empty: none.",
    "max_links": "Empty: as many as one likes.",
    "allow_words": "One a line. They are taken out before the lists are looked for.",
    "languages": "One a line, such as ar or pt-BR. Empty: any.",
    "blocks": "One a line: author, network or domain, its value, and if you like what becomes of it, until when, and a note. Such as: domain spam.example spam until 2027-01-01T00:00:00Z # seen often",
    "allow": "One a line: author, network or domain, and its value.",
    "names": "One a line.",
    "disposable_domains": "One a line.",
    "hold_above": "Between 0 and 1.",
    "spam_above": "Between 0 and 1. Empty: never.",
    "rates": "One a line: address, author, network, thread or site, and how many in how many seconds. Such as: address 60/60",
}


def values(policy: Policy) -> dict[str, Any]:
    """name → what stands in the field: text, or a bool for a flag; `words` is a list of dicts."""
    found: dict[str, Any] = {}
    for control in (control for group in GROUPS.values() for control in group):
        value = getattr(policy, control.name)
        if control.name in _WRITTEN:
            found[control.name] = "\n".join(_WRITTEN[control.name](value))
        elif control.kind == "words":
            found[control.name] = [
                {"name": w.name, "outcome": w.outcome, "entries": "\n".join(w.entries)} for w in value
            ]
        elif control.kind == "flag":
            found[control.name] = value
        elif control.kind == "lines":
            found[control.name] = "\n".join(value)
        else:
            found[control.name] = "" if value is None else str(value)
    return found


def read(fields: Mapping[str, str]) -> dict[str, Any]:
    """What a form says, as fields of a policy; what can't be right is left for the policy to refuse."""
    found: dict[str, Any] = {}
    for control in (control for group in GROUPS.values() for control in group):
        text = fields.get(control.name, "").strip()
        if control.name in _READ:
            found[control.name] = _READ[control.name](_lines(text))
        elif control.kind == "words":
            found[control.name] = _words(fields)
        elif control.kind == "flag":
            found[control.name] = bool(text)
        elif control.kind == "lines":
            found[control.name] = _lines(text)
        else:
            found[control.name] = text or None
    return {name: value for name, value in found.items() if value is not None or _may_be_none(name)}


def shown_again(fields: Mapping[str, str]) -> dict[str, Any]:
    """The fields as they were sent, for a form that is shown once more."""
    kept: dict[str, Any] = {
        control.name: fields.get(control.name, "") for group in GROUPS.values() for control in group
    }
    kept["words"] = [{k: "\n".join(v) if isinstance(v, list) else v for k, v in one.items()} for one in _words(fields)]
    return kept


def _may_be_none(name: str) -> bool:
    return (
        Policy.model_fields[name].default is None
        or name == "max_links"
        or name in {"disposable", "repetition", "shouting"}
    )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _words(fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """`words-0-name`, `words-0-outcome`, `words-0-entries`, and so on; one without entries is no list."""
    found = []
    for index in range(21):
        entries = _lines(fields.get(f"words-{index}-entries", ""))
        if entries:
            name = fields.get(f"words-{index}-name", "").strip() or "words"
            found.append({"name": name, "outcome": fields.get(f"words-{index}-outcome", "hold"), "entries": entries})
    return found


def _written_named(named: Iterable[Named]) -> list[str]:
    lines = []
    for one in named:
        parts = [one.kind, one.value]
        if isinstance(one, Block):
            parts.append(one.outcome)
        if one.until:
            parts += ["until", one.until]
        if one.note:
            parts.append(f"# {one.note}")
        lines.append(" ".join(parts))
    return lines


def _read_named(lines: list[str]) -> list[dict[str, str]]:
    found = []
    for line in lines:
        said, _, note = line.partition("#")
        words = said.split()
        one = {"kind": words[0] if words else "", "value": words[1] if len(words) > 1 else ""}
        rest = words[2:]
        if rest and rest[0] in OUTCOMES:
            one["outcome"] = rest.pop(0)
        if rest and rest[0] == "until" and len(rest) > 1:
            one["until"] = rest[1]
        elif rest:
            one["until"] = " ".join(rest)  # refused: no time
        if note.strip():
            one["note"] = note.strip()
        found.append(one)
    return found


def _written_rates(rates: Any) -> list[str]:
    found = [(kind, getattr(rates, kind)) for kind in type(rates).model_fields]
    return [f"{kind} {rate.count}/{rate.seconds}" for kind, rate in found if isinstance(rate, Rate)]


def _read_rates(lines: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"address": None}
    for line in lines:
        kind, _, rate = line.partition(" ")
        count, _, seconds = rate.partition("/")
        found[kind] = {"count": count.strip(), "seconds": seconds.strip()}
    return found


def _written_threads(threads: Any) -> list[str]:
    return [f"{one.mode or '-'} {one.close_at or '-'} {thread}" for thread, one in threads.items()]


def _read_threads(lines: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in lines:
        mode, _, rest = line.partition(" ")
        close_at, _, thread = rest.strip().partition(" ")
        found[thread.strip()] = {
            "mode": None if mode == "-" else mode,
            "close_at": None if close_at == "-" else close_at,
        }
    return found


_WRITTEN: dict[str, Any] = {
    "blocks": _written_named,
    "allow": _written_named,
    "rates": _written_rates,
    "threads": _written_threads,
}
_READ: dict[str, Any] = {"blocks": _read_named, "allow": _read_named, "rates": _read_rates, "threads": _read_threads}
