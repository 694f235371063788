"""Standard Webhooks 1.0 signatures: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

import base64
import hashlib
import hmac


def key_of(secret: str) -> bytes:
    """The key is the decoded bytes after `whsec_`, not the text. Padding may be missing."""
    text = secret.removeprefix("whsec_")
    return base64.b64decode(text + "=" * (-len(text) % 4))


def headers(secrets: list[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers. `timestamp` is this attempt's Unix second; one signature per secret, newest first, single spaces."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    tokens = [base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{token}" for token in tokens),
    }
