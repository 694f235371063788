"""The one place where a ModerationError becomes an answer: problem+json (RFC 9457) or a page."""

from typing import Any

from aiohttp import web
from pydantic_core import to_json

from moderation import errors
from moderation.i18n import translate

STATUS: dict[type[errors.ModerationError], int] = {
    errors.BadRequest: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedType: 415,
    errors.Invalid: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
_TITLES = {
    400: "Bad request", 401: "Not signed in", 403: "Not allowed", 404: "Not found", 405: "Wrong method", 409: "Conflict",
    413: "Too large", 415: "Unsupported type", 422: "Not accepted", 429: "Too many requests", 500: "Our mistake", 503: "Not available",
}  # fmt: skip


def status_of(error: errors.ModerationError) -> int:
    """The HTTP status of an error; what is no client's mistake is Redis's absence."""
    return STATUS.get(type(error), 503)


def message_of(error: errors.ModerationError, locale: str) -> str:
    """What to tell the reader, in the reader's language."""
    if status_of(error) == 503 and not isinstance(error, errors.Unavailable):
        return translate(locale, errors.Unavailable.message)
    return translate(locale, error.message, **error.params)


def field_messages(error: errors.Invalid, locale: str) -> list[dict[str, str]]:
    """Every field error, localised."""
    return [
        {"field": e.field, "code": e.code, "message": translate(locale, e.message, **e.params) if e.message else e.code}
        for e in error.errors
    ]


def headers_of(error: errors.ModerationError) -> dict[str, str]:
    """Retry-After for those who should come back, the challenge for those who should sign in."""
    if isinstance(error, errors.TooMany):
        return {"Retry-After": str(error.retry_after_seconds)}
    if status_of(error) == 503:
        return {"Retry-After": str(errors.Unavailable.retry_after_seconds)}
    if isinstance(error, errors.Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def as_dict(error: errors.ModerationError, locale: str) -> dict[str, Any]:
    """The members of RFC 9457, `code`, and `errors` for field errors."""
    status = status_of(error)
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": translate(locale, _TITLES[status]),
        "status": status,
        "detail": message_of(error, locale),
        "code": error.code if status != 503 else "unavailable",
    }
    if isinstance(error, errors.Invalid):
        problem["errors"] = field_messages(error, locale)
    return problem


def answer(error: errors.ModerationError, locale: str) -> web.Response:
    """As problem+json."""
    return web.Response(
        body=to_json(as_dict(error, locale)),
        status=status_of(error),
        content_type="application/problem+json",
        headers=headers_of(error),
    )


def title_of(status: int, locale: str) -> str:
    """A short name of the status."""
    return translate(locale, _TITLES.get(status, _TITLES[400]))


def plain(status: int, detail: str, locale: str, headers: dict[str, str] | None = None) -> web.Response:
    """For what aiohttp itself refuses (404, 405)."""
    body = {"type": "about:blank", "title": title_of(status, locale), "status": status, "detail": detail}
    return web.Response(body=to_json(body), status=status, content_type="application/problem+json", headers=headers)
