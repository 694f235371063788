"""Once an hour one worker forgets what is no longer kept: index entries of deliveries and events that have expired."""

import asyncio
import contextlib
import time

from moderation.errors import ModerationError
from moderation.log import get_logger
from moderation.model import DELIVERY_STATES
from moderation.store import endpoints, keys, outbox, sites
from moderation.store.connection import Store

log = get_logger(__name__)
EVERY_SECONDS = 3600
_KEEP_SECONDS = 30 * 86_400
_TURN = keys.GLOBAL + "housekeeping"


async def run(store: Store) -> None:
    """Until cancelled."""
    while True:
        with contextlib.suppress(ModerationError):  # Redis is away: the next turn does it
            if await store.pipe.call("SET", _TURN, "1", "NX", "EX", EVERY_SECONDS - 10):
                await once(store, time.time())
        await asyncio.sleep(EVERY_SECONDS)


async def once(store: Store, at: float) -> None:
    """One round over all sites; `at` is the time it is, in seconds."""
    before = keys.lowest_id(round((at - _KEEP_SECONDS) * 1000))
    names = await sites.names(store)
    for site in names:
        lanes = [endpoints.lane(e.id) for e in await endpoints.of_site(store, site)]
        for lane in [*lanes, f"mail:{site}", f"tell:{site}", f"check:{site}", f"replay:{site}"]:
            await outbox.trim(store, site, lane, DELIVERY_STATES, before)
    log.info("housekeeping done", sites=len(names))
