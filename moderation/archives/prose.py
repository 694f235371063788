"""HTML of other systems → plain text as people type it: paragraphs, line breaks, quotes; links and pictures as their address."""

import html
import re
from urllib.parse import parse_qs, urlsplit

import nh3

_BLOCKS = frozenset(["p", "div", "blockquote", "pre", "ul", "ol", "li", "table", "tr", "hr", "h1", "h2", "h3", "h4", "h5", "h6"])  # fmt: skip
_HTML_MAX = 200_000  # characters: three times what a comment may have; taking apart what is nested deeply is quadratic
# What nh3 writes is well formed: the names in lower case, the values in double quotes.
_TAG = re.compile(r'<(/?)([a-z0-9]+)((?: [a-z-]+="[^"]*")*) ?/?>')
_VALUE = re.compile(r' (?:href|src)="([^"]*)"')
_SPACE = re.compile(r"[ \t\r\n\f]+")
_AUTOLINK = re.compile(r"<(https?://[^\s<>]{1,2000})>", re.IGNORECASE)


def to_text(markup: str, *, keep_lines: bool) -> str:
    """`keep_lines` where a line break in the source is one for the reader (WordPress, Isso); else it is a space (HTML)."""
    if len(markup) > _HTML_MAX:
        return markup  # too long as it is
    if keep_lines:
        if "<" not in markup and "&" not in markup:
            return markup
        markup = _AUTOLINK.sub(r"\1", markup)  # Markdown's way to write an address
    safe = nh3.clean(
        markup,
        tags={*_BLOCKS, "br", "a", "img"},
        attributes={"a": {"href"}, "img": {"src"}},
        url_schemes={"http", "https"},
        link_rel=None,
    )
    writer = _Writer(keep_lines)
    done = 0
    for match in _TAG.finditer(safe):
        writer.text(html.unescape(safe[done : match.start()]))
        done = match.end()
        value = _VALUE.search(match[3])
        writer.tag(match[2], bool(match[1]), html.unescape(value[1]) if value else "")
    writer.text(html.unescape(safe[done:]))
    return writer.end()


class _Writer:
    """Blocks of text, one after the other."""

    def __init__(self, keep_lines: bool) -> None:
        self._keep_lines = keep_lines
        self._out: list[str] = []
        self._block: list[str] = []
        self._quotes = self._pre = 0
        self._item = self._after_item = False
        self._link: tuple[str, int] | None = None  # its address, and where in the block its words begin

    def text(self, text: str) -> None:
        if not text:
            return
        if not self._keep_lines and not self._pre:
            text = _SPACE.sub(" ", text)
        if self._block and self._block[-1] == "\n":
            text = text.removeprefix("\n" if self._keep_lines else " ")
        self._block.append(text)

    def tag(self, name: str, closes: bool, value: str) -> None:
        if name == "br":
            self._block.append("\n")
        elif name == "img":
            self._block.append(value)
        elif name == "a" and not closes:
            self._link = (_unwrapped(value), len(self._block))
        elif name == "a":
            self._end_link()
        else:
            self._end_block()
            step = -1 if closes else 1
            self._quotes += step if name == "blockquote" else 0
            self._pre += step if name == "pre" else 0
            if name == "li":
                self._item = not closes

    def _end_link(self) -> None:
        if self._link is None:
            return
        address, start = self._link
        self._link = None
        said = "".join(self._block[start:])
        if address and not _says(said, address):
            self._block.append(f" ({address})")
        elif address:
            self._block[start:] = [address]

    def _end_block(self) -> None:
        text = "".join(self._block).strip("\n" if self._pre else None)
        self._block.clear()
        self._link = self._link and (self._link[0], 0)
        if not text:
            return
        item, self._item = self._item, False
        if item:
            text = "- " + text
        if self._quotes:
            text = "\n".join("> " * min(self._quotes, 5) + line for line in text.split("\n"))
        if self._out:
            self._out.append("\n" if item and self._after_item else "\n\n")
        self._out.append(text)
        self._after_item = item

    def end(self) -> str:
        self._end_block()
        return "".join(self._out)


def _says(words: str, address: str) -> bool:
    """Whether the words of a link are its address, whole or shortened, or none at all."""
    words = words.strip().rstrip("….").rstrip("/").lower()
    return not words or (words in address.lower() and ("." in words or "/" in words))


def _unwrapped(address: str) -> str:
    """Disqus leads links over a counter of its own: `disq.us/url?url=<address>:<signature>`."""
    try:
        parts = urlsplit(address)
        if parts.hostname not in {"disq.us", "redirect.disqus.com"}:
            return address
        inner = parse_qs(parts.query).get("url", [""])[0]
    except ValueError:
        return address
    return inner.rpartition(":")[0] if inner.count(":") > 1 else inner or address
