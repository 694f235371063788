"""The common answers."""

from typing import Any

from aiohttp import hdrs, web
from multidict import CIMultiDict, istr
from pydantic_core import to_json

SAFE = {istr("X-Content-Type-Options"): "nosniff", hdrs.CACHE_CONTROL: "no-store"}
# made once and copied: building them anew was 2 % of the submission path
_JSON = CIMultiDict({hdrs.CONTENT_TYPE: "application/json", **SAFE})


def json(data: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=to_json(data), status=status, headers=_JSON.copy())
