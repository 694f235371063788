"""The review queue: claim, release, decide, undo, history, audit."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from moderation.errors import Conflict, NotFound, Unavailable
from moderation.lifecycle import Transition
from moderation.model import Comment, Decision
from moderation.public import iso
from moderation.screening.folding import name_key
from moderation.store import keys, scripts
from moderation.store.comments import REGULAR_AFTER, parse_value
from moderation.store.connection import Store

ONCE_SECONDS = 7 * 86_400  # longer than any link of that kind lives


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """What a moderator asks for."""

    decision: Decision
    by: str
    version: int | None = None
    reason: str = ""
    note: str = ""
    undo_seconds: int = 0
    force: bool = False
    once: str = ""  # the hash of a link that decides a single time


async def claim(
    store: Store, site: str, by: str, limit: int, lease_seconds: int, ids: Sequence[str] = (), *, force: bool = False
) -> list[Comment]:
    """Lease waiting comments of a site: those named, or up to `limit` of the oldest; they are nobody else's until the lease ends.

    What somebody else holds is left out, unless it is named and taken over by `force`.
    """
    tag = store.tag_of_site(site)
    rows = await scripts.run(
        store.pipe,
        "claim",
        [f"{tag}s:{site}:pending", f"{tag}claims:{site}", f"{tag}claimed:{site}", f"{tag}audit:{site}"],
        by,
        limit,
        lease_seconds * 1000,
        tag,
        "1" if force and ids else "",
        *ids,
    )
    return [
        parse_value(comment_id, value, {"by": by, "until_ms": int(ends)})
        for comment_id, value, ends in zip(*[iter(rows)] * 3, strict=True)
    ]


async def release(store: Store, site: str, by: str, ids: list[str]) -> list[str]:
    """Give leases of the caller back; without ids all of them. Returns those released."""
    tag = store.tag_of_site(site)
    return list(await scripts.run(store.pipe, "release", [f"{tag}claims:{site}", f"{tag}claimed:{site}"], by, *ids))


async def decide(store: Store, comment: Comment, wanted: DecisionRequest, leads_to: Transition, mails: str) -> Comment:
    """Carry out a decision with its event and deliveries in one step. Deciding what is already so changes nothing.

    `mails` names who is to be told, spaces between: `author`, `reply` (whoever is replied to, if they asked for it).

    Raises NotFound, Conflict (stale version, another's lease), Unavailable.
    """
    partition = keys.partition_of(comment.id)
    tag, site = keys.tag(partition), comment.site
    arguments = (
        [
            f"{tag}c:{comment.id}",
            f"{tag}claims:{site}",
            f"{tag}claimed:{site}",
            f"{tag}h:{comment.id}",
            f"{tag}audit:{site}",
            f"{tag}subs:{site}:{leads_to.event}",
            f"{tag}once:{wanted.once}",
        ],
        comment.id,
        leads_to.status,
        leads_to.event,
        "" if wanted.version is None else wanted.version,
        wanted.by,
        "1" if wanted.force else "",
        wanted.reason,
        wanted.note,
        wanted.undo_seconds * 1000,
        tag,
        keys.new_id(partition),
        mails,
        site,
        comment.body["thread"],
        wanted.decision,
        ONCE_SECONDS if wanted.once else 0,
        name_key(comment.body["name"]),
        REGULAR_AFTER,
    )
    try:
        reply = await scripts.run_to_last(store, "decide", *arguments)
    except Unavailable:
        raise Unavailable("The decision could not be stored safely right now. Please repeat it in a moment.") from None
    match reply[0]:
        case "ok" | "same":
            return parse_value(comment.id, reply[1])
        case "missing":
            raise NotFound("There is no such comment.")
        case "used":
            raise Conflict("This link was used already.", code="used")
        case "stale":
            now = parse_value(comment.id, reply[1])
            who = now.head.get("by") or "–"
            raise Conflict(
                "The comment is %(status)s by now (decided by %(who)s).", code="stale", status=now.status.value, who=who
            )
        case _:
            raise Conflict(
                "%(who)s is looking at this comment right now.", code="claimed", who=reply[1], until=reply[2]
            )


async def undo(store: Store, comment: Comment, by: str) -> Comment:
    """Take the decision back while its deliveries are still held; raises Conflict once the time is over."""
    tag = store.tag_of_id(comment.id)
    reply = await scripts.run(
        store.pipe,
        "undo",
        [f"{tag}c:{comment.id}", f"{tag}h:{comment.id}", f"{tag}audit:{comment.site}", f"{tag}cd:{comment.id}"],
        comment.id,
        by,
        tag,
        comment.site,
        comment.body["thread"],
    )
    if reply[0] == "missing":
        raise NotFound("There is no such comment.")
    if reply[0] == "late":
        raise Conflict("The time to undo is over; decide again instead.", code="too_late")
    return parse_value(comment.id, reply[1])


async def history(store: Store, comment_id: str) -> list[dict[str, Any]]:
    """What happened to a comment, oldest first."""
    return [
        from_json(entry)
        for entry in await store.pipe.call("LRANGE", f"{store.tag_of_id(comment_id)}h:{comment_id}", 0, -1)
    ]


async def record_reveal(store: Store, comment: Comment, by: str, at: str) -> None:
    """An address is about to be read in full: first the audit entry, then the answer."""
    tag = store.tag_of_id(comment.id)
    await store.pipe.call_many(
        [
            ("RPUSH", f"{tag}h:{comment.id}", to_json({"at": at, "by": by, "action": "contact.read"})),
            (
                "XADD",
                f"{tag}audit:{comment.site}",
                "MAXLEN",
                "~",
                100_000,
                "*",
                "by",
                by,
                "action",
                "contact.read",
                "comment",
                comment.id,
            ),
        ]
    )


async def audit(store: Store, site: str, limit: int = 100, before: str = "") -> list[dict[str, str]]:
    """The newest entries of a site's audit log, or those before one."""
    tag, start = store.tag_of_site(site), f"({before}" if before else "+"
    rows = await store.pipe.call("XREVRANGE", f"{tag}audit:{site}", start, "-", "COUNT", limit)
    return [
        {
            "id": row[0],
            "at": iso(int(row[0].partition("-")[0])),
            "site": site,
            **dict(zip(row[1][::2], row[1][1::2], strict=True)),
        }
        for row in rows
    ]


async def whole_audit(store: Store, site: str) -> AsyncIterator[dict[str, str]]:
    """All entries, newest first, read as they are asked for."""
    before = ""
    while found := await audit(store, site, 1000, before):
        for entry in found:
            yield entry
        before = found[-1]["id"]


async def note(store: Store, site: str, by: str, action: str, comment: str = "", detail: str = "") -> None:
    """Write into the audit log what no script writes. No address may be in it."""
    await store.pipe.call(
        "XADD", f"{store.tag_of_site(site)}audit:{site}", "MAXLEN", "~", 100_000, "*", "by", by, "action", action, "comment",
        comment, "detail", detail,
    )  # fmt: skip
