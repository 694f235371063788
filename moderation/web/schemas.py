"""What requests must look like, and what answers do: the OpenAPI description is made of these, so it can't drift."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from moderation.model import EVENTS, Decision, Role, Status

Text100 = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
WebAddress = Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[^\s/?#@]+([/?][^\s#]*)?$")]
EventName = Literal[EVENTS]  # type: ignore[valid-type]
Id = Annotated[str, StringConstraints(max_length=64)]


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(BaseModel):
    model_config = ConfigDict(extra="allow")


class SubmissionIn(Input):
    """A comment. Forms may use the aliases of the documentation; JSON takes these and the same aliases."""

    author: str = Field(description="1–245 characters after trimming", max_length=245)
    email: str = Field(description="never published", max_length=254)
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


class CommentQuery(Input):
    status: Status | None = None
    site: str | None = Field(None, max_length=63)
    thread: str | None = Field(None, max_length=512)
    author: str | None = Field(None, max_length=64)
    q: str | None = Field(None, max_length=200)
    sort: Literal["oldest", "newest", "risk"] = "oldest"
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, pattern=r"^[0-9a-f-]{36}$")


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
    site: Annotated[str, StringConstraints(max_length=63)] | None = None
    limit: int = Field(10, ge=1, le=50)
    lease_seconds: int = Field(300, ge=10, le=3600)


class ReleaseIn(Input):
    ids: list[Id] | None = Field(None, max_length=500)


class TokenIn(Input):
    name: Text100
    role: Role
    sites: list[Annotated[str, StringConstraints(max_length=63)]] | None = None
    contact: bool = False


class EndpointIn(Input):
    url: WebAddress
    events: list[EventName] = Field(["comment.approved"], min_length=1)
    description: Annotated[str, StringConstraints(max_length=500)] = ""
    include_email: bool = False


class EndpointPatch(Input):
    url: WebAddress | None = None
    events: list[EventName] | None = Field(None, min_length=1)
    description: Annotated[str, StringConstraints(max_length=500)] | None = None
    include_email: bool | None = None
    enabled: bool | None = None


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


class PublicQuery(Input):
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, pattern=r"^[0-9a-f-]{36}$")
    order: Literal["oldest", "newest"] = "oldest"
