"""Standard Webhooks 1.0 signatures: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

import base64
import hashlib
import hmac
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SYMMETRIC, PRIVATE = "whsec_", "whsk_"


@lru_cache(maxsize=512)
def key_of(secret: str) -> bytes:
    """The key is the decoded bytes after the prefix, not the text. Padding may be missing."""
    text = secret.partition("_")[2] or secret
    return base64.b64decode(text + "=" * (-len(text) % 4))


def token(secret: str, signed: bytes) -> str:
    """One signature: `v1` (HMAC-SHA-256) for a `whsec_…`, `v1a` (ed25519) for a `whsk_…`, whose first half is the seed."""
    if secret.startswith(PRIVATE):
        return (
            "v1a," + base64.b64encode(Ed25519PrivateKey.from_private_bytes(key_of(secret)[:32]).sign(signed)).decode()
        )
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()


def headers(secrets: list[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers. `timestamp` is this attempt's Unix second; one signature per secret, newest first, single spaces."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(token(secret, signed) for secret in secrets),
    }
