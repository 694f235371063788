"""Event and comment to the bytes of a webhook."""

import json
from typing import Any

import pytest

from moderation.model import Comment, Status
from workers.payload import build

COMMENT_ID = "019a0000-0000-7000-8000-000000000003"
EVENT = {
    "id": "019a0000-0000-7000-8000-000000000103", "type": "comment.approved", "at": "2026-01-02T03:04:05.000Z", "status": "approved",
    "previous_status": "pending", "by": "amal", "sequence": 1,
}  # fmt: skip
PUBLIC = {
    "id",
    "thread",
    "parent",
    "status",
    "author",
    "text",
    "html",
    "locale",
    "direction",
    "created_at",
    "approved_at",
    "external_id",
}


def comment(status: Status = Status.APPROVED, **more: Any) -> Comment:
    body = {
        "site": "news", "thread": "41/ب", "name": "ليلى", "text": "مرحباً <b>\nhttps://a.example", "who": "a_1", "locale": "ar",
        "email": "sealed", "original": "sealed", "screening": [{"rule": "x"}], "notify": True, "masked": ["comment"], **more,
    }  # fmt: skip
    return Comment(
        COMMENT_ID,
        "news",
        status,
        2,
        body,
        {"s": status.value, "v": 2, "ap": "2026-01-02T03:04:05.000Z", "r": "secret reason"},
    )


def test_the_body_has_the_shape_of_the_contract() -> None:
    said = json.loads(build(EVENT, comment()))
    assert set(said) == {"type", "timestamp", "data"}
    assert (said["type"], said["timestamp"]) == (EVENT["type"], EVENT["at"])
    assert set(said["data"]) == {"site", "comment", "previous_status", "decision", "sequence"}
    assert said["data"]["decision"] == {"by": "amal", "reason": None, "at": EVENT["at"]}
    assert said["data"]["comment"].keys() >= PUBLIC
    assert said["data"]["comment"]["approved_at"] == EVENT["at"]
    assert said["data"]["comment"]["direction"] == "rtl"


def test_nothing_private_is_in_it() -> None:
    raw = build(EVENT, comment()).decode()
    for private in ("sealed", "secret reason", "screening", "masked", "notify", "email"):
        assert private not in raw


def test_the_address_is_in_it_only_when_handed_in() -> None:
    assert json.loads(build(EVENT, comment(), "a@b.example"))["data"]["comment"]["author"]["email"] == "a@b.example"
    assert "email" not in json.loads(build(EVENT, comment()))["data"]["comment"]["author"]


def test_what_became_of_the_comment_later_does_not_change_the_bytes() -> None:
    assert (
        build(EVENT, comment(Status.APPROVED))
        == build(EVENT, comment(Status.REJECTED))
        == build(EVENT, comment(Status.PENDING))
    )


@pytest.mark.parametrize("kind", ["rejected", "spam", "pending"])
def test_only_an_approval_has_a_time_of_approval(kind: str) -> None:
    event = EVENT | {"type": f"comment.{kind}", "status": kind, "reason": "off-topic"}
    said = json.loads(build(event, comment()))["data"]
    assert said["comment"]["approved_at"] is None
    assert said["comment"]["status"] == kind
    assert said["decision"]["reason"] == "off-topic"


def test_an_event_without_a_decision_says_so() -> None:
    event = {"id": "e", "type": "comment.submitted", "at": EVENT["at"], "status": "pending", "sequence": 0}
    said = json.loads(build(event, comment(Status.PENDING)))["data"]
    assert said["decision"] is None
    assert said["previous_status"] is None
    assert said["sequence"] == 0
