"""The desk, plain for now: sign in, see what waits, approve or reject. Works without JavaScript."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from moderation.errors import Conflict, Forbidden, NotFound, TooMany, Unauthorized
from moderation.markup import plain_line
from moderation.model import Comment, Decision, Moderator, Role, Status
from moderation.screening.similar import groups
from moderation.store import comments, people
from moderation.submission import is_comment_id
from moderation.web import body, pages
from moderation.web.auth import SESSION_COOKIE, same_origin, who
from moderation.web.context import CONTEXT, Context
from moderation.web.middleware import locale_of
from moderation.web.review_api import carry_out, find, for_moderators, undo_decision, visible_sites
from moderation.web.schemas import CommentQuery, DecisionIn

_PAGE = 25
UNDO_SECONDS = 8  # so long nothing of a decision made here is sent
_FILTERS = ("status", "site", "q", "sort", "thread", "author", "cursor")
_TRIES, _TRIES_WINDOW_SECONDS = 10, 300
TOO_MANY_TRIES = "Too many tries to sign in. Please wait a few minutes."
_HASHING = asyncio.Semaphore(2)  # argon2 takes 64 MiB and 100 ms each


def _form_token(request: web.Request) -> str:
    return request.app[CONTEXT].store.privacy.sign_link("desk", request.cookies.get(SESSION_COOKIE, ""))


async def sign_in_page(request: web.Request) -> web.Response:
    """The form."""
    return pages.page(request, "sign_in.html", locale_of(request), message="", name="")


async def sign_in(request: web.Request) -> web.Response:
    """Check name and password; ten wrong tries in five minutes close the door for that name for a while."""
    same_origin(request)
    fields = body.parse_form(await body.read(request))
    name, password = str(fields.get("name", ""))[:100], str(fields.get("password", ""))
    context = request.app[CONTEXT]
    tries_key = "m:{g}:tries:" + context.store.privacy.keyed_hash("tries", name)
    tries, _ = await context.store.pipe.call_many([("INCR", tries_key), ("EXPIRE", tries_key, _TRIES_WINDOW_SECONDS)])
    if tries > _TRIES:
        raise TooMany(_TRIES_WINDOW_SECONDS, TOO_MANY_TRIES)
    record = await people.user_record(context.store, name)
    async with _HASHING:
        fits = await asyncio.to_thread(people.password_fits, record, password)
    if not fits or record is None:
        return pages.page(
            request,
            "sign_in.html",
            locale_of(request),
            status=401,
            message="The name or the password is wrong.",
            name=name,
        )
    await context.store.pipe.call("DEL", tries_key)
    moderator = Moderator.model_validate({key: record[key] for key in ("name", "role", "sites", "contact")})
    return await signed_in(request, moderator)


async def signed_in(request: web.Request, moderator: Moderator) -> web.Response:
    """A new session, and off to the queue."""
    context = request.app[CONTEXT]
    response = web.Response(status=303, headers={"Location": "/review"})
    secure = context.settings.base_url.startswith("https://")
    response.set_cookie(
        SESSION_COOKIE,
        await people.open_session(context.store, moderator),
        httponly=True,
        samesite="Lax",
        secure=secure,
        path="/",
    )
    return response


async def sign_out(request: web.Request) -> web.Response:
    """End the session."""
    same_origin(request)
    await people.close_session(request.app[CONTEXT].store, request.cookies.get(SESSION_COOKIE, ""))
    response = web.Response(status=303, headers={"Location": "/review/sign-in"})
    response.del_cookie(SESSION_COOKIE, path="/")
    return response


async def _signed_in(request: web.Request) -> Moderator:
    """Who sits at the desk; others are sent to the door."""
    try:
        return await who(request)
    except Unauthorized:
        raise web.HTTPSeeOther("/review/sign-in") from None


async def queue(request: web.Request) -> web.Response:
    """What waits, oldest first."""
    moderator = await _signed_in(request)
    store = request.app[CONTEXT].store
    kept = _kept(request.query)
    query = body.validate(CommentQuery, {"status": "pending", "limit": _PAGE} | kept)
    all_names = await visible_sites(store, moderator, None)
    names = await visible_sites(store, moderator, query.site)
    found = await find(store, names, query)
    items = [for_moderators(store, comment, "none") for comment in found.items[:_PAGE]]
    for item in items:
        item["thread"]["shown"] = plain_line(item["thread"]["title"] or item["thread"]["id"])
        item["alike"] = []
        item["found"] = [reason for reason in item["screening"]["reasons"] if reason["rule"] != "site_mode"]
    more = items[-1]["id"] if len(found.items) > _PAGE else ""
    if (query.status or Status.PENDING) is Status.PENDING:
        items = _one_row_each(items)
    counts = {status.value: sum([await comments.count(store, name, status) for name in names]) for status in Status}
    return pages.page(
        request, "review.html", locale_of(request), items=items, total=found.total, more=more, shown=(query.status or Status.PENDING).value, counts=counts,
        moderator=moderator, form_token=_form_token(request), done=request.query.get("done", ""), undo=_undoable(request.query.get("undo", "")),
        names=all_names, query=query, here=urlencode(kept), filters=urlencode({k: v for k, v in kept.items() if k not in {"status", "cursor"}}),
        may_decide=moderator.role.covers(Role.MODERATOR), undo_seconds=UNDO_SECONDS, script=True,
    )  # fmt: skip


def _kept(query: Mapping[str, str]) -> dict[str, str]:
    """What somebody looks at: it stays when they act."""
    return {name: query[name][:512] for name in _FILTERS if query.get(name)}


def _undoable(ids: str) -> list[str]:
    return [one for one in ids.split()[: _PAGE + 1] if is_comment_id(one)]


def _back(fields: Mapping[str, object], **more: str) -> web.Response:
    """To where they were, with what came of it."""
    kept = _kept(dict(parse_qsl(str(fields.get("here", "")))))
    return web.Response(status=303, headers={"Location": f"/review?{urlencode(kept | more)}"})


def _one_row_each(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What says almost the same stands in one row, under the first of them."""
    leaders = groups([item["text"] for item in items])
    for index, item in enumerate(items):
        item["alike"] = [
            other for other, leader in zip(items, leaders, strict=True) if leader == index and other is not item
        ]
    return [item for index, item in enumerate(items) if leaders[index] == index]


async def act(request: web.Request) -> web.Response:
    """A button was pressed."""
    context, moderator, fields, found = await _pressed(request)
    given = {key: value for key, value in fields.items() if key in {"decision", "version", "reason"} and value}
    if given.get("decision") != Decision.REJECT:
        given.pop("reason", None)
    asked = body.validate(DecisionIn, given | {"undo_seconds": UNDO_SECONDS})
    try:
        decided = await carry_out(context, moderator, found, asked)
    except Conflict:
        return _back(fields, done="conflict")
    also: list[Comment] = []
    if asked.decision in {Decision.REJECT, Decision.SPAM}:  # what is published, somebody has read to the end
        also = await _decide_alike(context, moderator, asked, await _others(context, moderator, fields))
    undo = " ".join(comment.id for comment in (found, *also))
    return _back(fields, done=decided.status.value, undo=undo)


async def take_back(request: web.Request) -> web.Response:
    """Undo, while the deliveries are held back."""
    context, moderator, fields, found = await _pressed(request)
    try:
        for comment in (found, *await _others(context, moderator, fields)):
            await undo_decision(context, moderator, comment)
    except Conflict:
        return _back(fields, done="late")
    return _back(fields, done="undone")


async def _pressed(request: web.Request) -> tuple[Context, Moderator, dict[str, object], Comment]:
    """Who pressed a button of our own page, its form, and its comment. Raises Forbidden, NotFound."""
    moderator, context = await _signed_in(request), request.app[CONTEXT]
    fields = body.parse_form(await body.read(request))
    if not context.store.privacy.link_is_ours(
        "desk", request.cookies.get(SESSION_COOKIE, ""), str(fields.get("form_token", ""))
    ):
        raise Forbidden("This page was open for too long. Load it again.", code="form_token")
    if not is_comment_id(request.match_info["id"]):
        raise NotFound("There is no such comment.")
    found = await comments.load(context.store, request.match_info["id"])
    if not moderator.may(Role.MODERATOR, found.site):
        raise Forbidden()
    return context, moderator, fields, found


async def _others(context: Context, moderator: Moderator, fields: Mapping[str, object]) -> list[Comment]:
    """The other comments of a row."""
    ids = [one for one in str(fields.get("also", "")).split()[:_PAGE] if is_comment_id(one)]
    found = await comments.load_many(context.store, ids)
    return [comment for comment in found if comment and moderator.may(Role.MODERATOR, comment.site)]


async def _decide_alike(
    context: Context, moderator: Moderator, asked: DecisionIn, others: list[Comment]
) -> list[Comment]:
    """The same for those of them that wait; one that somebody else holds stays as it is. Returns those that were decided."""
    same, decided = asked.model_copy(update={"version": None}), list[Comment]()
    for other in others:
        if other.status is Status.PENDING:
            with contextlib.suppress(Conflict):
                decided.append(await carry_out(context, moderator, other, same))
    return decided
