"""Signing in by a passkey (WebAuthn, level 2), when the extra `passkeys` is installed."""

import json
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from moderation.errors import BadRequest, Forbidden, NotFound
from moderation.model import Role
from moderation.store import passkeys, people
from moderation.web import body
from moderation.web.admin_api import now
from moderation.web.answer import json as answer
from moderation.web.auth import same_origin, session_of
from moderation.web.context import CONTEXT
from moderation.web.desk import entry, frame

try:
    import webauthn
    from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, exceptions, options_to_json, structs
except ImportError:  # the extra is not installed
    webauthn = None  # type: ignore[assignment,unused-ignore]

REFUSED = "The passkey was not accepted."


def is_offered() -> bool:
    """Whether the extra is installed."""
    return webauthn is not None


def _party(request: web.Request) -> tuple[str, str]:
    """The host that passkeys are bound to, and its origin. Raises NotFound without the extra."""
    if webauthn is None:
        raise NotFound()
    context = request.app[CONTEXT]
    return urlsplit(context.base_url).hostname or "localhost", context.own_origin


async def _challenged(request: web.Request, options: Any) -> web.Response:
    await passkeys.keep_challenge(request.app[CONTEXT].store, bytes_to_base64url(options.challenge))
    return web.Response(text=options_to_json(options), content_type="application/json")


async def _credential(request: web.Request) -> tuple[dict[str, Any], bytes]:
    """What the browser answers, and the challenge that it answers. Raises BadRequest, Forbidden for a challenge of nobody's."""
    found = body.parse_json(await body.read(request))
    try:
        said = json.loads(base64url_to_bytes(found["response"]["clientDataJSON"]))
        challenge = str(said["challenge"])
    except (KeyError, TypeError, ValueError):
        raise BadRequest() from None
    if not await passkeys.use_challenge(request.app[CONTEXT].store, challenge):
        raise Forbidden(REFUSED)
    return found, base64url_to_bytes(challenge)


def _check_token(desk: frame.Desk) -> None:
    token = desk.request.headers.get("X-Form-Token", "")
    if not desk.store.privacy.link_is_ours("desk", session_of(desk.request), token):
        raise Forbidden("This page was open for too long. Load it again.", code="form_token")


# adding one


async def begin(request: web.Request) -> web.Response:
    """What the browser needs to make one."""
    desk = await frame.sit(request)
    same_origin(request)
    _check_token(desk)
    host, _ = _party(request)
    known = await passkeys.of(desk.store, desk.moderator.name)
    name = desk.moderator.name
    options = webauthn.generate_registration_options(
        rp_id=host, rp_name="moderation", user_name=name, user_id=desk.store.privacy.keyed_hash("passkey", name).encode()[:64],
        authenticator_selection=structs.AuthenticatorSelectionCriteria(resident_key=structs.ResidentKeyRequirement.REQUIRED),
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=base64url_to_bytes(one["id"])) for one in known],
    )  # fmt: skip
    return await _challenged(request, options)


async def add(request: web.Request) -> web.Response:
    """Keep its public key."""
    desk = await frame.sit(request)
    same_origin(request)
    _check_token(desk)
    host, origin = _party(request)
    credential, challenge = await _credential(request)
    try:
        made = webauthn.verify_registration_response(
            credential=credential, expected_challenge=challenge, expected_rp_id=host, expected_origin=origin
        )
    except (exceptions.WebAuthnException, ValueError):
        raise Forbidden(REFUSED) from None
    record = {
        "name": desk.moderator.name,
        "key": bytes_to_base64url(made.credential_public_key),
        "count": made.sign_count,
        "created_at": now(),
    }
    await passkeys.add(desk.store, bytes_to_base64url(made.credential_id), record)
    return answer({"location": "/review/account?done=kept"}, 201)


async def remove(request: web.Request) -> web.Response:
    """It signs nobody in any more."""
    desk, fields = await frame.pressed(request, Role.VIEWER)
    await passkeys.remove(desk.store, desk.moderator.name, fields.get("credential", ""))
    return frame.see("/review/account", {"done": "kept"})


# signing in


async def ask(request: web.Request) -> web.Response:
    """A challenge; the browser knows which passkeys it has here."""
    same_origin(request)
    host, _ = _party(request)
    return await _challenged(request, webauthn.generate_authentication_options(rp_id=host))


async def sign_in(request: web.Request) -> web.Response:
    """Check the signature, and open a session."""
    same_origin(request)
    host, origin = _party(request)
    store = request.app[CONTEXT].store
    credential, challenge = await _credential(request)
    credential_id = str(credential.get("id", ""))
    known = await passkeys.find(store, credential_id)
    if known is None or await people.user_record(store, known["name"]) is None:
        raise Forbidden(REFUSED)
    try:
        checked = webauthn.verify_authentication_response(
            credential=credential, expected_challenge=challenge, expected_rp_id=host, expected_origin=origin,
            credential_public_key=base64url_to_bytes(known["key"]), credential_current_sign_count=known["count"],
        )  # fmt: skip
    except (exceptions.WebAuthnException, ValueError):
        raise Forbidden(REFUSED) from None
    await passkeys.add(store, credential_id, known | {"count": checked.new_sign_count})
    response = await entry.signed_in(request, known["name"])
    opened = answer({"location": "/review"})
    opened.cookies.update(response.cookies)
    return opened
