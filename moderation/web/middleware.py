"""Around every request: errors become answers, answers get their safety headers."""

import secrets

from aiohttp import web
from aiohttp.typedefs import Handler

from moderation.errors import ModerationError, NotFound, Unavailable
from moderation.i18n import accepted, translate
from moderation.log import get_logger
from moderation.store.pipe import ReplyError
from moderation.web import problem

log = get_logger(__name__)
CORS_ORIGIN = web.RequestKey("CORS_ORIGIN", str)
OURS = "A mistake of ours; its number is %(number)s."
WRONG_METHOD = "This address does not take this method."
_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def locale_of(request: web.Request, fallback: str = "en") -> str:
    """The visitor's language, as far as we speak it."""
    return accepted(request.headers.get("Accept-Language", ""), fallback)


@web.middleware
async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Never 500 for anything a client can send; an error of ours is logged with a number that the client can name."""
    try:
        response = await handler(request)
    except ModerationError as error:
        if isinstance(error, ReplyError):
            log.error(
                "redis refused a command",
                problem=str(error)[:300],
                path=request.match_info.route.resource and request.match_info.route.resource.canonical,
            )
        response = problem.answer(error, locale_of(request))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        detail = (
            translate(locale_of(request), NotFound.message)
            if error.status == 404
            else translate(locale_of(request), WRONG_METHOD)
            if error.status == 405
            else error.reason
        )
        response = problem.plain(error.status, detail, locale_of(request), allow)
    except (ConnectionError, TimeoutError):
        response = problem.answer(Unavailable(), locale_of(request))
    except Exception:
        number = secrets.token_hex(4)
        log.exception("unexpected error", number=number)
        response = problem.plain(500, translate(locale_of(request), OURS, number=number), locale_of(request))
    if not response.prepared:
        headers = response.headers
        for name, value in _SAFE.items():
            if name not in headers:
                headers[name] = value
        origin = request.get(CORS_ORIGIN)
        if origin:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Vary"] = "Origin"
            headers["Access-Control-Expose-Headers"] = "ETag, Retry-After"
    return response
