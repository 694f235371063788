"""What is kept of one person on all sites, found by the keyed hashes of an address. None of it holds the address."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from moderation import public
from moderation.model import Comment, Status
from moderation.privacy import Sealed
from moderation.store import comments, keys, mailboxes, outbox, sites
from moderation.store.connection import Store

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Kept:
    """How many comments on which sites, and the newest of them all."""

    sites: dict[str, int]
    newest: str  # its id, or ''

    @property
    def total(self) -> int:
        return sum(self.sites.values())


def address_of(store: Store, comment: Comment) -> str:
    """Whose comment it is; '' when it came without an address, or that can't be opened any more."""
    try:
        return store.privacy.open(comment.body["email"], comment.id) if comment.body.get("email") else ""
    except Sealed:
        return ""


async def kept_of(store: Store, email: str) -> Kept:
    """In two round trips, whether there is something or not."""
    names = await sites.names(store)
    indexes = [f"{store.tag_of_site(site)}a:{store.privacy.author_id(site, email, '')}" for site in names]
    replies = await store.pipe.call_many(
        [command for index in indexes for command in (("ZCARD", index), ("ZRANGE", index, -1, -1))]
    )
    found = {site: int(count) for site, count in zip(names, replies[::2], strict=True) if count}
    newest = max((ids[0] for ids in replies[1::2] if ids), default="")
    return Kept(found, newest)


async def comments_of(store: Store, email: str) -> AsyncIterator[list[Comment]]:
    """Page by page, site by site, oldest first."""
    for site in (await kept_of(store, email)).sites:
        author, cursor = store.privacy.author_id(site, email, ""), ""
        while found := (await comments.page_of_author(store, site, author, cursor=cursor, limit=_PAGE)).items:
            yield found
            cursor = found[-1].id


async def newest_of(store: Store, email: str, limit: int) -> list[Comment]:
    """The newest comments on all sites together."""
    newest: list[Comment] = []
    for site in (await kept_of(store, email)).sites:
        author = store.privacy.author_id(site, email, "")
        newest += (await comments.page_of_author(store, site, author, newest=True, limit=limit)).items
    return sorted(newest, key=lambda comment: comment.id, reverse=True)[:limit]


async def ask(store: Store, comment_id: str, at_ms: int) -> None:
    """Have a link mailed to the address of this comment, by which its owner sees, takes along and deletes what is kept. Once an hour at most."""
    comment = await comments.load(store, comment_id)
    hour = at_ms // 3_600_000 * 3_600_000
    delivery = keys.id_of(hour, f"personal-data {comment_id}", keys.partition_of(comment_id))
    event = {
        "id": delivery,
        "type": "personal_data.asked",
        "at": public.iso(at_ms),
        "site": comment.site,
        "comment": comment_id,
    }
    await outbox.enqueue(
        store, delivery, event, kind="mail", target="person", lane=f"mail:{comment.site}", site=comment.site, comment_id=comment_id
    )  # fmt: skip


def public_status(comment: Comment) -> Status:
    """A spammer learns nothing: spam looks as if it waited."""
    return Status.PENDING if comment.status is Status.SPAM else comment.status


async def document(store: Store, email: str) -> AsyncIterator[bytes]:
    """All of it as one JSON document, piece by piece (GDPR, articles 15 and 20)."""
    yield b'{"comments":['
    separator = b""
    async for found in comments_of(store, email):
        for comment in found:
            yield separator + to_json(await _described(store, comment))
            separator = b","
    yield b'],"mail":' + to_json(await _mail(store, email)) + b"}\n"


async def _described(store: Store, comment: Comment) -> dict[str, Any]:
    body, status = comment.body, public_status(comment)
    sent = [d for d in await outbox.deliveries(store, comment.id) if d["kind"] == "mail" and d["target"] in {"author", "person"}]  # fmt: skip
    return {
        "id": comment.id,
        "site": comment.site,
        "thread": body["thread"],
        "thread_url": body.get("thread_url"),
        "thread_title": body.get("thread_title"),
        "parent": comment.head.get("p"),
        "name": body["name"],
        "email": comments.masked_email(store.privacy, comment),
        "url": body.get("url"),
        "text": body["text"],
        "locale": body["locale"],
        "status": status.value,
        "reason": comment.head.get("r") if status is Status.REJECTED else None,
        "created_at": public.iso(comment.created_ms),
        "decided_at": comment.head.get("at") if status is not Status.PENDING else None,
        "notify_replies": bool(body.get("notify")),
        "mails": [{"about": d["target"], "state": d["state"], "created_at": public.iso(d["created_ms"])} for d in sent],
    }


async def _mail(store: Store, email: str) -> dict[str, Any]:
    recipient = store.privacy.address_id(email)
    names = await sites.names(store)
    confirmed = await store.pipe.call_many([("SISMEMBER", f"{store.tag_of_site(s)}cf:{s}", recipient) for s in names])
    return {
        "replies_confirmed_on": [site for site, yes in zip(names, confirmed, strict=True) if yes],
        "suppressed": [
            {"scope": found.scope, "reason": found.reason, "at": found.at}
            for found in await mailboxes.of_recipient(store, recipient)
        ],
    }


async def ask_to_confirm(store: Store, comment: Comment) -> None:
    """Have a mail sent that asks whether its author wants to be told of replies: once for each comment, and no oftener than others that ask."""
    delivery = keys.id_of(comment.created_ms, f"confirm {comment.id}", keys.partition_of(comment.id))
    event = {
        "id": delivery,
        "type": "replies.asked",
        "at": public.iso(comment.created_ms),
        "site": comment.site,
        "comment": comment.id,
    }
    await outbox.enqueue(
        store, delivery, event, kind="mail", target="confirm", lane=f"mail:{comment.site}", site=comment.site, comment_id=comment.id
    )  # fmt: skip
