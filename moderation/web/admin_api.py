"""Managing: sites, endpoints, tokens, audit."""

import time
from typing import Any

from aiohttp import web
from pydantic import ValidationError
from pydantic_core import to_json

from moderation.errors import FieldError, Forbidden, Invalid, UnsupportedType
from moderation.model import Moderator, Role, Site
from moderation.policy import Policy
from moderation.privacy import Privacy, mask_address
from moderation.public import iso
from moderation.screening.rulebook import problems
from moderation.store import erasure, people, review, sites
from moderation.store.connection import Store
from moderation.submission import MESSAGES, is_address
from moderation.web import body, personal
from moderation.web.answer import json
from moderation.web.auth import need
from moderation.web.context import CONTEXT
from moderation.web.schemas import EraseIn, TokenIn

WRONG_PATTERN = "This pattern can't be used: %(problem)s"


def now() -> str:
    """This instant, RFC 3339."""
    return iso(int(time.time() * 1000))


def shown(privacy: Privacy, site: Site) -> dict[str, Any]:
    """A site as its admins see it: addresses of those to be told are masked even here."""
    return site.model_dump(mode="json") | {
        "notify": [mask_address(privacy.open(sealed, f"site:{site.id}")) for sealed in site.notify]
    }


def check_policy(policy: Policy) -> None:
    """Raises Invalid for lists that can't be compiled."""
    found = problems(policy)
    if found:
        raise Invalid([FieldError(field, "invalid", WRONG_PATTERN, {"problem": problem}) for field, problem in found])


def _seal_notify(privacy: Privacy, site: Site) -> Site:
    wrong = [
        FieldError(f"notify.{index}", "invalid", MESSAGES["invalid"])
        for index, a in enumerate(site.notify)
        if not is_address(a)
    ]
    if wrong:
        raise Invalid(wrong)
    return site.model_copy(
        update={"notify": tuple(privacy.seal(address, f"site:{site.id}") for address in site.notify)}
    )


async def create_site(request: web.Request) -> web.Response:
    """A new site."""
    moderator = await need(request, Role.ADMIN)
    if moderator.sites is not None:
        raise Forbidden("Only an admin of all sites can add one.")
    store = request.app[CONTEXT].store
    return json(shown(store.privacy, await make(store, await body.json_body(request, Site))), 201)


async def make(store: Store, site: Site) -> Site:
    """The site as it is stored. Raises Invalid, Conflict if there is one of that id."""
    site = _seal_notify(store.privacy, site)
    check_policy(site.policy)
    return await sites.create(
        store, site.model_copy(update={"checkers": ()})
    )  # those are set up by an address of their own


async def list_sites(request: web.Request) -> web.Response:
    """The sites the caller may see."""
    moderator = await need(request, Role.ADMIN)
    store = request.app[CONTEXT].store
    names = await sites.names(store)  # a token may outlive a site of its
    found = [(await sites.load(store, name))[0] for name in names if moderator.sites is None or name in moderator.sites]
    return json({"items": [shown(store.privacy, site) for site in found]})


async def get_site(request: web.Request) -> web.Response:
    """One site."""
    store = request.app[CONTEXT].store
    await need(request, Role.ADMIN, request.match_info["site"])
    site, _ = await sites.load(store, request.match_info["site"])
    return json(shown(store.privacy, site))


async def change_site(request: web.Request) -> web.Response:
    """Change some fields; the policy's too, one by one."""
    store = request.app[CONTEXT].store
    await need(request, Role.ADMIN, request.match_info["site"])
    site, _ = await sites.load(store, request.match_info["site"])
    changed = await change(store, site, await _object(request))
    return json(shown(store.privacy, changed))


async def change(store: Store, site: Site, changes: dict[str, Any]) -> Site:
    """The site as it is then. Raises Invalid."""
    if "id" in changes and changes["id"] != site.id:
        raise Invalid([FieldError("id", "invalid", "The id of a site can't change.")])
    merged = site.model_dump(mode="json") | changes
    if isinstance(changes.get("policy"), dict):
        merged["policy"] = site.policy.model_dump(mode="json") | changes["policy"]
    try:
        changed = Site.model_validate_json(to_json(merged), strict=True)
    except ValidationError as error:
        raise body.field_errors(error) from None
    check_policy(changed.policy)
    changed = changed.model_copy(update={"checkers": site.checkers})
    if "notify" in changes:
        changed = _seal_notify(store.privacy, changed)
    await sites.save(store, changed)
    return changed


async def _object(request: web.Request) -> dict[str, Any]:
    kind, _ = body.content_type(request)
    if kind != body.JSON:
        raise UnsupportedType("Send JSON.")
    found = body.parse_json(await body.read(request))
    if not isinstance(found, dict):
        raise Invalid([FieldError("body", "invalid", MESSAGES["invalid"])])
    return found


async def delete_site(request: web.Request) -> web.Response:
    """Delete a site and everything it holds."""
    moderator = await need(request, Role.ADMIN, request.match_info["site"])
    if moderator.sites is not None:
        raise Forbidden("Only an admin of all sites can delete one.")
    context = request.app[CONTEXT]
    await sites.remove(context.store, request.match_info["site"])
    context.site_cache.pop(request.match_info["site"], None)
    return web.Response(status=204)


async def site_for_admin(request: web.Request) -> str:
    """The site in the path, for its admin. Raises Unauthorized, Forbidden, NotFound."""
    name = request.match_info["site"]
    await need(request, Role.ADMIN, name)
    await sites.load(request.app[CONTEXT].store, name)
    return name


async def super_admin(request: web.Request) -> Moderator:
    """An admin of all sites. Raises Unauthorized, Forbidden."""
    moderator = await need(request, Role.ADMIN)
    if moderator.sites is not None:
        raise Forbidden("Only an admin of all sites can do this.")
    return moderator


async def create_token(request: web.Request) -> web.Response:
    """A new bearer token, shown once."""
    await super_admin(request)
    store = request.app[CONTEXT].store
    asked = await body.json_body(request, TokenIn)
    who = Moderator(
        name=asked.name,
        role=asked.role,
        sites=None if asked.sites is None else tuple(asked.sites),
        contact=asked.contact,
    )
    created_at = now()
    token_id, token = await people.add_token(store, who, created_at)
    return json({"id": token_id, **who.model_dump(mode="json"), "created_at": created_at, "token": token}, 201)


async def list_tokens(request: web.Request) -> web.Response:
    """All tokens, without the tokens themselves."""
    await super_admin(request)
    return json({"items": await people.tokens(request.app[CONTEXT].store)})


async def delete_token(request: web.Request) -> web.Response:
    """Revoke a token, at once."""
    await super_admin(request)
    await people.remove_token(request.app[CONTEXT].store, request.match_info["token"])
    return web.Response(status=204)


async def audit(request: web.Request) -> web.Response:
    """The newest 100 entries of a site's audit log."""
    store, site = request.app[CONTEXT].store, await site_for_admin(request)
    return json({"items": await review.audit(store, site)})


async def erase(request: web.Request) -> web.Response:
    """Take every comment of an address away for good, on every site. The answer is the receipt."""
    moderator = await super_admin(request)
    asked = await body.json_body(request, EraseIn)
    if not is_address(asked.email):
        raise Invalid([FieldError("email", "invalid", MESSAGES["invalid"])])
    receipt = await erasure.erase_address(request.app[CONTEXT].store, asked.email, moderator.name)
    return json(
        {"receipt": receipt.id, "erased": receipt.sites.total(), "sites": dict(receipt.sites), "at": receipt.at}
    )


async def personal_data(request: web.Request) -> web.StreamResponse:
    """What is kept of an address on all sites, as its owner would get it. Goes into the audit log of each site that has something."""
    moderator = await super_admin(request)
    asked = await body.json_body(request, EraseIn)
    if not is_address(asked.email):
        raise Invalid([FieldError("email", "invalid", MESSAGES["invalid"])])
    return await personal.send(request, asked.email, moderator.name)
