"""Text → what may be shown: safe HTML, direction, bidi controls made harmless. Only on the way out; storage keeps text."""

import html
import re
import unicodedata

import nh3

_URL = re.compile(r"https?://[^\s<>\"'«»\u2066-\u2069\u202a-\u202e]{1,2000}", re.IGNORECASE)
_OPENERS = {"\u202a": "\u202c", "\u202b": "\u202c", "\u202d": "\u202c", "\u202e": "\u202c"}
_ISOLATES = "\u2066\u2067\u2068"
_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_TAGS = {"p", "br", "a"}
_RTL_LANGUAGES = frozenset(
    [
        "ar",
        "arc",
        "apc",
        "bal",
        "bgn",
        "ckb",
        "dv",
        "fa",
        "he",
        "iw",
        "ks",
        "lrc",
        "mzn",
        "nqo",
        "ps",
        "rhg",
        "sd",
        "sdh",
        "skr",
        "syr",
        "trw",
        "ug",
        "ur",
        "yi",
    ]
)


def direction(locale: str) -> str:
    """`rtl` or `ltr` of a language tag. A script subtag (uz-Arab) decides over the language."""
    plain = re.split("-[a-z0-9](?:-|$)", locale.replace("_", "-").lower(), maxsplit=1)[0]  # without extensions
    parts = plain.split("-")
    if any(part in {"arab", "hebr", "thaa", "syrc", "nkoo", "adlm", "rohg"} for part in parts[1:]):
        return "rtl"
    if any(len(part) == 4 and part.isalpha() for part in parts[1:]):  # any other script, such as sd-Deva
        return "ltr"
    return "rtl" if parts[0] in _RTL_LANGUAGES else "ltr"


def text_direction(text: str, fallback: str = "ltr") -> str:
    """The first strong character decides, as in the Unicode bidirectional algorithm (UAX 9, P2 and P3)."""
    for character in text[:2000]:
        kind = unicodedata.bidirectional(character)
        if kind in {"R", "AL"}:
            return "rtl"
        if kind == "L":
            return "ltr"
    return fallback


def close_bidi(text: str) -> str:
    """Close what a line leaves open, so that no control reaches past it; the line itself reads as it was written."""
    if not _CONTROLS.search(text):
        return text
    return "\n".join(_close_line(line) for line in text.split("\n"))


def _close_line(line: str) -> str:
    open_: list[str] = []
    kept: list[str] = []
    for character in line:
        if character in _OPENERS:
            open_.append("\u202c")
        elif character in _ISOLATES:
            open_.append("\u2069")
        elif character in "\u202c\u2069":
            if character not in open_:
                continue  # closes something outside of this text
            while open_.pop() != character:
                pass
        kept.append(character)
    return "".join(kept) + "".join(reversed(open_))


def plain_line(text: str) -> str:
    """A name or title for one line: without bidi controls, which could scramble what stands beside it."""
    return _CONTROLS.sub("", text)


def _link(match: re.Match[str]) -> str:
    url = match[0]
    tail = ""
    while url and url[-1] in ".,;:!?)]}،؛؟…":
        if url[-1] == ")" and url.count("(") >= url.count(")"):
            break
        tail = url[-1] + tail
        url = url[:-1]
    escaped = html.escape(url)
    return f'<a href="{escaped}">{escaped}</a>{html.escape(tail)}'


def to_html(text: str) -> str:
    """Paragraphs, line breaks and links; everything else is text. Sanitised by nh3 after all, whatever went before."""
    text = _CONTROLS.sub("", text)
    out: list[str] = []
    for paragraph in re.split(r"\n{2,}", text.strip("\n")):
        done = 0
        parts: list[str] = []
        for match in _URL.finditer(paragraph):
            parts += [html.escape(paragraph[done : match.start()]), _link(match)]
            done = match.end()
        parts.append(html.escape(paragraph[done:]))
        out.append(f'<p dir="auto">{"".join(parts)}</p>'.replace("\n", "<br>"))
    return nh3.clean(
        "".join(out),
        tags=_TAGS,
        attributes={"p": {"dir"}, "a": {"href"}},
        url_schemes={"http", "https"},
        link_rel="nofollow ugc noopener",
    )
