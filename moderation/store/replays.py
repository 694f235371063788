"""Replays: deliveries of an endpoint made again, as a durable job. Its place is written after every page, so that whoever
goes on after a kill goes on there; a page done twice makes nothing that is not already waiting.
"""

from typing import Any

from pydantic_core import from_json, to_json

from moderation.errors import NotFound
from moderation.model import Endpoint, created_ms
from moderation.store import keys, outbox
from moderation.store.comments import parse_value
from moderation.store.connection import Store
from moderation.store.endpoints import lane

STATES = ("queued", "held", "dead", "cancelled", "delivered")
MISSING = "missing"
_PAGE = 200
_KEEP_SECONDS = 30 * 86_400


def _key(store: Store, job_id: str) -> str:
    return f"{store.tag_of_id(job_id)}job:{job_id}"


async def start(store: Store, endpoint: Endpoint, since_ms: int, until_ms: int, state: str, by: str, at: str) -> str:
    """Queue a replay of what came since (and until, 0: now); the job's id. `state`: one of STATES, `missing`, or '' for all."""
    job_id = store.new_id(endpoint.site)
    lanes = [*([s for s in STATES if s == state] if state != MISSING else []), *([MISSING] if state == MISSING else [])]
    lanes = lanes or [*STATES, MISSING]
    low, high = (
        f"[{keys.lowest_id(since_ms)}",
        f"({keys.lowest_id(until_ms + 1)}" if until_ms else f"({keys.lowest_id(created_ms(job_id) + 1)}",
    )
    doc = {
        "id": job_id, "type": "job.replay", "at": at, "by": by, "site": endpoint.site, "endpoint": endpoint.id, "walk": lanes,
        "low": low, "high": high, "since_ms": since_ms, "until_ms": until_ms or None, "state": state or None,
    }  # fmt: skip
    total = sum(await store.pipe.call_many([_count(store, doc, place) for place in lanes]))
    await store.pipe.call_many(
        [
            ("HSET", _key(store, job_id), "doc", to_json(doc), "state", "queued", "place", 0, "cursor", "", "seen", 0, "made", 0, "total", total),
            ("EXPIRE", _key(store, job_id), _KEEP_SECONDS),
        ]
    )  # fmt: skip
    await outbox.enqueue(
        store, job_id, doc, kind="replay", target=endpoint.id, lane=f"replay:{endpoint.site}", site=endpoint.site
    )
    return job_id


def _index(store: Store, doc: dict[str, Any], place: str) -> str:
    tag = store.tag_of_site(doc["site"])
    return f"{tag}evs:{doc['site']}" if place == MISSING else f"{tag}ld:{lane(doc['endpoint'])}:{place}"


def _count(store: Store, doc: dict[str, Any], place: str) -> tuple[Any, ...]:
    return ("ZLEXCOUNT", _index(store, doc, place), doc["low"], doc["high"])


async def load(store: Store, job_id: str) -> dict[str, Any]:
    """A job and how far it is. Raises NotFound."""
    doc, state, seen, made, total = await store.pipe.call(
        "HMGET", _key(store, job_id), "doc", "state", "seen", "made", "total"
    )
    if not doc:
        raise NotFound("There is no such job.")
    kept = {k: v for k, v in from_json(doc).items() if k in {"id", "at", "by", "site", "endpoint", "state"}}
    wanted = kept.pop("state")
    return kept | {
        "kind": "replay", "state": state, "replays": wanted, "done": int(seen), "queued": int(made), "total": max(int(total), int(seen)),
    }  # fmt: skip


async def step(store: Store, doc: dict[str, Any], endpoint: Endpoint) -> bool:
    """One page further; True when there is none left."""
    key = _key(store, doc["id"])
    place, cursor = await store.pipe.call("HMGET", key, "place", "cursor")
    number = int(place or 0)
    if number >= len(doc["walk"]):
        await store.pipe.call("HSET", key, "state", "done")
        return True
    where = doc["walk"][number]
    low = f"({cursor}" if cursor else doc["low"]
    ids = await store.pipe.call("ZRANGEBYLEX", _index(store, doc, where), low, doc["high"], "LIMIT", 0, _PAGE)
    made = await (_make_missing(store, ids, endpoint) if where == MISSING else _make_again(store, ids))
    further = (number, ids[-1]) if len(ids) == _PAGE else (number + 1, "")
    await store.pipe.call_many(
        [
            ("HSET", key, "state", "running", "place", further[0], "cursor", further[1]),
            ("HINCRBY", key, "seen", len(ids)),
            ("HINCRBY", key, "made", made),
        ]
    )
    return False


async def _make_again(store: Store, ids: list[str]) -> int:
    return sum([await outbox.requeue(store, delivery_id) == "ok" for delivery_id in ids])


async def _make_missing(store: Store, ids: list[str], endpoint: Endpoint) -> int:
    """Deliveries of events that this endpoint wants and never had: from before it was there, or subscribed."""
    tag, made = store.tag_of_site(endpoint.site), 0
    for event_id in ids:
        text = await store.pipe.call("GET", f"{tag}ev:{event_id}")
        event = from_json(text) if text else {}
        if event.get("type") not in endpoint.events:
            continue
        comment_id = event.get("comment", "")
        if comment_id and await _has(store, comment_id, event_id, endpoint.id):
            continue
        if comment_id and endpoint.threads and not await _is_wanted(store, comment_id, endpoint):
            continue
        made += await outbox.enqueue(
            store,
            keys.new_id(keys.partition_of(event_id)),
            event_id,
            kind="webhook",
            target=endpoint.id,
            lane=lane(endpoint.id),
            site=endpoint.site,
            comment_id=comment_id,
        )
    return made


async def _has(store: Store, comment_id: str, event_id: str, endpoint_id: str) -> bool:
    return any(
        d["event"] == event_id and d["target"] == endpoint_id for d in await outbox.deliveries(store, comment_id)
    )


async def _is_wanted(store: Store, comment_id: str, endpoint: Endpoint) -> bool:
    value = await store.pipe.call("GET", f"{store.tag_of_id(comment_id)}c:{comment_id}")
    return bool(value) and parse_value(comment_id, value).body["thread"].startswith(endpoint.threads)
