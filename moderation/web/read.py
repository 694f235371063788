"""What was approved, for anyone: JSON, counts and a feed, with ETag and CORS.

Rendered once per change: a copy in this process is served as long as Redis says that the thread has not changed, which is asked each time.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web
from pydantic_core import to_json

from moderation import feed as atom
from moderation import public
from moderation.errors import FieldError, Invalid, NotFound
from moderation.model import Status
from moderation.store import comments, sites
from moderation.submission import MESSAGES, THREAD_MAX
from moderation.web import body
from moderation.web.answer import Whole, json
from moderation.web.context import CONTEXT, Context
from moderation.web.middleware import CORS_ORIGIN
from moderation.web.schemas import PublicQuery

_COUNTS_MAX, _FEED_ENTRIES = 200, 50
_KEPT_MAX_BYTES = 64 * 1024 * 1024
_ENTRY_BYTES = 600  # beside names and body; a thread that nobody wrote in has a body of 45 bytes


class Rendered:
    """Bodies by what they show, the least recently asked for forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, ...], tuple[str, bytes]] = OrderedDict()
        self._size = 0

    def get(self, what: tuple[str, ...], tag: str) -> bytes | None:
        """The body, if it is of this version."""
        found = self._kept.get(what)
        if found is None or found[0] != tag:
            return None
        self._kept.move_to_end(what)
        return found[1]

    def put(self, what: tuple[str, ...], tag: str, rendered: bytes) -> None:
        """Keep it; an older version goes."""
        old = self._kept.pop(what, None)
        self._kept[what] = tag, rendered
        self._size += _room(what, rendered) - (_room(what, old[1]) if old else 0)
        while self._size > _KEPT_MAX_BYTES and self._kept:
            gone, (_, body) = self._kept.popitem(last=False)
            self._size -= _room(gone, body)


def _room(what: tuple[str, ...], rendered: bytes) -> int:
    return _ENTRY_BYTES + len(rendered) + 4 * sum(map(len, what))


_NOTHING_ASKED = PublicQuery()
RENDERED = web.AppKey("RENDERED", Rendered)


async def _answer(
    request: web.Request,
    site: str,
    thread: str,
    shown: tuple[str, ...],
    kind: str,
    render: Callable[[], Awaitable[bytes]],
) -> web.Response:
    """The body that `render` makes, made once per version of the thread; 304 for who has it."""
    if not sites.is_slug(site):
        raise NotFound("There is no such site.")
    version = await comments.thread_version(request.app[CONTEXT].store, site, thread)
    what = (site, thread, *shown)
    tag = hashlib.blake2b("\x00".join((version, *what)).encode(), digest_size=10).hexdigest()
    headers = {hdrs.ETAG: f'"{tag}"', hdrs.CACHE_CONTROL: "no-cache"}  # may be kept, must be asked about: never stale
    had = request.headers.get(hdrs.IF_NONE_MATCH)
    if had and f'"{tag}"' in {part.strip().removeprefix("W/") for part in had.split(",")}:
        return web.Response(status=304, headers=headers)
    kept = request.app[RENDERED]
    rendered = kept.get(what, tag)
    if rendered is None:
        rendered = await render()
        kept.put(what, tag, rendered)
    return Whole(body=rendered, headers=headers | {hdrs.CONTENT_TYPE: kind})


async def thread(request: web.Request) -> web.Response:
    """Approved comments of one thread."""
    request[CORS_ORIGIN] = "*"
    context, site, name = request.app[CONTEXT], request.match_info["site"], request.match_info["thread"]
    query = _NOTHING_ASKED
    if request.rel_url.raw_query_string:
        query = body.validate(PublicQuery, {name: value for name, value in request.query.items() if value})

    async def render() -> bytes:
        found = await comments.page(
            context.store,
            site,
            [Status.APPROVED],
            thread=name,
            cursor=query.cursor or "",
            newest=query.order == "newest",
            limit=query.limit + 1,
        )
        items = found.items[: query.limit]
        more = items[-1].id if len(found.items) > query.limit else None
        return to_json(
            {"items": [public.comment(comment) for comment in items], "next_cursor": more, "total": found.total}
        )

    shown = ("json", str(query.limit), query.cursor or "", query.order)
    return await _answer(request, site, name, shown, "application/json", render)


async def feed(request: web.Request) -> web.Response:
    """The newest approved comments of one thread as an Atom feed (RFC 4287)."""
    request[CORS_ORIGIN] = "*"
    context, site_id, name = request.app[CONTEXT], request.match_info["site"], request.match_info["thread"]

    async def render() -> bytes:
        site, _ = await sites.load(context.store, site_id)
        found = await comments.page(
            context.store, site_id, [Status.APPROVED], thread=name, newest=True, limit=_FEED_ENTRIES
        )
        return atom.render(site, name, found.items, _own_address(context, request))

    return await _answer(request, site_id, name, ("atom",), "application/atom+xml", render)


def _own_address(context: Context, request: web.Request) -> str:
    return context.base_url + request.rel_url.raw_path


async def counts(request: web.Request) -> web.Response:
    """How many approved comments threads have: `?thread=…&thread=…`."""
    request[CORS_ORIGIN] = "*"
    context, site = request.app[CONTEXT], request.match_info["site"]
    await context.site(site, fresh=True)
    wanted = list(dict.fromkeys(request.query.getall("thread", [])))
    if not wanted:
        raise Invalid([FieldError("thread", "required", MESSAGES["required"])])
    if len(wanted) > _COUNTS_MAX or any(len(name) > THREAD_MAX for name in wanted):
        limit = _COUNTS_MAX if len(wanted) > _COUNTS_MAX else THREAD_MAX
        raise Invalid([FieldError("thread", "too_long", MESSAGES["too_long"], {"limit": limit})])
    found = await comments.counts(context.store, site, wanted)
    answer = json({"counts": found})
    answer.headers[hdrs.CACHE_CONTROL] = "no-cache"
    return answer
