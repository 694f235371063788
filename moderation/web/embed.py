"""The comments of a page as custom elements, for pages of any origin: all of it, what only reads, or the counter alone.

Put together of the parts in static/embed when the program starts: there is no build step.
"""

import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import hdrs, web

from moderation.web.answer import takes_gzip
from moderation.web.middleware import CORS_ORIGIN

PARTS = {
    "embed": ("base", "count", "thread", "form", "end"),
    "read": ("base", "count", "thread", "end"),
    "counts": ("base", "count"),
}
_FOLDER = Path(__file__).parent / "static" / "embed"
_LICENCE = "// MIT licence; see docs/embed.md\n"


def put_together(name: str) -> bytes:
    """One script of its parts, in a scope of its own, without indentation and lines of comment."""
    source = "".join((_FOLDER / f"{part}.js").read_text("utf-8") for part in PARTS[name])
    return (_LICENCE + "{\n" + re.sub(r"^ *(//.*\n)?", "", source, flags=re.MULTILINE) + "}\n").encode()


def script(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that serves one of them; browsers keep it for an hour."""
    plain = put_together(name)
    packed = gzip.compress(plain, 9, mtime=0)
    digest = hashlib.blake2b(plain, digest_size=10).hexdigest()
    tags = {"": f'"{digest}"', "gzip": f'"{digest}-gzip"'}

    async def serve(request: web.Request) -> web.Response:
        """A script of custom elements."""
        request[CORS_ORIGIN] = "*"
        encoding = "gzip" if takes_gzip(request) else ""
        headers = {
            hdrs.ETAG: tags[encoding],
            hdrs.CACHE_CONTROL: "public, max-age=3600",
            hdrs.VARY: hdrs.ACCEPT_ENCODING,
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if tags[encoding] in request.headers.get(hdrs.IF_NONE_MATCH, ""):
            return web.Response(status=304, headers=headers)
        headers[hdrs.CONTENT_TYPE] = "text/javascript; charset=utf-8"
        if encoding:
            headers[hdrs.CONTENT_ENCODING] = encoding
        return web.Response(body=packed if encoding else plain, headers=headers)

    serve.__name__ = f"{name}_script"
    return serve
