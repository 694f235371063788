"""What decisions teach: one lesson a comment, taken back when the decision is."""

from moderation.model import Comment, Status
from moderation.privacy import Sealed
from moderation.screening import learning
from moderation.store import scripts
from moderation.store.connection import Store

_KEEP_SECONDS = 90 * 86_400
MACHINES = frozenset({"rules", "akismet", "external", "import"})
_LABELS = {Status.APPROVED: "0", Status.REJECTED: "1", Status.SPAM: "1", Status.PENDING: ""}


def features_of(store: Store, comment: Comment) -> list[int]:
    """The same at every time: what was said never changes."""
    body = comment.body
    domain = ""
    if body.get("email"):
        try:
            domain = store.privacy.open(body["email"], comment.id).rpartition("@")[2].lower()
        except Sealed:
            domain = ""
    return learning.features(body["name"], body["text"], body.get("url", ""), domain)


async def teach(store: Store, comment: Comment) -> None:
    """Learn what became of a comment, whatever was learned of it before."""
    tag = store.tag_of_id(comment.id)
    names = [f"{tag}lw:{comment.site}", f"{tag}ln:{comment.id}"]
    found = features_of(store, comment)
    by_hand = comment.head.get("by") not in {None, *MACHINES}
    label = _LABELS[comment.status] if by_hand else ""  # what a machine decided teaches nothing
    await scripts.run(store.pipe, "learn", names, label, learning.RATE, _KEEP_SECONDS, *found)
