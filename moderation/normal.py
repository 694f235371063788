"""Unicode normal forms (UAX 15) that take linear time. Pure.

Putting combining marks in order is quadratic in the length of a run of them, and anybody may send a run of thirty thousand. No writing needs
more than thirty on one letter (UAX 15, section 13: stream-safe text); what is beyond is cut.
"""

import re
import unicodedata

RUN_MAX = 30
_SHORT = 1000  # a run this long takes a millisecond at most
_PLANES = (range(0x300, 0x3100), range(0xA600, 0xAC00), range(0xFB00, 0x10000), range(0x10000, 0x12000), range(0x16A00, 0x17000), range(0x1BC00, 0x1EA00))  # fmt: skip


def _marks() -> str:
    found, start, last = list[str](), -1, -2
    for code in (code for plane in _PLANES for code in plane if unicodedata.combining(chr(code))):
        if code != last + 1:
            if start >= 0:
                found.append(f"{chr(start)}-{chr(last)}")
            start = code
        last = code
    return "".join([*found, f"{chr(start)}-{chr(last)}"])


_RUN = re.compile(f"([{_marks()}]{{{RUN_MAX}}})[{_marks()}]+")


def _safe(text: str) -> str:
    return text if len(text) <= _SHORT or text.isascii() else _RUN.sub(r"\1", text)


def nfc(text: str) -> str:
    """Composed, as text is kept."""
    return unicodedata.normalize("NFC", _safe(text))


def nfkd(text: str) -> str:
    """Taken apart, compatibility forms too, for matching."""
    return unicodedata.normalize("NFKD", _safe(text))
