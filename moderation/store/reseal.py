"""Sealing anew, under the newest key, what older keys sealed, so that those can be dropped. Runs beside the service.

Every place is changed by itself, and only if it is still as it was read; what is done already is passed over. So a run that was killed is
simply repeated. The key of hashes comes last, and only when nothing else needs an older key: without that no process starts (connection.py),
so an older key that was dropped too soon is missed at the start, not when the first mail is to be sent.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from moderation.model import Comment, Status, created_ms
from moderation.privacy import HASH_KEY, Privacy, Sealed
from moderation.store import comments, erasure, keys, scripts, sites
from moderation.store.connection import Store
from moderation.store.people import USERS

_PAGE, _PASSES_MAX = 200, 5
_CLIENT_KEPT_MS = 16 * 86_400_000  # cl:<id>, with a day to spare


@dataclass(slots=True)
class Resealed:
    """What a run did. `changed` places hold the newest key's seals now; `missed` changed under our hands again and again; `lost` can't be
    opened with the keys at hand.
    """

    changed: int = 0
    missed: int = 0
    lost: int = 0

    @property
    def is_done(self) -> bool:
        """Nothing needs an older key any more."""
        return not (self.missed or self.lost)


class _Place(NamedTuple):
    """Where something sealed stands. `old` and `new` are the whole value there, `new` None where a key is missing."""

    key: str
    kind: str  # as in reseal.lua
    field: str
    old: str
    new: str | None


async def total(store: Store) -> int:
    """About how many comments there are to look at."""
    counts = [await comments.count(store, site, status) for site in await sites.names(store) for status in Status]
    return sum(counts)


async def run(store: Store, told: Callable[[int], None] = lambda _: None) -> Resealed:
    """All of it, and once more to see that it is; `told` hears how many comments were looked at since it was told last. Raises Unavailable."""
    found = Resealed()
    for _ in range(_PASSES_MAX):
        one = await _pass(store, told)
        found.changed += one.changed
        found.missed, found.lost = one.missed, one.lost
        if not (one.changed or one.missed):
            break
        told = _nobody
    if found.is_done:
        await _change(store, found, [await _hash_key(store)])
    return found


def _nobody(_: int) -> None:
    pass


async def _pass(store: Store, told: Callable[[int], None]) -> Resealed:
    found = Resealed()
    await _change(store, found, [place async for place in _of_accounts(store)])
    await _change(store, found, [place async for place in _of_erasures(store)])
    for site in await sites.names(store):
        await _change(store, found, [place async for place in _of_site(store, site)])
        async for page, places in _of_comments(store, site):
            await _change(store, found, places)
            told(page)
    return found


async def _change(store: Store, found: Resealed, places: list[_Place]) -> None:
    found.lost += sum(place.new is None for place in places)
    wanted = [place for place in places if place.new is not None and place.new != place.old]
    replies = await asyncio.gather(
        *(scripts.run(store.pipe, "reseal", [p.key], p.kind, p.field, p.old, p.new) for p in wanted)
    )
    done = replies.count("ok")
    found.changed += done
    found.missed += len(wanted) - done


def _again(privacy: Privacy, sealed: str, bound_to: str) -> str:
    """Under the newest key. Raises Sealed."""
    return sealed if privacy.is_newest(sealed) else privacy.seal(privacy.open(sealed, bound_to), bound_to)


def _record(privacy: Privacy, key: str, field: str, text: str, seals: dict[str, str]) -> _Place:
    """A JSON object in a hash, of which some members (name → what they are bound to) are sealed."""
    record = from_json(text)
    try:
        fresh = {name: _again(privacy, record[name], bound) for name, bound in seals.items() if record.get(name)}
    except Sealed:
        return _Place(key, "field", field, text, None)
    return _Place(key, "field", field, text, text if _same(record, fresh) else to_json(record | fresh).decode())


def _same(record: dict[str, Any], fresh: dict[str, Any]) -> bool:
    return all(record[name] == value for name, value in fresh.items())


async def _hash_key(store: Store) -> _Place:
    sealed = await store.pipe.call("HGET", keys.META, HASH_KEY)
    return _Place(
        keys.META, "field", HASH_KEY, sealed, _again(store.privacy, sealed, HASH_KEY)
    )  # it was opened at start


async def _of_accounts(store: Store) -> AsyncIterator[_Place]:
    """Addresses of admins, and what codes of their apps are made of."""
    rows = await store.pipe.call("HGETALL", USERS)
    for name, text in zip(rows[::2], rows[1::2], strict=True):
        yield _record(store.privacy, USERS, name, text, {"email": f"user:{name}", "totp": f"totp:{name}"})


async def _of_erasures(store: Store) -> AsyncIterator[_Place]:
    """Of whom, while it is under way: without the key nobody could finish it."""
    rows = await store.pipe.call("HGETALL", erasure.ERASING)
    for receipt, sealed in zip(rows[::2], rows[1::2], strict=True):
        try:
            fresh: str | None = _again(store.privacy, sealed, receipt)
        except Sealed:
            fresh = None
        yield _Place(erasure.ERASING, "field", receipt, sealed, fresh)


async def _of_site(store: Store, site: str) -> AsyncIterator[_Place]:
    """Who is told, the secrets of endpoints and of checkers."""
    tag, privacy = store.tag_of_site(site), store.privacy
    doc, endpoints, checkers = await store.pipe.call_many(
        [("HGET", f"{tag}site:{site}", "doc"), ("HGETALL", f"{tag}eps:{site}"), ("HGETALL", f"{tag}ck:{site}")]
    )
    if doc:
        yield _site(privacy, f"{tag}site:{site}", site, doc)
    for endpoint_id, text in zip(endpoints[::2], endpoints[1::2], strict=True):
        yield _endpoint(privacy, f"{tag}eps:{site}", endpoint_id, text)
    for name, text in zip(checkers[::2], checkers[1::2], strict=True):
        yield _record(privacy, f"{tag}ck:{site}", name, text, {"secret": f"checker:{site}"})


def _site(privacy: Privacy, key: str, site: str, doc: str) -> _Place:
    record = from_json(doc)
    try:
        notify = [_again(privacy, sealed, f"site:{site}") for sealed in record["notify"]]
    except Sealed:
        return _Place(key, "field", "doc", doc, None)
    fresh = doc if notify == record["notify"] else to_json(record | {"notify": notify}).decode()
    return _Place(key, "field", "doc", doc, fresh)


def _endpoint(privacy: Privacy, key: str, endpoint_id: str, text: str) -> _Place:
    record = from_json(text)
    try:
        fresh = {"secrets": [[_again(privacy, sealed, endpoint_id), ends] for sealed, ends in record["secrets"]]}
        if record.get("headers"):
            fresh["headers"] = _again(privacy, record["headers"], endpoint_id)  # type: ignore[assignment]
    except Sealed:
        return _Place(key, "field", endpoint_id, text, None)
    changed = text if _same(record, fresh) else to_json(record | fresh).decode()
    return _Place(key, "field", endpoint_id, text, changed)


async def _of_comments(store: Store, site: str) -> AsyncIterator[tuple[int, list[_Place]]]:
    """Page by page: addresses, what was typed, and for some days what outside checkers are told."""
    cursor = ""
    while found := (await comments.page(store, site, list(Status), cursor=cursor, limit=_PAGE)).items:
        yield len(found), [*await _bodies(store, found), *await _clients(store, found)]
        cursor = found[-1].id


async def _bodies(store: Store, found: list[Comment]) -> list[_Place]:
    stale = [
        c for c in found if not all(store.privacy.is_newest(c.body[f]) for f in ("email", "original") if c.body.get(f))
    ]
    locations = [f"{store.tag_of_id(comment.id)}c:{comment.id}" for comment in stale]
    values = await store.pipe.call_many([("GET", location) for location in locations])
    return [
        _body(store.privacy, location, comment.id, value.partition("\n")[2])
        for location, comment, value in zip(locations, stale, values, strict=True)
        if value
    ]


def _body(privacy: Privacy, key: str, comment_id: str, text: str) -> _Place:
    body = from_json(text)
    try:
        fresh = {name: _again(privacy, body[name], comment_id) for name in ("email", "original") if body.get(name)}
    except Sealed:
        return _Place(key, "body", "", text, None)
    return _Place(key, "body", "", text, to_json(body | fresh).decode())


async def _clients(store: Store, found: list[Comment]) -> list[_Place]:
    since = int(time.time() * 1000) - _CLIENT_KEPT_MS
    locations = {f"{store.tag_of_id(c.id)}cl:{c.id}": c.id for c in found if created_ms(c.id) > since}
    values = await store.pipe.call_many([("GET", location) for location in locations])
    places = []
    for (location, comment_id), sealed in zip(locations.items(), values, strict=True):
        if sealed:
            try:
                fresh: str | None = _again(store.privacy, sealed, comment_id)
            except Sealed:
                fresh = None
            places.append(_Place(location, "whole", "", sealed, fresh))
    return places
