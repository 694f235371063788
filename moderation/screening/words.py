"""Word lists and links."""

import re

from moderation.model import Submission
from moderation.screening.folding import disguised, fold, skeleton
from moderation.screening.lists import without
from moderation.screening.outcome import SEVERITY, Facts, Reason
from moderation.screening.rulebook import Rulebook

_LINK = re.compile(r"https?://|(?<!/)\bwww\.", re.IGNORECASE)
# Letters written apart, such as s.p.a.m or v  i  a  g  r  a; joined, words are looked for inside of them.
_APART = re.compile(r"(?<![^\W_])(?:[^\W\d_][\W_]{1,3}){3,40}[^\W\d_](?![^\W_])")
_LOOKS_APART = re.compile(r"(?<![^\W_])[^\W\d_][\W_]{1,3}[^\W\d_][\W_]{1,3}[^\W\d_](?![^\W_])")
_NO_LETTER = re.compile(r"[\W_]+")


def links(said: Submission, _: Facts, book: Rulebook) -> Reason | None:
    """More links than the site takes. The url field is none."""
    most, text = book.policy.max_links, said.text
    if most is None or not ("://" in text or "www." in text.lower()):
        return None
    count = len(_LINK.findall(text))
    return Reason("links", book.policy.links, f"{count} links, {most} are usual") if count > most else None


def _apart(folded: str) -> str:
    if not _LOOKS_APART.search(folded):
        return ""
    return " ".join([skeleton(_NO_LETTER.sub("", found[0])) for found in _APART.finditer(folded)])


def word_lists(said: Submission, _: Facts, book: Rulebook) -> Reason | None:
    """The gravest of the lists that find something in name, text or url; allowed words are taken out before."""
    if not book.lists:
        return None
    folded, hidden = fold(said.text), disguised(said.text)
    if said.name or said.url:
        short = f"{said.name}\n{said.url}\n"
        folded, hidden = fold(short) + folded, f"{disguised(short)} {hidden}"
    folded = without(book.allow_words, folded)
    apart = _apart(folded)
    worst: Reason | None = None
    for one in book.lists:
        found = one.find(folded, hidden, apart)
        if found and (worst is None or SEVERITY[one.outcome] > SEVERITY[worst.verdict]):
            worst = Reason("word_lists", one.outcome, f"{one.name}: {', '.join(found)}")
    return worst
