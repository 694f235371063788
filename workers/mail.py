"""Sends one mail. The address is opened here, for the envelope and the To line, and nowhere else."""

import asyncio
import ipaddress
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import aiosmtplib

from moderation.errors import NotFound
from moderation.model import Site
from moderation.privacy import Sealed
from moderation.settings import Settings
from moderation.store import sites
from moderation.store.connection import Store
from moderation.store.outbox import Job
from workers import message
from workers.retry import Outcome

TIMEOUT_SECONDS = 30
TOTAL_SECONDS = 60


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _connection(url: str) -> dict[str, Any]:
    """aiosmtplib's arguments of an SMTP address. TLS: implicit (smtps), required STARTTLS, or plain on loopback only."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    implicit = parts.scheme == "smtps"
    wanted = parse_qs(parts.query).get("starttls", ["never" if _is_loopback(host) else "required"])[0]
    starttls = not implicit and wanted == "required"
    return {
        "hostname": host,
        "port": parts.port or (465 if implicit else 587 if starttls else 25),
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "use_tls": implicit,
        "start_tls": starttls,
        "timeout": TIMEOUT_SECONDS,
        "tls_context": ssl.create_default_context() if implicit or starttls else None,
    }


class MailSender:
    """aiosmtplib, one connection a mail for now."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._from = settings.mail_from or ""
        self._url = settings.smtp_url.get_secret_value() if settings.smtp_url else ""
        self._host = urlsplit(settings.base_url).hostname or "localhost"

    async def deliver(self, job: Job) -> Outcome:
        """One attempt; every failure is an Outcome, never an exception."""
        comment = job.comment
        if comment is None or not comment.body.get("email"):
            return Outcome(False, "cancelled", detail="the comment was erased", final=True, ends_as="cancelled")
        if comment.status.value != job.event["status"]:
            return Outcome(
                False, "cancelled", detail="decided otherwise in the meantime", final=True, ends_as="cancelled"
            )
        if not self._url or not self._from:
            missing = "MODERATION_SMTP_URL" if not self._url else "MODERATION_MAIL_FROM"
            return Outcome(False, "not_configured", detail=f"{missing} is not set", final=True, ends_as="undeliverable")
        try:
            site, _ = await sites.load(self._store, comment.site)
            recipient = self._store.privacy.open(comment.body["email"], comment.id)
        except NotFound:
            return Outcome(False, "cancelled", detail="the site was deleted", final=True, ends_as="cancelled")
        except Sealed:
            return Outcome(False, "key", detail="the address can't be opened: is a secret key missing?", final=True)
        letter = message.Letter(
            message_id=f"<{job.delivery_id}@{self._host}>",
            sender=self._from,
            recipient=recipient,
            locale=comment.body["locale"],
            site_name=site.name,
            author=comment.body["name"],
            text=comment.body["text"],
            link=thread_link(site, comment.body, job.comment_id),
            sent_at=datetime.now(UTC),
        )
        return await self._send(message.published(letter), recipient)

    async def _send(self, mail: EmailMessage, recipient: str) -> Outcome:
        try:
            async with asyncio.timeout(TOTAL_SECONDS):  # aiosmtplib's own limit is per socket operation
                await aiosmtplib.send(
                    mail.as_bytes(),
                    sender=self._from,
                    recipients=[recipient],
                    **_connection(self._url),
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            code = max((refused.code for refused in error.recipients), default=550)
            return Outcome(False, "recipient", code, final=code >= 500)
        except aiosmtplib.SMTPAuthenticationError as error:
            return Outcome(False, "auth", error.code)
        except aiosmtplib.SMTPResponseException as error:
            return Outcome(False, "smtp", error.code, final=500 <= error.code < 600)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Outcome(False, "smtp", detail=type(error).__name__)
        return Outcome(True, "ok")


def thread_link(site: Site, body: dict[str, str], comment_id: str) -> str:
    """Where the comment stands: the page's own address, else the site's template."""
    if body.get("thread_url"):
        return f"{body['thread_url'].partition('#')[0]}#comment-{comment_id}"
    if site.thread_url_template:
        return f"{site.thread_url_template.replace('{thread}', quote(body['thread'], safe=''))}#comment-{comment_id}"
    return ""


async def probe(settings: Settings) -> None:
    """Connect, say hello, sign in. Raises what aiosmtplib raises."""
    parts = urlsplit(settings.smtp_url.get_secret_value() if settings.smtp_url else "")
    client = aiosmtplib.SMTP(**_connection(parts.geturl()))
    async with asyncio.timeout(15):
        async with client:
            await client.noop()
