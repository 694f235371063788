"""Endpoints: URLs that receive events. Secrets are sealed at rest and shown once."""

from typing import Any

from pydantic_core import from_json, to_json

from moderation.errors import NotFound
from moderation.model import EVENTS, Endpoint
from moderation.privacy import Privacy
from moderation.store.connection import Store


def _key(store: Store, site: str) -> str:
    return f"{store.tag_of_site(site)}eps:{site}"


def _subscriptions(store: Store, endpoint: Endpoint) -> list[tuple[Any, ...]]:
    tag = store.tag_of_site(endpoint.site)
    wanted = set(endpoint.events) if endpoint.enabled else set()
    return [
        ("SADD" if event in wanted else "SREM", f"{tag}subs:{endpoint.site}:{event}", endpoint.id) for event in EVENTS
    ]


async def save(store: Store, endpoint: Endpoint, secrets: list[str]) -> None:
    """Create or change an endpoint. `secrets`: newest first."""
    record = endpoint.model_dump() | {"secrets": [store.privacy.seal(secret, endpoint.id) for secret in secrets]}
    await store.pipe.call_many(
        [("HSET", _key(store, endpoint.site), endpoint.id, to_json(record)), *_subscriptions(store, endpoint)]
    )


def _parse(privacy: Privacy, text: str) -> tuple[Endpoint, list[str]]:
    record = from_json(text)
    sealed = record.pop("secrets")
    return Endpoint.model_validate(record), [privacy.open(secret, record["id"]) for secret in sealed]


async def load(store: Store, site: str, endpoint_id: str) -> tuple[Endpoint, list[str]]:
    """The endpoint and its secrets, newest first; raises NotFound."""
    text = await store.pipe.call("HGET", _key(store, site), endpoint_id)
    if not text:
        raise NotFound("There is no such endpoint.")
    return _parse(store.privacy, text)


async def of_site(store: Store, site: str) -> list[Endpoint]:
    """All endpoints of a site, oldest first."""
    rows = await store.pipe.call("HGETALL", _key(store, site))
    return sorted((_parse(store.privacy, text)[0] for text in rows[1::2]), key=lambda endpoint: endpoint.id)


async def remove(store: Store, site: str, endpoint_id: str) -> None:
    """Delete an endpoint; what waits for it ends as dead. Raises NotFound."""
    endpoint, _ = await load(store, site, endpoint_id)
    disabled = endpoint.model_copy(update={"enabled": False})
    await store.pipe.call_many([*_subscriptions(store, disabled), ("HDEL", _key(store, site), endpoint_id)])
