"""The comments of a thread → conversations: one that answers nobody, and all its replies below it. Pure."""

from collections import defaultdict
from typing import NamedTuple

from moderation.model import Comment


class Placed(NamedTuple):
    """A comment, and how many it stands below."""

    comment: Comment
    depth: int


def conversations(oldest_first: list[Comment]) -> list[list[Placed]]:
    """Each conversation in reading order: a comment, then its replies, oldest first. A reply to what is not there (any
    more) begins one itself. No recursion: a chain of replies may be as long as the thread.
    """
    there = {comment.id for comment in oldest_first}
    replies: dict[str, list[Comment]] = defaultdict(list)
    for comment in oldest_first:
        parent = comment.head.get("p")
        replies[parent if parent in there and parent != comment.id else ""].append(comment)
    found = [_below(root, replies) for root in replies.pop("", [])]
    placed = {one.comment.id for conversation in found for one in conversation}
    # an archive may say that two answer each other: better side by side than not at all
    found += [[Placed(comment, 0)] for comment in oldest_first if comment.id not in placed]
    return sorted(found, key=lambda conversation: conversation[0].comment.id)


def _below(root: Comment, replies: dict[str, list[Comment]]) -> list[Placed]:
    found, waiting = [], [Placed(root, 0)]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += [Placed(reply, one.depth + 1) for reply in reversed(replies.get(one.comment.id, ()))]
    return found


def page(
    found: list[list[Placed]], *, newest: bool, cursor: str, limit: int, at: str = ""
) -> tuple[list[Placed], str | None]:
    """Whole conversations until `limit` comments are together, and the cursor of the rest: the id that the last one begins
    with. `at` begins with the conversation of that comment instead.
    """
    ordered = found[::-1] if newest else found
    if at:
        begins = next((i for i, c in enumerate(ordered) if any(one.comment.id == at for one in c)), 0)
        ordered = ordered[begins:]
    elif cursor:
        ordered = [c for c in ordered if (c[0].comment.id < cursor if newest else c[0].comment.id > cursor)]
    shown: list[Placed] = []
    for number, conversation in enumerate(ordered, 1):
        shown += conversation
        if len(shown) >= limit:
            return shown, conversation[0].comment.id if number < len(ordered) else None
    return shown, None
