"""Asks outside checkers about a comment that waits, and tells Akismet when a human saw it otherwise. Never in the visitor's way.

Akismet's protocol: https://akismet.com/developers/detailed-docs/comment-check/. No address is sent. An external checker gets a Standard Webhooks request and
answers with a verdict at once, or with 202 and later through the API.
"""

import json
import time
from typing import Any
from urllib.parse import urlencode

from pydantic_core import to_json

from moderation import public
from moderation.errors import ModerationError, NotFound
from moderation.model import Comment, Site
from moderation.store import checkers, sites
from moderation.store.checkers import VERDICTS, Checker
from moderation.store.connection import Store
from moderation.store.outbox import Job
from workers import signing
from workers.retry import Outcome, cancelled
from workers.webhook import WebhookSender

_REPORTS = {"approved": "submit-ham", "spam": "submit-spam"}
_DETAIL_MAX = 200
Answer = tuple[Outcome, str, str]  # what the attempt came to; the verdict, '' for none; and why


class CheckSender:
    """The engine's way to the checkers, over the guarded session of the webhooks."""

    def __init__(self, store: Store, http: WebhookSender, base_url: str) -> None:
        self._store = store
        self._http = http
        self._base = base_url

    async def deliver(self, job: Job) -> Outcome:
        """One question. Without an answer the comment stays with the humans, who are told of it, and it is asked again later."""
        if job.comment is None:
            return cancelled("the comment was erased")
        try:
            site, _ = await sites.load(self._store, job.site)
            name = job.target.removeprefix("report:")
            checker = await self._checker(site, job, name)
            if job.target.startswith("report:"):
                return await self._report(checker, site, job.comment)
            if job.comment.status.value != "pending":
                return cancelled("decided in the meantime")
            asks = self._ask_akismet if name == "akismet" else self._ask_external
            outcome, verdict, why = await asks(checker, site, job.comment, job)
            await checkers.conclude(self._store, site, job.comment.id, name, verdict, why, job.comment.corrections)
            return outcome
        except NotFound:
            return cancelled("the checker, the site or the comment is gone")
        except ModerationError as error:
            return Outcome(False, error.code, detail="Redis was out of reach")

    async def _checker(self, site: Site, job: Job, name: str) -> Checker:
        try:
            return await checkers.load(self._store, job.site, name)
        except NotFound:  # taken away since: then a human is told
            if job.comment and job.comment.status.value == "pending" and not job.target.startswith("report:"):
                await checkers.conclude(self._store, site, job.comment.id, name, "")
            raise

    # Akismet

    async def _akismet(self, checker: Checker, site: Site, comment: Comment, call: str) -> tuple[Outcome, str]:
        client = await checkers.client_of(self._store, comment)
        body = comment.body
        fields: dict[str, Any] = {
            "api_key": checker.secret,
            "blog": checker.options.get("blog") or (site.origins[0] if site.origins else self._base),
            "user_ip": client.get("address") or "127.0.0.1",
            "user_agent": client.get("agent", ""),
            "referrer": client.get("referrer", ""),
            "permalink": public.link(site, comment),
            "comment_type": "reply" if comment.head.get("p") else "comment",
            "comment_author": body["name"],
            "comment_author_url": body.get("url", ""),
            "comment_content": body["text"],
            "comment_date_gmt": public.iso(comment.created_ms),
            "blog_lang": site.locale,
            "blog_charset": "UTF-8",
        }
        if checker.options.get("test"):
            fields["is_test"] = "true"
        data = urlencode({name: value for name, value in fields.items() if value}).encode()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return await self._http.post(f"{checker.url.rstrip('/')}/1.1/{call}", data, kind)

    async def _ask_akismet(self, checker: Checker, site: Site, comment: Comment, _: Job) -> Answer:
        outcome, said = await self._akismet(checker, site, comment, "comment-check")
        if not outcome.ok:
            return outcome, "", ""
        verdict = {"true": "spam", "false": "publish"}.get(said.strip())
        if verdict is None:  # such as "invalid": the key is wrong
            return Outcome(False, "answer", outcome.status, f"neither true nor false: {said.strip()[:40]}"), "", ""
        return Outcome(True, "ok", outcome.status, verdict), verdict, ""

    async def _report(self, checker: Checker, site: Site, comment: Comment) -> Outcome:
        call = _REPORTS.get(comment.status.value)
        said = comment.head.get("ck", {}).get(checker.name)
        if call is None or said == ("publish" if call == "submit-ham" else "spam") or said is None:
            return cancelled("it said so itself")
        outcome, _ = await self._akismet(checker, site, comment, call)
        return outcome

    # external

    async def _ask_external(self, checker: Checker, site: Site, comment: Comment, job: Job) -> Answer:
        data = {
            "site": site.id,
            "comment": public.comment(comment),
            "answer_to": f"{self._base}/api/v1/comments/{comment.id}/screening?corrections={comment.corrections}",
        }
        body = to_json({"type": "comment.screening", "timestamp": job.event["at"], "data": data})
        headers = {"content-type": "application/json"}
        headers |= signing.headers([checker.secret], job.delivery_id, int(time.time()), body)
        outcome, text = await self._http.post(checker.url, body, headers)
        if not outcome.ok:
            return outcome, "", ""
        if outcome.status == 202:  # nobody knows when, or whether: a human is told now
            return Outcome(True, "ok", 202, "it answers later"), "", ""
        verdict, why = _verdict(text)
        if not verdict:
            return Outcome(False, "answer", outcome.status, "no verdict in the answer"), "", ""
        return Outcome(True, "ok", outcome.status, verdict), verdict, why


def _verdict(text: str) -> tuple[str, str]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(said, dict) or said.get("verdict") not in VERDICTS:
        return "", ""
    return said["verdict"], str(said.get("reason") or "")[:_DETAIL_MAX]
