"""What moderators do with comments: decide, take back, take and give back; with one row or with many."""

import contextlib
import time
from collections import Counter
from typing import Any

from aiohttp import web

from moderation import lifecycle
from moderation.errors import Conflict, NotFound
from moderation.model import Comment, Decision, Role, Status
from moderation.store import comments, keys, review, sessions
from moderation.submission import is_comment_id
from moderation.web import body
from moderation.web.desk import cards, frame
from moderation.web.desk.frame import Desk
from moderation.web.desk.queue import BULK_UNDO_SECONDS, PAGE, UNDO_SECONDS, Sight, may_see
from moderation.web.finding import find, visible_sites
from moderation.web.review_api import carry_out, undo_decision
from moderation.web.schemas import CommentQuery, DecisionIn

LEASE_SECONDS = 300
_BULK_MAX = 500  # chosen one by one
_STEP_SECONDS, _STEP = 5.0, 100
_SAMPLES = 5


async def _row(request: web.Request) -> tuple[Desk, dict[str, str], Comment]:
    """Who pressed a button of a row, its form, and its comment. Raises Forbidden, NotFound."""
    desk, fields = await frame.pressed(request)
    return desk, fields, await desk.comment(Role.MODERATOR)


async def act(request: web.Request) -> web.Response:
    """A decision about a row."""
    desk, fields, found = await _row(request)
    sight = Sight.written(fields.get("here", ""))
    asked = _decision(fields, UNDO_SECONDS, "version", "note", "force")
    try:
        decided = await carry_out(desk.context, desk.moderator, found, asked)
    except Conflict:
        return sight.go(done="conflict", about=found.id)
    also: list[Comment] = []
    if asked.decision in {Decision.REJECT, Decision.SPAM}:  # what is published, somebody has read to the end
        ids = [one for one in fields.get("also", "").split()[:PAGE] if is_comment_id(one)]
        also = await _decide_alike(desk, asked, may_see(desk, await comments.load_many(desk.store, ids)))
    ids = [comment.id for comment in (found, *also)]
    batch = await sessions.keep_batch(desk.store, desk.moderator.name, ids)
    return sight.go(done=decided.status.value, batch=batch, n=str(len(ids)))


async def _decide_alike(desk: Desk, asked: DecisionIn, others: list[Comment]) -> list[Comment]:
    """The same for those of them that wait; one that somebody else holds stays as it is. Returns those that were decided."""
    same, decided = asked.model_copy(update={"version": None}), list[Comment]()
    for other in others:
        if other.status is Status.PENDING:
            with contextlib.suppress(Conflict):
                decided.append(await carry_out(desk.context, desk.moderator, other, same))
    return decided


async def take_back(request: web.Request) -> web.Response:
    """Undo what one press decided, while the deliveries are held back."""
    desk, fields = await frame.pressed(request)
    ids = await sessions.batch_of(desk.store, desk.moderator.name, fields.get("batch", ""))
    undone = late = 0
    for comment in may_see(desk, await comments.load_many(desk.store, ids)):
        try:
            await undo_decision(desk.context, desk.moderator, comment)
            undone += 1
        except Conflict:
            late += 1
    sight = Sight.written(fields.get("here", ""))
    return sight.go(done="undone", n=str(undone), late=str(late)) if undone else sight.go(done="late")


async def take(request: web.Request) -> web.Response:
    """Hold a comment for oneself, also one that somebody else holds if that is said."""
    desk, fields, found = await _row(request)
    force = bool(fields.get("force"))
    taken = await review.claim(desk.store, found.site, desk.moderator.name, 1, LEASE_SECONDS, [found.id], force=force)
    sight = Sight.written(fields.get("here", ""))
    return sight.go(done="taken", about=found.id) if taken else sight.go(done="conflict", about=found.id)


async def give_back(request: web.Request) -> web.Response:
    """Let others have it."""
    desk, fields, found = await _row(request)
    await review.release(desk.store, found.site, desk.moderator.name, [found.id])
    return Sight.written(fields.get("here", "")).go()


# many at once


def _chosen(fields: dict[str, str]) -> list[str]:
    """The comments whose boxes are ticked, or that the page before named."""
    ticked = [name[2:] for name in fields if name.startswith("c-")]
    return [one for one in (ticked or fields.get("ids", "").split())[:_BULK_MAX] if is_comment_id(one)]


def _decision(fields: dict[str, str], undo_seconds: int, *more: str) -> DecisionIn:
    """What a form asks for; a reason only with a rejection. Raises Invalid."""
    given = {key: fields[key] for key in ("decision", "reason", *more) if fields.get(key)}
    if given.get("decision") != Decision.REJECT:
        given.pop("reason", None)
    return body.validate(DecisionIn, given | {"undo_seconds": undo_seconds})


def _all_of(sight: Sight, cursor: str, limit: int) -> CommentQuery:
    return sight.query.model_copy(update={"sort": "oldest", "cursor": cursor or None, "limit": limit})


async def preview(request: web.Request) -> web.Response:
    """How many comments an action would be about, and some of them, before anything is done."""
    desk, fields = await frame.pressed(request)
    sight, asked, everything = (
        Sight.written(fields.get("here", "")),
        _decision(fields, BULK_UNDO_SECONDS),
        bool(fields.get("all")),
    )
    if everything:
        found = await find(
            desk.store, await visible_sites(desk.store, desk.moderator, sight.query.site), _all_of(sight, "", PAGE)
        )
        total, some = found.total, may_see(desk, list(found.items))
    else:
        some = may_see(desk, await comments.load_many(desk.store, _chosen(fields)))
        total = len(some)
    if not total:
        return sight.go(done="none")
    held = [comment for comment in some if comment.claim and comment.claim["by"] != desk.moderator.name]
    return desk.page(
        "bulk.html", sight=sight, asked=asked, total=total, all=everything, ids=" ".join(c.id for c in some) if not everything else "",
        samples=await cards.of(desk.context, some[:_SAMPLES]), by_site=Counter(c.site for c in some) if not everything else {},
        held=len(held), until=keys.lowest_id(int(time.time() * 1000)), undo_seconds=BULK_UNDO_SECONDS,
    )  # fmt: skip


async def carry_out_many(request: web.Request) -> web.Response:
    """Do it: what was chosen, or everything they look at that was there when they looked, in steps of some seconds."""
    desk, fields = await frame.pressed(request)
    sight, asked = Sight.written(fields.get("here", "")), _decision(fields, BULK_UNDO_SECONDS)
    ends, decided, skipped = time.monotonic() + _STEP_SECONDS, list[str](), 0
    if not fields.get("all"):
        for comment in may_see(desk, await comments.load_many(desk.store, _chosen(fields))):
            done = await _one_of_many(desk, comment, asked)
            decided += [comment.id] if done else []
            skipped += not done
        return await _finish(desk, fields, asked, decided, skipped)
    until, cursor = fields.get("until", ""), fields.get("cursor", "")
    names = await visible_sites(desk.store, desk.moderator, sight.query.site)
    while time.monotonic() < ends:
        found = [
            c for c in (await find(desk.store, names, _all_of(sight, cursor, _STEP))).items[:_STEP] if c.id < until
        ]
        for comment in may_see(desk, list(found)):
            done = await _one_of_many(desk, comment, asked)
            decided += [comment.id] if done else []
            skipped += not done
        if len(found) < _STEP:
            return await _finish(desk, fields, asked, decided, skipped)
        cursor = found[-1].id
    return await _go_on(desk, fields, decided, skipped, cursor)


async def _one_of_many(desk: Desk, comment: Comment, asked: DecisionIn) -> bool:
    try:
        await carry_out(desk.context, desk.moderator, comment, asked)
    except (Conflict, NotFound):  # held by somebody else, or gone meanwhile
        return False
    return True


def _so_far(fields: dict[str, str], name: str) -> int:
    text = fields.get(name, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


async def _finish(
    desk: Desk, fields: dict[str, str], asked: DecisionIn, decided: list[str], skipped: int
) -> web.Response:
    batch = await sessions.keep_batch(desk.store, desk.moderator.name, decided, fields.get("batch", ""))
    found = {
        "done": lifecycle.plan(asked.decision).status.value,
        "n": str(_so_far(fields, "n") + len(decided)),
        "batch": batch,
    }
    if skipped := skipped + _so_far(fields, "skipped"):
        found["late"] = str(skipped)
    return Sight.written(fields.get("here", "")).go(cursor="", **found)


async def _go_on(desk: Desk, fields: dict[str, str], decided: list[str], skipped: int, cursor: str) -> web.Response:
    """A page that says how far it is and goes on by itself, or by its button."""
    batch = await sessions.keep_batch(desk.store, desk.moderator.name, decided, fields.get("batch", ""))
    state: dict[str, Any] = fields | {
        "cursor": cursor, "batch": batch, "n": _so_far(fields, "n") + len(decided), "skipped": _so_far(fields, "skipped") + skipped,
    }  # fmt: skip
    return desk.page("bulk_step.html", state=state, total=max(_so_far(fields, "total"), 1))
