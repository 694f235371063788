"""Around every request: errors become answers, answers get their safety headers."""

import secrets

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from moderation.errors import BadRequest, ModerationError, NotFound, Unavailable
from moderation.i18n import accepted, translate
from moderation.log import get_logger
from moderation.store.connection import ReplyError
from moderation.web import pages, problem
from moderation.web.answer import SAFE
from moderation.web.context import Context

log = get_logger(__name__)
CORS_ORIGIN = web.RequestKey("CORS_ORIGIN", str)
LOCALE = web.RequestKey("LOCALE", str)  # what somebody who signed in chose
OURS = "A mistake of ours; its number is %(number)s."
WRONG_METHOD = "This address does not take this method."


def locale_of(request: web.Request, fallback: str = "en") -> str:
    """The language that was chosen at the desk, else the visitor's, as far as we speak it."""
    if len(request) and LOCALE in request:  # looking for what is not there raises and catches an error
        return request[LOCALE]
    wanted = request.headers.get(hdrs.ACCEPT_LANGUAGE)
    return accepted(wanted, fallback) if wanted else fallback


def _refuse(
    request: web.Request, status: int, title: str, detail: str, answer: web.Response, headers: dict[str, str]
) -> web.Response:
    """A page for a browser that opened a page, problem+json for everything else."""
    asks_for_page = "text/html" in request.headers.get("Accept", "").lower() and not request.path.startswith("/api/")
    if not asks_for_page:
        return answer
    page = pages.page(request, "error.html", locale_of(request), status=status, title=title, detail=detail)
    page.headers.update(headers)
    return page


def _refuse_error(request: web.Request, error: ModerationError) -> web.Response:
    if isinstance(error, ReplyError):
        log.error("redis refused a command", problem=str(error)[:300])
    locale = locale_of(request)
    told, answer = problem.as_dict(error, locale), problem.answer(error, locale)
    return _refuse(request, answer.status, told["title"], told["detail"], answer, problem.headers_of(error))


def _refuse_status(
    request: web.Request, status: int, message: str, headers: dict[str, str] | None = None
) -> web.Response:
    locale = locale_of(request)
    answer = problem.plain(status, message, locale, headers)
    return _refuse(request, status, problem.title_of(status, locale), message, answer, headers or {})


def outermost(context: Context) -> Middleware:
    """Never 500 for anything a client can send; an error of ours is logged with a number that the client can name. At the end
    every answer asks the client to come by another connection.
    """

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except ModerationError as error:
            response = _refuse_error(request, error)
        except web.HTTPException as error:
            if error.status < 400:
                _make_safe(request, error)
                raise
            messages = {404: NotFound.message, 405: WRONG_METHOD}
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            message = translate(locale_of(request), messages.get(error.status, BadRequest.message))
            response = _refuse_status(request, error.status, message, allow)
        except (ConnectionError, TimeoutError):
            response = _refuse_error(request, Unavailable())
        except Exception:
            number = secrets.token_hex(4)
            log.exception("unexpected error", number=number)
            response = _refuse_status(request, 500, translate(locale_of(request), OURS, number=number))
        if not response.prepared:
            _make_safe(request, response)
            if context.draining:
                response.force_close()
        return response

    return around


def _make_safe(request: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    for name, value in SAFE.items():
        if name not in headers:
            headers[name] = value
    origin = request.get(CORS_ORIGIN) if len(request) else None
    if origin:
        headers["Access-Control-Allow-Origin"] = origin
        if origin != "*":  # a page of the site: the proof of an address may come along (moderation/stamps.py)
            headers["Access-Control-Allow-Credentials"] = "true"
        headers["Vary"] = f"{headers['Vary']}, Origin" if "Vary" in headers else "Origin"
        headers["Access-Control-Expose-Headers"] = "ETag, Retry-After"
