"""Word lists and links."""

import re

from moderation.model import Submission
from moderation.screening.folding import fold
from moderation.screening.folding import skeleton as skeleton_of
from moderation.screening.outcome import SEVERITY, Facts, Reason
from moderation.screening.rulebook import Rulebook

_LINK = re.compile(r"https?://|\bwww\.", re.IGNORECASE)
# Letters written apart, such as s.p.a.m or s p a m; joined, they are looked for too.
_APART = re.compile(r"(?:(?<=[\W_])|^)(?:[^\W\d_][\s.\-_*]){3,40}[^\W\d_](?![^\W_])")
_APART_SEPARATORS = str.maketrans(dict.fromkeys(" \t\n.-_*"))
_LOOKS_APART = re.compile(r"[^\W\d_][\s.\-_*][^\W\d_][\s.\-_*][^\W\d_][\s.\-_*]")


def links(said: Submission, _: Facts, book: Rulebook) -> Reason | None:
    """More links than the site takes. The url field is none."""
    most, text = book.policy.max_links, said.text
    if most is None or not ("://" in text or "www." in text.lower()):
        return None
    count = len(_LINK.findall(text))
    return Reason("links", book.policy.links, f"{count} links, {most} are usual") if count > most else None


def _apart(skeleton: str) -> str:
    if not _LOOKS_APART.search(skeleton):
        return ""
    return " ".join(found[0].translate(_APART_SEPARATORS) for found in _APART.finditer(skeleton))


def word_lists(said: Submission, _: Facts, book: Rulebook) -> Reason | None:
    """The gravest of the lists that find something in name, text or url; allowed words are taken out before."""
    if not book.lists:
        return None
    folded, shown = fold(said.text), skeleton_of(said.text)
    if said.name or said.url:
        short = f"{said.name}\n{said.url}\n"
        folded, shown = fold(short) + folded, skeleton_of(short) + shown
    if book.allow_words is not None:
        shown = book.allow_words.sub(" ", shown)
    together = _apart(shown)
    if together:
        shown = f"{shown}\n{together}"
    worst: Reason | None = None
    for one in book.lists:
        found = one.find(folded, shown)
        if found and (worst is None or SEVERITY[one.outcome] > SEVERITY[worst.verdict]):
            worst = Reason("word_lists", one.outcome, f"{one.name}: {', '.join(found)}")
    return worst
