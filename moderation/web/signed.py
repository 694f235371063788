"""Requests of programs that sign as Standard Webhooks says, and need no token."""

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from moderation.errors import Unauthorized
from moderation.web import body


async def read(request: web.Request, secret: str) -> bytes:
    """The body, if it is signed with this `whsec_…` within the last five minutes. Raises Unauthorized."""
    raw = await body.read(request)
    try:
        Webhook(secret).verify(raw, {name.lower(): value for name, value in request.headers.items()})
    except (WebhookVerificationError, ValueError, TypeError):
        raise Unauthorized("The signature is wrong or too old.", code="signature") from None
    return raw
