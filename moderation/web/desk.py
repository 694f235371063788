"""The desk, plain for now: sign in, see what waits, approve or reject. Works without JavaScript."""

import asyncio
import contextlib
from typing import Any

from aiohttp import web

from moderation.errors import Conflict, Forbidden, ModerationError, NotFound, TooMany, Unauthorized
from moderation.markup import plain_line
from moderation.model import Decision, Moderator, Role, Status
from moderation.screening.similar import groups
from moderation.store import comments, people
from moderation.submission import is_comment_id
from moderation.web import body, pages, problem
from moderation.web.auth import SESSION_COOKIE, same_origin, who
from moderation.web.context import CONTEXT, Context
from moderation.web.middleware import locale_of
from moderation.web.review_api import carry_out, find, for_moderators, visible_sites
from moderation.web.schemas import CommentQuery, DecisionIn

_PAGE = 25
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


async def queue(request: web.Request) -> web.Response:
    """What waits, oldest first."""
    try:
        moderator = await who(request)
    except Unauthorized:
        return web.Response(status=303, headers={"Location": "/review/sign-in"})
    store = request.app[CONTEXT].store
    asked: dict[str, Any] = {"status": "pending", "limit": _PAGE} | {
        k: v for k, v in request.query.items() if k in {"status", "cursor"}
    }
    query = body.validate(CommentQuery, asked)
    names = await visible_sites(store, moderator, None)
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
        moderator=moderator, form_token=_form_token(request), done=request.query.get("done", ""),
    )  # fmt: skip


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
    try:
        moderator = await who(request)
    except Unauthorized:
        return web.Response(status=303, headers={"Location": "/review/sign-in"})
    context = request.app[CONTEXT]
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
    asked = body.validate(
        DecisionIn, {key: value for key, value in fields.items() if key in {"decision", "version", "reason"}}
    )
    try:
        decided = await carry_out(context, moderator, found, asked)
        done = decided.status.value
        if asked.decision in {Decision.REJECT, Decision.SPAM}:  # what is published, somebody has read to the end
            await _decide_alike(context, moderator, asked, str(fields.get("also", "")).split()[:_PAGE])
    except ModerationError as error:
        if problem.status_of(error) != 409:
            raise
        done = "conflict"
    return web.Response(status=303, headers={"Location": f"/review?done={done}"})


async def _decide_alike(context: Context, moderator: Moderator, asked: DecisionIn, ids: list[str]) -> None:
    """The same for the others of the row; one that somebody else holds stays as it is."""
    same = asked.model_copy(update={"version": None})
    for other in await comments.load_many(context.store, [i for i in ids if is_comment_id(i)]):
        if other and other.status is Status.PENDING and moderator.may(Role.MODERATOR, other.site):
            with contextlib.suppress(Conflict):
                await carry_out(context, moderator, other, same)
