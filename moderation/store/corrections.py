"""A waiting comment, said otherwise by its author."""

from pydantic_core import to_json

from moderation.errors import Conflict, NotFound, TooMany
from moderation.model import Comment, Site, Status, Submission
from moderation.screening import USUAL, Verdict
from moderation.store import comments, keys, scripts
from moderation.store.comments import make_body, parse_value
from moderation.store.connection import Store
from moderation.store.erasure import duplicate_name

AT_MOST, _AGAIN_SECONDS = 20, 3600  # of one comment
_REPLACED = ("name", "text", "masked", "original", "screening")


async def correct(store: Store, site: Site, comment: Comment, said: Submission, verdict: Verdict) -> Comment:
    """The comment as it is then. Raises Conflict (decided, changed meanwhile, said already), TooMany, NotFound."""
    tag = store.tag_of_id(comment.id)
    trace = None if verdict is USUAL else verdict.trace()
    made = make_body(store.privacy, site.id, comment.id, said, trace, comment.body["who"])
    body = {name: value for name, value in comment.body.items() if name not in _REPLACED} | {
        name: made[name] for name in _REPLACED if name in made
    }
    status = Status(verdict.status)
    if status is Status.APPROVED:  # what was flagged once is published by a human
        status = Status.PENDING
    duplicate = store.privacy.keyed_hash("dup", body["who"], said.name, said.thread, said.text)
    reply = await scripts.run_to_last(
        store,
        "correct",
        [
            f"{tag}c:{comment.id}",
            f"{tag}h:{comment.id}",
            f"{tag}audit:{site.id}",
            f"{tag}dup:{duplicate_name(store, comment)}",
            f"{tag}dup:{duplicate}",
            f"{tag}subs:{site.id}:{comments.EVENT_OF[status]}",
        ],
        comment.id,
        comment.version,
        to_json(body),
        tag,
        site.id,
        said.thread,
        keys.new_id(keys.partition_of(comment.id)),
        site.policy.duplicate_window_seconds,
        status,
        AT_MOST,
        comments.asked_checkers(site),
        comments.EVENT_OF[status],
    )
    match reply[0]:
        case "ok":
            return parse_value(comment.id, reply[1])
        case "missing":
            raise NotFound("There is no such comment.")
        case "duplicate":
            raise Conflict("You said this already: the same comment is waiting or published.", code="duplicate")
        case "often":
            raise TooMany(_AGAIN_SECONDS)
        case "stale":
            raise Conflict("It has changed in the meantime. Load the page again.", code="stale")
        case _:
            raise Conflict("It was decided about in the meantime; it can't be changed any more.", code="decided")
