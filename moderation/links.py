"""Links that mails carry: each names what it does and for whom, and ends in a signature that only we can make. Opening one
changes nothing; its page posts to the same address.
"""

import time
from typing import NamedTuple

from moderation.model import Comment, Decision
from moderation.privacy import Privacy

MODERATION_SECONDS = 3 * 86_400
NO_THREAD = "-"
PERSON_SECONDS = 86_400


class Moderation(NamedTuple):
    """A link by which one recipient decides one comment in one way, once, as long as it has not changed."""

    comment_id: str
    decision: Decision
    recipient: str
    version: int
    expires: int  # Unix seconds
    signature: str

    @property
    def expired(self) -> bool:
        return self.expires < time.time()


def moderation(privacy: Privacy, base: str, comment: Comment, decision: Decision, recipient: str, now: float) -> str:
    """For three days from `now` (Unix seconds)."""
    subject = f"{comment.id}/{decision}/{recipient}/{comment.version}/{int(now) + MODERATION_SECONDS}"
    return f"{base}/m/{subject}/{privacy.sign_link('moderate', subject)}"


def read_moderation(
    privacy: Privacy, comment_id: str, decision: str, recipient: str, version: str, expires: str, signature: str
) -> Moderation | None:
    """The parts of such a link's path; None for one that we did not make. The caller asks whether it `expired`."""
    if not privacy.link_is_ours("moderate", f"{comment_id}/{decision}/{recipient}/{version}/{expires}", signature):
        return None
    return Moderation(comment_id, Decision(decision), recipient, int(version), int(expires), signature)


def unsubscribe(privacy: Privacy, base: str, recipient: str, site: str, thread_key: str = NO_THREAD) -> str:
    """Works as long as the keys are kept."""
    subject = f"{recipient}/{site}/{thread_key}"
    return f"{base}/u/{subject}/{privacy.sign_link('unsubscribe', subject)}"


def unsubscribe_is_ours(privacy: Privacy, recipient: str, site: str, thread_key: str, signature: str) -> bool:
    """Whether we made this link."""
    return privacy.link_is_ours("unsubscribe", f"{recipient}/{site}/{thread_key}", signature)


def confirm(privacy: Privacy, base: str, comment_id: str) -> str:
    """By which the author of a comment confirms the wish to be told of replies."""
    return f"{base}/n/{comment_id}/{privacy.sign_link('confirm', comment_id)}"


def confirm_is_ours(privacy: Privacy, comment_id: str, signature: str) -> bool:
    """Whether we made this link."""
    return privacy.link_is_ours("confirm", comment_id, signature)


def person(privacy: Privacy, base: str, comment_id: str, now: float) -> str:
    """For a day from `now` (Unix seconds): what is kept of the address that this comment came with."""
    subject = f"{comment_id}/{int(now) + PERSON_SECONDS}"
    return f"{base}/personal-data/{subject}/{privacy.sign_link('person', subject)}"


def person_is_ours(privacy: Privacy, comment_id: str, expires: str, signature: str, now: float) -> bool:
    """Whether we made this link and its day is not over."""
    return privacy.link_is_ours("person", f"{comment_id}/{expires}", signature) and int(expires) >= now
