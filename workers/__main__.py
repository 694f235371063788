"""`python -m workers`: workers alone, as many as you like."""

import asyncio
import gc
import os
import signal
import sys

from moderation import log
from moderation.errors import ConfigurationError, Unavailable
from moderation.privacy import Privacy
from moderation.redis_address import RedisAddress
from moderation.settings import Settings, load
from moderation.store.connection import open_store
from workers import housekeeping
from workers.checks import CheckSender
from workers.engine import Engine, Sender
from workers.guard import Guard
from workers.mail import MailSender
from workers.replay import ReplaySender
from workers.smtp import transport_of
from workers.tell import TellSender
from workers.webhook import WebhookSender

PARENT = "SERVE_PARENT_PID"  # set by `serve` for the workers it starts


async def work(settings: Settings, address: RedisAddress) -> None:
    """Deliver until SIGTERM, then finish what is in flight."""
    while True:
        try:
            store = await open_store(
                address, Privacy(settings.keys(), is_generated=settings.secret_key is None), settings.partitions
            )
            break
        except Unavailable:
            log.get_logger(__name__).warning("Redis out of reach; trying again")
            await asyncio.sleep(0.5)
    url = settings.smtp_url.get_secret_value() if settings.smtp_url else ""
    async with WebhookSender(store, Guard(settings.egress_allow)) as webhooks, transport_of(url) as transport:
        senders: dict[str, Sender] = {
            "webhook": webhooks,
            "mail": MailSender(store, settings, transport),
            "tell": TellSender(store),
            "check": CheckSender(store, webhooks, settings.base_url),
            "replay": ReplaySender(store),
        }
        engine = Engine(store, senders)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, engine.stop)
        tidying = asyncio.create_task(housekeeping.run(store))
        watcher = asyncio.create_task(_end_with_parent(engine)) if PARENT in os.environ else None
        gc.collect()
        gc.freeze()  # what lives for ever is not looked at again
        await engine.run()
        tidying.cancel()
        if watcher:
            watcher.cancel()
    await store.close()


async def _end_with_parent(engine: Engine) -> None:
    """A worker that `serve` started ends when `serve` was killed; the next `serve` brings its own."""
    parent = int(os.environ[PARENT])
    while os.getppid() == parent:
        await asyncio.sleep(0.5)
    engine.stop()


def main() -> None:
    """Reads the settings; the embedded server of a running `serve` is found through MODERATION_REDIS_URL, which it sets."""
    try:
        settings = load()
        log.configure(settings.log_level, as_json=settings.log_format == "json")
        address = settings.redis_address()
        if address is None:
            raise ConfigurationError(
                ["MODERATION_REDIS_URL: a worker of its own needs a Redis or Valkey that it shares with the service"]
            )
        asyncio.run(work(settings, address))
    except ConfigurationError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
