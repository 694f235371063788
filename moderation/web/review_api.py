"""The review API: list, one comment, claim, release, decide, undo."""

import contextlib
import time
from typing import Any

from aiohttp import web

from moderation import lifecycle, public, submission
from moderation.errors import Forbidden, ModerationError, NotFound
from moderation.model import Comment, Moderator, Role, Status
from moderation.screening import HELD, Verdict
from moderation.store import comments, erasure, lessons, outbox, review
from moderation.store.connection import Store
from moderation.store.review import DecisionRequest
from moderation.web import body, problem
from moderation.web.answer import json
from moderation.web.auth import need
from moderation.web.context import CONTEXT, Context
from moderation.web.delivery_api import for_admins
from moderation.web.finding import find, visible_sites
from moderation.web.middleware import locale_of
from moderation.web.schemas import BulkDecisionIn, ClaimIn, CommentQuery, DecisionIn, ReleaseIn


def for_moderators(store: Store, found: Comment, delivery_state: str) -> dict[str, Any]:
    """The moderators' view of the contract, section 3."""
    text = found.body
    claim = found.claim and {"by": found.claim["by"], "expires_at": public.iso(found.claim["until_ms"])}
    return {
        "id": found.id,
        "site": found.site,
        "thread": {"id": text["thread"], "url": text.get("thread_url"), "title": text.get("thread_title")},
        "parent": found.head.get("p"),
        "status": found.status.value,
        "version": found.version,
        "author": {**public.author(found), "email_masked": comments.masked_email(store.privacy, found)},
        **public.said(found),
        "masked": text.get("masked", []),
        "created_at": public.iso(found.created_ms),
        "decided_at": found.head.get("at"),
        "decided_by": found.head.get("by"),
        "reason": found.head.get("r"),
        "claim": claim,
        "screening": screening_of(text.get("screening"), found.head.get("ck")),
        "delivery": {"state": delivery_state},
        "external_id": found.head.get("x") or text.get("external_id"),
    }


_NOTHING_FOUND = Verdict("hold", (HELD,), HELD.rule).trace()


def screening_of(trace: dict[str, Any] | None, checked: dict[str, str] | None = None) -> dict[str, Any]:
    """The trace of a comment: what each rule said, which decided, and how long each took (µs)."""
    kept = trace or _NOTHING_FOUND
    return {
        "verdict": kept["verdict"],
        "decided_by": kept["by"],
        "reasons": [{"rule": rule, "verdict": verdict, "detail": detail} for rule, verdict, detail in kept["reasons"]],
        "rules": [{"rule": rule, "us": us} for rule, us in kept["us"].items()],
        "risk": kept.get("risk"),
        "checkers": checked or {},
    }


async def _rendered(store: Store, found: list[Comment]) -> list[dict[str, Any]]:
    states = await outbox.states(store, found)
    return [for_moderators(store, comment, states[comment.id]) for comment in found]


async def load_for(request: web.Request, role: Role) -> tuple[Context, Moderator, Comment]:
    """The comment named in the path, for somebody who may see it. Another site's is not found."""
    moderator = await need(request, role)
    context = request.app[CONTEXT]
    comment_id = request.match_info["id"]
    if not submission.is_comment_id(comment_id):
        raise NotFound("There is no such comment.")
    found = await comments.load(context.store, comment_id)
    if not moderator.may(role, found.site):
        raise NotFound("There is no such comment.")
    return context, moderator, found


async def listing(request: web.Request) -> web.Response:
    """Comments page by page; the cursor is the last id, and ids are in the order of time."""
    moderator = await need(request, Role.VIEWER)
    query = body.validate(CommentQuery, {name: value for name, value in request.query.items() if value})
    store = request.app[CONTEXT].store
    found = await find(store, await visible_sites(store, moderator, query.site), query)
    more = len(found.items) > query.limit
    items = found.items[: query.limit]
    return json(
        {"items": await _rendered(store, items), "next_cursor": items[-1].id if more else None, "total": found.total}
    )


async def one(request: web.Request) -> web.Response:
    """A comment with its history."""
    context, _, found = await load_for(request, Role.VIEWER)
    rendered = (await _rendered(context.store, [found]))[0]
    rendered["history"] = await review.history(context.store, found.id)
    rendered["deliveries"] = [for_admins(sent) for sent in await outbox.deliveries(context.store, found.id)]
    return json(rendered)


async def claim(request: web.Request) -> web.Response:
    """Lease waiting comments: those named, or the oldest."""
    moderator = await need(request, Role.MODERATOR)
    asked = await body.optional_json_body(request, ClaimIn)
    store = request.app[CONTEXT].store
    names = await visible_sites(store, moderator, asked.site)
    if asked.ids is not None:
        return json({"items": await _rendered(store, await claim_named(store, moderator, names, asked))})
    taken: list[Comment] = []
    for name in names:
        taken += await review.claim(store, name, moderator.name, asked.limit, asked.lease_seconds)
    taken.sort(key=lambda comment: comment.id)
    surplus: dict[str, list[str]] = {}
    for comment in taken[asked.limit :]:
        surplus.setdefault(comment.site, []).append(comment.id)
    for name, ids in surplus.items():
        await review.release(store, name, moderator.name, ids)
    return json({"items": await _rendered(store, taken[: asked.limit])})


async def claim_named(store: Store, moderator: Moderator, names: list[str], asked: ClaimIn) -> list[Comment]:
    """Lease comments by id; what is decided, held by others or not theirs to see is left out."""
    taken: list[Comment] = []
    for name, ids in (await _by_site(store, names, asked.ids or [])).items():
        taken += await review.claim(store, name, moderator.name, len(ids), asked.lease_seconds, ids, force=asked.force)
    return taken


async def _by_site(store: Store, names: list[str], ids: list[str]) -> dict[str, list[str]]:
    """Comments under their sites, as far as these are among `names`."""
    by_site: dict[str, list[str]] = {}
    for found in await comments.load_many(store, [i for i in ids if submission.is_comment_id(i)]):
        if found and found.site in names:
            by_site.setdefault(found.site, []).append(found.id)
    return by_site


async def release(request: web.Request) -> web.Response:
    """Give leases back: those named, or all of the caller's."""
    moderator = await need(request, Role.MODERATOR)
    asked = await body.optional_json_body(request, ReleaseIn)
    store = request.app[CONTEXT].store
    released: list[str] = []
    names = await visible_sites(store, moderator, None)
    if asked.ids is None:
        for name in names:
            released += await review.release(store, name, moderator.name, [])
    else:
        for name, ids in (await _by_site(store, names, asked.ids)).items():
            released += await review.release(store, name, moderator.name, ids)
    return json({"released": released})


async def _told(context: Context, found: Comment, status: Status) -> str:
    """Who is told when a comment gets this status: readers by mail (whether they still want it is asked when it is sent), and Akismet,
    when a human saw it otherwise.
    """
    author = "author" if "email" in found.body else ""
    targets = [author, "reply"] if status is Status.APPROVED else []
    if status in {Status.APPROVED, Status.SPAM} and "akismet" in found.head.get("ck", {}):
        targets.append("check:report:akismet")
    if status is Status.REJECTED and author and (await context.site(found.site, fresh=True))[0].mail_rejections:
        targets.append(author)
    return " ".join(targets)


async def carry_out(
    context: Context, moderator: Moderator, found: Comment, asked: DecisionIn, *, once: str = ""
) -> Comment:
    """One decision by one moderator. `once` is the hash of the link that asked for it: it works a single time."""
    leads_to = lifecycle.plan(asked.decision)
    decided = await review.decide(
        context.store,
        found,
        DecisionRequest(
            asked.decision,
            moderator.name,
            asked.version,
            asked.reason or "",
            asked.note or "",
            asked.undo_seconds,
            asked.force,
            once,
        ),
        leads_to,
        await _told(context, found, leads_to.status),
    )
    context.metrics.decisions.labels(asked.decision.value).inc()
    await _learn(context, decided)
    return decided


async def _learn(context: Context, comment: Comment) -> None:
    """A lesson is no part of the decision: what can't be learned now is not."""
    with contextlib.suppress(ModerationError):
        if (await context.site(comment.site, fresh=True))[0].policy.learning:
            await lessons.teach(context.store, comment)


async def decide(request: web.Request) -> web.Response:
    """One decision."""
    context, moderator, found = await load_for(request, Role.VIEWER)
    if not moderator.role.covers(Role.MODERATOR):
        raise Forbidden()
    decided = await carry_out(context, moderator, found, await body.json_body(request, DecisionIn))
    return json((await _rendered(context.store, [decided]))[0])


async def decide_many(request: web.Request) -> web.Response:
    """Many decisions; each stands alone."""
    moderator = await need(request, Role.MODERATOR)
    asked = await body.json_body(request, BulkDecisionIn)
    context, locale = request.app[CONTEXT], locale_of(request)
    ids = list(dict.fromkeys(asked.ids))
    known = {
        c.id: c for c in await comments.load_many(context.store, [i for i in ids if submission.is_comment_id(i)]) if c
    }
    results: list[dict[str, Any]] = []
    for comment_id in ids:
        found = known.get(comment_id)
        try:
            if found is None or not moderator.may(Role.MODERATOR, found.site):
                raise NotFound("There is no such comment.")
            decided = await carry_out(context, moderator, found, asked)
            results.append({"id": comment_id, "status": decided.status.value})
        except ModerationError as error:
            status = found.status.value if found and not isinstance(error, NotFound) else None
            results.append({"id": comment_id, "status": status, "error": problem.as_dict(error, locale)})
    return json({"results": results})


async def undo_decision(context: Context, moderator: Moderator, found: Comment) -> Comment:
    """As if it had not been made. Raises Conflict once the time is over."""
    undone = await review.undo(context.store, found, moderator.name)
    await _learn(context, undone)
    return undone


async def undo(request: web.Request) -> web.Response:
    """Take a decision back while its deliveries are held."""
    context, moderator, found = await load_for(request, Role.MODERATOR)
    undone = await undo_decision(context, moderator, found)
    return json((await _rendered(context.store, [undone]))[0])


async def contact(request: web.Request) -> web.Response:
    """Read an address in full: a right of its own, and every reading is in the audit log before it is answered."""
    context, moderator, found = await load_for(request, Role.VIEWER)
    return json({"id": found.id, "email": await reveal(context.store, moderator, found)})


async def reveal(store: Store, moderator: Moderator, found: Comment) -> str:
    """The address, once it is written down who reads it. Raises Forbidden, NotFound."""
    if not moderator.contact:
        raise Forbidden("Reading addresses is a right of its own (contact).")
    if "email" not in found.body:
        raise NotFound("No address was given with this comment.")
    await review.record_reveal(store, found, moderator.name, public.iso(int(time.time() * 1000)))
    return store.privacy.open(found.body["email"], found.id)


async def erase(request: web.Request) -> web.Response:
    """Take a comment away for good. Endpoints that want `comment.erased` are told."""
    context, moderator, found = await load_for(request, Role.ADMIN)
    await erasure.erase(context.store, found, moderator.name)
    return web.Response(status=204)
