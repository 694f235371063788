"""Endpoints: URLs that receive events. Secrets and headers are sealed at rest; a secret is shown once."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from moderation.errors import NotFound
from moderation.model import DELIVERY_STATES, EVENTS, Endpoint
from moderation.privacy import Privacy
from moderation.store.connection import Store

_KEEP_SECONDS = 30 * 86_400
BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True)
class Keys:
    """What its deliveries are signed with. `secrets`: (`whsec_…` or `whsk_…`, ms when it ends or 0), newest first."""

    secrets: tuple[tuple[str, int], ...]
    headers: dict[str, str] = field(default_factory=dict)

    def valid(self, at_ms: int) -> list[str]:
        """Those to sign with now."""
        return [secret for secret, ends in self.secrets if not ends or ends > at_ms]


@dataclass(frozen=True, slots=True)
class Health:
    """How its lane fares. `state`: ok, failing, cooling (paused for a while) or disabled."""

    state: str
    disabled_reason: str | None = None
    disabled_at: str | None = None
    failing_since_ms: int | None = None
    failures: int = 0
    paused_until_ms: int | None = None
    last_success_ms: int | None = None


def _key(store: Store, site: str) -> str:
    return f"{store.tag_of_site(site)}eps:{site}"


def lane(endpoint_id: str) -> str:
    """The lane of an endpoint's deliveries."""
    return f"ep:{endpoint_id}"


def _subscriptions(store: Store, endpoint: Endpoint, *, gone: bool = False) -> list[tuple[Any, ...]]:
    tag, threads = store.tag_of_site(endpoint.site), to_json(endpoint.threads) if endpoint.threads else ""
    return [
        ("HSET", f"{tag}subs:{endpoint.site}:{event}", endpoint.id, threads)
        if event in endpoint.events and not gone
        else ("HDEL", f"{tag}subs:{endpoint.site}:{event}", endpoint.id)
        for event in EVENTS
    ]


async def save(store: Store, endpoint: Endpoint, keys: Keys, *, switch: bool | None = None, at: str = "") -> None:
    """Create or change an endpoint. `switch` enables or disables it (`at` that time); None leaves that as it is by now."""
    seal = store.privacy.seal
    record = endpoint.model_dump(exclude={"enabled"}) | {
        "secrets": [[seal(secret, endpoint.id), ends] for secret, ends in keys.secrets]
    }
    if keys.headers:
        record["headers"] = seal(to_json(keys.headers).decode(), endpoint.id)
    state = f"{store.tag_of_site(endpoint.site)}ls:{lane(endpoint.id)}"
    switching: list[tuple[Any, ...]] = []
    if switch is True:
        switching = [("HDEL", state, "off", "off_at", "f", "ff", "fm", "since", "gone", "warned", "until", "w")]
    elif switch is False:
        switching = [("HSETNX", state, "off", BY_HAND), ("HSETNX", state, "off_at", at)]
    await store.pipe.call_many(
        [
            ("HSET", _key(store, endpoint.site), endpoint.id, to_json(record)),
            ("HSET", state, "cap", endpoint.max_in_flight, "rate", endpoint.rate_per_second),
            *switching,
            *_subscriptions(store, endpoint),
        ]
    )


@lru_cache(maxsize=512)
def parse(privacy: Privacy, text: str, *, enabled: bool = True) -> tuple[Endpoint, Keys]:
    """A stored record. (Remembered: a worker sees the same one with every delivery.)"""
    record = from_json(text)
    secrets = tuple((privacy.open(secret, record["id"]), ends) for secret, ends in record.pop("secrets"))
    sealed = record.pop("headers", None)
    headers = from_json(privacy.open(sealed, record["id"])) if sealed else {}
    return Endpoint.model_validate(record | {"enabled": enabled}), Keys(secrets, headers)


async def load(store: Store, site: str, endpoint_id: str) -> tuple[Endpoint, Keys]:
    """The endpoint and its keys; raises NotFound."""
    state = f"{store.tag_of_site(site)}ls:{lane(endpoint_id)}"
    text, off = await store.pipe.call_many([("HGET", _key(store, site), endpoint_id), ("HEXISTS", state, "off")])
    if not text:
        raise NotFound("There is no such endpoint.")
    return parse(store.privacy, text, enabled=not off)


async def of_site(store: Store, site: str) -> list[Endpoint]:
    """All endpoints of a site, oldest first."""
    rows = await store.pipe.call("HGETALL", _key(store, site))
    ids, records = rows[::2], rows[1::2]
    tag = store.tag_of_site(site)
    offs = await store.pipe.call_many([("HEXISTS", f"{tag}ls:{lane(i)}", "off") for i in ids])
    found = [parse(store.privacy, text, enabled=not off)[0] for text, off in zip(records, offs, strict=True)]
    return sorted(found, key=lambda endpoint: endpoint.id)


async def health(store: Store, endpoint: Endpoint) -> tuple[Health, dict[str, int]]:
    """How an endpoint fares, and how many of its deliveries are in which state."""
    tag, name = store.tag_of_site(endpoint.site), lane(endpoint.id)
    (off, off_at, since, failures, until, ok_at), now, *counts = await store.pipe.call_many(
        [
            ("HMGET", f"{tag}ls:{name}", "off", "off_at", "since", "f", "until", "ok_at"),
            ("TIME",),
            *[("ZCARD", f"{tag}ld:{name}:{state}") for state in DELIVERY_STATES],
        ]
    )
    paused = bool(until) and int(until) > int(now[0]) * 1000
    state = "disabled" if off else "cooling" if paused else "failing" if since else "ok"
    return (
        Health(
            state,
            off,
            off_at or None,
            int(since) if since else None,
            int(failures or 0),
            int(until) if paused else None,
            int(ok_at) if ok_at else None,
        ),
        dict(zip(DELIVERY_STATES, counts, strict=True)),
    )


async def remove(store: Store, site: str, endpoint_id: str) -> None:
    """Delete an endpoint; what waits for it is cancelled when it becomes due. Raises NotFound."""
    endpoint, _ = await load(store, site, endpoint_id)
    tag = store.tag_of_site(site)
    await store.pipe.call_many(
        [
            *_subscriptions(store, endpoint, gone=True),
            ("HDEL", _key(store, site), endpoint_id),
            ("DEL", f"{tag}ls:{lane(endpoint_id)}"),
            *[("EXPIRE", f"{tag}ld:{lane(endpoint_id)}:{state}", _KEEP_SECONDS) for state in DELIVERY_STATES],
        ]
    )
