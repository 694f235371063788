"""The commenter's private page: what became of it, and while it waits, saying it otherwise. Withdrawing works at any time."""

import time
from typing import Any

from aiohttp import hdrs, web

from moderation import submission
from moderation.errors import Conflict, FieldError, Invalid, ModerationError, NotFound, UnsupportedType
from moderation.model import Comment, Status, Submission
from moderation.public import iso
from moderation.screening import OF_THE_FORM, Facts, screen
from moderation.screening.outcome import until_checked
from moderation.screening.similar import bands
from moderation.store import comments, corrections, erasure, mailboxes, past, personal
from moderation.web import body, pages, problem
from moderation.web.answer import json
from moderation.web.context import CONTEXT, Context
from moderation.web.middleware import locale_of
from moderation.web.schemas import CorrectionIn
from moderation.web.submit import as_shown


async def _private(request: web.Request) -> tuple[Context, Comment]:
    """The comment of a status page. Raises NotFound for an address that is not ours."""
    context = request.app[CONTEXT]
    comment_id, token = request.match_info["id"], request.match_info["token"]
    if not submission.is_comment_id(comment_id) or not context.store.privacy.link_is_ours("status", comment_id, token):
        raise NotFound("There is no such comment.")
    return context, await comments.load(context.store, comment_id)


def _as_json(found: Comment) -> dict[str, Any]:
    shown = personal.public_status(found)
    return {
        "id": found.id,
        "status": shown.value,
        "thread": found.body["thread"],
        "created_at": iso(found.created_ms),
        "reason": found.head.get("r") if shown is Status.REJECTED else None,
    }


async def page(request: web.Request) -> web.Response:
    """Waiting, published, or not, and why."""
    context, found = await _private(request)
    if "text/html" in request.headers.get(hdrs.ACCEPT, "").lower():
        return await _page(request, context, found)
    return json(_as_json(found))


async def _page(
    request: web.Request,
    context: Context,
    found: Comment,
    *,
    status: int = 200,
    typed: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    trouble: str = "",
) -> web.Response:
    told = _as_json(found)
    response = pages.page(
        request, "status.html", locale_of(request, found.body["locale"]), status=status, state=told["status"], reason=told["reason"],
        text=found.body["text"], name=found.body["name"], version=found.version, typed=typed or {}, errors=errors or {}, trouble=trouble,
        notices=await _notices(context, found), done=request.query.get("done", ""), limits=submission,
    )  # fmt: skip
    response.headers.update({"Referrer-Policy": "no-referrer", hdrs.CACHE_CONTROL: "no-store"})
    return response


async def _notices(context: Context, found: Comment) -> str:
    """Mails about replies: `confirmed`, `asked` for but not confirmed, or '' when nobody wants them."""
    email = personal.address_of(context.store, found) if found.body.get("notify") else ""
    if not email:
        return ""
    recipient = context.store.privacy.address_id(email)
    return "confirmed" if await mailboxes.is_confirmed(context.store, found.site, recipient) else "asked"


async def act(request: web.Request) -> web.Response:
    """What the page's forms send: a correction, the wish for a mail to confirm notices with, or nothing, which withdraws it."""
    context, found = await _private(request)
    fields = {name: str(value) for name, value in (await _fields(request)).items()}
    if "comment" in fields:
        return await _correct_by_form(request, context, found, fields)
    act = fields.get("act", "")
    if act not in {"", "confirm"}:
        raise Invalid([FieldError("act", "invalid", submission.MESSAGES["invalid"])])
    if act == "confirm":
        if await _notices(context, found) == "asked":
            await personal.ask_to_confirm(context.store, found)
        return web.Response(status=303, headers={"Location": f"{request.path}?done=mailed"})
    await erasure.erase(context.store, found, "author")
    return pages.page(request, "withdrawn.html", locale_of(request, found.body["locale"]))


async def _fields(request: web.Request) -> dict[str, object]:
    """Of a form; nothing is nothing. Raises BadRequest, UnsupportedType: what can't be read must not withdraw a comment."""
    kind, options = body.content_type(request)
    raw = await body.read(request)
    if not raw.strip():
        return {}
    if kind == body.FORM:
        return body.parse_form(raw)
    if kind == body.MULTIPART and options.get("boundary"):
        return body.parse_multipart(raw, options["boundary"])
    raise UnsupportedType()


async def _correct_by_form(
    request: web.Request, context: Context, found: Comment, fields: dict[str, str]
) -> web.Response:
    locale = locale_of(request, found.body["locale"])
    try:
        version = fields.get("version", "")
        if version.isascii() and version.isdigit() and int(version[:9]) != found.version:
            raise Conflict("It has changed in the meantime. Load the page again.", code="stale")
        await _correct(context, found, fields["comment"], fields.get("author"))
    except Invalid as error:
        errors = {one["field"]: one["message"] for one in problem.field_messages(error, locale)}
        return await _page(request, context, found, status=422, typed=fields, errors=errors)
    except ModerationError as error:
        trouble = problem.message_of(error, locale)
        return await _page(request, context, found, status=problem.status_of(error), typed=fields, trouble=trouble)
    return web.Response(status=303, headers={"Location": f"{request.path}?done=corrected"})


async def correct(request: web.Request) -> web.Response:
    """The same for a program."""
    context, found = await _private(request)
    asked = await body.json_body(request, CorrectionIn)
    return json(_as_json(await _correct(context, found, asked.comment, asked.author)))


async def _correct(context: Context, found: Comment, text: str, name: str | None) -> Comment:
    """Checked as it was at the form, and read by the rules again. Raises Invalid, Conflict, TooMany."""
    store = context.store
    if personal.public_status(found) is not Status.PENDING:
        raise Conflict("It was decided about in the meantime; it can't be changed any more.", code="decided")
    site, version = await context.site(found.site, fresh=True)
    said = _said(context, found)
    fields = {
        "author": said.name if name is None else name, "email": said.email, "url": said.url, "comment": text,
        "thread": said.thread,
    }  # fmt: skip
    checked = submission.parse({k: v for k, v in fields.items() if v}, site, json=False, locale=said.locale)
    said = said._replace(name=checked.name, text=checked.text)
    book, rules = context.rules(site, version)
    shown = as_shown(said)
    facts = Facts(at=time.time(), author=found.body["who"])
    if book.asks_past:
        names = bands(shown.text) if site.policy.near_duplicates else ()
        facts = await past.learn_of(store, site, shown, names, facts)
        facts = facts._replace(alike="" if facts.alike == found.id else facts.alike)
    verdict = screen(shown, facts, book, tuple(rule for rule in rules if rule not in OF_THE_FORM))
    if site.checkers:
        verdict = until_checked(verdict, site.checkers)
    return await corrections.correct(store, site, found, said, verdict)


def _said(context: Context, found: Comment) -> Submission:
    """As it came, so far as it is kept."""
    said = found.body
    return Submission(
        said["name"], personal.address_of(context.store, found), said.get("url") or "", said["text"], said["thread"],
        said.get("thread_url") or "", said.get("thread_title") or "", locale=said["locale"],
        notify_replies=bool(said.get("notify")), external_id=said.get("external_id") or "",
    )  # fmt: skip


async def withdraw(request: web.Request) -> web.Response:
    """Take it back for good, as a program does it."""
    context, found = await _private(request)
    await erasure.erase(context.store, found, "author")
    return web.Response(status=204)
