"""What a webhook carries, event by event: the schemas that are served, and a sample of each. Tests hold the worker's payload to it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Instant = Annotated[str, Field(description="RFC 3339, UTC", examples=["2026-01-31T12:00:00.000Z"])]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Author(_Shape):
    id: str = Field(description="a pseudonym, the same for one address on one site")
    name: str
    url: str | None
    email: str | None = Field(None, description="only at endpoints created with include_email")


class Comment(_Shape):
    id: str
    thread: str
    parent: str | None = Field(description="our id of the comment replied to")
    status: Literal["pending", "approved", "rejected", "spam"]
    author: Author
    text: str
    html: str = Field(description="sanitised, safe to print anywhere")
    locale: str
    direction: Literal["ltr", "rtl"]
    created_at: Instant
    approved_at: Instant | None
    external_id: str | None = Field(description="the id under which the site stored it")
    thread_url: str | None
    thread_title: str | None


class Decision(_Shape):
    by: str
    reason: str | None
    at: Instant


class CommentData(_Shape):
    site: str
    comment: Comment
    previous_status: Literal["pending", "approved", "rejected", "spam"] | None
    decision: Decision | None
    sequence: int = Field(description="counts the comment's events: drop what comes with a smaller one")


class ErasedComment(_Shape):
    id: str
    thread: str
    external_id: str | None


class ErasedData(_Shape):
    site: str
    comment: ErasedComment
    sequence: int


class ErasedEvent(_Shape):
    type: Literal["comment.erased"]
    timestamp: Instant
    data: ErasedData


class Endpoint(_Shape):
    id: str | None
    url: str | None
    description: str


class EndpointData(_Shape):
    site: str
    endpoint: Endpoint
    reason: str | None = Field(
        None, description="gone (answered 410 twice), asked (by a webhook-delivery header), failing"
    )
    failing_since: Instant | None = None


class CommentEvent(_Shape):
    type: Literal["comment.submitted", "comment.approved", "comment.rejected", "comment.spam", "comment.pending"]
    timestamp: Instant
    data: CommentData


class EndpointEvent(_Shape):
    type: Literal["endpoint.ping", "endpoint.failing", "endpoint.disabled"]
    timestamp: Instant
    data: EndpointData


DESCRIPTIONS = {
    "comment.submitted": "A comment came and waits for review.",
    "comment.approved": "A moderator approved a comment: publish it, or publish it again.",
    "comment.rejected": "A moderator rejected a comment: take it down if it stands.",
    "comment.spam": "A moderator marked a comment as spam: take it down if it stands.",
    "comment.pending": "A comment was taken back and waits again: take it down if it stands.",
    "comment.erased": "A comment is gone for good: forget it, and leave a tombstone for what comes late.",
    "endpoint.ping": "Asked for by hand: the endpoint is reached and its signature can be tried.",
    "endpoint.failing": "Another endpoint of the site fails for a day, or three: it will be disabled after five.",
    "endpoint.disabled": "Another endpoint of the site was disabled; its events are held and can be replayed.",
}

_ID = "019ab0c4-7e00-7d3a-9c41-2f60a3b1c50"
_AT = "2026-01-31T12:00:00.000Z"
_STATUS = {"comment.submitted": "pending", "comment.approved": "approved", "comment.rejected": "rejected", "comment.spam": "spam", "comment.pending": "pending"}  # fmt: skip


def model_of(event_type: str) -> type[BaseModel]:
    """The model of an event's whole body."""
    if event_type == "comment.erased":
        return ErasedEvent
    return CommentEvent if event_type.startswith("comment.") else EndpointEvent


def sample(event_type: str) -> dict[str, Any]:
    """What an event of a type may look like."""
    if not event_type.startswith("comment."):
        about = {"id": f"{_ID}2", "url": "https://news.example/hooks/comments", "description": "the news site"}
        data: dict[str, Any] = {"site": "news", "endpoint": about}
        if event_type != "endpoint.ping":
            data["failing_since"] = "2026-01-26T12:00:00.000Z"
        if event_type == "endpoint.disabled":
            data["reason"] = "failing"
        return {"type": event_type, "timestamp": _AT, "data": data}
    if event_type == "comment.erased":
        gone = {"id": f"{_ID}1", "thread": "41", "external_id": "1234"}
        return {"type": event_type, "timestamp": _AT, "data": {"site": "news", "comment": gone, "sequence": 2}}
    decided = event_type != "comment.submitted"
    comment = {
        "id": f"{_ID}1", "thread": "41", "parent": None, "status": _STATUS[event_type],
        "author": {"id": "3f7a9c2e51d08b64a0c7e913", "name": "ليلى", "url": None},
        "text": "شكراً على هذا التقرير.", "html": '<p dir="auto">شكراً على هذا التقرير.</p>', "locale": "ar", "direction": "rtl",
        "created_at": "2026-01-31T11:58:00.000Z", "approved_at": _AT if event_type == "comment.approved" else None, "external_id": None,
        "thread_url": "https://news.example/?p=41", "thread_title": "مكتبة الحيّ",
    }  # fmt: skip
    data = {
        "site": "news", "comment": comment, "previous_status": ("approved" if event_type == "comment.pending" else "pending") if decided else None,
        "decision": {"by": "layla", "reason": None, "at": _AT} if decided else None, "sequence": 1 if decided else 0,
    }  # fmt: skip
    return {"type": event_type, "timestamp": _AT, "data": data}


def described(event_type: str) -> dict[str, Any]:
    """Type, meaning, JSON Schema (2020-12) and sample."""
    return {
        "type": event_type,
        "description": DESCRIPTIONS[event_type],
        "schema": model_of(event_type).model_json_schema(),
        "sample": sample(event_type),
    }
