"""Who asks: a bearer token or the desk's session."""

import hmac

from aiohttp import web

from moderation.errors import Forbidden, NotFound, Unauthorized
from moderation.model import Moderator, Role
from moderation.store import people, sessions
from moderation.web.context import CONTEXT, Context

SESSION_COOKIE = "moderation_session"
_ADMIN = Moderator(name="admin", role=Role.ADMIN, contact=True)


async def who(request: web.Request) -> Moderator:
    """The moderator behind a request. Raises Unauthorized."""
    context = request.app[CONTEXT]
    header = request.headers.get("Authorization", "")
    if header:
        kind, _, token = header.partition(" ")
        token = token.strip()
        if kind.lower() == "bearer" and token:
            fixed = context.settings.admin_token
            given = token.encode("utf-8", "surrogateescape")
            if fixed and hmac.compare_digest(fixed.get_secret_value().encode(), given):
                return _ADMIN
            found = await people.by_token(context.store, token)
            if found:
                return found
        raise Unauthorized()
    seat = await sessions.find(context.store, session_of(request))
    if not seat:
        raise Unauthorized()
    if request.method not in {"GET", "HEAD"}:
        same_origin(request)
    return seat.moderator


def session_cookie(context: Context) -> str:
    """Its name. Over https a browser takes the prefix from this very host only: no page of a neighbouring name can plant a session."""
    return f"__Host-{SESSION_COOKIE}" if context.base_url.startswith("https://") else SESSION_COOKIE


def session_of(request: web.Request) -> str:
    """What the cookie says."""
    return request.cookies.get(session_cookie(request.app[CONTEXT]), "")


async def need(request: web.Request, role: Role, site: str | None = None) -> Moderator:
    """The moderator, who has this role (for this site). Raises Unauthorized, Forbidden; NotFound for another's site."""
    found = await who(request)
    if site is not None and found.sites is not None and site not in found.sites:
        raise NotFound("There is nothing here.")
    if not found.role.covers(role):
        raise Forbidden()
    return found


def same_origin(request: web.Request) -> None:
    """A cookie alone does not act: the browser must say that the request comes from our own pages. Raises Forbidden."""
    fetch_site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    own = {request.app[CONTEXT].own_origin, f"{request.scheme}://{request.host}"}
    if (
        (fetch_site and fetch_site not in {"same-origin", "none"})
        or (origin and origin not in own)
        or (not origin and not fetch_site)
    ):
        raise Forbidden("This came from another page.", code="cross_site")
