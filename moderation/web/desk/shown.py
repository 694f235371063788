"""A text as moderators see it: everything is text, what rules found is marked, and characters that hide are named."""

import unicodedata
from collections.abc import Iterable
from itertools import pairwise

from markupsafe import Markup, escape

from moderation.screening import highlight

# What changes a text without being seen. Joiners (U+200C, U+200D) are not among them: Persian and emoji need them.
_HIDDEN = frozenset(
    map(chr, [0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x180E, 0x200B, 0x200E, 0x200F, 0x3164, 0xFEFF, 0xFFA0, *range(0x202A, 0x202F), *range(0x2060, 0x2070)])
)  # fmt: skip
_TAG_CHARACTERS = range(0xE0000, 0xE0080)
_NAMED_MAX = 500
_ABBREVIATIONS = {
    "\u200b": "ZWSP", "\u200e": "LRM", "\u200f": "RLM", "\u061c": "ALM", "\ufeff": "BOM", "\u00ad": "SHY", "\u2060": "WJ",
    "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO",
    "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI",
}  # fmt: skip


def _is_hidden(character: str) -> bool:
    return character in _HIDDEN or ord(character) in _TAG_CHARACTERS


def _named(character: str) -> Markup:
    name = unicodedata.name(character, f"U+{ord(character):04X}")
    short = _ABBREVIATIONS.get(character) or "".join(word[0] for word in name.replace("-", " ").split())
    return Markup('<span class="unseen" title="U+{:04X} {}">{}</span>').format(ord(character), name, short)


def _plain(text: str, budget: list[int]) -> Markup:
    parts: list[Markup] = []
    done = 0
    for place, character in enumerate(text):
        if _is_hidden(character):
            parts.append(escape(text[done:place]))
            if budget[0] > 0:
                parts.append(_named(character))
            budget[0] -= 1
            done = place + 1
    return Markup("").join([*parts, escape(text[done:])])


def text(said: str, reasons: Iterable[tuple[str, str]] = ()) -> Markup:
    """The whole text as safe HTML; lines are broken by CSS."""
    spans = highlight.spans(said, reasons)
    edges = [0, *(edge for span in spans for edge in span), len(said)]
    budget = [_NAMED_MAX]
    parts = []
    for index, (start, end) in enumerate(pairwise(edges)):
        piece = _plain(said[start:end], budget)
        parts.append(Markup("<mark>{}</mark>").format(piece) if index % 2 else piece)
    return Markup("").join(parts)
