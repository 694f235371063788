"""`moderation listen`: a receiver for developers. It verifies what comes, with the public library, and prints it."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from moderation import service
from moderation.egress import url_to_block
from moderation.errors import ConfigurationError
from moderation.model import EVENTS, Endpoint
from moderation.privacy import new_secret
from moderation.settings import Settings
from moderation.stop import stop_on_signal
from moderation.store import endpoints, sites
from moderation.store.endpoints import Keys

_BODY_MAX_BYTES = 1024 * 1024
_TOLERANCE_SECONDS = 300  # what the public libraries allow


def fate(secret: str, headers: dict[str, str], body: bytes) -> str:
    """`verified`, or in words why a receiver should not believe it."""
    missing = [n for n in ("webhook-id", "webhook-timestamp", "webhook-signature") if not headers.get(n)]
    if missing:
        return f"NOT SIGNED: no {', '.join(missing)}"
    if not secret:
        return "not checked: give its secret with --secret"
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        stamp = headers["webhook-timestamp"]
        away = abs(time.time() - int(stamp)) if stamp.isdecimal() else 0
        late = f": its time is {away:.0f} s away from this machine's" if away > _TOLERANCE_SECONDS else ""
        return "WRONG SIGNATURE" + (late or ": another secret, or the body was changed on its way")
    except ValueError:  # a body that is no JSON
        return "WRONG: the body can't be read"
    return "verified"


class Listener:
    """Prints one block per request; answers as a well-behaved receiver does."""

    def __init__(self, secret: str, say: Callable[[str], None]) -> None:
        self._secret = secret
        self._say = say
        self._seen: set[str] = set()

    async def receive(self, request: web.Request) -> web.Response:
        """One delivery: 200 when it can be believed, 401 when not."""
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        found = fate(self._secret, headers, body)
        message_id = headers.get("webhook-id", "–")
        again = " (again: the same id came before)" if message_id in self._seen else ""
        self._seen.add(message_id)
        try:
            event = json.loads(body)
            kind, shown = str(event["type"]), json.dumps(event, ensure_ascii=False, indent=2)
        except (ValueError, KeyError, TypeError):
            kind, shown = "?", body.decode("utf-8", "replace")
        now = datetime.now(UTC).strftime("%H:%M:%S")
        self._say(f"{now}  {kind}  {message_id}{again}\n          {found}\n{shown}\n")
        good = found == "verified" or not self._secret
        return web.json_response({"ok": good}, status=200 if good else 401)


@contextlib.asynccontextmanager
async def _subscribed(settings: Settings, site: str, url: str) -> AsyncIterator[str]:
    """An endpoint for the time of listening; its secret."""
    blocked = url_to_block(url, settings.egress_allow)
    if blocked:
        raise ConfigurationError([f"{url}: {blocked.text} (for the service too, then start it again)"])
    async with service.store_of(settings) as store:
        await sites.load(store, site)
        secret, made = (
            new_secret("whsec_"),
            Endpoint(id=store.new_id(site), site=site, url=url, events=EVENTS, description="moderation listen"),
        )
        await endpoints.save(store, made, Keys(((secret, 0),)), switch=True)
        try:
            yield secret
        finally:
            await endpoints.remove(store, site, made.id)


async def run(settings: Settings, *, host: str, port: int, secret: str, site: str) -> None:
    """Listen until a signal."""
    stop = stop_on_signal()

    def say(text: str) -> None:
        print(text, flush=True)  # noqa: T201  this is what it is for

    async with contextlib.AsyncExitStack() as stack:
        url = f"http://{host}:{port}/"
        if site:
            secret = await stack.enter_async_context(_subscribed(settings, site, url))
        app = web.Application(client_max_size=_BODY_MAX_BYTES)
        app.router.add_post("/{path:.*}", Listener(secret, say).receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, host, port).start()
        about = f"all events of {site}" if site else "whatever comes"
        say(f"Listening on {url} for {about}. Ctrl-C ends it.\n")
        await stop.wait()
    print(file=sys.stderr)  # noqa: T201


def main(settings: Settings, *, host: str, port: int, secret: str, site: str) -> None:
    """The command."""
    asyncio.run(run(settings, host=host, port=port, secret=secret, site=site))
