"""Signatures that come with a form: the time at which it was opened, the proof of an address (ours), and who its author is (the site's).

A stamp is `<Unix seconds>.<signature>`. An identity is `<Unix seconds until which it holds>.<HMAC-SHA-256 in hex>` over
"<address, lower case>\\n<seconds>", with the site's identity key.
"""

import hashlib
import hmac

from moderation.privacy import Privacy, normal_address

PROOF_COOKIE, PROOF_SECONDS = "commenter", 365 * 86_400
_IDENTITY = "identity-key"
_IDENTITY_MAX_SECONDS = 2 * 86_400


def new(privacy: Privacy, site: str, at: float) -> str:
    """For a form that is opened now."""
    opened = str(int(at))
    return f"{opened}.{privacy.sign_link('stamp', f'{site}/{opened}')}"


def age(privacy: Privacy, site: str, stamp: str, at: float) -> float:
    """Seconds since the form was opened; negative for a stamp that is not ours."""
    opened, _, signature = stamp.partition(".")
    if not (opened.isascii() and opened.isdecimal()) or not privacy.link_is_ours(
        "stamp", f"{site}/{opened}", signature
    ):
        return -1.0
    return max(0.0, at - int(opened))


def proof(privacy: Privacy, recipient: str) -> str:
    """For the browser in which the link of a mail to this address (its keyed hash) was pressed: a cookie that says so."""
    return f"{recipient}.{privacy.sign_link('commenter', recipient)}"


def is_proved(privacy: Privacy, email: str, cookie: str) -> bool:
    """Whether a cookie of ours proves that the address is theirs who send it."""
    recipient, _, signature = cookie.partition(".")
    return recipient == privacy.address_id(email) and privacy.link_is_ours("commenter", recipient, signature)


def identity_key(privacy: Privacy, site: str) -> str:
    """What the site signs with, 32 hexadecimal digits. It follows from the newest secret key; what was made of an older one is right as long as that is kept."""
    return privacy.sign_link(_IDENTITY, site)


def sign_identity(key: str, email: str, until: int) -> str:
    """As a site does it for somebody who is signed in there."""
    said = f"{normal_address(email)}\n{until}"
    return f"{until}.{hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()}"


def identity_is_right(privacy: Privacy, site: str, email: str, signed: str, at: float) -> bool:
    """Whether the site signed for this address, not longer ago than it may."""
    until = signed.partition(".")[0]
    if (
        not (until.isascii() and until.isdecimal() and len(until) < 12)
        or not at <= int(until) <= at + _IDENTITY_MAX_SECONDS
    ):
        return False
    given = signed.encode("utf-8", "replace")
    keys = privacy.signatures(_IDENTITY, site)
    return any(hmac.compare_digest(sign_identity(key, email, int(until)).encode(), given) for key in keys)
