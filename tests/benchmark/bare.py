"""The baselines: a bare aiohttp handler that parses the same form and answers 202, and one that answers with 26 kB from memory."""

import sys

from aiohttp import web


async def handler(request: web.Request) -> web.Response:
    """As little as a form handler can do."""
    await request.post()
    return web.Response(status=202, text='{"status": "pending"}', content_type="application/json")


_BLOB = b"x" * 26_000


async def blob(_: web.Request) -> web.Response:
    """As little as a handler of reads can do."""
    return web.Response(body=_BLOB, content_type="application/json")


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/comments", handler)
    app.router.add_get("/blob", blob)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
