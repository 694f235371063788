"""XML as a stream of beginnings and ends. Expat reads; entities are refused, everything is bounded."""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple
from xml.parsers import expat

from moderation.errors import Unreadable

_CHUNK = 1 << 16
_TEXT_MAX = 1 << 18  # characters of one element that are kept: four times what a comment may have
_TOKEN_MAX = 1 << 22  # bytes that expat may hold back: a tag or comment without end
_DEPTH_MAX = 100
_CUT = frozenset({3, 5, 20})  # XML_ERROR_NO_ELEMENTS, _UNCLOSED_TOKEN, _UNCLOSED_CDATA_SECTION
_ENCODING = re.compile(rb"""^<\?xml[^>]{0,200}?encoding=["']([A-Za-z0-9._-]{1,40})["']""")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Start(NamedTuple):
    """An element begins; `path` is the names from the root on, slashes between."""

    path: str
    attributes: dict[str, str]


class End(NamedTuple):
    """It ends; `text` is what stood directly in it, if it holds no others."""

    path: str
    text: str


class _Reader:
    def __init__(self) -> None:
        self.events: list[Start | End] = []
        self._paths: list[str] = []
        self._text: list[str] = []
        self._size = 0
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.EntityDeclHandler = self._entity

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._paths) == _DEPTH_MAX:
            raise Unreadable(f"It is nested too deeply at line {self.parser.CurrentLineNumber}.")
        self._paths.append(f"{self._paths[-1]}/{name}" if self._paths else name)
        self._forget()
        self.events.append(Start(self._paths[-1], attributes))

    def _end(self, _: str) -> None:
        self.events.append(End(self._paths.pop(), "".join(self._text)))
        self._forget()

    def _forget(self) -> None:
        self._text.clear()
        self._size = 0

    def _characters(self, text: str) -> None:
        if self._size < _TEXT_MAX:
            self._text.append(text)
            self._size += len(text)

    def _entity(self, *_: object) -> None:
        raise Unreadable("It declares entities, which no export does.")


def elements(file: BinaryIO) -> Iterator[Start | End]:
    """Every element of a document. What is no UTF-8 becomes U+FFFD, what XML forbids is left out (exports hold both).

    Raises Unreadable with the line for what is not well-formed, cut short, or declares entities.
    """
    reader, fed = _Reader(), 0
    parser = reader.parser
    try:
        for chunk in _utf8(file):
            fed += len(chunk)
            parser.Parse(chunk, False)
            if fed - max(parser.CurrentByteIndex, 0) > _TOKEN_MAX:
                raise Unreadable(f"Something has no end at line {parser.CurrentLineNumber}.")
            yield from reader.events
            reader.events.clear()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        yield from reader.events
        if error.code in _CUT:
            raise Unreadable(f"It is cut short: it ends at line {error.lineno} in the middle.") from None
        raise Unreadable(f"It is no XML at line {error.lineno}: {expat.ErrorString(error.code)}.") from None
    yield from reader.events


def _utf8(file: BinaryIO) -> Iterator[bytes]:
    chunk = file.read(_CHUNK)
    found = _ENCODING.match(chunk.removeprefix(codecs.BOM_UTF8))
    name = "utf-16" if chunk[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    if found and found[1].lower() not in {b"utf-8", b"utf8"}:
        name = found[1].decode()
    try:
        decoder = codecs.getincrementaldecoder(name)(errors="replace")
        "".encode(name)  # refuses what is no encoding of text
    except (LookupError, TypeError):
        raise Unreadable("Its encoding is not known.") from None
    while chunk:
        yield _NOT_XML.sub("", decoder.decode(chunk)).encode()
        chunk = file.read(_CHUNK)
    yield _NOT_XML.sub("", decoder.decode(b"", True)).encode()
