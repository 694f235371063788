"""What changes in the queue, for those who watch it: read from indexes and audit logs that are there anyway, so that it costs who writes nothing."""

from dataclasses import dataclass, field
from typing import Any

from moderation.model import Status
from moderation.public import iso
from moderation.store.connection import Store

_MANY = 200  # changes of a site that are told one by one; of more only the counts


@dataclass(slots=True)
class Place:
    """How far somebody has seen: the newest waiting comment, the newest entry of the audit logs; and who holds what."""

    comment: str = ""
    audit: str = ""
    claims: dict[str, dict[str, str]] = field(default_factory=dict)
    counts: dict[str, int] | None = None

    def mark(self) -> str:
        """As the id of an event, to go on from."""
        return f"{self.comment}_{self.audit}"

    @classmethod
    def at(cls, mark: str) -> "Place":
        """From such an id; '' begins now."""
        comment, _, audit = mark.partition("_")
        is_mark = len(comment) in {0, 36} and all(c in "0123456789abcdef-" for c in comment + audit)
        return cls(comment, audit) if is_mark else cls()


async def mark(store: Store, names: list[str]) -> str:
    """Where it stands now, for who reads the queue next and then watches from there."""
    place = Place()
    await changes(store, names, place)
    return place.mark()


async def changes(store: Store, names: list[str], place: Place) -> list[tuple[str, dict[str, Any]]]:
    """(event, data) of everything since, oldest first; `place` moves on. The first time only who holds what, and the counts."""
    began = bool(place.comment or place.audit)
    commands: list[tuple[Any, ...]] = [("TIME",)]
    for name in names:
        tag = store.tag_of_site(name)
        after = f"({place.comment}" if place.comment else "-"
        since = f"({place.audit}" if place.audit else "-"
        commands += [
            ("ZRANGEBYLEX", f"{tag}s:{name}:{Status.PENDING}", after, "+", "LIMIT", 0, _MANY)
            if began
            else ("ZREVRANGE", f"{tag}s:{name}:{Status.PENDING}", 0, 0),
            ("XRANGE", f"{tag}audit:{name}", since, "+", "COUNT", _MANY)
            if began
            else ("XREVRANGE", f"{tag}audit:{name}", "+", "-", "COUNT", 1),
            ("HGETALL", f"{tag}claimed:{name}"),
            ("ZRANGE", f"{tag}claims:{name}", 0, -1, "WITHSCORES"),
            ("ZCARD", f"{tag}s:{name}:{Status.PENDING}"),
        ]
    now, *replies = await store.pipe.call_many(commands)
    at = int(now[0]) * 1000
    found: list[tuple[str, dict[str, Any]]] = []
    newest, latest, counts = place.comment, place.audit, dict[str, int]()
    for index, name in enumerate(names):
        waiting, entries, holders, ends, counts[name] = replies[index * 5 : index * 5 + 5]
        newest = max([newest, *waiting])
        latest = max([latest, *(entry[0] for entry in entries)], key=_order)
        if began:
            found += [("comment.pending", {"id": comment, "site": name}) for comment in waiting]
            found += [event for entry in entries if (event := _decided(name, entry))]
        found += _claims(name, place, dict(zip(holders[::2], holders[1::2], strict=True)), ends, at)
    place.comment, place.audit = newest or "0" * 8 + "-0000-0000-0000-" + "0" * 12, latest or "0-0"
    if counts != place.counts:
        place.counts = counts
        found.append(("counts", {"pending": sum(counts.values()), "sites": counts}))
    return found


def _order(entry_id: str) -> tuple[int, int]:
    ms, _, number = entry_id.partition("-")
    return int(ms or 0), int(number or 0)


def _decided(site: str, entry: list[Any]) -> tuple[str, dict[str, Any]] | None:
    entry_id, flat = entry
    said = dict(zip(flat[::2], flat[1::2], strict=True))
    if not said.get("action", "").startswith(("decision.", "comment.erased")):
        return None
    at = iso(_order(entry_id)[0])
    return "comment.decided", {
        "id": said["comment"], "site": site, "decision": said["action"].partition(".")[2], "by": said["by"], "at": at,
    }  # fmt: skip


def _claims(
    site: str, place: Place, holders: dict[str, str], ends: list[str], at: int
) -> list[tuple[str, dict[str, Any]]]:
    until = {comment: float(end) for comment, end in zip(ends[::2], ends[1::2], strict=True)}
    held = {comment: by for comment, by in holders.items() if until.get(comment, 0) > at}
    before, place.claims[site] = place.claims.get(site, {}), held
    found: list[tuple[str, dict[str, Any]]] = [
        ("comment.claimed", {"id": comment, "site": site, "by": by, "expires_at": iso(int(until[comment]))})
        for comment, by in held.items()
        if before.get(comment) != by
    ]
    return found + [("comment.released", {"id": comment, "site": site}) for comment in before if comment not in held]
