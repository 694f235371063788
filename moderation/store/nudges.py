"""Waiting for nudges, which wake a worker when something became due: one blocking read per server, in a cluster one per partition."""

import asyncio
from collections.abc import Callable, Iterable

from moderation.errors import ModerationError
from moderation.log import get_logger
from moderation.redis_address import Node
from moderation.store import keys
from moderation.store.connection import ReplyError, Store
from moderation.store.servers import asking, by_master

log = get_logger(__name__)
_BLOCK_SECONDS = 5
_AGAIN_SECONDS = 0.5
OnNudge = Callable[[Iterable[int]], None]


async def listen(store: Store, on_nudge: OnNudge) -> None:
    """Until cancelled: tell which partitions to look at. That includes those whose nudges may have been lost in an absence."""
    partitions = {keys.tag(p) + "nudge": p for p in range(store.partitions)}
    heard: dict[tuple[Node, tuple[str, ...]], asyncio.Task[None]] = {}
    try:
        while True:
            try:
                groups = await by_master(store.address, list(partitions))
            except ModerationError:
                groups = []
            for group in heard.keys() - set(groups):
                heard.pop(group).cancel()
            for node, names in set(groups) - heard.keys():
                heard[node, names] = asyncio.create_task(_hear(store, node, names, partitions, on_nudge))
            if heard:
                complete = sum(len(names) for _, names in heard) == len(partitions)
                await asyncio.wait(
                    heard.values(), timeout=None if complete else _AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
            heard = {group: task for group, task in heard.items() if not task.done()}
            listened = {name for _, names in heard for name in names}
            on_nudge(partitions[name] for name in partitions.keys() - listened)
            await asyncio.sleep(_AGAIN_SECONDS)
    finally:
        for task in heard.values():
            task.cancel()


async def _hear(
    store: Store, node: Node, names: tuple[str, ...], partitions: dict[str, int], on_nudge: OnNudge
) -> None:
    """Until the line breaks or the keys are elsewhere."""
    try:
        async with asking(store.address, node, _BLOCK_SECONDS * 2) as connection:  # longer than the block
            while True:
                found = await connection.blpop(list(names), timeout=_BLOCK_SECONDS)
                if found:
                    on_nudge([partitions[str(found[0])]])
    except ReplyError as error:  # moved elsewhere, a replica by now, or not permitted
        log.warning("waiting for work was refused; trying again", problem=str(error)[:300])
    except ModerationError:
        return
