"""Sends one mail: draft, look whether it may go, write, hand over. The address stands in the envelope and the To line only."""

import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from moderation import letters
from moderation.errors import ModerationError
from moderation.letters import Letters
from moderation.log import get_logger
from moderation.model import created_ms
from moderation.privacy import mask_address
from moderation.public import iso
from moderation.settings import Settings
from moderation.store import mailboxes, outbox
from moderation.store.connection import Store
from moderation.store.mailboxes import Suppression
from moderation.store.outbox import Job
from workers import smtp
from workers.drafts import Draft, Drafts, NotSent
from workers.message import Envelope, compose
from workers.retry import Outcome

log = get_logger(__name__)
# Mails to one address on one day. A moderator's digests, five minutes apart, stay below theirs.
READER_MAILS_A_DAY, MODERATOR_MAILS_A_DAY, ASKED_MAILS_A_DAY = 20, 300, 3
FAULTS_END_AFTER_SECONDS = 7 * 86_400  # a wrong password is mended by then, or the mail is dead and can be sent by hand


class MailSender:
    """The engine's way to a mail server."""

    def __init__(self, store: Store, settings: Settings, transport: smtp.Transport | None) -> None:
        self._store = store
        self._transport = transport
        self._letters = Letters(settings.mail_templates)
        self._drafts = Drafts(store, settings.base_url)
        self._from = settings.mail_from or ""
        self._host = urlsplit(settings.base_url).hostname or "localhost"
        if ":" in self._host:
            self._host = f"[IPv6:{self._host}]"

    async def deliver(self, job: Job) -> Outcome:
        """One attempt; every failure is an Outcome, never an exception."""
        try:
            draft = await self._drafts.of(job)
            await self._may_go(job, draft)
        except NotSent as why:
            return Outcome(False, why.code, detail=why.why, final=True, ends_as=why.ends_as)
        except ModerationError as error:
            return Outcome(False, error.code, detail="Redis was out of reach")
        if self._transport is None or not self._from:
            missing = "MODERATION_SMTP_URL" if self._transport is None else "MODERATION_MAIL_FROM"
            return Outcome(False, "not_configured", detail=f"{missing} is not set", final=True, ends_as="undeliverable")
        try:
            address = smtp.wire_address(draft.address)
        except ValueError:
            return Outcome(False, "recipient", detail="the address can't be written to", final=True)
        outcome = await self._transport.send(self._from, address, self._written(job, draft, address))
        return await self._judged(job, draft, outcome)

    async def _may_go(self, job: Job, draft: Draft) -> None:
        """Raises NotSent. Asked at the moment of sending, so that it holds for what was queued before, too."""
        found = await mailboxes.suppression(self._store, draft.recipient, job.site, draft.thread_key)
        if found and not (draft.asked_for and found.reason == "unsubscribed"):
            raise NotSent("suppressed", f"{found.reason} ({found.scope.partition(':')[0]})", "held")
        if job.target.startswith("admin:"):
            return
        if draft.asked_for:
            whose, cap = f"{draft.recipient}:asked", ASKED_MAILS_A_DAY
        elif draft.to_reader:
            whose, cap = draft.recipient, READER_MAILS_A_DAY
        else:  # a moderator may have several sites
            whose, cap = f"{draft.recipient}:{job.site}", MODERATOR_MAILS_A_DAY
        day = datetime.now(UTC).date().isoformat()
        if not await mailboxes.within_daily_cap(self._store, whose, job.delivery_id, day, cap):
            raise NotSent("capped", f"{cap} mails went to this address today", "held")

    def _written(self, job: Job, draft: Draft, address: str) -> bytes:
        letter = self._letters.render(draft.kind, draft.locale, draft.values)
        site = draft.site
        return compose(
            Envelope(
                message_id=f"{job.delivery_id}@{self._host}",
                sender=self._from,
                sender_name=site.name,
                recipient=address,
                sent_at=datetime.now(UTC),
                list_id=f"{site.id.replace('_', '-')}.{self._host}",
                unsubscribe=draft.values["unsubscribe"],
                thread=f"t.{draft.thread_key}.{site.id}@{self._host}" if draft.thread_key else "",
            ),
            letter,
        )

    async def _judged(self, job: Job, draft: Draft, outcome: Outcome) -> Outcome:
        """What the mail server's answer means beyond this attempt."""
        if outcome.code == "unclear" and await self._was_unclear(job):
            return _ended(outcome)  # once more, under the same id, is all that can be asked of a mailbox
        if not outcome.ok and not outcome.counts:
            log.error(
                "the mail server refuses us; the mails of the site wait", code=outcome.code, problem=outcome.detail
            )
            if time.time() - created_ms(job.delivery_id) / 1000 > FAULTS_END_AFTER_SECONDS:
                return _ended(outcome)
        if outcome.log.get("reason") == "unknown":
            await self._suppress(job, draft, outcome.detail)
        return outcome

    async def _was_unclear(self, job: Job) -> bool:
        try:
            return "unclear" in await outbox.codes(self._store, job.delivery_id)
        except ModerationError:
            return False

    async def _suppress(self, job: Job, draft: Draft, detail: str) -> None:
        masked, at = mask_address(draft.address), iso(int(time.time() * 1000))
        found = Suppression(draft.recipient, mailboxes.ALL, "refused", at, masked, detail)
        try:  # telling comes first: who is killed in between tells twice rather than never
            if job.target.startswith("moderator:"):
                await outbox.tell_admins_of_mailbox(self._store, job.site, masked, detail, at)
            await mailboxes.suppress(self._store, found)
        except ModerationError:
            log.warning("a refused address could not be noted; the next mail finds out again", delivery=job.delivery_id)


def _ended(outcome: Outcome) -> Outcome:
    return Outcome(False, outcome.code, outcome.status, outcome.detail, final=True)


async def send_test(settings: Settings, address: str, locale: str) -> Outcome:
    """A mail that says that the settings work."""
    host = urlsplit(settings.base_url).hostname or "localhost"
    letter = Letters(settings.mail_templates).render("test", locale, letters.SAMPLES["test"] | {"host": host})
    now = datetime.now(UTC)
    try:
        wire = smtp.wire_address(address)
    except ValueError:
        return Outcome(False, "recipient", detail="this is no e-mail address", final=True)
    envelope = Envelope(f"test.{now:%Y%m%d%H%M%S%f}@{host}", settings.mail_from or "", "moderation", wire, now)
    async with smtp.transport_of(settings.smtp_url.get_secret_value() if settings.smtp_url else "") as transport:
        if transport is None:
            return Outcome(False, "not_configured", detail="MODERATION_SMTP_URL is not set", final=True)
        return await transport.send(settings.mail_from or "", wire, compose(envelope, letter))
