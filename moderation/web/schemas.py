"""What requests must look like, and what answers do: the OpenAPI description is made of these, so it can't drift."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, create_model

from moderation.model import EVENTS, Decision, Role, Site, Status
from moderation.submission import clean

Text100 = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]


def _host_and_port(value: str) -> str:
    parts = urlsplit(value)  # raises ValueError for brackets that do not close
    if not parts.hostname or parts.port == 0:  # `port` raises it too
        raise ValueError("names no host, or no port")
    return value


WebAddress = Annotated[
    str,
    StringConstraints(max_length=2000, pattern=r"^https?://[^\s/?#@\\\x00-\x1f]+([/?][^\s#\x00-\x1f]*)?$"),
    AfterValidator(_host_and_port),
]
EventName = Literal[EVENTS]  # type: ignore[valid-type]
Id = Annotated[str, StringConstraints(max_length=64)]
_CURSOR = r"^([0-9a-f-]{36})?$"  # an empty parameter is none


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(BaseModel):
    model_config = ConfigDict(extra="allow")


class SubmissionIn(Input):
    """A comment. Forms may use the aliases of the documentation; JSON takes these and the same aliases."""

    author: str = Field(description="1–245 characters after trimming", max_length=245)
    email: str = Field(description="never published", max_length=254, json_schema_extra={"format": "email"})
    url: str = ""
    comment: str = Field(max_length=65_525)
    thread: str = Field(max_length=512)
    thread_url: str = ""
    thread_title: str = ""
    parent: str = ""
    locale: str = ""
    redirect_to: str = ""
    notify_replies: bool = False
    external_id: str = ""


class Receipt(Output):
    id: str
    status: Literal["pending", "approved"]
    thread: str
    created_at: str
    message: str
    status_url: str


class FieldProblem(Output):
    field: str
    code: str
    message: str


class Problem(Output):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str | None = None
    errors: list[FieldProblem] | None = None


class PrivateStatus(Output):
    """What a commenter reads about a comment of theirs. Spam looks as if it waited."""

    id: str
    status: Literal["pending", "approved", "rejected"]
    thread: str
    created_at: str
    reason: str | None


class CommentQuery(Input):
    status: Status | None = None
    site: str | None = Field(None, max_length=63)
    thread: Annotated[str | None, AfterValidator(lambda name: name and clean(name))] = Field(None, max_length=512)
    author: str | None = Field(None, max_length=64, description="`author.id`, or a part of the name")
    rule: str | None = Field(None, max_length=40, description="only what this rule of the screening spoke about")
    language: str | None = Field(None, pattern=r"^([a-z]{2,3})?$")
    q: str | None = Field(None, max_length=200)
    sort: Literal["oldest", "newest", "risk"] = "oldest"
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, pattern=_CURSOR)


class DecisionIn(Input):
    decision: Decision
    version: int | None = Field(None, ge=0)
    reason: Annotated[str, StringConstraints(max_length=100)] | None = None
    note: Annotated[str, StringConstraints(max_length=2000)] | None = None
    undo_seconds: int = Field(0, ge=0, le=60)
    force: bool = False


class BulkDecisionIn(DecisionIn):
    ids: list[Id] = Field(min_length=1, max_length=500)


class ClaimIn(Input):
    ids: list[Id] | None = Field(None, max_length=50, description="these; without, the oldest that nobody holds")
    force: bool = Field(False, description="with ids: also what somebody else holds")
    site: Annotated[str, StringConstraints(max_length=63)] | None = None
    limit: int = Field(10, ge=1, le=50)
    lease_seconds: int = Field(300, ge=10, le=3600)


class ReleaseIn(Input):
    ids: list[Id] | None = Field(None, max_length=500)


class _Patch(Input):
    model_config = ConfigDict(json_schema_extra=lambda schema: schema.pop("required", None))


SitePatch = create_model(
    "SitePatch",
    __base__=_Patch,
    __doc__="Fields of a site that change; of `policy`, too, only those that change.",
    **{name: (field.annotation, field) for name, field in Site.model_fields.items() if name != "id"},  # type: ignore[call-overload]
)


class TokenIn(Input):
    name: Text100
    role: Role
    sites: list[Annotated[str, StringConstraints(max_length=63)]] | None = None
    contact: bool = False


_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # a token of RFC 9110
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1000}")
# Ours, the connection's, or such as make another server believe something.
_OURS = {"host", "connection", "keep-alive", "te", "trailer", "upgrade", "expect", "date", "cookie", "cookie2", "user-agent", "accept-encoding", "forwarded"}  # fmt: skip
_OUR_KINDS = ("content-", "transfer-", "webhook-", "proxy-", "sec-", "x-forwarded-", "x-real-", "x-aws-", "x-google-", "x-amz-", "metadata")  # fmt: skip


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        lower = name.lower()
        if not _HEADER.fullmatch(name) or lower in _OURS or lower.startswith(_OUR_KINDS):
            raise ValueError("names a header that can't be set")
        if not _HEADER_VALUE.fullmatch(text) or text != text.strip():
            raise ValueError("has a value that is no header's")
    if len({name.lower() for name in value}) < len(value):
        raise ValueError("names a header twice")
    return value


Headers = Annotated[dict[str, str], Field(max_length=20), AfterValidator(_headers)]
Threads = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=512)]], Field(max_length=50)]
InFlight = Annotated[int, Field(ge=1, le=50)]
PerSecond = Annotated[int, Field(ge=1, le=1000)]


class EndpointIn(Input):
    url: WebAddress
    events: list[EventName] = Field(["comment.approved"], min_length=1)
    description: Annotated[str, StringConstraints(max_length=500)] = ""
    threads: Threads = Field([], description="only events of threads that begin with one of these")
    include_email: bool = False
    headers: Headers = Field({}, description="sent with every delivery; kept encrypted")
    max_in_flight: InFlight = 5
    rate_per_second: PerSecond = 20
    ed25519: bool = Field(False, description="sign with ed25519 (v1a) beside HMAC (v1)")
    enabled: bool = True


class EndpointPatch(Input):
    url: WebAddress | None = None
    events: list[EventName] | None = Field(None, min_length=1)
    description: Annotated[str, StringConstraints(max_length=500)] | None = None
    threads: Threads | None = None
    include_email: bool | None = None
    headers: Headers | None = None
    max_in_flight: InFlight | None = None
    rate_per_second: PerSecond | None = None
    enabled: bool | None = None


class RotateIn(Input):
    expire_old_seconds: int = Field(86_400, ge=0, le=30 * 86_400, description="0 revokes the old secret at once")


DeliveryState = Literal["queued", "failing", "delivered", "dead", "held", "cancelled", "undeliverable"]


class DeliveryQuery(Input):
    state: DeliveryState | None = None
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, pattern=_CURSOR)


class ReplayIn(Input):
    since: str = Field(max_length=40, description="RFC 3339")
    until: str | None = Field(None, max_length=40)
    state: Literal["queued", "failing", "delivered", "dead", "failed", "held", "cancelled", "missing"] | None = Field(
        None, description="`missing`: events that it wants and never had"
    )


Email = Annotated[
    str, StringConstraints(max_length=254, strip_whitespace=True), Field(json_schema_extra={"format": "email"})
]


class SuppressionQuery(Input):
    email: str | None = Field(None, max_length=254, description="only those of this address")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, pattern=r"^([0-9a-f]{24})?$")


class SuppressionIn(Input):
    email: Email
    site: Annotated[str, StringConstraints(max_length=63)] | None = Field(None, description="none: all mails")
    detail: Annotated[str, StringConstraints(max_length=200)] = ""


class SuppressionOut(Output):
    recipient: str
    scope: str
    reason: Literal["unsubscribed", "refused", "bounced", "complained", "by_hand"]
    at: str
    address_masked: str
    detail: str


class SuppressionPage(Output):
    items: list[SuppressionOut]
    next_cursor: str | None


class EraseIn(Input):
    email: Email


class EraseOut(Output):
    receipt: str
    erased: int
    sites: dict[str, int]
    at: str


class CorrectionIn(Input):
    comment: str
    author: str | None = None


class PersonalComment(Output):
    id: str
    site: str
    thread: str
    thread_url: str | None
    thread_title: str | None
    parent: str | None
    name: str
    email: str | None
    url: str | None
    text: str
    locale: str
    status: str
    reason: str | None
    created_at: str
    decided_at: str | None
    notify_replies: bool
    mails: list[dict[str, str]]


class PersonalData(Output):
    """What is kept of an address. `email` is masked: whoever asks knows it."""

    comments: list[PersonalComment]
    mail: dict[str, Any]


class BounceIn(BaseModel):
    """Relays send more than this; the rest is not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: Literal["bounce.hard", "bounce.soft", "complaint"]
    email: Email


class BounceOut(Output):
    suppressed: bool


class AkismetIn(Input):
    key: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    blog: WebAddress | None = Field(None, description="the site's front page; else its first origin")
    url: WebAddress | None = Field(None, description="of the service, if it is another one")
    test: bool = False


class ExternalIn(Input):
    url: WebAddress


class CheckerOut(Output):
    name: str
    url: str


class VerdictIn(Input):
    comment: Id = Field(description="the id of the comment, so that the signature covers it")
    verdict: Literal["publish", "hold", "spam", "reject"]
    reason: Annotated[str, StringConstraints(max_length=200)] = ""


class VerdictQuery(Input):
    corrections: int | None = Field(None, ge=0, le=1000, description="as in `answer_to`: of which text it is")


class PolicyTryIn(Input):
    policy: dict[str, Any] = Field(description="fields of the policy that change")
    cursor: str | None = Field(None, pattern=_CURSOR)


class TrialOut(Output):
    total: int
    looked_at: int
    outcomes: list[dict[str, Any]]
    wrongly_hidden: int
    wrongly_published: int
    changes: list[dict[str, Any]]
    next_cursor: str | None


class AttemptOut(Output):
    at: str
    ms: int
    ok: bool
    code: str
    status: int | None
    detail: str


class DeliveryOut(Output):
    id: str
    event: str
    type: str | None
    comment: str | None
    kind: str
    target: str
    site: str
    state: DeliveryState
    attempt_count: int
    attempts: list[AttemptOut]
    created_at: str
    due_at: str | None


class DeliveryPage(Output):
    items: list[DeliveryOut]
    next_cursor: str | None


class HealthOut(Output):
    state: str
    disabled_reason: str | None
    disabled_at: str | None
    failing_since: str | None
    failures: int
    paused_until: str | None
    last_success_at: str | None
    deliveries: dict[str, int]


class EndpointOut(Output):
    id: str
    site: str
    url: str
    events: list[str]
    description: str
    threads: list[str]
    include_email: bool
    headers: dict[str, str]
    max_in_flight: int
    rate_per_second: int
    public_key: str | None
    enabled: bool
    created_at: str
    health: HealthOut | None = None
    warning: str | None = Field(None, description="why nothing would be delivered there")


class EndpointMade(EndpointOut):
    secret: str = Field(description="whsec_…; shown this once")


class EndpointRotated(EndpointMade):
    old_valid_until: str


class EndpointList(Output):
    items: list[EndpointOut]


class PingOut(Output):
    delivery: str
    event: str


class JobOut(Output):
    id: str
    kind: str
    site: str
    endpoint: str
    at: str
    by: str
    replays: str | None = Field(description="deliveries in this state; null: of every state")
    state: Literal["queued", "running", "done"]
    done: int
    queued: int
    total: int


class AuthorOut(Output):
    id: str
    name: str
    url: str | None
    email_masked: str | None = None


class ThreadOut(Output):
    id: str
    url: str | None
    title: str | None


class CommentOut(Output):
    id: str
    site: str
    thread: ThreadOut
    parent: str | None
    status: Status
    version: int
    author: AuthorOut
    text: str
    html: str
    locale: str
    direction: Literal["ltr", "rtl"]
    created_at: str
    decided_at: str | None
    decided_by: str | None
    reason: str | None
    claim: dict[str, Any] | None
    screening: dict[str, Any]
    delivery: dict[str, Any]
    external_id: str | None


class CommentWhole(CommentOut):
    history: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]


class ContactOut(Output):
    id: str
    email: str


class BulkResult(Output):
    id: str
    status: Status | None
    error: Problem | None = None


class BulkOut(Output):
    results: list[BulkResult]


class ReleaseOut(Output):
    released: list[str]


class SiteList(Output):
    items: list[Site]


class AuditEntry(Output):
    id: str
    at: str
    site: str
    by: str
    action: str


class AuditOut(Output):
    items: list[AuditEntry]


class TokenOut(Output):
    id: str
    name: str
    role: Role
    sites: list[str] | None
    contact: bool
    created_at: str


class TokenMade(TokenOut):
    token: str = Field(description="shown this once")


class TokenList(Output):
    items: list[TokenOut]


class FormOut(Output):
    form_stamp: str
    trap_field: str | None


class IdentityKeyOut(Output):
    key: str


class CheckerList(Output):
    items: list[CheckerOut]


class CheckerMade(CheckerOut):
    secret: str = Field(description="whsec_…; shown this once")
    warning: str | None = None


class ScreenedOut(Output):
    id: str
    status: Status


class EventOut(Output):
    """An event that is sent: its JSON Schema (2020-12) and a sample."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, serialize_by_alias=True)

    type: str
    description: str
    json_schema: dict[str, Any] = Field(alias="schema")
    sample: dict[str, Any]


class EventList(Output):
    items: list[EventOut]


class AliveOut(Output):
    status: Literal["ok"]


class ReadyOut(Output):
    status: Literal["ready", "unavailable"]
    reasons: list[str] | None = None
    degraded: list[str] | None = None


class OpenApiOut(Output):
    openapi: str


class CommentPage(Output):
    items: list[CommentOut]
    next_cursor: str | None
    total: int


class ClaimOut(Output):
    items: list[CommentOut]


class PublicComment(Output):
    id: str
    thread: str
    parent: str | None
    status: Status
    author: AuthorOut
    text: str
    html: str
    locale: str
    direction: Literal["ltr", "rtl"]
    created_at: str
    approved_at: str | None
    external_id: str | None


class PublicPage(Output):
    items: list[PublicComment]
    next_cursor: str | None
    total: int


class Counts(Output):
    counts: dict[str, int]


class ThreadPageQuery(BaseModel):
    """Of the page for people: what other programs add to links is ignored."""

    view: Literal["nested", "flat"] = "nested"
    order: Literal["oldest", "newest"] = "oldest"
    cursor: str = Field("", pattern=r"^([0-9a-f-]{36})?$")
    at: str = Field("", pattern=r"^([0-9a-f-]{36})?$")
    parent: str = Field("", pattern=r"^([0-9a-f-]{36})?$")
    lang: str = Field("", pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3})?$")
    comment_status: Literal["", "pending", "approved"] = ""
    comment_id: str = Field("", pattern=r"^([0-9a-f-]{36})?$")


class CountsQuery(Input):
    thread: list[Annotated[str, StringConstraints(max_length=512)]] = Field(
        min_length=1, description="repeat it for several, 200 at most"
    )


class StreamQuery(Input):
    site: str | None = Field(None, max_length=63)
    after: str = Field("", max_length=100, description="the id of an event, as Last-Event-ID, which comes first")


class LiftQuery(Input):
    scope: str | None = Field(None, description="only this suppression of theirs")


class PublicQuery(Input):
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, pattern=_CURSOR)
    order: Literal["oldest", "newest"] = "oldest"
    view: Literal["flat", "nested"] = Field(
        "flat", description="nested: whole conversations, each reply after what it answers, until `limit` is reached"
    )
