"""Standard Webhooks signatures, held against published vectors and the public library."""

import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from moderation.privacy import new_secret
from workers import signing

BODY = '{"type":"comment.approved","data":{"text":"مرحباً"}}'.encode()


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp", "body", "signature"),
    [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}',
         "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1649367553, b'{"email":"test@example.com","username":"test_user"}',
         "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
        ("whsec_plJ3nmyCDGBKInavdOK15jsl", "msg_loFOjxBNrRLzqYUf", 1731705121, b'{"event_type":"ping","data":{"success":true}}',
         "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="),
    ],
)  # fmt: skip
def test_the_published_vectors_hold(secret: str, message_id: str, timestamp: int, body: bytes, signature: str) -> None:
    assert signing.headers([secret], message_id, timestamp, body) == {
        "webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature,
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_public_library_verifies_with_each_secret(count: int) -> None:
    secrets = [new_secret("whsec_") for _ in range(count)]
    made = signing.headers(secrets, "evt_1", int(time.time()), BODY)
    for secret in secrets:
        assert Webhook(secret).verify(BODY, made)["type"] == "comment.approved"
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret("whsec_")).verify(BODY, made)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(BODY + b" ", made)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(BODY, made | {"webhook-id": "evt_2"})


def test_two_signatures_are_one_line_newest_first_with_single_spaces() -> None:
    new, old = new_secret("whsec_"), new_secret("whsec_")
    both = signing.headers([new, old], "e", 1, BODY)["webhook-signature"]
    first, second = (signing.headers([s], "e", 1, BODY)["webhook-signature"] for s in (new, old))
    assert both == f"{first} {second}"


@pytest.mark.parametrize("size", [16, 24, 31, 32, 64])
def test_padding_of_a_secret_may_be_missing(size: int) -> None:
    secret = new_secret("whsec_", size)
    assert signing.key_of(secret) == signing.key_of(secret.rstrip("="))
    assert len(signing.key_of(secret)) == size
