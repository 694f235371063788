"""Mails: what became of them, who gets none, what relays report. Addresses come in here and never go out."""

from dataclasses import asdict

from aiohttp import web

from moderation import letters
from moderation.errors import FieldError, Invalid, NotFound
from moderation.i18n import languages
from moderation.model import Role
from moderation.privacy import mask_address, mask_addresses
from moderation.store import mailboxes, outbox, sites
from moderation.store.connection import Store
from moderation.store.mailboxes import Suppression
from moderation.submission import MESSAGES, is_address
from moderation.web import body, signed
from moderation.web.admin_api import now, site_for_admin, super_admin
from moderation.web.answer import json
from moderation.web.auth import need
from moderation.web.context import CONTEXT, Context
from moderation.web.delivery_api import page_of_lane
from moderation.web.schemas import BounceIn, DeliveryQuery, SuppressionIn, SuppressionQuery

_PREVIEW_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'; base-uri 'none'"


async def list_mails(request: web.Request) -> web.Response:
    """A site's mails, newest first: sent, waiting, and not sent, each with the reason."""
    store, site = request.app[CONTEXT].store, await site_for_admin(request)
    query = body.validate(DeliveryQuery, {name: value for name, value in request.query.items() if value})
    return json(await page_of_lane(store, site, f"mail:{site}", query))


async def list_suppressions(request: web.Request) -> web.Response:
    """Who gets no mail, and why."""
    await super_admin(request)
    query = body.validate(SuppressionQuery, {name: value for name, value in request.query.items() if value})
    store = request.app[CONTEXT].store
    if query.email:
        found, more = await mailboxes.of_recipient(store, store.privacy.address_id(_address(query.email))), None
    else:
        found, more = await mailboxes.suppressions(store, query.cursor or "", query.limit)
    return json({"items": [asdict(one) for one in found], "next_cursor": more})


def _address(text: str) -> str:
    if not is_address(text):
        raise Invalid([FieldError("email", "invalid", MESSAGES["invalid"])])
    return text


async def add_suppression(request: web.Request) -> web.Response:
    """Send nothing more to an address: nothing at all, or nothing of one site."""
    await super_admin(request)
    return json(asdict(await suppress(request.app[CONTEXT].store, await body.json_body(request, SuppressionIn))), 201)


async def suppress(store: Store, asked: SuppressionIn) -> Suppression:
    """By hand. Raises Invalid for what is no address, NotFound for a site that is not there."""
    address = _address(asked.email)
    if asked.site is not None:
        await sites.load(store, asked.site)
    scope = mailboxes.site_scope(asked.site) if asked.site else mailboxes.ALL
    recipient = store.privacy.address_id(address)
    wanted = Suppression(recipient, scope, "by_hand", now(), mask_address(address), mask_addresses(asked.detail))
    await mailboxes.suppress(store, wanted)
    found = await mailboxes.of_recipient(store, recipient)
    return next(one for one in found if one.scope == scope)


async def lift_suppression(request: web.Request) -> web.Response:
    """Send to them again; what was held is sent by a retry."""
    await super_admin(request)
    scope = request.query.get("scope") or None
    await mailboxes.lift(request.app[CONTEXT].store, request.match_info["recipient"], scope)
    return web.Response(status=204)


async def bounce(request: web.Request) -> web.Response:
    """A relay reports a bounce or a complaint, signed with MODERATION_BOUNCE_SECRET (Standard Webhooks)."""
    context = request.app[CONTEXT]
    secret = context.settings.bounce_secret
    if secret is None:
        raise NotFound("Reports of bounces need MODERATION_BOUNCE_SECRET.")
    asked = body.parse_as(BounceIn, await signed.read(request, secret.get_secret_value()))
    report_id = request.headers["webhook-id"]
    store, address = context.store, _address(asked.email)
    recipient, masked = store.privacy.address_id(address), mask_address(address)
    reason = {"bounce.hard": "bounced", "complaint": "complained"}.get(asked.type)
    if reason is None and await mailboxes.soft_bounces(store, recipient, report_id) >= mailboxes.SOFT_BOUNCES_MAX:
        reason = "bounced"
    if reason and not await mailboxes.was_heard(store, report_id):
        # noted as heard only after it was acted on: a relay repeats what was not answered
        await mailboxes.suppress(store, Suppression(recipient, mailboxes.ALL, reason, now(), masked, asked.type))
        await _tell_admins(context, recipient, masked, asked.type)
        await mailboxes.hear(store, report_id)
    return json({"suppressed": bool(reason)})


async def _tell_admins(context: Context, recipient: str, masked: str, detail: str) -> None:
    """Of every site where this mailbox was to be told of waiting comments."""
    store = context.store
    for name in await sites.names(store):
        site, _ = await sites.load(store, name)
        if any(store.privacy.address_id(a) == recipient for a in sites.notify_addresses(store, site)):
            await outbox.tell_admins_of_mailbox(store, name, masked, detail, now())


async def preview(request: web.Request) -> web.Response:
    """One mail as its HTML part shows it, with made-up values."""
    await need(request, Role.VIEWER)
    kind, lang = request.match_info["kind"], request.match_info["lang"]
    if kind not in letters.KINDS or lang not in languages():
        raise NotFound("There is nothing here.")
    letter = request.app[CONTEXT].letters.render(kind, lang, letters.SAMPLES[kind])
    return web.Response(
        text=letter.html, content_type="text/html", headers={"Content-Security-Policy": _PREVIEW_POLICY}
    )
