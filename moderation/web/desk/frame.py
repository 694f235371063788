"""What every page of the desk stands in: who sits there, in which language, and the token that its forms carry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from moderation.errors import Forbidden, Invalid, ModerationError, NotFound
from moderation.model import Comment, Moderator, Role, Site
from moderation.store import comments, sessions, sites
from moderation.store.connection import Store
from moderation.store.sessions import Seat
from moderation.submission import is_comment_id
from moderation.web import body, pages, problem
from moderation.web.auth import same_origin, session_of
from moderation.web.context import CONTEXT, Context
from moderation.web.middleware import LOCALE, locale_of

SIGN_IN = "/review/sign-in"


@dataclass(frozen=True, slots=True)
class Desk:
    """One request at the desk."""

    request: web.Request
    seat: Seat

    @property
    def moderator(self) -> Moderator:
        return self.seat.moderator

    @property
    def context(self) -> Context:
        return self.request.app[CONTEXT]

    @property
    def store(self) -> Store:
        return self.context.store

    @property
    def locale(self) -> str:
        return locale_of(self.request)

    def page(self, template: str, *, status: int = 200, frames: bool = False, **values: Any) -> web.Response:
        """A page with the bar of sections around it."""
        return pages.page(
            self.request, f"desk/{template}", self.locale, status=status, script=True, frames=frames,
            seat=self.seat, moderator=self.moderator, form_token=form_token(self.request),
            manages=self.moderator.role.covers(Role.ADMIN), manages_all=self.manages_all, path=self.request.path,
            done=self.request.query.get("done", ""), **values,
        )  # fmt: skip

    @property
    def manages_all(self) -> bool:
        return self.moderator.role.covers(Role.ADMIN) and self.moderator.sites is None

    async def comment(self, role: Role) -> Comment:
        """The comment in the path, for somebody with this role on its site. Raises NotFound."""
        comment_id = self.request.match_info["id"]
        if not is_comment_id(comment_id):
            raise NotFound("There is no such comment.")
        found = await comments.load(self.store, comment_id)
        if not self.moderator.may(role, found.site):
            raise NotFound("There is no such comment.")
        return found

    async def site(self) -> Site:
        """The site in the path, for its admin. Raises Forbidden, NotFound."""
        self.need(Role.ADMIN)
        name = self.request.match_info["site"]
        if not self.moderator.may(Role.ADMIN, name):
            raise NotFound("There is no such site.")
        return (await sites.load(self.store, name))[0]

    def need(self, role: Role) -> None:
        """Raises Forbidden."""
        if not self.moderator.role.covers(role):
            raise Forbidden()

    def need_all_sites(self) -> None:
        """Raises Forbidden for everybody but admins of all sites."""
        if not self.manages_all:
            raise Forbidden("Only an admin of all sites can do this.")

    def said(self, error: ModerationError) -> str:
        """What an error says, in the reader's language."""
        return problem.message_of(error, self.locale)

    def problems(self, error: Invalid) -> dict[str, str]:
        """field → message, in the reader's language."""
        return {one["field"]: one["message"] for one in problem.field_messages(error, self.locale)}


def form_token(request: web.Request) -> str:
    """Bound to the session: what a page of ours carries and another's does not."""
    return request.app[CONTEXT].store.privacy.sign_link("desk", session_of(request))


async def sit(request: web.Request, role: Role = Role.VIEWER) -> Desk:
    """Who sits at the desk; others are sent to the door. Raises Forbidden."""
    seat = await sessions.find(request.app[CONTEXT].store, session_of(request))
    if seat is None:
        raise web.HTTPSeeOther(SIGN_IN)
    if seat.language:
        request[LOCALE] = seat.language
    desk = Desk(request, seat)
    desk.need(role)
    return desk


async def pressed(request: web.Request, role: Role = Role.MODERATOR) -> tuple[Desk, dict[str, str]]:
    """Somebody pressed a button of our own page: the desk, and its form. Raises Forbidden."""
    desk = await sit(request, role)
    same_origin(request)
    fields = {name: str(value) for name, value in body.parse_form(await body.read(request)).items()}
    ours = desk.store.privacy.link_is_ours("desk", session_of(request), fields.pop("form_token", ""))
    if not ours:
        raise Forbidden("This page was open for too long. Load it again.", code="form_token")
    return desk, fields


class _Typed(dict[str, str]):
    def __missing__(self, _: str) -> str:
        return ""


def typed(fields: Mapping[str, str] | None) -> Mapping[str, str]:
    """What was typed into a form that is shown again; what was not is empty."""
    return _Typed(fields or {})


def see(path: str, more: Mapping[str, str] | None = None) -> web.Response:
    """Go on at another page of the desk."""
    query = f"?{urlencode(more)}" if more else ""
    return web.Response(status=303, headers={"Location": path + query})
