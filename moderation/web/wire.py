"""What aiohttp answers by itself, before a handler of ours sees a request: in our form, without the client's bytes, which may
hold an address, and without the names of our libraries. aiohttp has no setting for any of the three.
"""

from typing import Any

from aiohttp import hdrs, http_parser, web, web_response, web_urldispatcher

from moderation.errors import BadRequest, ConfigurationError
from moderation.log import get_logger
from moderation.web import problem
from moderation.web.answer import SAFE

log = get_logger(__name__)
NAME = "moderation"


_NO_PARSER = (
    "aiohttp works without its C parser, and the one in Python takes requests that a proxy in front may read otherwise (smuggling): "
    "unset AIOHTTP_NO_EXTENSIONS, or install aiohttp again from a wheel or with a C compiler"
)


def take_over() -> None:
    """For the whole process; doing it twice changes nothing. Raises ConfigurationError without aiohttp's strict parser."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ConfigurationError([_NO_PARSER])
    web_response.SERVER_SOFTWARE = NAME  # type: ignore[attr-defined]
    web.RequestHandler.handle_error = _refuse  # type: ignore[method-assign,assignment]
    web_urldispatcher._default_expect_handler = _expect


def _refuse(_: Any, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: Any = None) -> web.StreamResponse:  # fmt: skip
    """What is no HTTP, or a mistake of ours outside of every handler. The connection ends: nobody knows where the next request begins."""
    if status >= 500:
        log.error("unexpected error", exc_info=exc)
    if request.writer.output_size > 0:
        raise ConnectionError("an answer was begun already")
    response = problem.plain(status, BadRequest.message if status < 500 else problem.title_of(status, "en"), "en")
    response.headers.update(SAFE)
    response.force_close()
    return response


async def _expect(request: web.Request) -> None:
    """`100-continue` is answered; what else somebody expects is not looked at (RFC 9110, section 10.1.1, leaves it to us)."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
