"""Who did what on a site, and the whole of it as a file."""

import re
from collections.abc import AsyncIterator

from aiohttp import web
from pydantic_core import to_json

from moderation.errors import NotFound
from moderation.store import review
from moderation.web.answer import SAFE
from moderation.web.desk import frame, table

_PAGE = 100
_ENTRY = re.compile(r"[0-9]{1,15}-[0-9]{1,10}")
_COLUMNS = ("at", "by", "action", "comment", "detail")
_AT_ONCE = 500


async def page(request: web.Request) -> web.Response:
    """The newest entries, and those before."""
    desk = await frame.sit(request)
    site = await desk.site()
    before = request.query.get("before", "")
    found = await review.audit(desk.store, site.id, _PAGE + 1, before if _ENTRY.fullmatch(before) else "")
    return desk.page(
        "audit.html", site=site, entries=found[:_PAGE], more=found[_PAGE - 1]["id"] if len(found) > _PAGE else ""
    )


async def download(request: web.Request) -> web.StreamResponse:
    """All of it as CSV or as JSON lines, written while it is read."""
    desk = await frame.sit(request)
    site, kind = await desk.site(), request.match_info["kind"]
    if kind not in {"csv", "jsonl"}:
        raise NotFound()
    name = f"audit-{site.id}"
    headers = table.headers(name) if kind == "csv" else {
        "Content-Type": "application/jsonl", "Content-Disposition": f'attachment; filename="{name}.jsonl"',
    }  # fmt: skip
    response = web.StreamResponse(headers=headers | dict(SAFE))
    await response.prepare(request)
    if kind == "csv":
        await response.write(table.MARK + table.lines([_COLUMNS]))
    async for entries in _some(review.whole_audit(desk.store, site.id)):
        if kind == "csv":
            await response.write(table.lines([[entry.get(column, "") for column in _COLUMNS] for entry in entries]))
        else:
            await response.write(b"".join(to_json(entry) + b"\n" for entry in entries))
    return response


async def _some(entries: AsyncIterator[dict[str, str]]) -> AsyncIterator[list[dict[str, str]]]:
    kept: list[dict[str, str]] = []
    async for entry in entries:
        kept.append(entry)
        if len(kept) >= _AT_ONCE:
            yield kept
            kept = []
    yield kept
