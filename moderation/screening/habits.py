"""Rules about how a text is written. Each looks at a bounded part: a text that is odd is odd at its beginning, too."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from moderation.model import Submission
from moderation.screening.outcome import Facts, Reason
from moderation.screening.rulebook import Rulebook

_SEEN_MAX = 4000
_RUN, _RULERS = 15, frozenset(" \n\t.-_=*#~")  # what lines are drawn with
_MARK = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff]")
_WORDS_MIN, _SAME_SHARE = 12, 0.5
_SHOUTED_MIN, _SHOUTED_SHARE = 20, 0.8
_MARKS_MIN, _MARKS_SHARE = 20, 0.34
_LETTERS_MIN, _LETTERS_MAX, _FOREIGN_SHARE = 10, 300, 0.5
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_BIDI_MAX = 8
_LINK = re.compile(r"https?://\S+")
# Language → scripts it is written in; languages that are not here are written in Latin.
_SCRIPTS = {
    "ARABIC": ("ar", "fa", "ur", "ps", "ckb", "sd", "ug", "ks", "dv"), "HEBREW": ("he", "yi"), "CYRILLIC": ("ru", "uk", "bg", "sr", "mk", "be", "kk", "ky", "mn", "tg"),
    "GREEK": ("el",), "DEVANAGARI": ("hi", "mr", "ne", "sa"), "BENGALI": ("bn", "as"), "TAMIL": ("ta",), "TELUGU": ("te",), "THAI": ("th",), "HANGUL": ("ko",),
    "CJK": ("zh", "ja", "ko"), "HIRAGANA": ("ja",), "KATAKANA": ("ja",), "GEORGIAN": ("ka",), "ARMENIAN": ("hy",), "ETHIOPIC": ("am", "ti"), "THAANA": ("dv",),
    "KHMER": ("km",), "LAO": ("lo",), "MYANMAR": ("my",), "GUJARATI": ("gu",), "GURMUKHI": ("pa",), "KANNADA": ("kn",), "MALAYALAM": ("ml",), "SINHALA": ("si",),
}  # fmt: skip
_NOT_LATIN = {"".join(language) for languages in _SCRIPTS.values() for language in languages} - {"sr", "kk", "mn"}


def repetition(said: Submission, _: Facts, book: Rulebook) -> Reason | None:
    """The same letter or the same word over and over, or more marks than letters can carry (zalgo)."""
    outcome, text = book.policy.repetition, said.text[:_SEEN_MAX]
    if outcome is None:
        return None
    for letter in set(text) - _RULERS if len(text) > _RUN else ():
        if letter * _RUN in text:
            return Reason("repetition", outcome, f"{_RUN} times {letter} in a row")
    if text.count(" ") + text.count("\n") >= _WORDS_MIN - 1:
        words = text.lower().split()
        word, count = Counter(words).most_common(1)[0]
        if len(words) >= _WORDS_MIN and count > len(words) * _SAME_SHARE:
            return Reason("repetition", outcome, f"{count} times {word[:40]}")
    if not text.isascii():
        marks = len(_MARK.findall(text))
        if marks >= _MARKS_MIN and marks > len(text) * _MARKS_SHARE:
            return Reason("repetition", outcome, f"{marks} marks on {len(text) - marks} letters")
        if len(_BIDI.findall(text)) > _BIDI_MAX:
            return Reason("repetition", outcome, "many controls of direction")
    return None


def shouting(said: Submission, _: Facts, book: Rulebook) -> Reason | None:
    """Mostly capitals, in scripts that have them."""
    outcome, text = book.policy.shouting, said.text[:_SEEN_MAX]
    if "://" in text:
        text = _LINK.sub(" ", text)
    if outcome is None or len(text) < _SHOUTED_MIN or text.islower():
        return None
    lower = text.lower()
    if lower == text:
        return None
    raised = sum(map(str.__ne__, text, lower)) if len(lower) == len(text) else sum(c.isupper() for c in text)
    if raised < _SHOUTED_MIN * _SHOUTED_SHARE:
        return None
    cased = raised + sum(c.islower() for c in text)
    if cased >= _SHOUTED_MIN and raised >= cased * _SHOUTED_SHARE:
        return Reason("shouting", outcome, f"{raised * 100 // cased} % capitals")
    return None


@lru_cache(maxsize=256)
def scripts_of(languages: tuple[str, ...]) -> frozenset[str]:
    """The scripts that these languages are written in, by the first word of Unicode's names of their letters."""
    bases = {language.partition("-")[0].lower() for language in languages}
    found = {script for script, spoken in _SCRIPTS.items() if bases & set(spoken)}
    return frozenset(found | ({"LATIN"} if bases - _NOT_LATIN else set()))


@lru_cache(maxsize=4096)
def _script(character: str) -> str:
    return unicodedata.name(character, "?").partition(" ")[0].partition("-")[0]


def foreign_script(said: Submission, _: Facts, book: Rulebook) -> Reason | None:
    """Mostly in a script that none of the site's languages is written in."""
    if not book.policy.languages:
        return None
    expected = scripts_of(book.policy.languages)
    text = said.text[: _LETTERS_MAX * 2]
    if "://" in text:
        text = _LINK.sub(" ", text)
    letters = [c for c in text[:_LETTERS_MAX] if c.isalpha()]
    if len(letters) < _LETTERS_MIN:
        return None
    counted = Counter(map(_script, letters))
    foreign = sum(count for script, count in counted.items() if script not in expected)
    if foreign <= len(letters) * _FOREIGN_SHARE:
        return None
    seen = max((count, script) for script, count in counted.items() if script not in expected)[1]
    return Reason("foreign_script", book.policy.scripts, seen.lower())
