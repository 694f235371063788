"""The nouns. Frozen data, validated where it comes from outside, no I/O. Read this file first."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from moderation.policy import Policy


class Status(StrEnum):
    """What a comment is."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    SPAM = "spam"


class Decision(StrEnum):
    """What a moderator does."""

    APPROVE = "approve"
    REJECT = "reject"
    SPAM = "spam"
    HOLD = "hold"


EVENTS = (
    "comment.submitted",
    "comment.approved",
    "comment.rejected",
    "comment.spam",
    "comment.pending",
    "comment.erased",
    "endpoint.ping",
    "endpoint.failing",
    "endpoint.disabled",
)
DELIVERY_STATES = ("queued", "delivered", "dead", "held", "cancelled", "undeliverable")


# Why a comment is not published, as its author may read it: code → English text of the catalogue. Other codes are shown as they are.
REASONS = {
    "off_topic": "It is not about the page.",
    "insult": "It insults somebody.",
    "hate": "It is hateful.",
    "advertising": "It advertises.",
    "personal_data": "It tells somebody's personal data.",
    "unverified": "It claims what can't be checked.",
    "language": "It is in a language that is not read here.",
    "unclear": "It can't be understood.",
}


class Role(StrEnum):
    """What a moderator may do; each contains the one before."""

    VIEWER = "viewer"
    MODERATOR = "moderator"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Noun(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
# BCP 47 (RFC 5646, section 2.1): language, script, region and variants, then extensions such as -u-nu-latn, then private use.
LANGUAGE_TAG = re.compile(
    r"(?=.{2,35}\Z)[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*(-[A-WYZa-wyz0-9](-[A-Za-z0-9]{2,8})+)*(-[Xx](-[A-Za-z0-9]{1,8})+)?"
)


def _origin(value: str) -> str:
    parts = urlsplit(value)
    odd = parts.fragment or any(c.isspace() or c in "<>\"'\\;," for c in value)  # it goes into headers of ours
    if (
        odd
        or parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query
        or parts.username
    ):
        raise ValueError("must look like https://news.example")
    port = f":{parts.port}" if parts.port and parts.port != {"http": 80, "https": 443}[parts.scheme] else ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


def _locale(value: str) -> str:
    if not LANGUAGE_TAG.fullmatch(value):
        raise ValueError("must be a language tag such as ar or pt-BR")
    return value


def _template(value: str | None) -> str | None:
    if value is not None and (
        any(c.isspace() for c in value) or urlsplit(value).scheme not in {"http", "https"} or "{thread}" not in value
    ):
        raise ValueError("must be an http(s) address that contains {thread}")
    return value


Origin = Annotated[str, StringConstraints(max_length=300), AfterValidator(_origin)]
Locale = Annotated[str, AfterValidator(_locale)]


Days = Annotated[int | None, Field(ge=1, le=36_500)]


class Retention(Noun):
    """For how many days a site keeps comments of each status, counted from when they came. None: until somebody deletes them."""

    pending: Days = None
    approved: Days = None
    rejected: Days = None
    spam: Days = None


class Site(Noun):
    """One website."""

    id: Slug
    name: Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
    origins: tuple[Origin, ...] = Field((), max_length=50)
    locale: Locale = "en"
    thread_url_template: Annotated[str | None, StringConstraints(max_length=2000), AfterValidator(_template)] = None
    notify: tuple[str, ...] = Field((), max_length=20)
    notify_mode: Literal["each", "digest", "off"] = "digest"
    mail_rejections: bool = False  # tell authors of a rejection, with its reason
    retention: Retention = Retention()
    policy: Policy = Policy()
    checkers: tuple[
        Literal["akismet", "external"], ...
    ] = ()  # asked of each comment that waits; set up by their own address


class Submission(NamedTuple):
    """A comment as it came, cleaned and complete; nothing a visitor may not set is in it. (A tuple: made on the hot path.)"""

    name: str
    email: str
    url: str
    text: str
    thread: str
    thread_url: str = ""
    thread_title: str = ""
    parent: str = ""
    locale: str = ""
    redirect_to: str = ""
    notify_replies: bool = False
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """A stored comment: what was said (never changes) and what became of it (changes with every decision)."""

    id: str
    site: str
    status: Status
    version: int
    body: dict[str, Any]
    head: dict[str, Any]
    claim: dict[str, Any] | None = None

    @property
    def created_ms(self) -> int:
        """Milliseconds since 1970, out of the UUIDv7 itself (RFC 9562, section 5.7)."""
        return created_ms(self.id)

    @property
    def corrections(self) -> int:
        """How often its author said it otherwise while it waited."""
        return int(self.head.get("e", 0))


class Endpoint(Noun):
    """A URL that receives events."""

    id: str
    site: str
    url: str
    events: tuple[str, ...] = ("comment.approved",)
    description: str = ""
    threads: tuple[str, ...] = ()  # only events of threads that begin with one of these; none: all
    include_email: bool = False
    max_in_flight: int = 5
    rate_per_second: int = 20
    public_key: str | None = None  # whpk_…, when its deliveries carry an ed25519 signature too
    created_at: str = ""
    enabled: bool = True


class Moderator(Noun):
    """Somebody, or something, with rights. `sites` None means all of them."""

    name: str
    role: Role
    sites: tuple[str, ...] | None = None
    contact: bool = False

    def may(self, role: Role, site: str | None = None) -> bool:
        return self.role.covers(role) and (site is None or self.sites is None or site in self.sites)


def created_ms(comment_id: str) -> int:
    """The millisecond a UUIDv7 was made."""
    return int(comment_id[:8] + comment_id[9:13], 16)
