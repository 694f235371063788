"""What was approved, for anyone: JSON, counts and a feed, with ETag and CORS."""

import hashlib
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict, istr
from pydantic_core import to_json

from moderation import conversation, public
from moderation import feed as atom
from moderation.errors import FieldError, Invalid, NotFound
from moderation.model import Status
from moderation.store import comments, sites
from moderation.submission import MESSAGES, THREAD_MAX, clean
from moderation.web import body
from moderation.web.answer import SAFE, Whole
from moderation.web.context import CONTEXT, Context
from moderation.web.middleware import CORS_ORIGIN
from moderation.web.rendered import RENDERINGS, Rendered, Shape, What, is_known, render_packed
from moderation.web.schemas import PublicQuery

_COUNTS_MAX, _FEED_ENTRIES = 200, 50
# may be kept, must be asked about: never stale
FRESH = {**SAFE, hdrs.CACHE_CONTROL: "no-cache", hdrs.VARY: hdrs.ACCEPT_ENCODING}
_OPEN = {
    **FRESH,
    istr("Access-Control-Allow-Origin"): "*",
    istr("Access-Control-Expose-Headers"): "ETag, Retry-After",
}


def for_anyone(handler: Handler) -> Handler:
    """Pages of any origin may read the answer, errors too; what has not changed since it was shown last, they get at once."""

    async def open_to_all(request: web.Request) -> web.StreamResponse:
        try:
            renderings = request.app[RENDERINGS]
            kept = renderings.at(request.raw_path)
            if kept is not None and kept.version == await renderings.version(kept.what):
                return _as_asked(request, kept)
            return await handler(request)
        except Exception:
            request[CORS_ORIGIN] = "*"
            raise

    open_to_all.__name__, open_to_all.__doc__ = handler.__name__, handler.__doc__
    return open_to_all


def _as_asked(request: web.Request, found: Rendered) -> web.Response:
    """It, or 304 for who has it."""
    tag, body, headers = found.shape_for(request)
    if is_known(request, tag):
        return web.Response(status=304, headers={hdrs.ETAG: tag, **_OPEN})
    return Whole(body=body, headers=headers)


def tag_of(what: What, version: str) -> str:
    """The ETag of something shown."""
    digest = hashlib.blake2b("\x00".join((version, *what)).encode("utf-8", "surrogatepass"), digest_size=10)
    return f'"{digest.hexdigest()}"'


async def _answer(
    request: web.Request, site: str, thread: str, shown: What, kind: str, render: Callable[[], Awaitable[bytes]]
) -> web.Response:
    """The body that `render` makes."""
    if not sites.is_slug(site):
        raise NotFound("There is no such site.")

    async def make(what: What, version: str) -> Rendered:
        tag = tag_of(what, version)
        headers = CIMultiDict({hdrs.CONTENT_TYPE: kind, hdrs.ETAG: tag, **_OPEN})
        plain = Shape(tag, await render(), headers)
        return Rendered(what, version, plain, render_packed(plain))

    what = (site, thread, *shown)
    return _as_asked(request, await request.app[RENDERINGS].current(what, make, request.raw_path))


async def preflight(request: web.Request) -> web.Response:
    """A page that asks whether its copy is still good (`If-None-Match`) is asked about first, by browsers."""
    request[CORS_ORIGIN] = "*"
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, HEAD",
            "Access-Control-Allow-Headers": "if-none-match",
            "Access-Control-Max-Age": "86400",
        },
    )


@for_anyone
async def thread(request: web.Request) -> web.Response:
    """Approved comments of one thread, by time or as conversations."""
    context, site, name = request.app[CONTEXT], request.match_info["site"], clean(request.match_info["thread"])
    query = body.validate(PublicQuery, {name: value for name, value in request.query.items() if value})
    cursor, newest = query.cursor or "", query.order == "newest"

    async def render() -> bytes:
        whole = await comments.whole_thread(context.store, site, name) if query.view == "nested" else None
        if whole is not None:
            found = conversation.conversations(whole)
            placed, more = conversation.page(found, newest=newest, cursor=cursor, limit=query.limit)
            items, total = [one.comment for one in placed], len(whole)
        else:
            page = await comments.page(
                context.store, site, [Status.APPROVED], thread=name, cursor=cursor, newest=newest, limit=query.limit + 1
            )
            items, total = page.items[: query.limit], page.total
            more = items[-1].id if len(page.items) > query.limit else None
        return to_json({"items": [public.comment(comment) for comment in items], "next_cursor": more, "total": total})

    shown = ("json", str(query.limit), cursor, query.order, query.view)
    return await _answer(request, site, name, shown, "application/json", render)


@for_anyone
async def feed(request: web.Request) -> web.Response:
    """The newest approved comments of one thread as an Atom feed (RFC 4287)."""
    context, site_id, name = request.app[CONTEXT], request.match_info["site"], clean(request.match_info["thread"])

    async def render() -> bytes:
        site, _ = await sites.load(context.store, site_id)
        found = await comments.page(
            context.store, site_id, [Status.APPROVED], thread=name, newest=True, limit=_FEED_ENTRIES
        )
        return atom.render(site, name, found.items, _own_address(context, request))

    return await _answer(request, site_id, name, ("atom",), "application/atom+xml", render)


def _own_address(context: Context, request: web.Request) -> str:
    return context.base_url + request.rel_url.raw_path


@for_anyone
async def counts(request: web.Request) -> web.Response:
    """How many approved comments threads have: `?thread=…&thread=…`."""
    found = await request.app[RENDERINGS].shared.ask(request.raw_path, lambda: _counted(request))
    return Whole(body=found, headers=_COUNTS)


async def _counted(request: web.Request) -> bytes:
    site, wanted = request.match_info["site"], list(dict.fromkeys(request.query.getall("thread", [])))
    if not sites.is_slug(site):
        raise NotFound("There is no such site.")
    kept = {name: clean(name) for name in wanted[: _COUNTS_MAX + 1]}
    found = await comments.counts(request.app[CONTEXT].store, site, list(kept.values()))
    if not wanted:
        raise Invalid([FieldError("thread", "required", MESSAGES["required"])])
    if len(wanted) > _COUNTS_MAX or any(len(name) > THREAD_MAX for name in wanted):
        limit = _COUNTS_MAX if len(wanted) > _COUNTS_MAX else THREAD_MAX
        raise Invalid([FieldError("thread", "too_long", MESSAGES["too_long"], {"limit": limit})])
    return to_json({"counts": {name: found[as_kept] for name, as_kept in kept.items()}})


_COUNTS = CIMultiDict({hdrs.CONTENT_TYPE: "application/json", **_OPEN})
