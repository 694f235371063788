"""The common answers."""

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from multidict import CIMultiDict, istr
from pydantic_core import to_json

# On every answer that says nothing else. What is no page of ours is none in a frame or under a guessed type either.
SAFE = {
    istr("X-Content-Type-Options"): "nosniff",
    hdrs.CACHE_CONTROL: "no-store",
    istr("Content-Security-Policy"): "default-src 'none'; frame-ancestors 'none'",
    istr("Referrer-Policy"): "no-referrer",
}
# made once and copied: building them anew was 2 % of the submission path
_JSON = CIMultiDict({hdrs.CONTENT_TYPE: "application/json", **SAFE})


_NOT_AT_ALL = re.compile(r"q=0(\.0*)?")


class Whole(web.Response):
    """A body of bytes that leaves with its head in one write. aiohttp puts every head together anew, which is a tenth of the time of a
    submission (docs/performance.md); here each that was met before is kept. What is not so simple goes aiohttp's way.
    """

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Writes all of it."""
        transport, body = request.transport, self.body
        if (
            type(body) is not bytes
            or not body
            or self._keep_alive is False
            or self._cookies
            or not request.keep_alive
            or request.version != HttpVersion11
            or request.method == hdrs.METH_HEAD
            or transport is None
            or transport.is_closing()
        ):
            return await super().prepare(request)
        head = _head(self.status, tuple(self.headers.items()))
        transport.write(
            b"%b%b\r\nContent-Length: %d\r\n\r\n%b" % (head, rfc822_formatted_time().encode(), len(body), body)
        )
        self._keep_alive = self._eof_sent = True
        if request.protocol.writing_paused:
            await request.writer.drain()
        return None


@lru_cache(maxsize=1024)
def _head(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Up to the date, which comes last. Raises ValueError for what would end a line."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers)]
    if any(c in line for line in lines for c in "\r\n\0"):
        raise ValueError("a header holds a line break")
    return "\r\n".join([*lines, "Date: "]).encode()


def json(data: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return Whole(body=to_json(data), status=status, headers=_JSON.copy())


def takes_gzip(request: web.Request) -> bool:
    """Whether whoever asks can read it (RFC 9110, section 12.5.3)."""
    wanted = request.headers.get(hdrs.ACCEPT_ENCODING)
    return wanted is not None and _names_gzip(wanted)


@lru_cache(maxsize=256)
def _names_gzip(wanted: str) -> bool:
    for part in wanted.split(","):
        coding, _, weight = part.replace(" ", "").lower().partition(";")
        if coding == "gzip":
            return not _NOT_AT_ALL.fullmatch(weight)
    return False
