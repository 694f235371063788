"""What anyone may read, rendered once per change: a copy in this process is served as long as Redis says that the thread
has not changed, which is asked each time.
"""

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from aiohttp import hdrs, web
from multidict import CIMultiDict

from moderation.store import comments
from moderation.store.connection import Store
from moderation.web.answer import takes_gzip

_KEPT_MAX_BYTES = 64 * 1024 * 1024
_PACKED_MIN_BYTES = 1000
_KEPT_OVERHEAD_BYTES = 1500  # of one copy: its key, headers and places in dicts
_ADDRESSES_MAX, _ADDRESS_MAX = 10_000, 400  # how many are remembered, and of what length
T = TypeVar("T")
What = tuple[str, ...]  # site, thread, and what is shown of it


class Shape(NamedTuple):
    """A body with its ETag and complete headers; an answer takes a copy of them."""

    tag: str
    body: bytes
    headers: CIMultiDict[str]


class Rendered(NamedTuple):
    """What was asked for, in one version."""

    what: What
    version: str
    plain: Shape
    packed: Shape | None = None  # for who accepts gzip
    gaps: tuple[int, int] = (
        0,
        0,
    )  # of a page: where a notice and the form's stamp go, which differ from answer to answer
    stamped: bool = False

    def shape_for(self, request: web.Request) -> Shape:
        """As whoever asks can read it."""
        if self.packed and takes_gzip(request):
            return self.packed
        return self.plain


def render_packed(plain: Shape) -> Shape | None:
    """The same as gzip, once for all readers; None where that saves nothing. Level 4: 29 kB in 0.4 ms."""
    if len(plain.body) < _PACKED_MIN_BYTES:
        return None
    tag, headers = f'{plain.tag[:-1]}-gzip"', plain.headers.copy()
    headers.update({hdrs.ETAG: tag, hdrs.CONTENT_ENCODING: "gzip"})
    return Shape(tag, gzip.compress(plain.body, 4, mtime=0), headers)


class Shared:
    """One answer of Redis for all who want it in one tick of the loop. The question is sent after the last of them came, so
    that nobody gets an answer older than the question.
    """

    def __init__(self) -> None:
        self._asked: dict[object, asyncio.Task[Any]] = {}

    def ask(self, key: object, question: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        """What `question` answers."""
        asked = self._asked.get(key)
        if asked is None:
            loop = asyncio.get_running_loop()
            if not self._asked:
                loop.call_soon(self._asked.clear)
            asked = self._asked[key] = loop.create_task(question())
        return asked


class Renderings:
    """The least recently asked for is forgotten first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[What, Rendered] = OrderedDict()
        self._size = 0
        self._making: dict[tuple[What, str], asyncio.Task[Rendered]] = {}
        self._addresses: dict[str, What] = {}
        self.shared = Shared()

    def version(self, what: What) -> Awaitable[str]:
        """Of its thread. Raises NotFound, Unavailable."""
        site, thread = what[:2]
        return self.shared.ask((site, thread), lambda: comments.thread_version(self._store, site, thread))

    def at(self, address: str) -> Rendered | None:
        """What an address showed last, in whatever version: an address that was read once is not read again."""
        what = self._addresses.get(address)
        if what is None or what not in self._kept:
            return None
        self._kept.move_to_end(what)
        return self._kept[what]

    async def current(
        self, what: What, render: Callable[[What, str], Awaitable[Rendered]], address: str = ""
    ) -> Rendered:
        """What `render` makes, made once per version; whoever asks for the same meanwhile waits for that. Raises NotFound."""
        version = await self.version(what)
        found = self._kept.get(what)
        if found is None or found.version != version:
            making = self._making.get((what, version))
            if making is None:
                making = asyncio.ensure_future(self._make(what, version, render))
                self._making[what, version] = making
            found = await asyncio.shield(making)
        else:
            self._kept.move_to_end(what)
        if 0 < len(address) <= _ADDRESS_MAX:
            if len(self._addresses) >= _ADDRESSES_MAX:
                self._addresses.clear()
            self._addresses[address] = what
        return found

    async def _make(self, what: What, version: str, render: Callable[[What, str], Awaitable[Rendered]]) -> Rendered:
        try:
            made = await render(what, version)
        finally:
            del self._making[what, version]
        if old := self._kept.pop(what, None):
            self._size -= _size(old)
        self._kept[what] = made
        self._size += _size(made)
        while self._size > _KEPT_MAX_BYTES:
            self._size -= _size(self._kept.popitem(last=False)[1])
        return made


def _size(rendered: Rendered) -> int:
    shapes = [shape for shape in (rendered.plain, rendered.packed) if shape]
    words = sum(map(len, rendered.what)) + sum(len(word) for shape in shapes for word in shape.headers.values())
    return sum(len(shape.body) for shape in shapes) + 4 * words + _KEPT_OVERHEAD_BYTES


def is_known(request: web.Request, tag: str) -> bool:
    """Whether who asks has this version (RFC 9110, section 13.1.2)."""
    named = request.headers.get(hdrs.IF_NONE_MATCH)
    return named is not None and (
        named == tag or not {tag, "*"}.isdisjoint(t.strip().removeprefix("W/") for t in named.split(","))
    )


RENDERINGS = web.AppKey("RENDERINGS", Renderings)
