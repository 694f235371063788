"""/embed.js: the comments of a page as a custom element, for pages of any origin."""

import hashlib
from pathlib import Path

from aiohttp import hdrs, web

from moderation.web.middleware import CORS_ORIGIN

_SCRIPT = (Path(__file__).parent / "static" / "embed.js").read_bytes()
_TAG = f'"{hashlib.blake2b(_SCRIPT, digest_size=10).hexdigest()}"'


async def script(request: web.Request) -> web.Response:
    """The script, kept by browsers for an hour."""
    request[CORS_ORIGIN] = "*"
    headers = {
        hdrs.ETAG: _TAG,
        hdrs.CACHE_CONTROL: "public, max-age=3600",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if _TAG in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=_SCRIPT, headers=headers | {hdrs.CONTENT_TYPE: "text/javascript; charset=utf-8"})
