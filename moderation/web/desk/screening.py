"""How a site screens: every setting of its policy, and what a change would have done before it is kept."""

from typing import Any

from aiohttp import web
from pydantic import ValidationError

from moderation.errors import Invalid
from moderation.model import Role, Site
from moderation.policy import Policy
from moderation.store import review, sites, trial
from moderation.web import body
from moderation.web.admin_api import check_policy
from moderation.web.desk import cards, frame, policy_form
from moderation.web.desk.frame import Desk

_TRY_SECONDS = 3.0
_SHOWN = 20


async def page(request: web.Request) -> web.Response:
    """The form."""
    desk = await frame.sit(request)
    site = await desk.site()
    return _page(desk, site, policy_form.values(site.policy))


def _page(
    desk: Desk,
    site: Site,
    values: dict[str, Any],
    *,
    status: int = 200,
    errors: dict[str, str] | None = None,
    tried: Any = None,
) -> web.Response:
    return desk.page(
        "policy.html", status=status, site=site, values=values, groups=policy_form.GROUPS, labels=policy_form.LABELS,
        help=policy_form.HELP, errors=errors or {}, tried=tried, rules=cards.RULES, outcomes=policy_form.OUTCOMES,
    )  # fmt: skip


async def change(request: web.Request) -> web.Response:
    """Keep what the form says, or try it on what was said before."""
    desk, fields = await frame.pressed(request, Role.ADMIN)
    site = await desk.site()
    try:
        policy = _policy(fields)
    except Invalid as error:
        by_field = {
            field.removeprefix("policy.").partition(".")[0]: said for field, said in desk.problems(error).items()
        }
        return _page(desk, site, policy_form.shown_again(fields), status=422, errors=by_field)
    wanted = site.model_copy(update={"policy": policy})
    if fields.get("act") == "try":
        found, more = await trial.run(desk.store, wanted, cursor="", seconds=_TRY_SECONDS)
        tried = found.summary() | {"complete": more is None, "changes": found.changes[:_SHOWN]}
        return _page(desk, site, policy_form.values(policy), tried=tried)
    await sites.save(desk.store, wanted)
    await review.note(desk.store, site.id, desk.moderator.name, "policy.changed")
    return frame.see(request.path, {"done": "kept"})


def _policy(fields: dict[str, str]) -> Policy:
    """Raises Invalid."""
    try:
        policy = Policy.model_validate(policy_form.read(fields))
    except ValidationError as error:
        raise body.field_errors(error) from None
    check_policy(policy)
    return policy
