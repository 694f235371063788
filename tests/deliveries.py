"""Deliveries made by hand, past the service: for what it would never send, or not in this order."""

import base64
import hashlib
import hmac
import secrets
import time
import uuid
from typing import Any


def new_id() -> str:
    """An id of the service's kind."""
    stamp = uuid.uuid4().hex
    return f"019ab0c4-7e00-7{stamp[1:4]}-9{stamp[4:7]}-{stamp[7:19]}"


def new_secret() -> str:
    """A secret such as the service makes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def signed(secret: str, body: bytes, at: float | None = None, message: str = "") -> dict[str, str]:
    """Headers of Standard Webhooks, made by hand."""
    message, stamp = message or f"msg_{secrets.token_hex(8)}", str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = base64.b64encode(hmac.digest(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256)).decode()
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{mac}",
    }


def event(kind: str, comment_id: str, sequence: int, *, site: str, thread: str, **changes: Any) -> dict[str, Any]:
    """A comment's event as the service writes it."""
    comment: dict[str, Any] = {"id": comment_id, "thread": thread, "external_id": None}
    if kind != "erased":
        comment |= {
            "parent": None, "status": kind, "author": {"id": "3f7a9c2e51d08b64a0c7e913", "name": "ليلى", "url": None},
            "text": "نص", "html": '<p dir="auto">نص</p>', "locale": "ar", "direction": "rtl", "created_at": "2026-01-31T11:58:00.250Z",
            "approved_at": "2026-01-31T12:00:00.000Z" if kind == "approved" else None, "thread_url": None, "thread_title": None,
        }  # fmt: skip
    data: dict[str, Any] = {"site": site, "comment": comment | changes, "sequence": sequence}
    if kind != "erased":
        data |= {"previous_status": "approved" if kind == "pending" else "pending", "decision": None}
    return {"type": f"comment.{kind}", "timestamp": "2026-01-31T12:00:00.000Z", "data": data}
