"""What can go wrong, as one family. The web room alone turns these into HTTP (web/problem.py).

ModerationError
├── BadRequest            400  the body can't be read at all
├── Unauthorized          401  no token, or one we don't know
├── Forbidden             403  known, but not allowed; a foreign origin; comments closed
├── NotFound              404  no such thing, or another site's
├── Conflict              409  duplicate, stale version, somebody else's lease
├── TooLarge              413
├── UnsupportedType       415
├── Invalid               422  every field error at once
├── TooMany               429  with the seconds to wait
├── Unavailable           503  Redis can't store it now; safe to send again
└── ConfigurationError         named at start, never at run time

Unreadable                     a file of comments that is none, or cut short; the shell alone meets it
"""

import dataclasses
from dataclasses import dataclass


class ModerationError(Exception):
    """`message` is an English msgid of the catalogue; `params` fill its placeholders."""

    code = "error"
    message = "Something went wrong."

    def __init__(self, message: str | None = None, *, code: str | None = None, **params: object) -> None:
        self.message = message or type(self).message
        self.code = code or type(self).code
        self.params = params
        super().__init__(self.message)


class BadRequest(ModerationError):
    code, message = "unreadable", "The request could not be read."


class Unauthorized(ModerationError):
    code, message = "unauthorized", "Sign in or send a valid token."


class Forbidden(ModerationError):
    code, message = "forbidden", "This is not allowed."


class NotFound(ModerationError):
    code, message = "not_found", "There is nothing here."


class Conflict(ModerationError):
    code, message = "conflict", "Somebody changed this in the meantime."


class TooLarge(ModerationError):
    code, message = "too_large", "This is larger than one mebibyte."


class UnsupportedType(ModerationError):
    code, message = "unsupported_type", "Send JSON or an HTML form."


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field, one code of the contract (`required`, `too_long`, `too_short`, `invalid`, `unknown`, `not_found`)."""

    field: str
    code: str
    message: str = ""
    params: dict[str, object] = dataclasses.field(default_factory=dict)


class Invalid(ModerationError):
    code, message = "invalid", "Some fields need another look."

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__()
        self.errors = errors


class TooMany(ModerationError):
    code, message = "too_many", "Too many comments in a short time. Please wait a little."

    def __init__(self, retry_after: int, message: str | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after


class Unavailable(ModerationError):
    code, message = "unavailable", "The comment could not be stored right now. Please send it again in a moment."
    retry_after_seconds = 2


class ConfigurationError(ModerationError):
    """`problems` lists every mistake, each with the way to mend it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Unreadable(Exception):
    """Speaks English, to whoever sits at the shell. Says where, never what stands there: files hold addresses."""
