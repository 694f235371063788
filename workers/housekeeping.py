"""Once an hour one worker forgets what is no longer kept: index entries of deliveries and events that have expired, comments that are older
than their site keeps them, what is left of sites that somebody began to delete, and what was erased but still stands in Redis's files.
"""

import asyncio
import contextlib
import time

from moderation.errors import ModerationError, NotFound
from moderation.log import get_logger
from moderation.model import DELIVERY_STATES, Status
from moderation.store import endpoints, erasure, keys, outbox, sites
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
    purged = 0
    for site in names:
        purged += await _purge(store, site, at)
        lanes = [endpoints.lane(e.id) for e in await endpoints.of_site(store, site)]
        for lane in [*lanes, f"mail:{site}", f"tell:{site}", f"check:{site}", f"replay:{site}"]:
            await outbox.trim(store, site, lane, DELIVERY_STATES, before)
    await sites.finish_removals(store)
    await erasure.keep_promises(store, round(at * 1000))
    log.info("housekeeping done", sites=len(names), purged=purged)


async def _purge(store: Store, name: str, at: float) -> int:
    """Comments that their site keeps no longer; how many."""
    try:
        site, _ = await sites.load(store, name)
    except NotFound:  # deleted meanwhile
        return 0
    purged = 0
    for status in Status:
        if (days := getattr(site.retention, status)) is not None:
            purged += await erasure.purge(store, name, status, round((at - days * 86_400) * 1000), "retention")
    return purged
