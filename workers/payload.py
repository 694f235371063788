"""Event + comment → the bytes of a webhook. The same bytes on every attempt: all that changes comes from the event."""

from typing import Any

from pydantic_core import to_json

from moderation import public
from moderation.model import Comment


def build(event: dict[str, Any], comment: Comment | None, email: str | None = None) -> bytes:
    """The body of the contract, section 4; moderation/events.py has its schemas. `email` only for an endpoint created to get it."""
    if "endpoint" in event:
        data = _of_endpoint(event)
    elif comment:
        data = _of_comment(event, comment, email)
    else:
        data = {"site": event["site"], "comment": event["erased"], "sequence": event["sequence"]}
    return to_json({"type": event["type"], "timestamp": event["at"], "data": data})


def _of_comment(event: dict[str, Any], found: Comment, email: str | None) -> dict[str, Any]:
    comment = public.comment(found) | {
        "status": event["status"],
        "approved_at": event["at"] if event["status"] == "approved" else None,
        "external_id": event.get("external_id") or found.body.get("external_id"),
        "thread_url": found.body.get("thread_url"),
        "thread_title": found.body.get("thread_title"),
    }
    if email is not None:
        comment["author"]["email"] = email
    by, reason, at = event.get("by"), event.get("reason"), event["at"]
    return {
        "site": found.site,
        "comment": comment,
        "previous_status": event.get("previous_status"),
        "decision": {"by": by, "reason": reason, "at": at} if by else None,
        "sequence": event["sequence"],
    }


def _of_endpoint(event: dict[str, Any]) -> dict[str, Any]:
    data = {"site": event["site"], "endpoint": {"id": None, "url": None, "description": ""} | event["endpoint"]}
    return data | {key: event[key] for key in ("reason", "failing_since") if key in event}
