"""What anyone may read, rendered once per change: a copy in this process is served as long as Redis says that the thread
has not changed, which is asked each time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import hdrs, web
from multidict import CIMultiDict

from moderation.store import comments
from moderation.store.connection import Store

_KEPT_MAX_BYTES = 64 * 1024 * 1024
_KEPT_OVERHEAD_BYTES = 1500  # of one copy: its key, headers and places in dicts
What = tuple[str, ...]  # site, thread, and what is shown of it


class Rendered(NamedTuple):
    """One body of one version. `headers` are complete; they are copied for each answer."""

    version: str
    tag: str
    parts: tuple[bytes, ...]  # of a page with a form: what goes between them differs from answer to answer
    headers: CIMultiDict[str]
    stamped: bool = False  # whether the form carries the time at which it was opened


class Renderings:
    """The least recently asked for is forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[What, Rendered] = OrderedDict()
        self._size = 0
        self._making: dict[tuple[What, str], asyncio.Task[Rendered]] = {}
        self._asked: dict[tuple[str, str], asyncio.Task[str]] = {}

    def version(self, store: Store, site: str, thread: str) -> Awaitable[str]:
        """Asked of Redis once for all who want it in one tick of the loop: it is sent after the last of them came, so that
        nobody gets an answer older than the question. Raises NotFound, Unavailable.
        """
        asked = self._asked.get((site, thread))
        if asked is None:
            if not self._asked:
                asyncio.get_running_loop().call_soon(self._asked.clear)
            asked = asyncio.ensure_future(comments.thread_version(store, site, thread))
            self._asked[site, thread] = asked
        return asked

    def find(self, what: What, version: str) -> Rendered | None:
        """The copy, if it is of this version."""
        found = self._kept.get(what)
        if found is None or found.version != version:
            return None
        self._kept.move_to_end(what)
        return found

    async def make(self, what: What, version: str, render: Callable[[], Awaitable[Rendered]]) -> Rendered:
        """Render and keep it; whoever asks for the same meanwhile waits for that."""
        making = self._making.get((what, version))
        if making is None:
            making = self._making[what, version] = asyncio.ensure_future(self._make(what, version, render))
        return await asyncio.shield(making)

    async def _make(self, what: What, version: str, render: Callable[[], Awaitable[Rendered]]) -> Rendered:
        try:
            made = await render()
        finally:
            del self._making[what, version]
        if old := self._kept.pop(what, None):
            self._size -= _size(what, old)
        self._kept[what] = made
        self._size += _size(what, made)
        while self._size > _KEPT_MAX_BYTES:
            self._size -= _size(*self._kept.popitem(last=False))
        return made


def _size(what: What, rendered: Rendered) -> int:
    words = sum(map(len, what)) + sum(map(len, rendered.headers.values()))
    return sum(map(len, rendered.parts)) + 4 * words + _KEPT_OVERHEAD_BYTES


def is_known(request: web.Request, tag: str) -> bool:
    """Whether who asks has this version (RFC 9110, section 13.1.2)."""
    named = request.headers.get(hdrs.IF_NONE_MATCH)
    return named is not None and (named == tag or tag in {t.strip().removeprefix("W/") for t in named.split(",")})


RENDERINGS = web.AppKey("RENDERINGS", Renderings)
