"""Where in a text the things stand that rules found: for the eyes of moderators only, after the rules ran."""

import re
from collections.abc import Iterable
from functools import lru_cache

import re2

from moderation.screening.folding import fold, skeleton
from moderation.screening.lists import is_pattern

_LINK = re.compile(r"(?:https?://|(?<!/)\bwww\.)[^\s<>\"']+", re.IGNORECASE)
_LOOKED_AT_MAX = 20_000  # characters
_SPANS_MAX = 200


@lru_cache(maxsize=4096)
def _spelled(character: str) -> tuple[str, str]:
    folded = fold.__wrapped__(character)
    return folded, "".join(skeleton(c) for c in folded)


def _spelling(text: str, form: int) -> tuple[str, list[int]]:
    """The text in one spelling, and of each of its characters the place in the original."""
    parts, places = [], []
    for place, character in enumerate(text):
        spelled = _spelled(character)[form]
        parts.append(spelled)
        places += [place] * len(spelled)
    return "".join(parts), places


def _occurrences(needle: str, text: str) -> Iterable[tuple[int, int]]:
    if is_pattern(needle):
        options = re2.Options()
        options.log_errors, options.case_sensitive = False, False
        try:
            yield from (match.span() for match in re2.compile(needle[1:-1], options).finditer(text))
        except re2.error:
            return
        return
    at = text.find(needle)
    while needle and at >= 0:
        yield at, at + len(needle)
        at = text.find(needle, at + len(needle))


def found_in(reason_rule: str, detail: str) -> list[str]:
    """What a reason of the trace says that it found: words of lists and of the learned risk."""
    if reason_rule == "word_lists":
        return [word for word in detail.partition(": ")[2].split(", ") if word]
    if reason_rule == "learned":
        return [word.strip() for word in detail.partition(":")[2].split(",") if len(word.strip()) > 1]
    return []


def spans(text: str, reasons: Iterable[tuple[str, str]]) -> list[tuple[int, int]]:
    """(from, to) of everything that reasons, (rule, detail), point at; in order, none inside of another."""
    text = text[:_LOOKED_AT_MAX]
    found: list[tuple[int, int]] = []
    needles: list[str] = []
    for rule, detail in reasons:
        needles += found_in(rule, detail)
        if rule in {"links", "url_field"}:
            found += [match.span() for match in _LINK.finditer(text)]
    for form in (0, 1) if needles else ():
        spelled, places = _spelling(text, form)
        for needle in needles:
            for start, end in _occurrences(needle, spelled):
                if end > start:
                    found.append((places[start], places[end - 1] + 1))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found)[: _SPANS_MAX * 4]:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged[:_SPANS_MAX]
