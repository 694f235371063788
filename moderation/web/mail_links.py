"""The pages behind the links of mails. GET shows and asks, POST acts: mail scanners open every link. No login, no JavaScript."""

from typing import Any

from aiohttp import web

from moderation import links, markup, stamps, submission
from moderation.errors import Conflict, ModerationError, NotFound
from moderation.model import Comment, Moderator, Role, Site
from moderation.privacy import Sealed
from moderation.store import comments, keys, mailboxes, sites
from moderation.store.mailboxes import Suppression
from moderation.web import body, pages
from moderation.web.admin_api import now
from moderation.web.context import CONTEXT, Context
from moderation.web.desk import cards, shown
from moderation.web.middleware import locale_of
from moderation.web.review_api import carry_out
from moderation.web.schemas import DecisionIn

NOT_OURS = "This link is not complete. Open it from the mail once more."


def _private(response: web.Response) -> web.Response:
    """Its address is a key: it must not travel on in a Referer."""
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _shown(comment: Comment) -> dict[str, Any]:
    text = comment.body["text"]
    return {
        "name": markup.plain_line(comment.body["name"]),
        "page": markup.plain_line(comment.body.get("thread_title") or comment.body["thread"]),
        "html": markup.to_html(text),
        "locale": comment.body["locale"],
        "direction": markup.text_direction(text, markup.direction(comment.body["locale"])),
        "status": comment.status.value,
        "by": comment.head.get("by") or "",
    }


# approve, reject, spam


def _judged(comment: Comment) -> dict[str, Any]:
    """As the desk shows it, with what rules found and what hides: whoever decides by mail has to know as much."""
    found = cards.reasons(comment)
    text = shown.text(comment.body["text"], [(reason["rule"], reason["detail"]) for reason in found])
    return _shown(comment) | {
        "name": shown.text(comment.body["name"]),
        "letter": markup.plain_line(comment.body["name"])[:1] or "?",
        "text": text,
        "found": found,
    }


async def _moderation(request: web.Request) -> tuple[Context, links.Moderation, Comment, Site]:
    """The link, its comment and site. Raises NotFound for a link that is not ours, or no longer of somebody who is told."""
    context, parts = request.app[CONTEXT], request.match_info
    link = links.read_moderation(
        context.store.privacy,
        parts["id"], parts["decision"], parts["recipient"], parts["version"], parts["expires"], parts["signature"],
    )  # fmt: skip
    if link is None:
        raise NotFound(NOT_OURS)
    comment = await comments.load(context.store, link.comment_id)
    site, _ = await sites.load(context.store, comment.site)
    told = {context.store.privacy.address_id(a) for a in sites.notify_addresses(context.store, site)}
    if link.recipient not in told:
        raise NotFound("You are no longer among those who decide about this.")
    return context, link, comment, site


def _decision_page(
    request: web.Request, link: links.Moderation, comment: Comment, site: Site, *, done: bool = False, error: str = ""
) -> web.Response:
    """What is asked, what was done, or why it can't be done any more."""
    changed = bool(error) or link.version != comment.version
    state = "done" if done else "decided" if changed else "expired" if link.expired else "ask"
    status = {"ask": 200, "done": 200, "decided": 409, "expired": 410}[state] if request.method == "POST" else 200
    return _private(
        pages.page(
            request, "mail_decide.html", locale_of(request, site.locale), status=status, state=state,
            decision=link.decision.value, comment=_judged(comment), rules=cards.RULES, site=markup.plain_line(site.name), error=error,
        )
    )  # fmt: skip


async def moderation_page(request: web.Request) -> web.Response:
    """Shows the comment, and asks."""
    _, link, comment, site = await _moderation(request)
    return _decision_page(request, link, comment, site)


async def moderate(request: web.Request) -> web.Response:
    """The button was pressed. Works once, for three days, as long as nobody else decided."""
    context, link, comment, site = await _moderation(request)
    if link.expired or link.version != comment.version:
        return _decision_page(request, link, comment, site)
    moderator = Moderator(name=f"mail:{link.recipient[:8]}", role=Role.MODERATOR, sites=(site.id,))
    asked = DecisionIn(decision=link.decision, version=link.version)
    once = context.store.privacy.keyed_hash("once", link.signature)
    try:
        decided = await carry_out(context, moderator, comment, asked, once=once)
    except Conflict as conflict:
        comment = await comments.load(context.store, comment.id)
        return _decision_page(request, link, comment, site, error=conflict.code)
    return _decision_page(request, link, decided, site, done=True)


# unsubscribe


def _unsubscribing(request: web.Request) -> tuple[str, str, str]:
    recipient, site, thread = (request.match_info[name] for name in ("recipient", "site", "thread"))
    signature = request.match_info["signature"]
    if not links.unsubscribe_is_ours(request.app[CONTEXT].store.privacy, recipient, site, thread, signature):
        raise NotFound(NOT_OURS)
    return recipient, site, thread


async def _unsubscribe_answer(request: web.Request, site: str, thread: str, done: str) -> web.Response:
    try:
        found, _ = await sites.load(request.app[CONTEXT].store, site)
    except NotFound:  # deleted since: nothing is sent for it, but the wish is noted all the same
        found = Site(id=site, name=site)
    locale = locale_of(request, found.locale)
    about_thread = thread != links.NO_THREAD
    return _private(
        pages.page(
            request, "unsubscribe.html", locale, site=markup.plain_line(found.name), about_thread=about_thread, done=done
        )
    )  # fmt: skip


async def unsubscribe_page(request: web.Request) -> web.Response:
    """Asks from what: this discussion, this site, or everything."""
    _, site, thread = _unsubscribing(request)
    return await _unsubscribe_answer(request, site, thread, "")


async def unsubscribe(request: web.Request) -> web.Response:
    """One click (RFC 8058) ends the site's mails; the page's form says which. Takes a form or nothing, needs no cookie."""
    recipient, site, thread = _unsubscribing(request)
    scope = await _wished_scope(request)
    names = {
        "all": mailboxes.ALL,
        "thread": mailboxes.thread_scope(site, thread) if thread != links.NO_THREAD else mailboxes.site_scope(site),
    }
    name = names.get(scope, mailboxes.site_scope(site))
    store = request.app[CONTEXT].store
    await mailboxes.suppress(store, Suppression(recipient, name, "unsubscribed", now()))
    return await _unsubscribe_answer(request, site, thread, scope if scope in names else "site")


async def _wished_scope(request: web.Request) -> str:
    try:
        kind, options = body.content_type(request)
        raw = await body.read(request)
        multipart = kind == body.MULTIPART and options.get("boundary")
        fields = body.parse_multipart(raw, options["boundary"]) if multipart else body.parse_form(raw)
    except ModerationError:  # the wish is in the address; a form that can't be read says no less than none
        return "site"
    return str(fields.get("scope") or "site")


# being told of replies


async def _confirming(request: web.Request) -> tuple[Context, Comment]:
    context, comment_id = request.app[CONTEXT], request.match_info["id"]
    signature = request.match_info["signature"]
    if not submission.is_comment_id(comment_id) or not links.confirm_is_ours(
        context.store.privacy, comment_id, signature
    ):
        raise NotFound(NOT_OURS)
    comment = await comments.load(context.store, comment_id)
    if not comment.body.get("email"):
        raise NotFound("There is no such comment.")
    return context, comment


def _confirm_answer(request: web.Request, comment: Comment, *, done: bool) -> web.Response:
    locale = locale_of(request, comment.body["locale"])
    return _private(pages.page(request, "confirm.html", locale, comment=_shown(comment), done=done))


async def confirm_page(request: web.Request) -> web.Response:
    """Asks whether the author of a comment wants to be told of replies."""
    _, comment = await _confirming(request)
    return _confirm_answer(request, comment, done=False)


async def confirm(request: web.Request) -> web.Response:
    """Yes. Who unsubscribed from the site or the thread before is told again."""
    context, comment = await _confirming(request)
    store, site = context.store, comment.site
    try:
        recipient = store.privacy.address_id(store.privacy.open(comment.body["email"], comment.id))
    except Sealed:
        raise NotFound("There is no such comment.") from None
    await mailboxes.confirm(store, site, recipient)
    await mailboxes.forgive(store, recipient, site, keys.thread_key(comment.body["thread"]))
    response = _confirm_answer(request, comment, done=True)
    secure = context.base_url.startswith("https://")
    # their next comments, posted from pages of the site, carry it: whoever only types the address has no such cookie
    response.set_cookie(
        stamps.PROOF_COOKIE,
        stamps.proof(store.privacy, recipient),
        max_age=stamps.PROOF_SECONDS,
        httponly=True,
        secure=secure,
        samesite="None" if secure else "Lax",
        path="/",
    )
    return response
