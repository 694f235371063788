"""The outbox: taking deliveries under a lease, settling attempts, looking at what became of them, making them again."""

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from moderation.errors import Conflict, NotFound
from moderation.model import Comment, created_ms
from moderation.store import keys, scripts
from moderation.store.comments import parse_value
from moderation.store.connection import Store

Command = tuple[Any, ...]
_FIELDS = ("ev", "comment", "kind", "target", "lane", "site", "state", "n", "due")
READERS = frozenset({"author", "reply"})  # mails that follow a decision; others go to moderators and admins


@dataclass(frozen=True, slots=True)
class Job:
    """One delivery in our hands until the lease ends, with everything needed to make it."""

    delivery_id: str
    lease: str
    attempts: int
    kind: str
    target: str
    comment_id: str
    site: str
    event: dict[str, Any]
    comment: Comment | None
    receiver: str  # the endpoint's record, for a webhook; '' when it is gone
    failures: int  # of its lane, in a row
    abandoned: int = 0  # leases that ended without a settling, since the last attempt


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt leads to: for the delivery, and for the lane it came from."""

    state: str
    delay_ms: int = 0
    counts: bool = True  # as an attempt
    lane: str = ""  # ok, fail, or '' when the attempt says nothing of the receiver
    pause_ms: int = 0
    window: str = ""  # so many in flight until it recovers
    asked: str = ""  # gone (410), asked (to be disabled)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an endpoint may do nothing but fail; see docs/webhooks.md."""

    disable_ms: int = 5 * 86_400_000
    warn_ms: tuple[int, int] = (86_400_000, 3 * 86_400_000)
    failures: int = 10
    messages: int = 3


PATIENCE = Patience()


async def take(store: Store, partition: int, limit: int, lease_ms: int, per_lane: int) -> tuple[int, list[Job]]:
    """Lease due deliveries of a partition. Also says in how many ms the next one is due (-1: none waits)."""
    tag = keys.tag(partition)
    wait, *rows = await scripts.run(store.pipe, "take", [tag + "lanes"], limit, lease_ms, per_lane, tag, tag + "nudge")
    jobs = []
    for delivery_id, lease, n, kind, target, comment_id, site, event, value, receiver, failures, abandoned in rows:
        comment = parse_value(comment_id, value) if value else None
        jobs.append(
            Job(delivery_id, lease, int(n or 0), kind, target, comment_id, site, from_json(event), comment, receiver or "", int(failures), int(abandoned))
        )  # fmt: skip
    return wait, jobs


async def renew(store: Store, job: Job, lease_ms: int) -> bool:
    """Hold the lease for longer, or give it back (0 ms). False when it was lost."""
    tag = store.tag_of_id(job.delivery_id)
    reply = await scripts.run(
        store.pipe, "renew", [f"{tag}dl:{job.delivery_id}"], job.delivery_id, job.lease, lease_ms, tag
    )
    return bool(reply == "ok")


async def settle(
    store: Store,
    job: Job,
    step: Settlement,
    attempt: dict[str, Any],
    *,
    external_id: str = "",
    patience: Patience = PATIENCE,
) -> bool:
    """Log the attempt and take the step. False when the lease was lost: then another worker has the delivery, and nothing was written."""
    partition = keys.partition_of(job.delivery_id)
    tag = keys.tag(partition)
    reply = await scripts.run(
        store.pipe,
        "settle",
        [
            f"{tag}dl:{job.delivery_id}",
            f"{tag}at:{job.delivery_id}",
            f"{tag}c:{job.comment_id}",
            f"{tag}x:{job.site}",
            tag + "lanes",
            f"{tag}subs:{job.site}:endpoint.failing",
            f"{tag}subs:{job.site}:endpoint.disabled",
        ],
        job.delivery_id,
        job.lease,
        step.state,
        step.delay_ms,
        to_json({name: _readable(value) for name, value in attempt.items()}),
        external_id,
        tag,
        "1" if step.counts else "",
        step.lane,
        step.pause_ms,
        step.window,
        step.asked,
        keys.new_id(partition),
        _counted(attempt),
        patience.disable_ms,
        *patience.warn_ms,
        patience.failures,
        patience.messages,
    )
    return bool(reply == "ok")


def _readable(value: Any) -> Any:
    """What others say may be no text at all; a log keeps what can be read of it."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _counted(attempt: dict[str, Any]) -> str:
    """What an attempt is counted as: its code, and why it was blocked."""
    return "_".join(str(attempt[key]) for key in ("code", "reason") if key in attempt) or "-"


async def enqueue(
    store: Store,
    delivery_id: str,
    event: dict[str, Any] | str,
    *,
    kind: str,
    target: str,
    lane: str,
    site: str,
    comment_id: str = "",
    delay_ms: int = 0,
    always: bool = False,
) -> bool:
    """One more delivery: of a new event, or of the known one with that id. False when there is such a delivery already.

    Raises NotFound when the event is gone.
    """
    tag = store.tag_of_id(delivery_id)
    event_id = event if isinstance(event, str) else event["id"]
    reply = await scripts.run(
        store.pipe,
        "enqueue",
        [f"{tag}ev:{event_id}"],
        delivery_id,
        event_id,
        "" if isinstance(event, str) else to_json(event),
        kind,
        target,
        lane,
        site,
        comment_id,
        delay_ms,
        "1" if always else "",
        tag,
    )
    if reply == "missing":
        raise NotFound("The event is no longer kept.")
    return bool(reply == "ok")


async def tell_admins_of_mailbox(store: Store, site: str, masked: str, detail: str, at: str) -> None:
    """A moderator's mailbox takes nothing any more."""
    event_id = store.new_id(site)
    event = {"id": event_id, "type": "mail.undeliverable", "at": at, "site": site, "address": masked, "detail": detail}
    await enqueue(
        store, keys.derive(event_id, 1), event, kind="tell", target="admins", lane=f"tell:{site}", site=site
    )  # fmt: skip


async def requeue(store: Store, delivery_id: str, *, by_hand: bool = False) -> str:
    """Make a delivery again, now: `ok`, or why not (`missing`, `busy`, `off`). By hand, a paused lane goes on."""
    tag = store.tag_of_id(delivery_id)
    return str(
        await scripts.run(store.pipe, "requeue", [f"{tag}dl:{delivery_id}"], delivery_id, tag, "1" if by_hand else "")
    )


async def retry(store: Store, delivery_id: str) -> None:
    """The same by hand. Raises NotFound, Conflict."""
    match await requeue(store, delivery_id, by_hand=True):
        case "missing":
            raise NotFound("There is no such delivery, or its event is no longer kept.")
        case "busy":
            raise Conflict("An attempt is running right now.", code="busy")
        case "off":
            raise Conflict("The endpoint is disabled; enable it first.", code="disabled")


def _shown(delivery_id: str, row: list[Any]) -> dict[str, Any]:
    event, comment, kind, target, lane, site, state, n, due = row
    return {
        "id": delivery_id,
        "event": event,
        "comment": comment or None,
        "kind": kind,
        "target": target,
        "lane": lane,
        "site": site,
        "state": state,
        "attempt_count": int(n or 0),
        "created_ms": created_ms(delivery_id),
        "due_ms": int(float(due or 0)) if state == "queued" else None,
    }


async def _load(store: Store, ids: list[str]) -> list[dict[str, Any]]:
    """Those that are there, with their attempts, oldest first."""
    commands: list[Command] = []
    for delivery_id in ids:
        tag = store.tag_of_id(delivery_id)
        commands += [("HMGET", f"{tag}dl:{delivery_id}", *_FIELDS), ("LRANGE", f"{tag}at:{delivery_id}", 0, -1)]
    replies = await store.pipe.call_many(commands) if commands else []
    return [
        _shown(delivery_id, row) | {"attempts": [from_json(a) for a in attempts]}
        for delivery_id, row, attempts in zip(ids, replies[::2], replies[1::2], strict=True)
        if row[0]
    ]


async def delivery(store: Store, delivery_id: str) -> dict[str, Any]:
    """One delivery with its event and attempts. Raises NotFound."""
    found = await _load(store, [delivery_id])
    if not found:
        raise NotFound("There is no such delivery.")
    event = await store.pipe.call("GET", f"{store.tag_of_id(delivery_id)}ev:{found[0]['event']}")
    return found[0] | {"type": from_json(event)["type"] if event else None}


async def deliveries(store: Store, comment_id: str) -> list[dict[str, Any]]:
    """Every delivery of a comment with its attempts, oldest first."""
    return await _load(store, await store.pipe.call("LRANGE", f"{store.tag_of_id(comment_id)}cd:{comment_id}", 0, -1))


async def page(
    store: Store, site: str, lane: str, states: list[str], *, cursor: str = "", limit: int = 50
) -> list[dict[str, Any]]:
    """Deliveries of a lane, newest first, at most `limit`; `cursor` is the last id seen."""
    tag = store.tag_of_site(site)
    top = f"({cursor}" if cursor else "+"
    replies = await store.pipe.call_many(
        [("ZREVRANGEBYLEX", f"{tag}ld:{lane}:{state}", top, "-", "LIMIT", 0, limit) for state in states]
    )
    ids = sorted({found for reply in replies for found in reply}, reverse=True)[:limit]
    found = await _load(store, ids)
    events = await store.pipe.call("MGET", *[f"{tag}ev:{d['event']}" for d in found]) if found else []
    return [d | {"type": from_json(e)["type"] if e else None} for d, e in zip(found, events, strict=True)]


async def codes(store: Store, delivery_id: str) -> set[str]:
    """What the attempts of a delivery came to so far."""
    attempts = await store.pipe.call("LRANGE", f"{store.tag_of_id(delivery_id)}at:{delivery_id}", 0, -1)
    return {from_json(attempt)["code"] for attempt in attempts}


async def states(store: Store, comments: list[Comment]) -> dict[str, str]:
    """`none`, `queued`, `delivered`, `failing` or `dead` for each comment: the worst of its webhooks, else of its readers' mails."""
    lists = await store.pipe.call_many([("LRANGE", f"{store.tag_of_id(c.id)}cd:{c.id}", 0, -1) for c in comments])
    flat = [(c.id, d) for c, ids in zip(comments, lists, strict=True) for d in ids]
    rows = await store.pipe.call_many(
        [("HMGET", f"{store.tag_of_id(d)}dl:{d}", "kind", "state", "n", "target") for _, d in flat]
    )
    seen: dict[str, dict[str, list[str]]] = {}
    for (comment_id, _), (kind, state, attempts, target) in zip(flat, rows, strict=True):
        if kind == "webhook" or (kind == "mail" and target in READERS):
            failing = state == "held" or (state == "queued" and int(attempts))
            seen.setdefault(comment_id, {}).setdefault(kind, []).append("failing" if failing else state)
    return {c.id: _worst(seen.get(c.id, {})) for c in comments}


def _worst(by_kind: dict[str, list[str]]) -> str:
    for kind in ("webhook", "mail"):
        found = next((s for s in ("dead", "failing", "queued", "delivered") if s in by_kind.get(kind, ())), None)
        if found:
            return found
    return "none"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits over all partitions."""

    waiting: int
    oldest_due_ms: int  # for how long the one that is longest due has been so; 0 if none is
    outcomes: dict[tuple[str, str], int]  # (kind, outcome) → attempts so far


async def backlog(store: Store) -> Backlog:
    """The outbox in figures."""
    now = await store.pipe.call("TIME")
    at, oldest = int(now[0]) * 1000, 0
    partitions = [keys.tag(p) for p in range(store.partitions)]
    heads = await store.pipe.call_many([("ZRANGE", tag + "lanes", 0, -1, "WITHSCORES") for tag in partitions])
    counts: list[Command] = []
    for tag, reply in zip(partitions, heads, strict=True):
        for lane, due in zip(reply[::2], reply[1::2], strict=True):
            counts.append(("ZCARD", f"{tag}lane:{lane}"))
            oldest = max(oldest, at - int(float(due)))
    waiting = sum(await store.pipe.call_many(counts)) if counts else 0
    outcomes: dict[tuple[str, str], int] = {}
    for reply in await store.pipe.call_many([("HGETALL", tag + "outcomes") for tag in partitions]):
        for name, number in zip(reply[::2], reply[1::2], strict=True):
            kind, _, outcome = name.partition(" ")
            outcomes[kind, outcome] = outcomes.get((kind, outcome), 0) + int(number)
    return Backlog(waiting, oldest, outcomes)


async def trim(store: Store, site: str, lane: str, states: tuple[str, ...], before_id: str) -> None:
    """Forget index entries of deliveries and events that are no longer kept: those under an id of that age."""
    tag = store.tag_of_site(site)
    await store.pipe.call_many(
        [
            *[("ZREMRANGEBYLEX", f"{tag}ld:{lane}:{state}", "-", f"({before_id}") for state in states],
            ("ZREMRANGEBYLEX", f"{tag}evs:{site}", "-", f"({before_id}"),
        ]
    )
