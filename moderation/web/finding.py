"""Which comments somebody asks for: over the sites they may see, by index where there is one, else by looking through."""

import re
from dataclasses import dataclass

from moderation.errors import NotFound
from moderation.model import Comment, Moderator, Status
from moderation.store import comments, sites
from moderation.store.comments import Page
from moderation.store.connection import Store
from moderation.web.schemas import CommentQuery

_SCAN_MAX = 20_000  # comments of a site looked at where there is no index; what is older is not found
_SCAN_PAGE = 500
_PSEUDONYM = re.compile("[0-9a-f]{24}")


async def visible_sites(store: Store, moderator: Moderator, wanted: str | None) -> list[str]:
    """The sites a moderator may see, or the one asked for."""
    if wanted is not None:
        if moderator.sites is not None and wanted not in moderator.sites:
            raise NotFound("There is no such site.")
        await sites.load(store, wanted)
        return [wanted]
    return await sites.names(store) if moderator.sites is None else list(moderator.sites)


async def find(store: Store, names: list[str], query: CommentQuery) -> Page:
    """One more than a page over several sites, merged by id."""
    merged: list[Comment] = []
    total = 0
    for name in names:
        part = await _find_in(store, name, query)
        merged += part.items
        total += part.total
    if query.sort == "risk":
        last = (await comments.load_many(store, [query.cursor]))[0] if query.cursor else None
        return Page(_riskiest(merged, last, query.limit), total)
    merged.sort(key=lambda comment: comment.id, reverse=query.sort == "newest")
    return Page(merged[: query.limit + 1], total)


def _riskiest(found: list[Comment], last: Comment | None, limit: int) -> list[Comment]:
    """Highest risk first, the older first among equals; after the last one seen, wherever that is by now."""
    found.sort(key=_by_risk)
    return [comment for comment in found if last is None or _by_risk(comment) > _by_risk(last)][: limit + 1]


def _by_risk(comment: Comment) -> tuple[float, str]:
    return -_risk(comment), comment.id


def _risk(comment: Comment) -> float:
    return float((comment.body.get("screening") or {}).get("risk") or 0.0)


@dataclass(slots=True)
class _Wanted:
    """What no index answers."""

    query: CommentQuery
    site: str
    statuses: list[Status]

    def fits(self, comment: Comment) -> bool:
        query, body = self.query, comment.body
        return (
            comment.status in self.statuses
            and comment.site == self.site
            and (not query.author or query.author == body["who"] or query.author.casefold() in body["name"].casefold())
            and (not query.thread or body["thread"] == query.thread)
            and (not query.language or body["locale"].partition("-")[0].lower() == query.language)
            and (not query.rule or any(rule == query.rule for rule, *_ in (body.get("screening") or {}).get("reasons", ())))
            and (not query.q or query.q.casefold() in f"{body['name']}\n{body['text']}\n{body.get('thread_title', '')}".casefold())
        )  # fmt: skip


async def _find_in(store: Store, site: str, query: CommentQuery) -> Page:
    newest, cursor = query.sort == "newest", query.cursor or ""
    statuses = [query.status] if query.status else list(Status)
    looks_through = query.q or query.author or query.rule or query.language or query.sort == "risk"
    if not looks_through:
        return await comments.page(
            store, site, statuses, thread=query.thread or "", cursor=cursor, newest=newest, limit=query.limit + 1
        )
    wanted, matching, total, seen, at = _Wanted(query, site, statuses), list[Comment](), 0, 0, ""
    while seen < _SCAN_MAX:
        if query.author and _PSEUDONYM.fullmatch(query.author):
            part = await comments.page_of_author(store, site, query.author, cursor=at, newest=newest, limit=_SCAN_PAGE)
        else:
            part = await comments.page(
                store, site, statuses, thread=query.thread or "", cursor=at, newest=newest, limit=_SCAN_PAGE
            )
        for comment in filter(wanted.fits, part.items):
            total += 1
            after = not cursor or (comment.id < cursor if newest else comment.id > cursor)
            if query.sort == "risk" or (after and len(matching) <= query.limit):
                matching.append(comment)
        seen += len(part.items)
        if len(part.items) < _SCAN_PAGE:
            break
        at = part.items[-1].id
    return Page(matching, total)
