"""The learned risk: logistic regression over hashed words, pairs of words and letters, taught one decision at a time. Any script.

Pure: weights in, risk out. The store keeps the weights and takes the steps, each atomic (lua/learn.lua), each taken back by undo.
"""

import itertools
import math
import re
from collections.abc import Mapping
from zlib import crc32

from moderation.screening.folding import fold

BUCKETS = 1 << 16
RATE = 2.5  # of a step; features are normalised, so one lesson moves a text's log-odds by about this much
BIAS = 0
_WORD = re.compile(r"[^\W_]+")
_URL = re.compile(r"https?://([^\s/?#]+)")
_WORDS_MAX, _FEATURES_MAX = 80, 260
_TOP, _READABLE = 3, "wphndl"


def _names(name: str, text: str, url: str, email_domain: str) -> list[str]:
    folded = fold(text[:4000])
    words = _WORD.findall(folded)[:_WORDS_MAX]
    found = [f"w {word}" for word in words]
    found += [f"p {a} {b}" for a, b in itertools.pairwise(words)]
    for word in words:
        if len(word) > 4:  # pieces of words: other endings, other spellings
            found += [f"c {word[:4]}", f"c {word[-4:]}"]
    links = text.count("://")
    found += [f"h {host.lower()}" for host in _URL.findall(text[:4000])[:10]]
    found += [f"n {word}" for word in _WORD.findall(fold(name))[:4]]
    found += [f"l {min(links, 5)}", f"s {len(text).bit_length()}", f"d {email_domain}", f"u {bool(url)}"]
    return found[:_FEATURES_MAX]


def features(name: str, text: str, url: str, email_domain: str) -> list[int]:
    """Indexes of the weights that a comment asks for, each once. 0 is the bias and is not among them."""
    return sorted({_index(one) for one in _names(name, text, url, email_domain)})


def _index(name: str) -> int:
    return crc32(name.encode()) % (BUCKETS - 1) + 1


def risk(weights: Mapping[int, float], found: list[int]) -> float:
    """The probability that a moderator would not publish it; 0.5 for who knows nothing. `weights` holds the bias under 0."""
    if not found:
        return 0.5
    total = sum([weights.get(index, 0.0) for index in found])
    return _sigmoid(weights.get(BIAS, 0.0) + total / math.sqrt(len(found)))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))


def top(weights: Mapping[int, float], name: str, text: str, url: str, email_domain: str) -> tuple[str, ...]:
    """What speaks most for a risk, as words a moderator can read."""
    scored = {
        one: weights.get(_index(one), 0.0) for one in _names(name, text, url, email_domain) if one[0] in _READABLE
    }
    best = sorted((-weight, one) for one, weight in scored.items() if weight > 0)[:_TOP]
    return tuple(_readable(one) for _, one in best)


def _readable(one: str) -> str:
    kind, _, rest = one.partition(" ")
    return {"l": f"{rest} links", "n": f"name {rest}"}.get(kind, rest)
