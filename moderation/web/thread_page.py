"""The page of a thread: what was approved, and the form, without any script. Rendered once per change, as read.py does it."""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import hdrs, web
from multidict import CIMultiDict

from moderation import conversation, public, stamps, submission
from moderation.conversation import Placed
from moderation.errors import NotFound
from moderation.i18n import language_of, speaks
from moderation.markup import direction, plain_line
from moderation.model import Comment, Site, Status, created_ms
from moderation.screening import Facts
from moderation.screening.mode import is_closed
from moderation.store import comments, sites
from moderation.web import body
from moderation.web.context import CONTEXT, Context
from moderation.web.pages import ALONE
from moderation.web.read import FRESH, tag_of
from moderation.web.rendered import RENDERINGS, Rendered, Shape, What, is_known, render_packed
from moderation.web.schemas import ThreadPageQuery

PAGE_COMMENTS = 100
DEPTH_MAX = 4  # what is deeper stands there too, and says whom it answers: a phone has no room for more
_STAMP_SECONDS = 3600  # how old the time in a kept copy of the form may be
_MARK = secrets.token_hex(16)  # in a rendered page: here goes what differs from answer to answer


async def page(request: web.Request) -> web.Response:
    """What anyone sees of a thread, for people."""
    renderings = request.app[RENDERINGS]
    kept = renderings.at(request.raw_path)
    if kept is not None and kept.version == await renderings.version(kept.what):
        return _as_asked(request, kept)
    context, site, thread = (
        request.app[CONTEXT],
        request.match_info["site"],
        submission.clean(request.match_info["thread"]),
    )
    if not sites.is_slug(site):
        raise NotFound("There is no such site.")
    asked = body.validate(ThreadPageQuery, dict(request.query))
    lang = asked.lang if speaks(asked.lang) else ""

    async def render(what: What, version: str) -> Rendered:
        found, _ = await sites.load(context.store, site)
        return await _Page(context, found, thread, asked, lang).render(what, version)

    what = (site, thread, "page", asked.view, asked.order, asked.cursor, asked.at, asked.parent, lang)
    if not asked.comment_status:
        return _as_asked(request, await renderings.current(what, render, request.raw_path))
    kept = await renderings.current(what, render)
    return _as_asked(request, kept, _notice(context, asked, lang or kept.plain.headers[hdrs.CONTENT_LANGUAGE]))


def _as_asked(request: web.Request, kept: Rendered, notice: bytes = b"") -> web.Response:
    """It, with what differs from answer to answer; 304 for who has it."""
    if not (kept.stamped or notice):
        tag, whole, headers = kept.shape_for(request)
        return (
            web.Response(status=304, headers=headers)
            if is_known(request, tag)
            else web.Response(body=whole, headers=headers)
        )
    tag, whole, headers = kept.plain
    stamp, (here, there) = b"", kept.gaps
    if kept.stamped:
        now = time.time()
        stamp = stamps.new(request.app[CONTEXT].store.privacy, kept.what[0], now).encode()
        tag, headers = f'{tag[:-1]}-{now // _STAMP_SECONDS:.0f}"', headers.copy()
        headers[hdrs.ETAG] = tag
    if is_known(request, tag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=b"".join((whole[:here], notice, whole[here:there], stamp, whole[there:])), headers=headers)


def _notice(context: Context, asked: ThreadPageQuery, locale: str) -> bytes:
    """What became of a comment that was sent a moment ago."""
    lang = language_of(locale)
    template = context.templates.get_template("thread_notice.html")
    return template.render(lang=lang, locale=locale, state=asked.comment_status, comment_id=asked.comment_id).encode()


def _usual(said: Iterable[str]) -> str:
    """What most comments say of their page: any visitor may say anything."""
    counted = Counter(filter(None, said))
    return counted.most_common(1)[0][0] if counted else ""


@dataclass(frozen=True, slots=True)
class _Page:
    context: Context
    site: Site
    thread: str
    asked: ThreadPageQuery
    lang: str

    async def render(self, what: What, version: str) -> Rendered:
        asked, site = self.asked, self.site
        parent = await self._approved(asked.parent) if asked.parent else None
        if parent:
            placed, more, total, first = [Placed(parent, 0)], None, 0, None
        else:
            placed, more, total, first = await self._some()
        answered = await self._answered(placed)
        locale = self.lang or site.locale
        language = language_of(locale)
        article = _usual(public.page(site, one.comment.body) for one in placed) or public.page(
            site, {"thread": self.thread}
        )
        title = plain_line(_usual(one.comment.body.get("thread_title", "") for one in placed))
        facts = Facts(time.time(), "", "", thread_first_ms=created_ms(first) if first else 0)
        html = self.context.templates.get_template("thread.html").render(
            lang=language, locale=locale, dir=direction(language), site=site, asked=asked, article=article,
            title=title, parent=parent, missing=bool(asked.parent) and not parent,
            shown=self._shown(placed, answered), thread=self.thread, total=total, more=more,
            begins=not (asked.cursor or asked.at), closed=is_closed(site.policy, self.thread, facts), limits=submission,
            link=self._link(), mark=_MARK,
        )  # fmt: skip
        policy = (
            "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
            f"frame-ancestors {' '.join(site.origins) or chr(39) + 'none' + chr(39)}"
        )
        headers = CIMultiDict(FRESH)
        headers.update(
            {
                hdrs.CONTENT_TYPE: "text/html; charset=utf-8", hdrs.CONTENT_LANGUAGE: language, hdrs.ETAG: (tag := tag_of(what, version)),
                "Content-Security-Policy": policy, "Referrer-Policy": "same-origin", **ALONE,
            }
        )  # fmt: skip
        if not article or parent:
            headers["X-Robots-Tag"] = "noindex"  # else the canonical link says where it belongs
        head, middle, tail = (part.encode("utf-8", "replace") for part in html.split(_MARK))
        gaps = len(head), len(head) + len(middle)
        plain, stamped = Shape(tag, head + middle + tail, headers), site.policy.form_stamp != "off"
        return Rendered(what, version, plain, None if stamped else render_packed(plain), gaps, stamped)

    async def _some(self) -> tuple[list[Placed], str | None, int, str | None]:
        """What this page shows, the cursor of the next one, how many there are in all, and the first of them."""
        asked, store, newest = self.asked, self.context.store, self.asked.order == "newest"
        if asked.view == "nested":
            whole = await comments.whole_thread(store, self.site.id, self.thread)
            if whole is not None:
                found = conversation.conversations(whole)
                placed, more = conversation.page(
                    found, newest=newest, cursor=asked.cursor, at=asked.at, limit=PAGE_COMMENTS
                )
                return placed, more, len(whole), whole[0].id if whole else None
        # beside an id in byte order: the bound of the index is exclusive
        cursor = (asked.at + "~" if newest else asked.at[:-1]) if asked.at else asked.cursor
        page = await comments.page(
            store,
            self.site.id,
            [Status.APPROVED],
            thread=self.thread,
            cursor=cursor,
            newest=newest,
            limit=PAGE_COMMENTS + 1,
        )
        items = page.items[:PAGE_COMMENTS]
        more = items[-1].id if len(page.items) > PAGE_COMMENTS else None
        return [Placed(one, 0) for one in items], more, page.total, None

    async def _approved(self, comment_id: str) -> Comment | None:
        """A comment of this thread that the public may see."""
        if not submission.is_comment_id(comment_id):
            return None
        (found,) = await comments.load_many(self.context.store, [comment_id])
        return found if found and self._is_public(found) else None

    def _is_public(self, found: Comment) -> bool:
        where = (found.site, found.body["thread"], found.status)
        return where == (self.site.id, self.thread, Status.APPROVED)

    async def _answered(self, placed: list[Placed]) -> dict[str, str]:
        """Names of those who are replied to, by id."""
        names = {one.comment.id: one.comment.body["name"] for one in placed}
        elsewhere = {one.comment.head.get("p") for one in placed} - {None, *names}
        for found in await comments.load_many(self.context.store, sorted(filter(None, elsewhere))):
            if found and self._is_public(found):
                names[found.id] = found.body["name"]
        return {comment_id: plain_line(name) for comment_id, name in names.items()}

    def _shown(self, placed: list[Placed], answered: dict[str, str]) -> list[dict[str, Any]]:
        """Comments with their places: how deep each stands, and the next one, which says what to close after it."""
        here = {one.comment.id for one in placed}
        depths = [min(one.depth, DEPTH_MAX) for one in placed]
        shown = []
        for one, depth, follows in zip(placed, depths, (*depths[1:], 0), strict=False):
            parent = one.comment.head.get("p")
            plain = self.asked.view == "nested" and 0 < one.depth <= DEPTH_MAX  # the place says it
            answers = None
            if parent in answered and not plain:
                answers = {"id": parent, "name": answered[parent], "here": parent in here}
            places = {"created_ms": one.comment.created_ms, "depth": depth, "follows": follows, "answers": answers}
            shown.append(public.comment(one.comment) | places)
        return shown

    def _link(self) -> Callable[..., str]:
        """Addresses of this page looked at in another way; what is as usual is left out."""
        looks = {"view": self.asked.view, "order": self.asked.order, "lang": self.lang}
        usual = {"view": "nested", "order": "oldest"}

        def link(**changes: str) -> str:
            wanted = {name: value for name, value in (looks | changes).items() if value and value != usual.get(name)}
            return "?" + urlencode(wanted)

        return link
