"""Screening: what forms carry, outside checkers, and trying a policy before it is switched on."""

import time
from typing import Any

from aiohttp import web
from pydantic import ValidationError
from pydantic_core import to_json

from moderation import stamps, submission
from moderation.egress import url_to_block
from moderation.errors import FieldError, Invalid, NotFound
from moderation.model import Site
from moderation.policy import Policy
from moderation.privacy import new_secret
from moderation.store import checkers, comments, sites, trial
from moderation.store.checkers import Checker
from moderation.submission import MESSAGES
from moderation.web import body, signed
from moderation.web.admin_api import check_policy, site_for_admin
from moderation.web.answer import json
from moderation.web.context import CONTEXT, Context
from moderation.web.middleware import CORS_ORIGIN
from moderation.web.schemas import AkismetIn, ExternalIn, PolicyTryIn, VerdictIn, VerdictQuery

AKISMET = "https://rest.akismet.com"
_TRY_SECONDS = 5.0


async def form(request: web.Request) -> web.Response:
    """What a form adds as hidden fields: a signed stamp of this moment, and the name of the trap field."""
    context = request.app[CONTEXT]
    site, _ = await context.site(request.match_info["site"], fresh=True)
    request[CORS_ORIGIN] = "*"
    stamp = stamps.new(context.store.privacy, site.id, time.time())
    return json({"form_stamp": stamp, "trap_field": site.policy.trap_field})


async def identity_key(request: web.Request) -> web.Response:
    """The key with which the site signs who is signed in there; see docs/screening.md."""
    context, site = request.app[CONTEXT], await site_for_admin(request)
    return json({"key": stamps.identity_key(context.store.privacy, site)})


# outside checkers


async def _site(request: web.Request) -> tuple[Context, Site]:
    context, name = request.app[CONTEXT], await site_for_admin(request)
    return context, (await sites.load(context.store, name))[0]


def _shown(checker: Checker) -> dict[str, Any]:
    return {"name": checker.name, "url": checker.url, **checker.options}


async def list_checkers(request: web.Request) -> web.Response:
    """Without their secrets."""
    context, site = await _site(request)
    return json({"items": [_shown(await checkers.load(context.store, site.id, name)) for name in site.checkers]})


async def set_akismet(request: web.Request) -> web.Response:
    """Ask Akismet of every comment that waits, and tell it when a human saw it otherwise. No e-mail address is sent."""
    context, site = await _site(request)
    asked = await body.json_body(request, AkismetIn)
    checker = Checker("akismet", asked.url or AKISMET, asked.key, {"blog": asked.blog or "", "test": asked.test})
    await checkers.save(context.store, site, checker)
    return json(_shown(checker))


async def set_external(request: web.Request) -> web.Response:
    """Ask a program of your own of every comment that waits. The secret is in this answer and never again."""
    context, site = await _site(request)
    asked = await body.json_body(request, ExternalIn)
    secret = new_secret("whsec_")
    checker = Checker("external", asked.url, secret, {})
    await checkers.save(context.store, site, checker)
    blocked = url_to_block(asked.url, context.settings.egress_allow)
    return json(_shown(checker) | {"secret": secret} | ({"warning": blocked.text} if blocked else {}))


async def remove_checker(request: web.Request) -> web.Response:
    """Ask it no more."""
    context, site = await _site(request)
    await checkers.remove(context.store, site, request.match_info["checker"])
    return web.Response(status=204)


async def answer(request: web.Request) -> web.Response:
    """The external checker answers later, signed with its secret (Standard Webhooks)."""
    context, comment_id = request.app[CONTEXT], request.match_info["id"]
    if not submission.is_comment_id(comment_id):
        raise NotFound("There is no such comment.")
    comment = await comments.load(context.store, comment_id)
    checker = await checkers.load(context.store, comment.site, "external")
    about = body.validate(VerdictQuery, dict(request.query))
    asked = body.parse_as(VerdictIn, await signed.read(request, checker.secret))
    if asked.comment != comment_id:  # the signature covers it: an answer about one comment says nothing of another
        raise Invalid([FieldError("comment", "invalid", MESSAGES["invalid"])])
    site, _ = await sites.load(context.store, comment.site)
    decided = await checkers.conclude(
        context.store, site, comment_id, "external", asked.verdict, asked.reason, about.corrections
    )
    return json({"id": comment_id, "status": decided.status.value})


# trying a policy


async def try_policy(request: web.Request) -> web.Response:
    """What a changed policy would have done with past comments, newest first, as many as fit into five seconds; `next_cursor` goes on."""
    context, site = await _site(request)
    asked = await body.json_body(request, PolicyTryIn)
    try:
        merged = site.policy.model_dump(mode="json") | asked.policy
        policy = Policy.model_validate_json(to_json(merged), strict=True)
    except ValidationError as error:
        raise body.field_errors(error) from None
    check_policy(policy)
    wanted = site.model_copy(update={"policy": policy})
    found, cursor = await trial.run(context.store, wanted, cursor=asked.cursor or "", seconds=_TRY_SECONDS)
    return json(found.summary() | {"next_cursor": cursor})
