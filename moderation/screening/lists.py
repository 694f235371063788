"""Word lists, compiled once per policy. RE2 alone sees what people write: it is linear, whatever pattern a moderator made up."""

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import re2

from moderation.policy import Outcome, WordList
from moderation.screening.folding import fold, skeleton

_LETTER = r"[\p{L}\p{N}\p{M}]"
_EDGE = r"(?:^|[^\p{L}\p{N}\p{M}])"
_END = r"(?:$|[^\p{L}\p{N}\p{M}])"
_INSIDE_MIN = 4  # letters of a word that is looked for inside of letters written apart
_LOOKS_MAX = 50
_SHOWN_MAX = 5
_MEMORY = 64 << 20  # of one compiled list, in bytes


class WrongPattern(ValueError):
    """A pattern that RE2 does not take; says which and why."""


def _options(*, case_sensitive: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    options.case_sensitive = case_sensitive
    options.never_nl = False
    return options


def is_pattern(entry: str) -> bool:
    """`/…/` is a pattern."""
    return len(entry) > 2 and entry.startswith("/") and entry.endswith("/")


def check_pattern(entry: str) -> None:
    """Raises WrongPattern."""
    try:
        re2.compile(entry[1:-1], _options(case_sensitive=False))
    except re2.error as error:
        said = error.args[0]
        raise WrongPattern(f"{entry}: {said.decode(errors='replace') if isinstance(said, bytes) else said}") from None


def _word(entry: str, spelled: Callable[[str], str]) -> str:
    """A word or phrase as a pattern: spaces are any run of what is no letter, `*` at an end is any letters."""
    start, end = entry.startswith("*"), entry.endswith("*")
    parts = [re2.escape(part) for part in re.split(r"[\s_]+", spelled(entry.strip("*")).strip()) if part]
    if not parts:
        return ""
    body = r"[^\p{L}\p{N}\p{M}]+".join(parts)
    return (f"{_LETTER}*" if start else "") + body + (f"{_LETTER}*" if end else "")


@dataclass(frozen=True, slots=True)
class Matcher:
    """One list: whole words on the folded text, on its disguised words and inside of letters written apart; patterns on the folded text."""

    name: str
    outcome: Outcome
    words: Any = None
    looks: Any = None  # the same words as they look
    inside: Any = None
    patterns: Any = None  # all at once: which of them match, not where, is one pass over the text
    entries: tuple[str, ...] = ()  # of the patterns

    def find(self, folded: str, disguised: str, apart: str) -> list[str]:
        """What it found, at most a handful: words as they stand there, patterns as they were written. One pass over each text."""
        found: dict[str, None] = {}
        for automaton, text in ((self.words, folded), (self.looks, disguised), (self.inside, apart)):
            if automaton is None or not text:
                continue
            for match in itertools.islice(automaton.finditer(text), _LOOKS_MAX):
                found[match[1][:60]] = None
                if len(found) >= _SHOWN_MAX:
                    return list(found)
        if self.patterns is not None:
            found |= dict.fromkeys([self.entries[index] for index in sorted(self.patterns.Match(folded) or ())])
        return list(found)[:_SHOWN_MAX]


def compile_list(given: WordList) -> Matcher:
    """Raises WrongPattern."""
    patterns, entries = None, tuple(entry for entry in given.entries if is_pattern(entry))
    if entries:
        for entry in entries:
            check_pattern(entry)
        patterns = re2.Set.SearchSet(_options(case_sensitive=False))
        try:
            for entry in entries:
                patterns.Add(entry[1:-1])
            patterns.Compile()
        except re2.error:
            raise WrongPattern("the patterns are too large together") from None
    words = [entry for entry in given.entries if not is_pattern(entry)]
    long = [entry for entry in words if len(entry.strip("*")) >= _INSIDE_MIN and " " not in entry.strip()]
    return Matcher(
        given.name,
        given.outcome,
        compile_words(words),
        compile_words(words, skeleton),
        compile_words(long, skeleton, whole=False),
        patterns,
        entries,
    )


def compile_words(entries: Iterable[str], spelled: Callable[[str], str] = fold, *, whole: bool = True) -> Any:
    """All words of a list as one automaton, None for none. Its first group is the word. Raises WrongPattern."""
    words = sorted({_word(entry, spelled) for entry in entries if not is_pattern(entry)} - {""})
    if not words:
        return None
    try:
        edges = (_EDGE, _END) if whole else ("", "")
        return re2.compile(f"{edges[0]}({'|'.join(words)}){edges[1]}", _options(case_sensitive=True))
    except re2.error:
        raise WrongPattern("the list is too large") from None


def without(allowed: Any, text: str) -> str:
    """The text without the allowed words. Twice, because one edge can't belong to two words that stand together."""
    return str(allowed.sub(" ", allowed.sub(" ", text))) if allowed is not None and text else text
