"""The baselines: bare aiohttp handlers. One parses the same form and answers 202; the others return the bytes of the files named."""

import sys
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler


async def handler(request: web.Request) -> web.Response:
    """As little as a form handler can do."""
    await request.post()
    return web.Response(status=202, text='{"status": "pending"}', content_type="application/json")


def same_bytes(blob: bytes) -> Handler:
    """As little as a handler that reads can do."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=blob, content_type="application/json")

    return answer


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/comments", handler)
    for path in map(Path, sys.argv[2:]):
        app.router.add_get(f"/{path.name}", same_bytes(path.read_bytes()))
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
