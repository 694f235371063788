"""Word lists, compiled once per policy. RE2 alone sees what people write: it is linear, whatever pattern a moderator made up."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import re2

from moderation.policy import Outcome, WordList
from moderation.screening.folding import skeleton

_LETTER = r"[\p{L}\p{N}\p{M}_]"
_EDGE = r"(?:^|[^\p{L}\p{N}\p{M}_])"
_END = r"(?:$|[^\p{L}\p{N}\p{M}_])"
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


def _word(entry: str) -> str:
    """A word or phrase as a pattern on a skeleton: spaces are any run of what is no letter, `*` at an end is any letters."""
    start, end = entry.startswith("*"), entry.endswith("*")
    parts = [re2.escape(part) for part in re.split(r"\s+", skeleton(entry.strip("*")).strip()) if part]
    body = r"[^\p{L}\p{N}\p{M}_]+".join(parts)
    return (f"{_LETTER}*" if start else "") + body + (f"{_LETTER}*" if end else "")


@dataclass(frozen=True, slots=True)
class Matcher:
    """One list: whole words on the skeleton, patterns on the folded text."""

    name: str
    outcome: Outcome
    words: Any = None
    patterns: Any = None  # all at once: which of them match, not where, is one pass over the text
    entries: tuple[str, ...] = ()  # of the patterns

    def find(self, folded: str, skeletons: str) -> list[str]:
        """What it found: words as they stand in the skeleton, patterns as they were written; at most a handful."""
        found: dict[str, None] = {}
        at = 0
        while self.words and len(found) < _SHOWN_MAX:
            match = self.words.search(skeletons, at)
            if not match:
                break
            found[match[1][:60]] = None
            at = match.end(1)  # what ends one word may begin the next
        if self.patterns is not None:
            found |= dict.fromkeys(
                [self.entries[index] for index in sorted(self.patterns.Match(folded) or ())][:_SHOWN_MAX]
            )
        return list(found)


def compile_list(given: WordList) -> Matcher:
    """Raises WrongPattern."""
    patterns, entries = None, tuple(entry for entry in given.entries if is_pattern(entry))
    if entries:
        for entry in entries:
            check_pattern(entry)
        patterns = re2.Set.SearchSet(_options(case_sensitive=False))
        for entry in entries:
            patterns.Add(entry[1:-1])
        patterns.Compile()
    return Matcher(given.name, given.outcome, compile_words(given.entries), patterns, entries)


def compile_words(entries: Iterable[str]) -> Any:
    """All words of a list as one automaton, None for none. Its first group is the word."""
    words = sorted(
        {_word(entry) for entry in entries if not is_pattern(entry)} - {"", f"{_LETTER}*", f"{_LETTER}*" * 2}
    )
    if not words:
        return None
    try:
        return re2.compile(f"{_EDGE}({'|'.join(words)}){_END}", _options(case_sensitive=True))
    except re2.error:
        raise WrongPattern("the list is too large") from None
