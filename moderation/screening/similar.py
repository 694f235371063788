"""Texts that say almost the same: min-hashes over pairs of words (Broder 1997), put together in bands.

Two texts that share a band are almost the same: with four fifths of their pairs in common 19 of 20 are found, with a third of them one of 4.
Links and numbers are left out: they are what a spam run changes.
"""

import itertools
import re
from zlib import crc32

from moderation.screening.folding import skeleton

_BANDS, _ROWS = 3, 2
_WORDS_MIN, _WORDS_MAX = 6, 200
_MASK = (1 << 32) - 1
_FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1, 0xD3A2646D)  # odd: each orders the hashes anew
_LEFT_OUT = re.compile(r"https?://\S+|www\.\S+|\b\d+\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")


def bands(text: str) -> tuple[str, ...]:
    """Three short names; none for a text too short to say anything twice by accident."""
    words = _WORD.findall(skeleton(_LEFT_OUT.sub(" ", text[:4000])))[:_WORDS_MAX]
    if len(words) < _WORDS_MIN:
        return ()
    pairs = {crc32(f"{a} {b}".encode()) for a, b in itertools.pairwise(words)}
    lowest = [min([factor * pair & _MASK for pair in pairs]) for factor in _FACTORS]
    return tuple(f"{n}{crc32(repr(lowest[n * _ROWS : (n + 1) * _ROWS]).encode()):08x}" for n in range(_BANDS))


def groups(texts: list[str]) -> list[int]:
    """For each text the index of the first one that it says almost the same as; itself when there is none before it."""
    first: dict[str, int] = {}
    found: list[int] = []
    for index, text in enumerate(texts):
        names = bands(text) or (f"={skeleton(text)}",)
        leader = min((first[name] for name in names if name in first), default=index)
        for name in names:
            first.setdefault(name, leader)
        found.append(leader)
    return found
