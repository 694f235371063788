"""What was approved, for anyone: JSON with ETag and CORS."""

import hashlib

from aiohttp import web

from moderation import public
from moderation.model import Status
from moderation.store import comments
from moderation.web import body
from moderation.web.answer import json
from moderation.web.context import CONTEXT
from moderation.web.middleware import CORS_ORIGIN
from moderation.web.schemas import PublicQuery


async def thread(request: web.Request) -> web.Response:
    """Approved comments of one thread."""
    request[CORS_ORIGIN] = "*"
    context = request.app[CONTEXT]
    query = body.validate(PublicQuery, {name: value for name, value in request.query.items() if value})
    site, version = await context.site(request.match_info["site"], fresh=True)
    name = request.match_info["thread"]
    changed = await comments.thread_version(context.store, site.id, name)
    tag = hashlib.sha256(f"{version} {changed} {query.limit} {query.cursor} {query.order} {name}".encode()).hexdigest()[
        :20
    ]
    etag = f'"{tag}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}  # may be kept, must be asked about: never stale
    if etag in {part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")}:
        return web.Response(status=304, headers=headers)
    found = await comments.page(
        context.store,
        site.id,
        [Status.APPROVED],
        thread=name,
        cursor=query.cursor or "",
        newest=query.order == "newest",
        limit=query.limit + 1,
    )
    items = found.items[: query.limit]
    answer = json(
        {
            "items": [public.comment(comment) for comment in items],
            "next_cursor": items[-1].id if len(found.items) > query.limit else None,
            "total": found.total,
        }
    )
    answer.headers.update(headers)
    return answer
