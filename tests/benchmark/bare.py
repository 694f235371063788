"""The baseline: a bare aiohttp handler that parses the same form and answers 202."""

import sys

from aiohttp import web


async def handler(request: web.Request) -> web.Response:
    """As little as a form handler can do."""
    await request.post()
    return web.Response(status=202, text='{"status": "pending"}', content_type="application/json")


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/comments", handler)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
