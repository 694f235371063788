"""Sends one webhook: a guarded, bounded POST that follows nothing and keeps nothing."""

import json
import time

import aiohttp

from moderation.errors import NotFound
from moderation.model import Comment, Endpoint
from moderation.privacy import mask_addresses
from moderation.store import endpoints
from moderation.store.connection import Store
from moderation.store.outbox import Job
from workers import egress, payload, signing
from workers.retry import Outcome

TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
ANSWER_MAX_BYTES = 16 * 1024
KEPT_MAX_CHARACTERS = 4096
_EXTERNAL_ID_MAX = 200


class WebhookSender:
    """One session for all endpoints. Use as an async context manager."""

    def __init__(self, store: Store, guard: egress.Guard) -> None:
        self._store = store
        connector = aiohttp.TCPConnector(
            limit=100,
            limit_per_host=0,
            socket_factory=guard.socket_factory,
            resolver=guard.resolver(),
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
        if job.comment is None:
            return Outcome(False, "gone", detail="the comment was erased", final=True)
        try:
            endpoint, secrets = await endpoints.load(self._store, job.comment.site, job.target)
        except NotFound:
            return Outcome(False, "cancelled", detail="the endpoint was deleted", final=True)
        body = payload.build(job.event, job.comment, self._email(endpoint, job.comment))
        headers = signing.headers(secrets, job.event["id"], int(time.time()), body)
        return await self._post(endpoint.url, body, headers)

    def _email(self, endpoint: Endpoint, comment: Comment) -> str | None:
        sealed = comment.body.get("email")
        return self._store.privacy.open(sealed, comment.id) if endpoint.include_email and sealed else None

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> Outcome:
        try:
            async with self._session.post(
                url, data=body, headers={**headers, "content-type": "application/json"}, allow_redirects=False
            ) as answer:
                raw = await _read_bounded(answer)
                return _judge(answer.status, raw, answer.headers.get("retry-after", ""))
        except egress.Blocked as error:
            return Outcome(False, "blocked", detail=str(error), final=True)
        except aiohttp.ClientConnectorDNSError as error:
            if isinstance(error.os_error, egress.Blocked):
                return Outcome(False, "blocked", detail=str(error.os_error), final=True)
            return Outcome(False, "dns", detail="the name could not be resolved")
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError):
            return Outcome(False, "tls", detail="the TLS connection could not be made")
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, egress.Blocked):
                return Outcome(False, "blocked", detail=str(error.os_error), final=True)
            return Outcome(False, "refused", detail=error.os_error.strerror or "no connection")
        except TimeoutError:
            return Outcome(False, "timeout", detail="no whole answer within 15 seconds")
        except aiohttp.InvalidURL:
            return Outcome(False, "url", detail="the address is not valid", final=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(False, "broken", detail=type(error).__name__)


async def _read_bounded(answer: aiohttp.ClientResponse) -> bytes:
    raw = b""
    while len(raw) < ANSWER_MAX_BYTES and (chunk := await answer.content.read(ANSWER_MAX_BYTES - len(raw))):
        raw += chunk
    if len(raw) >= ANSWER_MAX_BYTES:
        answer.close()
    return raw


def _judge(status: int, raw: bytes, retry_after: str) -> Outcome:
    kept = {"answer": mask_addresses(raw.decode("utf-8", "replace")[:KEPT_MAX_CHARACTERS])}  # it may echo the address
    if 200 <= status < 300:
        return Outcome(True, "ok", status, external_id=_external_id(raw), log=kept)
    code = "redirect" if 300 <= status < 400 else "status"
    wait = float(retry_after) if retry_after.isdecimal() and len(retry_after) < 9 else 0.0
    return Outcome(False, code, status, retry_after_seconds=wait, log=kept)


def _external_id(raw: bytes) -> str:
    """`{"external_id": …}` of an answer: the id under which the site stored the comment."""
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    found = answer.get("external_id") if isinstance(answer, dict) else None
    if isinstance(found, bool) or not isinstance(found, str | int):
        return ""
    text = str(found).strip()
    return text if 0 < len(text) <= _EXTERNAL_ID_MAX and text.isprintable() else ""
