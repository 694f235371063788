"""Event + comment → the bytes of a webhook. The same bytes on every attempt: all that changes comes from the event."""

from typing import Any

from pydantic_core import to_json

from moderation import public
from moderation.model import Comment


def build(event: dict[str, Any], comment: Comment, email: str | None = None) -> bytes:
    """The body of the contract, section 4. `email` only for an endpoint that was created to get it."""
    data = public.comment(comment)
    data |= {
        "status": event["status"],
        "approved_at": event["at"] if event["status"] == "approved" else None,
        "external_id": event.get("external_id") or comment.body.get("external_id"),
        "thread_url": comment.body.get("thread_url"),
        "thread_title": comment.body.get("thread_title"),
    }
    if email is not None:
        data["author"]["email"] = email
    decision = {"by": event["by"], "reason": event.get("reason"), "at": event["at"]} if event.get("by") else None
    return to_json(
        {
            "type": event["type"],
            "timestamp": event["at"],
            "data": {
                "site": comment.site,
                "comment": data,
                "previous_status": event.get("previous_status"),
                "decision": decision,
                "sequence": event["sequence"],
            },
        }
    )
