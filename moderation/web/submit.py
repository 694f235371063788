"""The door for comments: JSON and forms, the site's own name for it and WordPress's."""

import re
import time
import types
from collections.abc import Generator
from typing import NamedTuple
from urllib.parse import quote, unquote_plus, urlencode, urlsplit, urlunsplit

from aiohttp import hdrs, web
from pydantic_core import to_json

from moderation import stamps, submission
from moderation.errors import BadRequest, FieldError, Forbidden, Invalid, ModerationError, UnsupportedType
from moderation.i18n import speaks, translate
from moderation.model import Site, Status, Submission, created_ms
from moderation.privacy import mask_addresses
from moderation.public import iso
from moderation.screening import USUAL, Facts, Verdict, screen
from moderation.screening.mode import is_closed
from moderation.screening.outcome import until_checked
from moderation.screening.similar import bands
from moderation.store import comments, past
from moderation.store.comments import Accepted, StaleSite
from moderation.submission import is_on_site, origin_of
from moderation.web import body, pages, problem
from moderation.web.answer import json
from moderation.web.context import CONTEXT, Context
from moderation.web.middleware import CORS_ORIGIN, locale_of
from moderation.web.origins import check_origin

_KEY_MAX = 255
_DOOR = "/wp-comments-post.php"
WAITS = "Thank you. Your comment waits for review."
IS_PUBLISHED = "Thank you. Your comment is published."


async def preflight(request: web.Request) -> web.Response:
    """CORS for the site's own origins; others get no permission."""
    site, _ = await request.app[CONTEXT].site(request.match_info["site"], fresh=True)
    origin = request.headers.get("Origin", "")
    if origin not in site.origins:
        raise Forbidden("Comments for this site can't be sent from here.", code="origin")
    request[CORS_ORIGIN] = origin
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "content-type, idempotency-key",
            "Access-Control-Max-Age": "600",
        },
    )


async def submit(request: web.Request) -> web.Response:
    """One comment. Answers 202 only once Redis has it on disk."""
    context = request.app[CONTEXT]
    fields: dict[str, object] = {}
    kind = body.media_type(request)
    site: Site | None = None
    try:
        site, _ = await context.site(request.match_info["site"])
        _allow_reading(request, site)
        fields = await _fields(request)
        if "thread" in request.match_info:  # the page of the thread posts to itself
            fields["thread"] = request.match_info["thread"]
        await _in_step()
        accepted, said, site = await _store(request, context, fields, is_json=kind == body.JSON)
    except ModerationError as error:
        context.metrics.submissions[problem.status_of(error)] += 1
        if site and error.code == "origin":
            context.foreign.refused(request, site.id)
        locale = _page_locale(request, site, fields)
        if _wants_html(request, kind):
            return _error_page(request, site, fields, error, locale)
        return problem.answer(error, locale)
    context.metrics.submissions[201 if accepted.status is Status.APPROVED else 202] += 1
    if _wants_html(request, kind):
        return _after_form(request, site, said, accepted)
    return _receipt(context, said, accepted, _told_in(request, site, said.locale))


@types.coroutine
def _in_step() -> Generator[None, None, None]:
    """Let the other submissions of this tick get as far as this one: a stage that runs for all of them in a row finds its
    code in the processor's caches. Measured: a fifth less time per submission at 64 connections (docs/performance.md).
    """
    yield  # what asyncio.sleep(0) comes to, without its two coroutines


def _allow_reading(request: web.Request, site: Site) -> None:
    """The site's own pages may read every answer, refusals too (CORS)."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None:
        request[CORS_ORIGIN] = origin if origin in site.origins else ""


async def _fields(request: web.Request) -> dict[str, object]:
    kind, options = body.content_type(request)
    if kind not in {body.JSON, body.FORM, body.MULTIPART}:
        raise UnsupportedType()
    raw = await body.read(request)
    if kind == body.FORM:
        return body.parse_form(raw)
    if kind == body.MULTIPART:
        if not options.get("boundary"):
            raise BadRequest("The form could not be read.")
        return body.parse_multipart(raw, options["boundary"])
    found = body.parse_json(raw)
    if not isinstance(found, dict):
        raise BadRequest("Send a JSON object.")
    return found


async def _store(
    request: web.Request, context: Context, fields: dict[str, object], *, is_json: bool
) -> tuple[Accepted, Submission, Site]:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > _KEY_MAX:
        raise Invalid([FieldError("Idempotency-Key", "too_long", submission.MESSAGES["too_long"], {"limit": _KEY_MAX})])
    if not key.isprintable():  # bytes that are no UTF-8, for one
        raise Invalid([FieldError("Idempotency-Key", "invalid", submission.MESSAGES["invalid"])])
    address = context.proxies.client_address(request)
    for fresh in (False, True, True):
        site, version = await context.site(request.match_info["site"], fresh=fresh)
        try:
            read = await _read(request, context, site, version, fields, address, is_json=is_json)
        except (Forbidden, Invalid):
            if fresh:
                raise
            continue  # only a fresh copy of the site may refuse: our own may be old
        await _in_step()
        usual = read.verdict is USUAL  # it takes no room in Redis
        try:
            accepted = await comments.submit(
                context.store,
                site,
                version,
                read.said,
                author=read.author,
                address=address,
                idempotency_key=key,
                status=Status.PENDING if usual else Status(read.verdict.status),
                screening=None if usual else read.verdict.trace(),
                bands=read.bands,
                client=_client(request, address) if site.checkers else "",
            )
        except StaleSite:
            continue
        return accepted, read.said, site
    raise ModerationError("The site changed too often just now.")


class _Read(NamedTuple):
    """A submission, and what the rules make of it."""

    said: Submission
    author: str
    verdict: Verdict
    bands: tuple[str, ...]


async def _read(
    request: web.Request,
    context: Context,
    site: Site,
    version: str,
    fields: dict[str, object],
    address: str,
    *,
    is_json: bool,
) -> _Read:
    """Raises Forbidden (another origin, closed), Invalid."""
    _allow_reading(request, site)
    check_origin(request, site, context.own_origin)
    said = submission.parse(fields, site, json=is_json, locale=locale_of(request, site.locale))
    book, rules = context.rules(site, version)
    facts = _known(request, context, site, said, fields, address)
    if book.closes:
        _refuse_closed(site, said, facts)
    shown, names = as_shown(said), tuple[str, ...]()
    if book.asks_past:
        names = bands(shown.text) if site.policy.near_duplicates else ()
        facts = await past.learn_of(context.store, site, shown, names, facts)
        _refuse_closed(site, said, facts)
    verdict = screen(shown, facts, book, rules)
    if site.checkers:
        verdict = until_checked(verdict, site.checkers)
    return _Read(said, facts.author, verdict, names)


def as_shown(said: Submission) -> Submission:
    """With typed addresses masked: rules say what they found, and nothing they say may hold one."""
    name, text = mask_addresses(said.name), mask_addresses(said.text)
    return said if name is said.name and text is said.text else said._replace(name=name, text=text)


def _known(
    request: web.Request, context: Context, site: Site, said: Submission, fields: dict[str, object], address: str
) -> Facts:
    """What the door knows beside the comment. Signatures are looked at here: rules are pure."""
    policy, privacy, at = site.policy, context.store.privacy, time.time()
    facts = Facts(at, privacy.author_id(site.id, said.email, said.name), address)
    stamp, signed = fields.get(submission.STAMP), fields.get(submission.IDENTITY)
    if policy.trap_field and fields.get(policy.trap_field):
        facts = facts._replace(trap=True)
    if stamp and policy.form_stamp != "off":
        facts = facts._replace(fill_seconds=stamps.age(privacy, site.id, str(stamp), at))
    if signed and stamps.identity_is_right(privacy, site.id, said.email, str(signed), at):
        facts = facts._replace(identified=True)
    proof = request.headers.get(hdrs.COOKIE) and request.cookies.get(stamps.PROOF_COOKIE)
    if proof and said.email and stamps.is_proved(privacy, said.email, proof):
        facts = facts._replace(confirmed=True)
    return facts


def _client(request: web.Request, address: str) -> str:
    """What outside checkers are told of whoever sent it."""
    agent, referrer = request.headers.get(hdrs.USER_AGENT, ""), request.headers.get(hdrs.REFERER, "")
    page = re.split("[?#]", referrer)[0]  # a query may hold anything
    told = {"address": address, "agent": agent[:500], "referrer": page[:500]}
    return to_json(
        {name: mask_addresses(text.encode("utf-8", "replace").decode()) for name, text in told.items()}
    ).decode()


def _refuse_closed(site: Site, said: Submission, facts: Facts) -> None:
    if is_closed(site.policy, said.thread, facts):
        raise Forbidden("Comments are closed.", code="closed")


def _wants_html(request: web.Request, kind: str) -> bool:
    return kind in {body.FORM, body.MULTIPART} and "text/html" in request.headers.get(hdrs.ACCEPT, "").lower()


def _page_locale(request: web.Request, site: Site | None, fields: dict[str, object]) -> str:
    asked = fields.get("locale")
    if isinstance(asked, str) and 2 <= len(asked) <= 35 and asked.replace("-", "").isalnum():
        return _told_in(request, site, asked)
    return locale_of(request, site.locale if site else "en")


def _told_in(request: web.Request, site: Site | None, locale: str) -> str:
    """The language of the comment if we speak it, else the visitor's, else the site's."""
    return locale if speaks(locale) else locale_of(request, site.locale if site else "en")


def status_url(context: Context, comment_id: str) -> str:
    """Private to the commenter: nobody else can make its last part."""
    return f"{context.base_url}/c/{comment_id}/{context.store.privacy.sign_link('status', comment_id)}"


def _receipt(context: Context, said: Submission, accepted: Accepted, locale: str) -> web.Response:
    published = accepted.status is Status.APPROVED
    answer = {
        "id": accepted.comment_id,
        "status": "approved" if published else "pending",
        "thread": said.thread,
        "created_at": iso(created_ms(accepted.comment_id)),
        "message": translate(locale, IS_PUBLISHED if published else WAITS),
        "status_url": status_url(context, accepted.comment_id),
    }
    return json(answer, 201 if published else 202)


def _thread_page(site: Site, thread: str) -> str:
    """The page of a thread by the site's template, or ''."""
    return site.thread_url_template.replace("{thread}", quote(thread, safe="")) if site.thread_url_template else ""


def _page_of_form(request: web.Request, site: Site) -> str:
    """The page the form stood on, if the Referer names one: browsers cut its path across origins, and our own error
    page behind a proxy has the address of the door.
    """
    referer = request.headers.get(hdrs.REFERER, "")
    if not is_on_site(referer, site):
        return ""
    parts = urlsplit(referer)
    is_page = parts.path.strip("/") + parts.query and parts.path != request.path and not parts.path.endswith(_DOOR)
    return referer if is_page else ""


def _own_page(request: web.Request, accepted: Accepted | None = None) -> str:
    """The thread's page of ours, if the form stood there: as it was looked at, else ''."""
    if "thread" not in request.match_info:
        return ""
    kept = [(name, request.query[name]) for name in _LOOKS if name in request.query]
    if accepted and accepted.status is Status.APPROVED:
        kept.append(("at", accepted.comment_id))
    address = request.app[CONTEXT].base_url + request.rel_url.raw_path
    return address + ("?" + urlencode(kept) if kept else "")


def _after_form(request: web.Request, site: Site, said: Submission, accepted: Accepted) -> web.Response:
    target = (
        said.redirect_to
        or _own_page(request, accepted)
        or _thread_page(site, said.thread)
        or _page_of_form(request, site)
    )
    if not target:
        link = status_url(request.app[CONTEXT], accepted.comment_id)
        locale = _told_in(request, site, said.locale)
        return pages.page(request, "waiting.html", locale, status=202, status_url=link, message=WAITS)
    state = "approved" if accepted.status is Status.APPROVED else "pending"
    return web.Response(status=303, headers={"Location": _with_receipt(target, state, accepted.comment_id)})


_URL_SAFE = "%/:=&?~+!$,;'@()*[]"  # what is escaped stays as it is, in whatever charset the site uses


def _with_receipt(target: str, state: str, comment_id: str) -> str:
    """The page's address with what became of the comment; its other arguments are kept byte for byte."""
    parts = urlsplit(target)
    query = [a for a in parts.query.split("&") if a and unquote_plus(a.partition("=")[0]) not in _RECEIPT]
    query += [f"comment_status={state}", f"comment_id={comment_id}"]
    path, arguments = (quote(t, _URL_SAFE, errors="surrogateescape") for t in (parts.path, "&".join(query)))
    return urlunsplit((parts.scheme, _ascii_host(parts.netloc), path, arguments, f"comment-{comment_id}"))


def _ascii_host(netloc: str) -> str:
    try:
        return netloc if netloc.isascii() else netloc.encode("idna").decode()
    except UnicodeError:
        return quote(netloc, _URL_SAFE, errors="surrogateescape")


_LOOKS = ("view", "order", "lang")
_RECEIPT = ("comment_status", "comment_id")
_KEPT = ("thread", "parent", "thread_url", "thread_title", "locale", "redirect_to", "notify_replies", "external_id")


def _error_page(
    request: web.Request, site: Site | None, fields: dict[str, object], error: ModerationError, locale: str
) -> web.Response:
    typed: dict[str, str] = {}
    for name, value in fields.items():
        field = submission.FIELD_OF.get(name)
        if field and isinstance(value, str) and not typed.get(field):
            typed[field] = value
    messages = (
        {e["field"]: e["message"] for e in problem.field_messages(error, locale)} if isinstance(error, Invalid) else {}
    )
    back = ""
    if site:
        page_of_form = _page_of_form(request, site)
        back = _thread_page(site, typed["thread"]) if typed.get("thread") else ""
        back = _own_page(request) or back or page_of_form
        if page_of_form and not site.thread_url_template:
            typed.setdefault("redirect_to", page_of_form)  # the next post comes from here and knows the page no more
    origins = {*site.origins, origin_of(site.thread_url_template or "")} - {""} if site else set()
    response = pages.page(
        request,
        "form_error.html",
        locale,
        status=problem.status_of(error),
        form_action=tuple(sorted(origins)),
        framed_by=site.origins if site and "thread" in request.match_info else (),
        site=site,
        typed=typed,
        kept={name: typed[name] for name in _KEPT if typed.get(name)},
        messages=messages,
        hidden_messages=[m for f, m in messages.items() if f not in {"author", "email", "url", "comment"}],
        detail=problem.message_of(error, locale),
        can_repeat=site is not None and problem.status_of(error) in {409, 422, 429, 503},
        back=back,
        limits=submission,
        max_comment=site.policy.max_comment_length if site else 0,
    )
    response.headers.update(problem.headers_of(error))
    return response
