"""Our own scripts and styles, under names that change with what is in them, so that browsers keep them for ever."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web

from moderation.errors import NotFound
from moderation.web.answer import takes_gzip

_FOLDER = Path(__file__).parent / "static"
_KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class File:
    """One file, ready to be sent."""

    digest: str
    kind: str
    plain: bytes
    packed: bytes


def _read(path: Path) -> File:
    plain = path.read_bytes()
    digest = hashlib.blake2b(plain, digest_size=8).hexdigest()
    return File(digest, _KINDS[path.suffix], plain, gzip.compress(plain, mtime=0))


FILES = {path.name: _read(path) for path in sorted(_FOLDER.iterdir()) if path.suffix in _KINDS}


def address(name: str) -> str:
    """Where a page finds a file of ours."""
    return f"/static/{FILES[name].digest}/{name}"


async def serve(request: web.Request) -> web.Response:
    """A file under its present address; an old address has nothing."""
    found = FILES.get(request.match_info["name"])
    if found is None or request.match_info["digest"] != found.digest:
        raise NotFound()
    headers = {hdrs.CONTENT_TYPE: found.kind, hdrs.CACHE_CONTROL: _FOR_EVER, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    if takes_gzip(request):
        return web.Response(body=found.packed, headers=headers | {hdrs.CONTENT_ENCODING: "gzip"})
    return web.Response(body=found.plain, headers=headers)
