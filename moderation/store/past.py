"""What a site knows of an author, a name, a thread and a text from before: one round trip, and only for policies that ask."""

import time
from typing import Any

from moderation.model import Site, Status, Submission, created_ms
from moderation.screening import learning
from moderation.screening.folding import name_key
from moderation.screening.outcome import Facts
from moderation.store import keys
from moderation.store.comments import said_today
from moderation.store.connection import Store
from moderation.store.people import USERS


async def learn_of(store: Store, site: Site, said: Submission, bands: tuple[str, ...], known: Facts) -> Facts:
    """The facts known at the door, and those of the past."""
    tag, policy = store.tag_of_site(site.id), site.policy
    thread = keys.thread_key(said.thread)
    yesterday = time.strftime("%Y%m%d", time.gmtime(known.at - 86_400))
    commands: list[tuple[Any, ...]] = [
        ("HGET", f"{tag}ok:{site.id}", known.author),
        ("HGET", f"{tag}nm:{site.id}", name_key(said.name)),
        ("HKEYS", USERS) if policy.impersonation else ("ECHO", ""),
        *[("ZRANGE", f"{tag}t:{site.id}:{thread}:{status}", 0, 0) for status in Status],
        *[("HMGET", f"{tag}nd:{site.id}:{day}", *bands) for day in (said_today(), yesterday) if bands],
    ]
    domain = said.email.rpartition("@")[2].lower()
    found = learning.features(said.name, said.text, said.url, domain) if policy.learning else []
    if found:
        commands.append(("HMGET", f"{tag}lw:{site.id}", learning.BIAS, *found))
    approved, owner, moderators, *rest = await store.pipe.call_many(commands)
    risk, words = None, tuple[str, ...]()
    if found:
        weights = {i: float(w) for i, w in zip([learning.BIAS, *found], rest.pop(), strict=True) if w}
        risk = learning.risk(weights, found)
        words = learning.top(weights, said.name, said.text, said.url, domain) if risk >= policy.hold_above else ()
    firsts = [created_ms(ids[0]) for ids in rest[: len(Status)] if ids]
    alike = next((comment for names in rest[len(Status) :] for comment in names if comment), "")
    return known._replace(
        approved=int(approved or 0),
        name_owner=owner or "",
        moderators=tuple(moderators or ()),
        thread_first_ms=min(firsts, default=0),
        alike=alike,
        risk=risk,
        risk_words=words,
    )
