"""Delivery → to whom, and what it says; or why nothing is sent after all. Everything is looked at again at the moment of sending."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

from moderation import links, markup, public
from moderation.errors import NotFound
from moderation.i18n import speaks
from moderation.model import Comment, Decision, Site, Status
from moderation.privacy import Sealed
from moderation.store import comments, keys, mailboxes, sites
from moderation.store.connection import Store
from moderation.store.outbox import Job
from workers import tell

ACTS = (Decision.APPROVE, Decision.REJECT, Decision.SPAM)


SHOWN_MAX, _AT_ONCE = 10, 50  # comments in a mail to a moderator, and looked at in one go


class NotSent(Exception):
    """Why a mail is not sent; `ends_as` is the state of its delivery."""

    def __init__(self, code: str, why: str, ends_as: str = "cancelled") -> None:
        super().__init__(why)
        self.code, self.why, self.ends_as = code, why, ends_as


@dataclass(frozen=True, slots=True)
class Draft:
    """A mail before it is written."""

    kind: str
    address: str
    recipient: str
    site: Site
    locale: str
    thread_key: str = ""  # of the thread it is about
    to_reader: bool = True  # not to a moderator or admin
    asked_for: bool = False  # just now, by somebody who gave this address: goes although they wanted no more mails
    values: dict[str, Any] = field(default_factory=dict)


class Drafts:
    """Reads what a letter needs."""

    def __init__(self, store: Store, base_url: str) -> None:
        self._store = store
        self._base = base_url

    async def of(self, job: Job) -> Draft:
        """Raises NotSent, and what the store raises when Redis is away."""
        try:
            site, _ = await sites.load(self._store, job.site)
        except NotFound:
            raise NotSent("cancelled", "the site was deleted") from None
        role, _, recipient = job.target.partition(":")
        if role == "author":
            return await self._to_author(job, site)
        if role == "confirm":
            return await self._to_confirm(job, site)
        if role == "person":
            return self._to_person(job, site)
        if role == "reply":
            return await self._about_reply(job, site)
        if role == "moderator":
            addresses = tell.by_id(self._store, sites.notify_addresses(self._store, site))
            return await self._to_moderator(job, site, recipient, _known(addresses, recipient))
        addresses = await tell.admins(self._store, site)
        return self._to_admin(job, site, recipient, _known(addresses, recipient))

    def _address_of(self, comment: Comment | None) -> tuple[Comment, str]:
        if comment is None or not comment.body.get("email"):
            raise NotSent("cancelled", "the comment was erased")
        try:
            return comment, self._store.privacy.open(comment.body["email"], comment.id)
        except Sealed:
            raise NotSent("key", "the address can't be opened: is a secret key missing?", "dead") from None

    async def _to_author(self, job: Job, site: Site) -> Draft:
        comment, address = self._address_of(job.comment)
        if comment.status.value != job.event["status"] or _is_older(job, comment):
            raise NotSent("cancelled", "decided otherwise in the meantime")
        recipient = self._store.privacy.address_id(address)
        values = self._for_reader(site, comment, recipient) | _quoted(comment)
        if comment.status is Status.APPROVED:
            values["confirm"] = await self._confirm_link(site, comment, recipient)
            return _reader_draft("published", address, recipient, site, comment, values)
        if not site.mail_rejections:
            raise NotSent("cancelled", "the site sends no mails about rejections")
        values["reason"] = job.event.get("reason")
        return _reader_draft("rejected", address, recipient, site, comment, values)

    async def _to_confirm(self, job: Job, site: Site) -> Draft:
        comment, address = self._address_of(job.comment)
        recipient = self._store.privacy.address_id(address)
        confirm = await self._confirm_link(site, comment, recipient)
        if not confirm:
            raise NotSent("cancelled", "the wish to be told of replies was confirmed already")
        if not await mailboxes.may_ask(self._store, site.id, recipient, job.delivery_id):
            raise NotSent("unconfirmed", "they were asked to confirm within the last thirty days", "held")
        values = self._for_reader(site, comment, recipient) | {"confirm": confirm, "author": "", "link": ""}
        return _reader_draft("confirm", address, recipient, site, comment, values)

    def _to_person(self, job: Job, site: Site) -> Draft:
        comment, address = self._address_of(job.comment)
        recipient = self._store.privacy.address_id(address)
        link = links.person(self._store.privacy, self._base, comment.id, time.time())  # its day begins when it leaves
        values = self._for_reader(site, comment, recipient) | {"link": link}
        draft = _reader_draft("personal", address, recipient, site, comment, values)
        return replace(draft, asked_for=True)

    async def _confirm_link(self, site: Site, comment: Comment, recipient: str) -> str:
        if not comment.body.get("notify") or await mailboxes.is_confirmed(self._store, site.id, recipient):
            return ""
        return links.confirm(self._store.privacy, self._base, comment.id)

    async def _about_reply(self, job: Job, site: Site) -> Draft:
        reply = job.comment
        if reply is None or reply.status is not Status.APPROVED or _is_older(job, reply):
            raise NotSent("cancelled", "the reply is not published any more")
        parent = (await comments.load_many(self._store, [reply.head["p"]]))[0]
        parent, address = self._address_of(parent)
        recipient = self._store.privacy.address_id(address)
        if parent.status is not Status.APPROVED:
            raise NotSent("cancelled", "the comment replied to is not published any more")
        if not parent.body.get("notify"):
            raise NotSent("cancelled", "nobody asked to be told of replies")
        if reply.body["who"] == parent.body["who"]:
            raise NotSent("cancelled", "it is a reply to oneself")
        values = self._for_reader(site, parent, recipient) | {
            "author": reply.body["name"],
            "link": public.link(site, reply),
        }
        if await mailboxes.is_confirmed(self._store, site.id, recipient):
            values |= _quoted(reply) | {"yours": parent.body["text"], "yours_direction": _quoted(parent)["direction"]}
            return _reader_draft("reply", address, recipient, site, parent, values)
        if not await mailboxes.may_ask(self._store, site.id, recipient, job.delivery_id):
            raise NotSent("unconfirmed", "the wish to be told of replies was not confirmed", "held")
        values["confirm"] = links.confirm(self._store.privacy, self._base, parent.id)
        return _reader_draft("confirm", address, recipient, site, parent, values)

    def _for_reader(self, site: Site, comment: Comment, recipient: str) -> dict[str, Any]:
        thread = keys.thread_key(comment.body["thread"])
        return {
            "site": site.name,
            "name": comment.body["name"],
            "link": public.link(site, comment),
            "unsubscribe": links.unsubscribe(self._store.privacy, self._base, recipient, site.id, thread),
        }

    async def _to_moderator(self, job: Job, site: Site, recipient: str, address: str) -> Draft:
        named = job.event["comments"].split() if "comments" in job.event else [job.event["comment"]]
        waiting: list[Comment] = []
        while named and len(waiting) < SHOWN_MAX:
            found, named = await comments.load_many(self._store, named[:_AT_ONCE]), named[_AT_ONCE:]
            waiting += [c for c in found if c and c.status is Status.PENDING]
        total = await comments.count(self._store, site.id, Status.PENDING)
        more_than_named = job.event.get("total", 1) > len(job.event.get("comments", "x").split())
        if not waiting and not (more_than_named and total):
            raise NotSent("cancelled", "everything was decided in the meantime")
        waiting = waiting[:SHOWN_MAX]
        now = time.time()
        values = {
            "site": site.name,
            "items": [self._item(comment, recipient, now) for comment in waiting],
            "total": max(len(waiting), total),
            "desk": f"{self._base}/review",
            "unsubscribe": links.unsubscribe(self._store.privacy, self._base, recipient, site.id),
        }
        return Draft("waiting", address, recipient, site, site.locale, to_reader=False, values=values)

    def _item(self, comment: Comment, recipient: str, now: float) -> dict[str, Any]:
        privacy, body = self._store.privacy, comment.body
        return _quoted(comment) | {
            "id": comment.id,
            "author": body["name"],
            "address": comments.masked_email(privacy, comment),
            "reasons": [],
            "page": body.get("thread_title") or body["thread"],
            "acts": {d.value: links.moderation(privacy, self._base, comment, d, recipient, now) for d in ACTS},
        }

    def _to_admin(self, job: Job, site: Site, recipient: str, address: str) -> Draft:
        event = job.event
        values: dict[str, Any] = {
            "site": site.name,
            "desk": f"{self._base}/review",
            "unsubscribe": links.unsubscribe(self._store.privacy, self._base, recipient, site.id),
        }
        if event["type"] == "mail.undeliverable":
            values |= {"address": event["address"], "detail": event["detail"]}
            return Draft("undeliverable", address, recipient, site, site.locale, to_reader=False, values=values)
        values |= {
            "url": event["endpoint"].get("url") or "",
            "disabled": event["type"] == "endpoint.disabled",
            "reason": event.get("reason") or "",
            "since": str(event.get("failing_since") or "")[:16].replace("T", " "),
        }
        return Draft("endpoint", address, recipient, site, site.locale, to_reader=False, values=values)


def _is_older(job: Job, comment: Comment) -> bool:
    """Whether a later decision has mails of its own."""
    return bool(job.event.get("sequence") != comment.head.get("q"))


def _known(addresses: dict[str, str], recipient: str) -> str:
    if recipient not in addresses:
        raise NotSent("cancelled", "no longer among those who are told")
    return addresses[recipient]


def _quoted(comment: Comment) -> dict[str, Any]:
    text: str = comment.body["text"]
    locale: str = comment.body["locale"]
    return {"text": text, "direction": markup.text_direction(text, markup.direction(locale))}


def _reader_draft(
    kind: str, address: str, recipient: str, site: Site, comment: Comment, values: dict[str, Any]
) -> Draft:
    thread = keys.thread_key(comment.body["thread"])
    locale = comment.body["locale"] if speaks(comment.body["locale"]) else site.locale
    return Draft(kind, address, recipient, site, locale, thread, values=values)
