"""The queue: what waits, or what somebody looks for, page by page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from moderation.errors import Conflict, FieldError, Invalid
from moderation.model import Comment, Role, Status
from moderation.store import comments, live, sessions
from moderation.submission import is_comment_id
from moderation.web import body
from moderation.web.desk import cards, frame, shortcuts
from moderation.web.desk.frame import Desk
from moderation.web.finding import find, visible_sites
from moderation.web.schemas import CommentQuery

PAGE = 25
UNDO_SECONDS, BULK_UNDO_SECONDS = 8, 30  # so long nothing of a decision made here is sent
FILTERS = ("status", "site", "q", "sort", "thread", "author", "rule", "language", "cursor", "view")
_NARROW = ("site", "q", "thread", "author", "rule", "language")


@dataclass(frozen=True, slots=True)
class Sight:
    """What somebody looks at: it stays when they act."""

    kept: dict[str, str]

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Sight":
        return cls({name: query[name][:512] for name in FILTERS if query.get(name)})

    @classmethod
    def written(cls, text: str) -> "Sight":
        """From the form field `here`."""
        return cls.of(dict(parse_qsl(text[:4096])))

    @property
    def query(self) -> CommentQuery:
        """Raises Invalid."""
        asked = {name: value for name, value in self.kept.items() if name != "view"}
        wanted = {"status": Status.PENDING, "limit": 1 if self.one_by_one else PAGE} | asked
        if wanted["status"] == "all":
            wanted.pop("status")
        return body.validate(CommentQuery, wanted)

    @property
    def one_by_one(self) -> bool:
        return self.kept.get("view") == "one"

    def address(self, **more: str) -> str:
        """Of the queue as they see it; '' takes a filter away."""
        wanted = {name: value for name, value in (self.kept | more).items() if value}
        return "/review" + (f"?{urlencode(wanted)}" if wanted else "")

    def go(self, **more: str) -> web.Response:
        """Back there, with what came of it."""
        return frame.see(self.address(**more))


async def queue(request: web.Request) -> web.Response:
    """What waits, oldest first, unless they look for something else."""
    desk = await frame.sit(request)
    sight = Sight.of(request.query)
    try:
        query = sight.query
    except Invalid as error:
        return desk.page("trouble.html", status=422, message=", ".join(desk.problems(error)))
    everywhere = await visible_sites(desk.store, desk.moderator, None)
    names = await visible_sites(desk.store, desk.moderator, query.site)
    watched = await live.mark(desk.store, everywhere) if query.status is Status.PENDING else ""
    found = await find(desk.store, names, query)
    shown = await cards.of(desk.context, found.items[: query.limit])
    more = shown[-1]["id"] if len(found.items) > query.limit else ""
    if query.status is Status.PENDING:
        shown = cards.one_row_each(shown)
    counts = {
        status.value: sum([await comments.count(desk.store, name, status) for name in names]) for status in Status
    }
    return desk.page(
        "queue.html", cards=shown, total=found.total, more=more, sight=sight, query=query, counts=counts, rules=cards.RULES,
        names=everywhere, watched=watched, narrow=[name for name in _NARROW if sight.kept.get(name)],
        may_decide=desk.moderator.role.covers(Role.MODERATOR), shortcuts=shortcuts.of(desk.seat), actions=shortcuts.ACTIONS, label=shortcuts.label, undo_seconds=UNDO_SECONDS, bulk_undo_seconds=BULK_UNDO_SECONDS, notice=await _notice(desk),
    )  # fmt: skip


async def _notice(desk: Desk) -> dict[str, Any]:
    """What came of the last press, and whether it can be taken back."""
    asked = desk.request.query
    notice: dict[str, Any] = {
        "batch": asked.get("batch", "")[:100],
        "about": None,
        "count": _count(asked.get("n", "")),
        "late": _count(asked.get("late", "")),
    }
    about = asked.get("about", "")
    if is_comment_id(about):
        found = (await comments.load_many(desk.store, [about]))[0]
        if found and desk.moderator.may(Role.VIEWER, found.site):
            notice["about"] = {
                "who": (found.claim or {}).get("by") if found.claim else found.head.get("by"),
                "status": found.status.value,
                "claimed": bool(found.claim),
                "id": found.id,
            }
    return notice


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


# saved filters


async def save_filter(request: web.Request) -> web.Response:
    """Keep what they look at under a name."""
    desk, fields = await frame.pressed(request, Role.VIEWER)
    sight, name = Sight.written(fields.get("here", "")), fields.get("name", "").strip()[:60]
    if not name:
        raise Invalid([FieldError("name", "required", "This field is required.")])
    filters = desk.seat.filters | {name: urlencode({k: v for k, v in sight.kept.items() if k != "cursor"})}
    if len(filters) > sessions.FILTERS_MAX:
        raise Conflict("You have too many saved filters; remove one first.", code="limit")
    await sessions.like(desk.store, desk.moderator.name, filters=filters)
    return sight.go(done="saved")


async def drop_filter(request: web.Request) -> web.Response:
    """Forget one."""
    desk, fields = await frame.pressed(request, Role.VIEWER)
    filters = {name: query for name, query in desk.seat.filters.items() if name != fields.get("name")}
    await sessions.like(desk.store, desk.moderator.name, filters=filters)
    return Sight.written(fields.get("here", "")).go()


def may_see(desk: Desk, found: list[Comment | None]) -> list[Comment]:
    """Those of them that the moderator may decide about."""
    return [comment for comment in found if comment and desk.moderator.may(Role.MODERATOR, comment.site)]
