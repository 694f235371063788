"""The common answers."""

from typing import Any

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from multidict import CIMultiDict, istr
from pydantic_core import to_json

SAFE = {istr("X-Content-Type-Options"): "nosniff", hdrs.CACHE_CONTROL: "no-store"}
# made once and copied: building them anew was 2 % of the submission path
_JSON = CIMultiDict({hdrs.CONTENT_TYPE: "application/json", **SAFE})


def json(data: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=to_json(data), status=status, headers=_JSON.copy())


class Receipt(web.Response):
    """A JSON answer of the submission path. As it mostly is, it leaves as ready bytes: aiohttp's own way to put a head together and write it
    is a tenth of the time of a submission (docs/performance.md). With any header more, or an old or ending connection, it goes that way.
    """

    def __init__(self, data: Any, status: int) -> None:
        super().__init__(body=to_json(data), status=status, headers=_JSON.copy())

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Writes all of it."""
        transport = request.transport
        if (
            len(self.headers) != len(_JSON)
            or self._keep_alive is False
            or self._cookies
            or not request.keep_alive
            or request.version != HttpVersion11
            or transport is None
            or transport.is_closing()
        ):
            return await super().prepare(request)
        assert isinstance(self.body, bytes)
        transport.write(_WHOLE % (_LINES[self.status], rfc822_formatted_time().encode(), len(self.body), self.body))
        self._keep_alive = self._eof_sent = True
        if request.protocol.writing_paused:
            await request.writer.drain()
        return None


_LINES = {201: b"201 Created", 202: b"202 Accepted"}
_WHOLE = (
    b"HTTP/1.1 %b\r\n"
    + b"".join(f"{name}: {value}\r\n".encode() for name, value in _JSON.items())
    + b"Date: %b\r\nContent-Length: %d\r\n\r\n%b"
)
