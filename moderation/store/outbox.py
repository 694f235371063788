"""The outbox: taking deliveries under a lease, settling attempts, looking at what became of them."""

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from moderation.model import Comment
from moderation.store import keys, scripts
from moderation.store.comments import parse_value
from moderation.store.connection import Store


@dataclass(frozen=True, slots=True)
class Job:
    """One delivery in our hands until the lease ends, with everything needed to make it."""

    delivery_id: str
    lease: str
    attempts: int
    kind: str
    target: str
    comment_id: str
    event: dict[str, Any]
    comment: Comment | None


async def take(store: Store, partition: int, limit: int, lease_ms: int, per_lane: int) -> tuple[int, list[Job]]:
    """Lease due deliveries of a partition. Also says in how many ms the next one is due (-1: none waits)."""
    tag = keys.tag(partition)
    wait, *rows = await scripts.run(store.pipe, "take", [tag + "lanes"], limit, lease_ms, per_lane, tag, tag + "nudge")
    jobs = []
    for delivery_id, lease, n, kind, target, comment_id, event, value in rows:
        comment = parse_value(comment_id, value) if value else None
        jobs.append(Job(delivery_id, lease, int(n or 0), kind, target, comment_id, from_json(event), comment))
    return wait, jobs


async def renew(store: Store, job: Job, lease_ms: int) -> bool:
    """Hold the lease for longer. False when it was lost."""
    tag = store.tag_of_id(job.delivery_id)
    reply = await scripts.run(
        store.pipe, "renew", [f"{tag}dl:{job.delivery_id}"], job.delivery_id, job.lease, lease_ms, tag
    )
    return bool(reply == "ok")


async def settle(
    store: Store, job: Job, state: str, delay_ms: int, attempt: dict[str, Any], external_id: str = ""
) -> bool:
    """Log the attempt and take the step. False when the lease was lost: then another worker has the delivery, and nothing was written."""
    tag = store.tag_of_id(job.delivery_id)
    site = job.comment.site if job.comment else "-"
    reply = await scripts.run(
        store.pipe,
        "settle",
        [
            f"{tag}dl:{job.delivery_id}",
            f"{tag}at:{job.delivery_id}",
            f"{tag}c:{job.comment_id}",
            f"{tag}x:{site}",
            tag + "lanes",
        ],
        job.delivery_id,
        job.lease,
        state,
        delay_ms,
        to_json(attempt),
        external_id,
        tag,
        site,
    )
    return bool(reply == "ok")


async def deliveries(store: Store, comment_id: str) -> list[dict[str, Any]]:
    """Every delivery of a comment with its attempts, oldest first."""
    tag = store.tag_of_id(comment_id)
    ids = await store.pipe.call("LRANGE", f"{tag}cd:{comment_id}", 0, -1)
    if not ids:
        return []
    commands: list[tuple[Any, ...]] = []
    for delivery_id in ids:
        commands.append(("HMGET", f"{tag}dl:{delivery_id}", "ev", "kind", "target", "state", "n", "due"))
        commands.append(("LRANGE", f"{tag}at:{delivery_id}", 0, -1))
    replies = await store.pipe.call_many(commands)
    found = []
    for delivery_id, row, attempts in zip(ids, replies[::2], replies[1::2], strict=True):
        if row[0]:
            found.append(
                {"id": delivery_id, "event": row[0], "kind": row[1], "target": row[2], "state": row[3], "attempts": [from_json(a) for a in attempts], "due_ms": int(float(row[5] or 0))}
            )  # fmt: skip
    return found


async def states(store: Store, comments: list[Comment]) -> dict[str, str]:
    """`none`, `queued`, `delivered`, `failing` or `dead` for each comment: the worst of its webhooks, else of its mails."""
    lists = await store.pipe.call_many([("LRANGE", f"{store.tag_of_id(c.id)}cd:{c.id}", 0, -1) for c in comments])
    flat = [(c.id, d) for c, ids in zip(comments, lists, strict=True) for d in ids]
    rows = await store.pipe.call_many([("HMGET", f"{store.tag_of_id(d)}dl:{d}", "kind", "state", "n") for _, d in flat])
    seen: dict[str, dict[str, list[str]]] = {}
    for (comment_id, _), (kind, state, attempts) in zip(flat, rows, strict=True):
        if kind:
            seen.setdefault(comment_id, {}).setdefault(kind, []).append(
                "failing" if state == "queued" and int(attempts) else state
            )
    return {c.id: _worst(seen.get(c.id, {})) for c in comments}


def _worst(by_kind: dict[str, list[str]]) -> str:
    states = by_kind.get("webhook") or [s for s in by_kind.get("mail", []) if s != "undeliverable"]
    return next((state for state in ("dead", "failing", "queued", "delivered") if state in states), "none")


async def backlog(store: Store) -> tuple[int, int]:
    """How many deliveries wait, and for how many ms the oldest due one has (0 if none is due)."""
    waiting, oldest = 0, 0
    now = await store.pipe.call("TIME")
    at = int(now[0]) * 1000
    heads = await store.pipe.call_many(
        [("ZRANGE", keys.tag(p) + "lanes", 0, -1, "WITHSCORES") for p in range(store.partitions)]
    )
    counts: list[tuple[Any, ...]] = []
    for partition, reply in enumerate(heads):
        for lane, due in zip(reply[::2], reply[1::2], strict=True):
            counts.append(("ZCARD", f"{keys.tag(partition)}lane:{lane}"))
            oldest = max(oldest, at - int(float(due)))
    waiting = sum(await store.pipe.call_many(counts)) if counts else 0
    return waiting, oldest
