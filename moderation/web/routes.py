"""Every URL on one screen. The OpenAPI description is made of this table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from pydantic import BaseModel

from moderation.model import Role, Site
from moderation.web import (
    admin_api,
    delivery_api,
    embed,
    health,
    mail_api,
    mail_links,
    openapi,
    own_comment,
    personal,
    read,
    review_api,
    screening_api,
    static_files,
    stream,
    submit,
    thread_page,
)
from moderation.web import schemas as s
from moderation.web.context import CONTEXT
from moderation.web.desk import (
    account,
    acts,
    audit,
    comment,
    doors,
    mailroom,
    passkeys,
    queue,
    receivers,
    screening,
    second_step,
    settings,
    statistics,
)
from moderation.web.desk import people as desk_people
from moderation.web.desk import personal as desk_personal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `role` None: no login. `documented` False: a page, not part of the API.

    `answers`: status → model of the JSON, or the media type of what is no JSON, or None for no body. `refuses`: statuses beside those that
    follow from the rest. `html`: browsers get a page. `bare`: no body at all means the defaults.
    """

    method: str
    path: str
    handler: Handler
    role: Role | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answers: dict[int, type[BaseModel] | str | None] = field(default_factory=dict)
    refuses: tuple[int, ...] = ()
    form: bool = False
    html: bool = False
    bare: bool = False
    documented: bool = True


V, M, A = Role.VIEWER, Role.MODERATOR, Role.ADMIN
_SITE, _API = "/api/v1/sites/{site}", "/api/v1"
_LINK = "/m/{id}/{decision}/{recipient}/{version}/{expires}/{signature}"
_PERSON = "/personal-data/{id}/{expires}/{signature}"
_DESK_SITE = "/review/sites/{site}"
_ENDPOINT = _SITE + "/endpoints/{endpoint}"

ROUTES: tuple[Route, ...] = (
    # people and forms
    Route(
        "POST",
        _SITE + "/comments",
        submit.submit,
        body=s.SubmissionIn,
        answers={202: s.Receipt, 201: s.Receipt, 303: None},
        form=True,
        html=True,
    ),
    Route("OPTIONS", _SITE + "/comments", submit.preflight, answers={204: None}, documented=False),
    Route(
        "POST",
        "/sites/{site}/wp-comments-post.php",
        submit.submit,
        body=s.SubmissionIn,
        answers={202: s.Receipt, 201: s.Receipt, 303: None},
        form=True,
        html=True,
    ),
    Route("OPTIONS", "/sites/{site}/wp-comments-post.php", submit.preflight, documented=False),
    Route("GET", "/c/{id}/{token}", own_comment.page, answers={200: s.PrivateStatus}, html=True),
    Route(
        "POST",
        "/c/{id}/{token}",
        own_comment.act,
        answers={200: "text/html", 303: None},
        refuses=(409, 415, 422, 429),
        html=True,
    ),
    Route(
        "PATCH",
        "/c/{id}/{token}",
        own_comment.correct,
        body=s.CorrectionIn,
        answers={200: s.PrivateStatus},
        refuses=(409, 429),
        html=True,
    ),
    Route("DELETE", "/c/{id}/{token}", own_comment.withdraw, answers={204: None}, html=True),
    Route(
        "GET",
        _SITE + "/threads/{thread}/comments",
        read.thread,
        query=s.PublicQuery,
        answers={200: s.PublicPage, 304: None},
    ),
    Route("GET", _SITE + "/threads/{thread}/feed.atom", read.feed, answers={200: "application/atom+xml", 304: None}),
    Route("GET", _SITE + "/counts", read.counts, query=s.CountsQuery, answers={200: s.Counts}),
    *(
        Route("OPTIONS", _SITE + path, read.preflight, documented=False)
        for path in ("/threads/{thread}/comments", "/threads/{thread}/feed.atom", "/counts")
    ),
    Route("GET", "/sites/{site}/threads/{thread}", thread_page.page, documented=False),
    Route("POST", "/sites/{site}/threads/{thread}", submit.submit, documented=False),
    Route("GET", "/embed.js", embed.script("embed"), answers={200: "text/javascript", 304: None}),
    Route("GET", "/read.js", embed.script("read"), answers={200: "text/javascript", 304: None}),
    Route("GET", "/counts.js", embed.script("counts"), answers={200: "text/javascript", 304: None}),
    # moderators
    Route(
        "GET",
        _API + "/comments",
        review_api.listing,
        V,
        query=s.CommentQuery,
        answers={200: s.CommentPage},
        refuses=(404,),
    ),
    Route("GET", _API + "/comments/{id}", review_api.one, V, answers={200: s.CommentWhole}),
    Route("POST", _API + "/comments/{id}/decisions", review_api.decide, M, s.DecisionIn, answers={200: s.CommentOut}),
    Route("POST", _API + "/comments/{id}/undo", review_api.undo, M, answers={200: s.CommentOut}),
    Route("DELETE", _API + "/comments/{id}", review_api.erase, A, answers={204: None}),
    Route("POST", _API + "/comments/{id}/contact", review_api.contact, V, answers={200: s.ContactOut}),
    Route("POST", _API + "/decisions", review_api.decide_many, M, s.BulkDecisionIn, answers={200: s.BulkOut}),
    Route(
        "POST",
        _API + "/queue/claim",
        review_api.claim,
        M,
        s.ClaimIn,
        answers={200: s.ClaimOut},
        refuses=(404,),
        bare=True,
    ),
    Route("POST", _API + "/queue/release", review_api.release, M, s.ReleaseIn, answers={200: s.ReleaseOut}, bare=True),
    Route(
        "GET",
        _API + "/queue/stream",
        stream.stream,
        V,
        query=s.StreamQuery,
        answers={200: "text/event-stream"},
        refuses=(404, 429),
    ),
    # admins
    Route("POST", _API + "/sites", admin_api.create_site, A, Site, answers={201: Site}),
    Route("GET", _API + "/sites", admin_api.list_sites, A, answers={200: s.SiteList}),
    Route("GET", _SITE, admin_api.get_site, A, answers={200: Site}),
    Route("PATCH", _SITE, admin_api.change_site, A, s.SitePatch, answers={200: Site}),
    Route("DELETE", _SITE, admin_api.delete_site, A, answers={204: None}),
    Route("GET", _SITE + "/audit", admin_api.audit, A, answers={200: s.AuditOut}),
    Route(
        "POST",
        _SITE + "/endpoints",
        delivery_api.create_endpoint,
        A,
        s.EndpointIn,
        answers={201: s.EndpointMade},
        refuses=(409,),
    ),
    Route("GET", _SITE + "/endpoints", delivery_api.list_endpoints, A, answers={200: s.EndpointList}),
    Route("GET", _ENDPOINT, delivery_api.get_endpoint, A, answers={200: s.EndpointOut}),
    Route("PATCH", _ENDPOINT, delivery_api.change_endpoint, A, s.EndpointPatch, answers={200: s.EndpointOut}),
    Route("DELETE", _ENDPOINT, delivery_api.delete_endpoint, A, answers={204: None}),
    Route(
        "POST",
        _ENDPOINT + "/rotate-secret",
        delivery_api.rotate_secret,
        A,
        s.RotateIn,
        answers={200: s.EndpointRotated},
        refuses=(409,),
        bare=True,
    ),
    Route("POST", _ENDPOINT + "/ping", delivery_api.ping, A, answers={202: s.PingOut}),
    Route(
        "GET",
        _ENDPOINT + "/deliveries",
        delivery_api.list_deliveries,
        A,
        query=s.DeliveryQuery,
        answers={200: s.DeliveryPage},
    ),
    Route("POST", _ENDPOINT + "/replay", delivery_api.replay, A, s.ReplayIn, answers={202: s.JobOut}, refuses=(409,)),
    Route("GET", _API + "/deliveries/{delivery}", delivery_api.get_delivery, A, answers={200: s.DeliveryOut}),
    Route(
        "POST",
        _API + "/deliveries/{delivery}/retry",
        delivery_api.retry,
        A,
        answers={202: s.DeliveryOut},
        refuses=(409,),
    ),
    Route("GET", _API + "/jobs/{job}", delivery_api.get_job, A, answers={200: s.JobOut}),
    Route("POST", _API + "/tokens", admin_api.create_token, A, s.TokenIn, answers={201: s.TokenMade}),
    Route("POST", _API + "/erase", admin_api.erase, A, s.EraseIn, answers={200: s.EraseOut}),
    Route("POST", _API + "/personal-data", admin_api.personal_data, A, s.EraseIn, answers={200: s.PersonalData}),
    Route("GET", _API + "/tokens", admin_api.list_tokens, A, answers={200: s.TokenList}),
    Route("DELETE", _API + "/tokens/{token}", admin_api.delete_token, A, answers={204: None}),
    # screening
    Route("GET", _SITE + "/form", screening_api.form, answers={200: s.FormOut}),
    Route("GET", _SITE + "/identity-key", screening_api.identity_key, A, answers={200: s.IdentityKeyOut}),
    Route("GET", _SITE + "/checkers", screening_api.list_checkers, A, answers={200: s.CheckerList}),
    Route("PUT", _SITE + "/checkers/akismet", screening_api.set_akismet, A, s.AkismetIn, answers={200: s.CheckerOut}),
    Route(
        "PUT", _SITE + "/checkers/external", screening_api.set_external, A, s.ExternalIn, answers={200: s.CheckerMade}
    ),
    Route("DELETE", _SITE + "/checkers/{checker}", screening_api.remove_checker, A, answers={204: None}),
    Route(
        "POST",
        _API + "/comments/{id}/screening",
        screening_api.answer,
        body=s.VerdictIn,
        query=s.VerdictQuery,
        answers={200: s.ScreenedOut},
        refuses=(401,),
    ),
    Route("POST", _SITE + "/policy/try", screening_api.try_policy, A, s.PolicyTryIn, answers={200: s.TrialOut}),
    # mails
    Route("GET", _SITE + "/mails", mail_api.list_mails, A, query=s.DeliveryQuery, answers={200: s.DeliveryPage}),
    Route(
        "GET",
        _API + "/mail/suppressions",
        mail_api.list_suppressions,
        A,
        query=s.SuppressionQuery,
        answers={200: s.SuppressionPage},
    ),
    Route(
        "POST",
        _API + "/mail/suppressions",
        mail_api.add_suppression,
        A,
        s.SuppressionIn,
        answers={201: s.SuppressionOut},
        refuses=(404,),
    ),
    Route(
        "DELETE",
        _API + "/mail/suppressions/{recipient}",
        mail_api.lift_suppression,
        A,
        query=s.LiftQuery,
        answers={204: None},
    ),
    Route(
        "POST", _API + "/mail/bounces", mail_api.bounce, body=s.BounceIn, answers={200: s.BounceOut}, refuses=(401, 404)
    ),
    # links in mails
    Route("GET", _LINK, mail_links.moderation_page, documented=False),
    Route("POST", _LINK, mail_links.moderate, documented=False),
    Route("GET", "/u/{recipient}/{site}/{thread}/{signature}", mail_links.unsubscribe_page, documented=False),
    Route("POST", "/u/{recipient}/{site}/{thread}/{signature}", mail_links.unsubscribe, documented=False),
    Route("GET", "/n/{id}/{signature}", mail_links.confirm_page, documented=False),
    Route("POST", "/n/{id}/{signature}", mail_links.confirm, documented=False),
    # what is kept of a person
    Route("GET", "/personal-data", personal.form, documented=False),
    Route("POST", "/personal-data", personal.ask, documented=False),
    Route("GET", _PERSON, personal.page, documented=False),
    Route("GET", _PERSON + "/data.json", personal.download, documented=False),
    Route("POST", _PERSON + "/erase", personal.erase, documented=False),
    # the desk
    Route("GET", "/review", queue.queue, documented=False),
    Route("POST", "/review/filters", queue.save_filter, documented=False),
    Route("POST", "/review/filters/drop", queue.drop_filter, documented=False),
    Route("GET", "/review/sign-in", doors.sign_in_page, documented=False),
    Route("POST", "/review/sign-in", doors.sign_in, documented=False),
    Route("POST", "/review/sign-in/code", second_step.answer, documented=False),
    Route("POST", "/review/sign-in/passkey/options", passkeys.ask, documented=False),
    Route("POST", "/review/sign-in/passkey", passkeys.sign_in, documented=False),
    Route("POST", "/review/sign-out", doors.sign_out, documented=False),
    Route("GET", "/review/setup/{token}", doors.setup_page, documented=False),
    Route("POST", "/review/setup/{token}", doors.setup, documented=False),
    Route("GET", "/review/comments/{id}", comment.page, documented=False),
    Route("POST", "/review/comments/{id}", acts.act, documented=False),
    Route("POST", "/review/comments/{id}/take", acts.take, documented=False),
    Route("POST", "/review/comments/{id}/give-back", acts.give_back, documented=False),
    Route("POST", "/review/comments/{id}/contact", comment.reveal, documented=False),
    Route("POST", "/review/comments/{id}/erase", comment.erase, documented=False),
    Route("POST", "/review/comments/{id}/block", comment.block, documented=False),
    Route("POST", "/review/undo", acts.take_back, documented=False),
    Route("POST", "/review/many", acts.preview, documented=False),
    Route("POST", "/review/many/carry-out", acts.carry_out_many, documented=False),
    Route("POST", "/review/deliveries/{delivery}/retry", comment.retry, documented=False),
    Route("GET", "/review/statistics", statistics.page, documented=False),
    Route("GET", "/review/statistics.csv", statistics.download, documented=False),
    Route("GET", "/review/account", account.page, documented=False),
    Route("POST", "/review/account/password", account.password, documented=False),
    Route("POST", "/review/account/language", account.language, documented=False),
    Route("POST", "/review/account/keys", account.keys, documented=False),
    Route("POST", "/review/account/second-step", second_step.begin, documented=False),
    Route("POST", "/review/account/second-step/on", second_step.switch_on, documented=False),
    Route("POST", "/review/account/second-step/off", second_step.switch_off, documented=False),
    Route("POST", "/review/account/passkeys/options", passkeys.begin, documented=False),
    Route("POST", "/review/account/passkeys", passkeys.add, documented=False),
    Route("POST", "/review/account/passkeys/remove", passkeys.remove, documented=False),
    Route("GET", "/review/people", desk_people.page, documented=False),
    Route("POST", "/review/people", desk_people.add, documented=False),
    Route("POST", "/review/people/{name}", desk_people.change, documented=False),
    Route("POST", "/review/tokens", desk_people.add_token, documented=False),
    Route("POST", "/review/tokens/{token}/revoke", desk_people.remove_token, documented=False),
    Route("GET", "/review/sites", settings.listing, documented=False),
    Route("POST", "/review/sites", settings.add, documented=False),
    Route("GET", _DESK_SITE, settings.page, documented=False),
    Route("POST", _DESK_SITE, settings.change, documented=False),
    Route("POST", _DESK_SITE + "/delete", settings.delete, documented=False),
    Route("GET", _DESK_SITE + "/screening", screening.page, documented=False),
    Route("POST", _DESK_SITE + "/screening", screening.change, documented=False),
    Route("GET", _DESK_SITE + "/endpoints", receivers.listing, documented=False),
    Route("POST", _DESK_SITE + "/endpoints", receivers.add, documented=False),
    Route("GET", _DESK_SITE + "/endpoints/{endpoint}", receivers.page, documented=False),
    Route("POST", _DESK_SITE + "/endpoints/{endpoint}", receivers.act, documented=False),
    Route("GET", _DESK_SITE + "/mails", mailroom.log, documented=False),
    Route("GET", _DESK_SITE + "/audit", audit.page, documented=False),
    Route("GET", _DESK_SITE + "/audit.{kind}", audit.download, documented=False),
    Route("GET", "/review/personal-data", desk_personal.page, documented=False),
    Route("POST", "/review/personal-data", desk_personal.act, documented=False),
    Route("GET", "/review/suppressions", mailroom.suppressions, documented=False),
    Route("POST", "/review/suppressions", mailroom.suppress, documented=False),
    Route("POST", "/review/suppressions/{recipient}/lift", mailroom.lift, documented=False),
    Route("GET", "/review/mails", mailroom.previews, documented=False),
    Route("GET", "/review/mails/{kind}/{lang}", mail_api.preview, documented=False),
    Route("GET", "/static/{digest}/{name}", static_files.serve, documented=False),
    # what is sent
    Route("GET", _API + "/events", openapi.events, answers={200: s.EventList}),
    Route("GET", _API + "/events/{type}", openapi.event, answers={200: s.EventOut}),
    # running it
    Route("GET", "/healthz", health.alive, answers={200: s.AliveOut}),
    Route("GET", "/readyz", health.ready, answers={200: s.ReadyOut, 503: s.ReadyOut}),
    Route("GET", "/metrics", health.metrics, answers={200: "text/plain"}),
    Route("GET", "/openapi.json", openapi.document, answers={200: s.OpenApiOut}),
    Route("GET", "/docs", openapi.page, documented=False),
)

_WRITTEN_BIT_BY_BIT = {stream.stream, audit.download, personal.download}  # aiohttp would send their bodies to HEAD too


def install(app: web.Application) -> None:
    """Add them all."""

    async def finish(app: web.Application) -> None:
        await app[CONTEXT].finish()

    app.on_cleanup.append(finish)
    app[openapi.DESCRIPTION] = openapi.describe(ROUTES)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, route.handler)
        if route.method == "GET" and route.handler not in _WRITTEN_BIT_BY_BIT:
            app.router.add_route("HEAD", route.path, route.handler)
