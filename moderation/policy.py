"""How a site screens: the settings of every rule. Everything has a safe default, and by default all waits for a human."""

import ipaddress
import re
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from moderation.hosts import ascii_host

Outcome = Literal["hold", "spam", "reject"]
Mode = Literal["hold_all", "trust", "publish_unless_flagged", "closed"]

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_OWN_FIELDS = frozenset(
    [
        "author",
        "name",
        "email",
        "url",
        "website",
        "comment",
        "message",
        "body",
        "text",
        "content",
        "thread",
        "thread_id",
        "post_id",
        "page",
        "comment_post_ID",
        "thread_url",
        "thread_title",
        "parent",
        "parent_id",
        "comment_parent",
        "locale",
        "redirect_to",
        "return_to",
        "notify_replies",
        "external_id",
        "form_stamp",
        "identity",
        "submit",
    ]
)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _instant(value: str | None) -> str | None:
    if value is not None and datetime.fromisoformat(value).tzinfo is None:
        raise ValueError("must be a time such as 2026-01-31T12:00:00Z")
    return value


def _trap(value: str | None) -> str | None:
    if value is not None and value in _OWN_FIELDS:
        raise ValueError("is the name of a field that people fill in")
    return value


Instant = Annotated[str | None, AfterValidator(_instant)]
Entry = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class WordList(_Part):
    """Words, phrases with `*` at either end, and `/patterns/` (RE2 syntax), and what a comment becomes that holds one."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=60)] = "words"
    outcome: Outcome = "hold"
    entries: tuple[Entry, ...] = Field((), max_length=10_000)


class Named(_Part):
    """An author (by `author.id`), a network (CIDR) or a domain with all below it."""

    kind: Literal["author", "network", "domain"]
    value: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    until: Instant = Field(None, description="none: for ever")
    note: Annotated[str, StringConstraints(max_length=200)] = ""

    def model_post_init(self, _: object) -> None:
        if self.kind == "network":
            ipaddress.ip_network(self.value, strict=False)
        if self.kind == "domain" and not _HOST.fullmatch(ascii_host(self.value)):
            raise ValueError("a domain looks like spam.example")
        if self.kind == "author" and not re.fullmatch(r"[0-9a-f]{24}", self.value):
            raise ValueError("an author is named by author.id: 24 hexadecimal digits")


class Block(Named):
    """Somebody unwanted."""

    outcome: Outcome = "spam"


class Rate(_Part):
    """So many at once, and from then on as many again in the time given."""

    count: int = Field(ge=1, le=100_000)
    seconds: int = Field(ge=1, le=86_400)


class Rates(_Part):
    """How fast comments may come; over it, 429. A network is a /24 (IPv4) or a /48 (IPv6), an address a /64 of IPv6."""

    address: Rate | None = Rate(count=60, seconds=60)
    author: Rate | None = None
    network: Rate | None = None
    thread: Rate | None = None
    site: Rate | None = None

    @cached_property
    def chosen(self) -> tuple[tuple[str, str], ...]:
        """(kind, "<ms between two> <how many at once>") of those that are set."""
        return tuple(
            (kind, f"{rate.seconds * 1000 // rate.count or 1} {rate.count}")
            for kind in type(self).model_fields
            if (rate := getattr(self, kind))
        )


class ThreadPolicy(_Part):
    """What one thread does otherwise."""

    mode: Mode | None = None
    close_at: Instant = None


class Policy(_Part):
    """Rules that are None or empty do not run. Outcomes: hold (for a human), spam, reject."""

    mode: Mode = "hold_all"
    trust_after: int = Field(
        1, ge=1, le=1000, description="approved comments of a confirmed or signed identity (mode trust)"
    )
    close_after_days: int | None = Field(None, ge=1, le=36_500, description="after a thread's first comment")
    threads: dict[Annotated[str, StringConstraints(max_length=512)], ThreadPolicy] = Field({}, max_length=1000)

    rate_limits: bool = True
    rates: Rates = Rates()
    require_author: bool = True
    require_email: bool = True
    url: Literal["allow", "hold", "spam", "reject"] = Field("allow", description="what a filled url field leads to")
    max_comment_length: int = Field(65_525, ge=1, le=65_525)
    duplicate_window_seconds: int = Field(3600, ge=0, le=7 * 86_400)
    trap_field: Annotated[str | None, StringConstraints(pattern=r"^[A-Za-z][\w-]{0,40}$"), AfterValidator(_trap)] = (
        Field(None, description="a field that people do not see; what fills it is spam")
    )
    form_stamp: Literal["off", "optional", "required"] = Field(
        "off", description="signed time at which the form was opened"
    )
    min_fill_seconds: int = Field(3, ge=0, le=600)
    max_fill_seconds: int = Field(86_400, ge=60, le=30 * 86_400)

    allow: tuple[Named, ...] = Field((), max_length=1000, description="beats blocks, word lists and disposable domains")
    allow_words: tuple[Entry, ...] = Field(
        (), max_length=1000, description="taken out before word lists are looked for"
    )
    blocks: tuple[Block, ...] = Field((), max_length=5000)
    words: tuple[WordList, ...] = Field((), max_length=20)
    max_links: int | None = Field(2, ge=0, le=1000)
    links: Outcome = Field("hold", description="for more than max_links")
    disposable: Outcome | None = Field("hold", description="for addresses of throw-away mail services")
    disposable_domains: tuple[Entry, ...] = Field((), max_length=5000, description="beside those that are known")
    repetition: Outcome | None = "hold"
    shouting: Outcome | None = "hold"
    languages: tuple[Language, ...] = Field((), max_length=20, description="others' scripts are not expected")
    scripts: Outcome = Field("hold", description="for a text mostly in another script than those of `languages`")
    names: tuple[Entry, ...] = Field((), max_length=200, description="that nobody may use without a signed identity")
    impersonation: Outcome | None = Field(None, description="for names that look like a moderator's or a regular's")
    first_time: Outcome | None = Field(None, description="for authors without an approved comment")
    near_duplicates: Outcome | None = Field(None, description="for texts that say almost the same as a recent one")
    learning: bool = Field(False, description="learn from decisions, and score the risk of each comment")
    spam_above: Fraction | None = Field(None, description="risk from which a comment is spam")
    hold_above: Fraction = Field(0.5, description="risk from which a comment is held, where others are published")

    @property
    def asks_past(self) -> bool:
        """Whether a rule needs to know what came before: one more round trip to Redis."""
        return bool(
            self.mode == "trust"
            or self.first_time
            or self.impersonation
            or self.near_duplicates
            or self.close_after_days
            or self.learning
            or any(thread.mode == "trust" for thread in self.threads.values())
            or any(one.kind == "author" for one in self.allow)
        )

    def mode_of(self, thread: str) -> Mode:
        """The mode that holds for a thread."""
        found = self.threads.get(thread) if self.threads else None
        return found.mode if found and found.mode else self.mode

    def closes_at(self, thread: str) -> str | None:
        """When a thread of its own rules closes."""
        found = self.threads.get(thread) if self.threads else None
        return found.close_at if found else None
