"""What is kept of an address: asked for by anybody, mailed as a link to that address alone, seen, taken along and deleted behind it.

No login, no JavaScript. Nobody learns from the answers whether an address is known.
"""

import time

from aiohttp import hdrs, web

from moderation import links, submission
from moderation.addresses import network as network_of
from moderation.errors import FieldError, Invalid, ModerationError, NotFound, TooMany
from moderation.i18n import translate
from moderation.log import get_logger
from moderation.model import Comment, created_ms
from moderation.store import comments, erasure, keys, personal, review
from moderation.submission import MESSAGES, is_address
from moderation.web import body, pages, problem
from moderation.web.answer import json
from moderation.web.context import CONTEXT, Context
from moderation.web.middleware import locale_of
from moderation.web.submit import status_url

log = get_logger(__name__)
SENT = "If comments of this address are kept, a mail with a link is on its way to it."
_SHOWN_MAX = 50
_ASKS, _ASKS_WITHIN_SECONDS = 30, 300


def _private(response: web.Response) -> web.Response:
    """Its address is a key, and what it shows is nobody else's."""
    response.headers.update({"Referrer-Policy": "no-referrer", hdrs.CACHE_CONTROL: "no-store"})
    return response


async def form(request: web.Request) -> web.Response:
    """Asks for the address."""
    return pages.page(request, "personal_ask.html", locale_of(request), sent=False, error="")


async def ask(request: web.Request) -> web.Response:
    """Mails the link, if there is anything to see; the answer is the same either way."""
    locale = locale_of(request)
    as_page = body.media_type(request) != body.JSON
    try:
        email = await _address(request, as_page=as_page)
    except Invalid as error:
        if not as_page:
            raise
        message = problem.field_messages(error, locale)[0]["message"]
        return pages.page(request, "personal_ask.html", locale, status=422, sent=False, error=message)
    context = request.app[CONTEXT]
    await _count(request, context)
    found = await personal.kept_of(context.store, email)
    if found.newest:
        context.later(_send_link(context, found.newest))  # after the answer: how long it takes tells nothing
    if as_page:
        return pages.page(request, "personal_ask.html", locale, status=202, sent=True, error="")
    return json({"message": translate(locale, SENT)}, 202)


async def _count(request: web.Request, context: Context) -> None:
    """Each asks every site: a network may do so a few times. Raises TooMany."""
    network = network_of(context.proxies.client_address(request))
    key = f"{keys.GLOBAL}asks:{context.store.privacy.keyed_hash('asks', network)}"
    asked, _ = await context.store.pipe.call_many([("INCR", key), ("EXPIRE", key, _ASKS_WITHIN_SECONDS)])
    if asked > _ASKS:
        raise TooMany(_ASKS_WITHIN_SECONDS)


async def _address(request: web.Request, *, as_page: bool) -> str:
    raw = await body.read(request)
    fields = body.parse_form(raw) if as_page else body.parse_json(raw)
    email = str(fields.get("email") or "").strip() if isinstance(fields, dict) else ""
    code = "invalid" if email else "required"
    if not is_address(email):
        raise Invalid([FieldError("email", code, MESSAGES[code])])
    return email


async def _send_link(context: Context, comment_id: str) -> None:
    try:
        await personal.ask(context.store, comment_id, round(time.time() * 1000))
    except ModerationError as error:
        log.warning("a link to personal data could not be queued; whoever asked will ask again", problem=error.code)


async def _behind(request: web.Request) -> tuple[Context, Comment, str]:
    """The comment whose address the link went to, and the address. Raises NotFound."""
    context, parts = request.app[CONTEXT], request.match_info
    comment_id, expires = parts["id"], parts["expires"]
    ours = submission.is_comment_id(comment_id) and links.person_is_ours(
        context.store.privacy, comment_id, expires, parts["signature"], time.time()
    )
    if not ours:
        raise NotFound("This link works no more. Ask for another one.")
    comment = await comments.load(context.store, comment_id)
    email = personal.address_of(context.store, comment)
    if not email:
        raise NotFound("There is no such comment.")
    return context, comment, email


async def page(request: web.Request) -> web.Response:
    """How much there is, the newest comments, and the two buttons."""
    context, comment, email = await _behind(request)
    kept = await personal.kept_of(context.store, email)
    newest = await personal.newest_of(context.store, email, _SHOWN_MAX)
    shown = [
        {
            "text": c.body["text"],
            "page": c.body.get("thread_title") or c.body["thread"],
            "site": c.site,
            "state": personal.public_status(c).value,
            "at": c.created_ms,
            "link": status_url(context, c.id),
        }
        for c in newest
    ]
    names = {site: (await context.site(site))[0].name for site in kept.sites}
    locale = locale_of(request, comment.body["locale"])
    return _private(
        pages.page(
            request, "personal.html", locale, kept=kept, names=names, shown=shown, receipt=None, here=request.path
        )
    )


async def download(request: web.Request) -> web.StreamResponse:
    """All of it in one file."""
    context, _, email = await _behind(request)
    return await _send(request, context, email)


async def send(request: web.Request, email: str, by: str) -> web.StreamResponse:
    """The same, asked for by an admin: noted in the audit log of each site before anything is given out."""
    context = request.app[CONTEXT]
    for site in (await personal.kept_of(context.store, email)).sites:
        await review.note(context.store, site, by, "address.exported")
    return await _send(request, context, email)


async def _send(request: web.Request, context: Context, email: str) -> web.StreamResponse:
    pieces = personal.document(context.store, email)
    first = await anext(pieces)  # before the first byte, an absent Redis is a 503
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: "application/json",
            hdrs.CONTENT_DISPOSITION: 'attachment; filename="personal-data.json"',
            hdrs.CACHE_CONTROL: "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
    )
    await response.prepare(request)
    await response.write(first)
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


async def erase(request: web.Request) -> web.Response:
    """Everything, everywhere, for good; the page is the receipt."""
    context, comment, email = await _behind(request)
    receipt = await erasure.erase_address(context.store, email, "person")
    locale = locale_of(request, comment.body["locale"])
    kept = personal.Kept(dict(receipt.sites), "")
    return _private(
        pages.page(request, "personal.html", locale, kept=kept, shown=[], receipt=receipt, at=created_ms(receipt.id))
    )
