"""One spelling for all the ways of writing a word, for matching only; what people read is never folded.

Compatibility forms (NFKC), case, invisible characters, vowel marks and tatweel, the forms of alef, ya, kaf and ta marbuta, Arabic and Persian
digits, letters of other scripts that look Latin (UTS 39), and digits and signs that stand for letters.
"""

import re
from functools import lru_cache

from moderation.normal import nfkd

# Marks that are laid over a letter and change neither it nor the word: Latin and Greek accents (and zalgo), Hebrew points, Arabic
# vowels. Indic vowel signs are letters of their own and stay.
_MARKS = (
    (0x0300, 0x036F), (0x0483, 0x0489), (0x0591, 0x05BD), (0x05BF, 0x05C7), (0x0610, 0x061A), (0x064B, 0x065F), (0x0670, 0x0670), (0x06D6, 0x06DC),
    (0x06DF, 0x06E4), (0x06E7, 0x06E8), (0x06EA, 0x06ED), (0x08D3, 0x08FF), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE00, 0xFE0F), (0xFE20, 0xFE2F),
)  # fmt: skip
_INVISIBLE = (0x00AD, 0x034F, 0x061C, 0x0640, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x3164, 0xFEFF, 0xFFA0, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xE0000, 0xE0080))  # fmt: skip
_ARABIC = {
    "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ٲ": "ا", "ٳ": "ا", "ى": "ي", "ی": "ي", "ې": "ي", "ے": "ي", "ئ": "ي", "ؤ": "و", "ۆ": "و", "ۇ": "و",
    "ک": "ك", "ڪ": "ك", "ة": "ه", "ۀ": "ه", "ە": "ه", "ہ": "ه", "ھ": "ه", "ۃ": "ه",
}  # fmt: skip
# Cyrillic, Greek and other letters that a reader takes for Latin ones, in capitals or in small letters.
_LOOKALIKES = {
    "а": "a", "в": "b", "е": "e", "ё": "e", "з": "e", "һ": "h", "н": "h", "і": "i", "ї": "i", "ј": "j", "к": "k", "м": "m", "о": "o", "р": "p", "с": "c", "т": "t", "у": "y",
    "х": "x", "ѕ": "s", "ԁ": "d", "ԛ": "q", "ԝ": "w", "ѵ": "v", "ӏ": "i", "ь": "b", "п": "n", "г": "r", "и": "u",
    "α": "a", "β": "b", "ε": "e", "η": "h", "ι": "i", "κ": "k", "ν": "n", "ο": "o", "ρ": "p", "τ": "t", "υ": "y", "χ": "x", "ω": "w", "γ": "y", "σ": "o", "ς": "c", "μ": "m", "ζ": "z",
    "ı": "i", "ɩ": "i", "ɑ": "a", "ɡ": "g", "ø": "o", "đ": "d", "ħ": "h", "ł": "i", "ŧ": "t", "ƀ": "b", "օ": "o", "ո": "n", "ս": "u", "հ": "h", "ց": "g",
    "ᴀ": "a", "ʙ": "b", "ᴄ": "c", "ᴅ": "d", "ᴇ": "e", "ꜰ": "f", "ɢ": "g", "ʜ": "h", "ɪ": "i", "ᴊ": "j", "ᴋ": "k", "ʟ": "i", "ᴍ": "m", "ɴ": "n", "ᴏ": "o", "ᴘ": "p", "ʀ": "r", "ꜱ": "s", "ᴛ": "t", "ᴜ": "u", "ᴠ": "v", "ᴡ": "w", "ʏ": "y", "ᴢ": "z",
}  # fmt: skip
_LEET = {"0": "o", "1": "i", "l": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g", "@": "a", "$": "s", "€": "e", "£": "i", "|": "i", "!": "i"}  # fmt: skip
_DROP: dict[int, str | None] = dict.fromkeys([code for first, last in _MARKS for code in range(first, last + 1)])
_DROP |= dict.fromkeys(_INVISIBLE)
_UNSEEN: dict[int, str | None] = dict.fromkeys(_INVISIBLE)
_PLAIN: dict[int, str | None] = _DROP | {ord(k): v for k, v in _ARABIC.items()} | {
    ord(zero) + n: str(n) for zero in "٠۰" for n in range(10)
}  # fmt: skip
_SMALL_CAPITALS = frozenset(map(ord, "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ"))
_SKELETON: dict[int, str | None] = {ord(k): v for k, v in (_LOOKALIKES | _LEET).items()}
_SALUTATION, _SALUTATIONS_MAX = "\ufdfa", 50  # one character of eighteen letters


# A word with what may stand for letters in the middle of it; a sign at its edge is punctuation.
_TOKEN = re.compile(r"[^\W_]+(?:[!|@$€£]+[^\W_]+)*")
_SIGN_OR_DIGIT = re.compile(r"[0-9!|@$€£]")
_LATIN = re.compile(r"[a-z]")
_OTHERS = re.compile(f"[{''.join(_LOOKALIKES)}]")


@lru_cache(maxsize=8)  # several rules look at the same text
def fold(text: str) -> str:
    """Without what only changes how a text looks. Linear; letters that stand for phrases are only spelled out while they are few."""
    if text.isascii():
        return text.lower()
    if text.count(_SALUTATION) > _SALUTATIONS_MAX:
        text = text.replace(_SALUTATION, " ")
    return nfkd(text).casefold().translate(_PLAIN)


def visible(text: str) -> str:
    """Without characters that are not seen."""
    return text if text.isascii() else text.translate(_UNSEEN)


def skeleton(text: str) -> str:
    """What a reader sees: folded, and every letter and sign as the Latin letter that it looks like."""
    return fold(text).translate(_SKELETON)


@lru_cache(maxsize=8)
def disguised(text: str) -> str:
    """The words of a text that mix scripts, or letters with signs and digits, as a reader sees them. Plain words in one script are no
    disguise: Russian «вот» is not «bot», and 455 is a number.
    """
    folded = fold(text)
    if not (_SIGN_OR_DIGIT.search(folded) or _OTHERS.search(folded)):
        return ""
    return " ".join([word.translate(_SKELETON) for word in _TOKEN.findall(folded) if _is_disguise(word)])


def _is_disguise(word: str) -> bool:
    latin, others = _LATIN.search(word), _OTHERS.search(word)
    if latin and others:
        return True
    return bool((latin or others or any(c.isalpha() for c in word)) and _SIGN_OR_DIGIT.search(word)) or bool(
        others and ord(others[0]) in _SMALL_CAPITALS
    )


@lru_cache(maxsize=2048)
def name_key(name: str) -> str:
    """One spelling of a person's name: look-alikes, spaces and punctuation apart."""
    return "".join(c for c in skeleton(name) if c.isalnum())[:100]
