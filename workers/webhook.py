"""Sends one webhook: a guarded, bounded POST that follows nothing and keeps nothing."""

import dataclasses
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from moderation.model import Comment, Endpoint
from moderation.privacy import mask_addresses
from moderation.store import endpoints
from moderation.store.connection import Store
from moderation.store.outbox import Job
from workers import guard, payload, signing
from workers.retry import RETRY_AFTER_MAX_SECONDS, Outcome, cancelled

TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
ANSWER_MAX_BYTES = 16 * 1024
KEPT_MAX_CHARACTERS = 4096
_EXTERNAL_ID_MAX = 200
_BODIES_MAX = 256


class WebhookSender:
    """One session for all endpoints. Use as an async context manager."""

    def __init__(self, store: Store, egress: guard.Guard) -> None:
        self._store = store
        self._bodies: dict[str, bytes] = {}
        connector = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=0,
            socket_factory=egress.socket_factory,
            resolver=egress.resolver(),
            use_dns_cache=False,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            headers={"user-agent": "moderation-webhooks/1"},
        )

    async def __aenter__(self) -> "WebhookSender":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def deliver(self, job: Job) -> Outcome:
        """One attempt; every failure is an Outcome, never an exception."""
        if not job.receiver:
            return cancelled("the endpoint was deleted")
        if job.comment is None and "endpoint" not in job.event and "erased" not in job.event:
            return cancelled("the comment was erased")
        endpoint, keys = endpoints.parse(self._store.privacy, job.receiver)
        body = self._body(job, endpoint)
        now = time.time()
        headers = keys.headers | {"content-type": "application/json"}
        headers |= signing.headers(keys.valid(int(now * 1000)), job.event["id"], int(now), body)
        return await self._post(endpoint.url, body, headers)

    def _body(self, job: Job, endpoint: Endpoint) -> bytes:
        """The payload; an event's endpoints share it, but for those that get the address."""
        email = self._email(endpoint, job.comment)
        if email is not None:
            return payload.build(job.event, job.comment, email)
        known = self._bodies.get(job.event["id"])
        if known is None:
            if len(self._bodies) >= _BODIES_MAX:
                self._bodies.pop(next(iter(self._bodies)))
            known = self._bodies[job.event["id"]] = payload.build(job.event, job.comment)
        return known

    def _email(self, endpoint: Endpoint, comment: Comment | None) -> str | None:
        sealed = comment.body.get("email") if comment and endpoint.include_email else None
        return self._store.privacy.open(sealed, comment.id) if comment and sealed else None

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[Outcome, str]:
        """A request of another kind over the same guarded session: what it came to, and the answer's text."""
        outcome = await self._post(url, body, headers)
        return dataclasses.replace(outcome, log={}, asked="", external_id=""), outcome.log.get("answer", "")

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> Outcome:
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                raw = await _read_bounded(answer)
                return judge(answer.status, raw, answer.headers)
        except guard.Blocked as error:
            return _blocked(error)
        except aiohttp.ClientConnectorDNSError as error:
            if isinstance(error.os_error, guard.Blocked):
                return _blocked(error.os_error)
            return Outcome(False, "dns", detail="the name could not be resolved")
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            return Outcome(
                False, "tls", detail=f"the TLS connection could not be made ({type(error.__cause__).__name__})"
            )
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, guard.Blocked):
                return _blocked(error.os_error)
            return Outcome(False, "refused", detail=error.os_error.strerror or "no connection")
        except TimeoutError:
            return Outcome(False, "timeout", detail="no whole answer within 15 seconds")
        except aiohttp.InvalidURL:
            return Outcome(False, "url", detail="the address is not valid", final=True, spoke=False)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(False, "broken", detail=type(error).__name__)


def _blocked(error: guard.Blocked) -> Outcome:
    return Outcome(False, "blocked", detail=str(error), final=True, spoke=False, log={"reason": error.kind})


async def _read_bounded(answer: aiohttp.ClientResponse) -> bytes:
    raw = b""
    while len(raw) < ANSWER_MAX_BYTES and (chunk := await answer.content.read(ANSWER_MAX_BYTES - len(raw))):
        raw += chunk
    if len(raw) >= ANSWER_MAX_BYTES:
        answer.close()
    return raw


def judge(status: int, raw: bytes, headers: Mapping[str, str]) -> Outcome:
    """An answer → what the attempt came to. 410 ends the delivery, and so does `webhook-delivery: abort-message`
    (standard-webhooks, pull request 291); `disable` there switches the endpoint off.
    """
    kept = {"answer": mask_addresses(raw.decode("utf-8", "replace")[:KEPT_MAX_CHARACTERS])}  # it may echo the address
    wish = headers.get("webhook-delivery", "").strip().lower()
    asked = "asked" if wish == "disable" else "gone" if status == 410 else ""
    if 200 <= status < 300:
        return Outcome(True, "ok", status, asked=asked, external_id=_external_id(raw), log=kept)
    if wish == "abort-message":
        return Outcome(False, "aborted", status, "the receiver wants no more of it", final=True, log=kept)
    if status == 410:
        return Outcome(False, "gone", status, "the receiver says it is gone", final=True, asked=asked, log=kept)
    redirected = 300 <= status < 400
    return Outcome(
        False,
        "redirect" if redirected else "status",
        status,
        "redirects are not followed" if redirected else "",
        retry_after_seconds=_retry_after(headers.get("retry-after", "")),
        asked=asked,
        log=kept,
    )


def _retry_after(text: str) -> float:
    """Seconds, or a date (RFC 9110, section 10.2.3); 0 for what is neither."""
    if text.isdecimal():
        return min(float(text[:9]), RETRY_AFTER_MAX_SECONDS)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _external_id(raw: bytes) -> str:
    """`{"external_id": …}` of an answer: the id under which the site stored the comment."""
    if not raw.startswith(b"{"):
        return ""
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    found = answer.get("external_id") if isinstance(answer, dict) else None
    if isinstance(found, bool) or not isinstance(found, str | int):
        return ""
    text = str(found).strip()
    return text if 0 < len(text) <= _EXTERNAL_ID_MAX and text.isprintable() else ""
