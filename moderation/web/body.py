"""Reads a bounded body and turns it into a plain mapping. aiohttp's own readers answer 500 to hostile input; these never do."""

import asyncio
import io
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError, PayloadEncodingError
from multipart import MultipartError, MultipartParser
from multipart import parse_options_header as parse_options
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from yarl import query_to_pairs  # type: ignore[attr-defined,unused-ignore]

from moderation.errors import BadRequest, FieldError, Invalid, TooLarge, Unavailable, UnsupportedType

M = TypeVar("M", bound=BaseModel)
BODY_MAX_BYTES = 1024 * 1024
READ_WITHIN_SECONDS = 15
HELD_MAX_BYTES, SMALL_BYTES, _STEP_BYTES = 32 * 1024 * 1024, 32 * 1024, 128 * 1024
_FIELDS_MAX = 200
FORM, MULTIPART, JSON = "application/x-www-form-urlencoded", "multipart/form-data", "application/json"


class _Held:
    """Bytes of large bodies that are being read or worked on in this process: so many connections with a mebibyte each do not fit."""

    def __init__(self) -> None:
        self._size = 0

    def hold(self, size: int) -> None:
        """Until the request is answered. Raises Unavailable when there is no room."""
        if self._size + size > HELD_MAX_BYTES:
            raise Unavailable()
        self._size += size
        task = asyncio.current_task()  # aiohttp runs each request in one of its own
        assert task is not None
        task.add_done_callback(lambda _: self._let_go(size))

    def _let_go(self, size: int) -> None:
        self._size -= size


_held = _Held()


async def read(request: web.Request) -> bytes:
    """The whole body. Raises TooLarge over 1 MiB, BadRequest when it breaks off, is malformed or takes too long, Unavailable when
    this process has enough to read already.
    """
    if (request.content_length or 0) > BODY_MAX_BYTES:
        raise TooLarge()
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() not in {"identity", ""}:
        raise UnsupportedType("Send the body without Content-Encoding.")
    content = request.content
    if content.is_eof():
        if content.total_bytes > SMALL_BYTES:
            _held.hold(content.total_bytes)
        return content.read_nowait() if content.total_bytes else b""
    chunks: list[bytes] = []
    size = held = 0
    try:
        async with asyncio.timeout(READ_WITHIN_SECONDS):
            while chunk := await content.readany():
                size += len(chunk)
                if size > BODY_MAX_BYTES:
                    raise TooLarge()
                while size > held + SMALL_BYTES:
                    _held.hold(_STEP_BYTES)
                    held += _STEP_BYTES
                chunks.append(chunk)
    except TimeoutError:
        raise BadRequest("The request took too long to arrive.", code="slow") from None
    except (HttpProcessingError, PayloadEncodingError, web.RequestPayloadError, ConnectionError):
        raise BadRequest() from None
    return b"".join(chunks)


def media_type(request: web.Request) -> str:
    """What the body says it is, without parameters."""
    return request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()


def content_type(request: web.Request) -> tuple[str, dict[str, str]]:
    """Media type and parameters. Raises UnsupportedType for another charset than UTF-8."""
    header = request.headers.get(hdrs.CONTENT_TYPE, "")
    if header in (FORM, JSON):
        return header, {}
    kind, options = parse_options(header)
    if options.get("charset", "utf-8").lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedType("Send UTF-8.")
    return kind.lower(), options


def parse_json(raw: bytes) -> Any:
    """Strict: UTF-8, no NaN, bounded depth and numbers (pydantic's own limits). Raises BadRequest."""
    try:
        raw.decode("utf-8")
        return from_json(raw, allow_inf_nan=False, allow_partial=False)
    except (ValueError, RecursionError):
        raise BadRequest("The JSON could not be read.") from None


def parse_form(raw: bytes) -> dict[str, object]:
    """The first filled value of each name. Raises BadRequest for invalid UTF-8, also percent-encoded."""
    if raw.count(b"&") > _FIELDS_MAX:
        raise BadRequest("The form has too many fields.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The form is not UTF-8.") from None
    pairs = query_to_pairs(text)
    if any("\ufffd" in value or "\ufffd" in name for name, value in pairs):
        # yarl replaces invalid UTF-8; the slow parser tells it from a replacement character that was typed
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
        except ValueError:
            raise BadRequest("The form is not UTF-8.") from None
    return _first_filled(pairs)


def parse_multipart(raw: bytes, boundary: str) -> dict[str, object]:
    """Text fields only; files are not looked at. Raises BadRequest."""
    pairs = []
    try:
        parser = MultipartParser(
            io.BytesIO(raw), boundary.encode(), content_length=len(raw), part_limit=_FIELDS_MAX, memory_limit=BODY_MAX_BYTES,
            spool_limit=BODY_MAX_BYTES, disk_limit=0, strict=True,
        )  # fmt: skip
        for part in parser:
            if not part.filename:
                pairs.append((part.name or "", part.raw.decode("utf-8")))
    except (MultipartError, UnicodeError, ValueError, LookupError):
        raise BadRequest("The form could not be read.") from None
    return _first_filled(pairs)


def _first_filled(pairs: list[tuple[str, str]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        if not fields.get(name):
            fields[name] = value
    return fields


_CODES = {
    "missing": "required",
    "extra_forbidden": "unknown",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "string_too_short": "too_short",
    "too_short": "too_short",
}
_MESSAGES = {
    "required": "This field is required.",
    "unknown": "There is no such field.",
    "too_long": "This is too long.",
    "too_short": "This is too short.",
    "invalid": "This is not valid.",
}


def field_errors(error: ValidationError) -> Invalid:
    """Every field error of a model, in our codes."""
    found = []
    for item in error.errors(include_url=False, include_input=False):
        code = _CODES.get(item["type"], "invalid")
        found.append(FieldError(".".join(str(part) for part in item["loc"]) or "body", code, _MESSAGES[code]))
    return Invalid(found)


def validate(model: type[M], data: Any) -> M:
    """Query parameters → model; text is read as numbers where numbers are wanted. Raises Invalid."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise field_errors(error) from None


async def optional_json_body(request: web.Request, model: type[M]) -> M:
    """The same where no body at all means the defaults."""
    if not request.can_read_body:
        return validate(model, {})
    return await json_body(request, model)


async def json_body(request: web.Request, model: type[M]) -> M:
    """The JSON body as a model; nothing is coerced. Raises UnsupportedType, BadRequest, Invalid."""
    kind, _ = content_type(request)
    if kind != JSON:
        raise UnsupportedType("Send JSON.")
    return parse_as(model, await read(request))


def parse_as(model: type[M], raw: bytes) -> M:
    """JSON that was read already. Raises BadRequest, Invalid."""
    parse_json(raw)
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise field_errors(error) from None
