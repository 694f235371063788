"""Comments as the desk shows them: with everything that helps to decide, asked of Redis for a whole page at once."""

from typing import Any

from moderation import public
from moderation.markup import plain_line, text_direction
from moderation.model import Comment, Status
from moderation.screening.similar import groups
from moderation.store import comments, outbox
from moderation.store.connection import Store
from moderation.web.context import Context
from moderation.web.desk import shown
from moderation.web.review_api import for_moderators, screening_of

RULES = {
    "allow_list": "On the allow-list",
    "trap_field": "The hidden field is filled in",
    "fill_time": "Time to fill in the form",
    "url_field": "Web address given",
    "blocks": "Blocked",
    "word_lists": "Listed words",
    "links": "Many links",
    "disposable": "Throw-away address",
    "impersonation": "Look-alike name",
    "near_duplicate": "Almost the same as another",
    "repetition": "Repetition",
    "shouting": "Capitals",
    "foreign_script": "Unexpected script",
    "learned": "Learned risk",
    "first_time": "First comment",
    "outside_checkers": "Outside checkers",
}
_QUOTED_MAX = 280


def reasons(comment: Comment) -> list[dict[str, Any]]:
    """What rules found; that a site's mode lets nothing through says nothing of the comment."""
    found = screening_of(comment.body.get("screening"))["reasons"]
    return [reason for reason in found if reason["rule"] != "site_mode"]


async def of(context: Context, found: list[Comment]) -> list[dict[str, Any]]:
    """One card each, in the same order."""
    store = context.store
    states = await outbox.states(store, found)
    parents = await _parents(store, found)
    records = await _records(store, found)
    made = []
    for comment in found:
        card = for_moderators(store, comment, states[comment.id])
        found_by_rules = reasons(comment)
        site, _ = await context.site(comment.site)
        made.append(
            card
            | {
                "created_ms": comment.created_ms,
                "shown": shown.text(comment.body["text"], [(r["rule"], r["detail"]) for r in found_by_rules]),
                "name": shown.text(comment.body["name"]),
                "letter": plain_line(comment.body["name"])[:1] or "?",
                "found": found_by_rules,
                "page": public.page(site, comment.body),
                "thread_shown": plain_line(comment.body.get("thread_title") or comment.body["thread"]),
                "reply_to": parents.get(comment.head.get("p") or ""),
                "record": records[comment.id],
                "alike": [],
            }
        )
    return made


async def _parents(store: Store, found: list[Comment]) -> dict[str, dict[str, Any]]:
    """What is replied to, shortened."""
    ids = list({comment.head["p"] for comment in found if comment.head.get("p")})
    return {
        parent.id: {
            "id": parent.id,
            "name": plain_line(parent.body["name"]),
            "text": (text := plain_line(parent.body["text"])[:_QUOTED_MAX]),
            "cut": len(parent.body["text"]) > _QUOTED_MAX,
            "direction": text_direction(text),
        }
        for parent in (await comments.load_many(store, ids) if ids else [])
        if parent
    }


async def _records(store: Store, found: list[Comment]) -> dict[str, dict[str, int]]:
    """How many comments each author has on the site, and how many of them are published."""
    commands: list[tuple[Any, ...]] = []
    for comment in found:
        tag = store.tag_of_id(comment.id)
        commands.append(("ZCARD", f"{tag}a:{comment.body['who']}"))
        commands.append(("HGET", f"{tag}ok:{comment.site}", comment.body["who"]))
    replies = await store.pipe.call_many(commands) if commands else []
    return {
        comment.id: {"total": int(total), "approved": int(approved or 0)}
        for comment, total, approved in zip(found, replies[::2], replies[1::2], strict=True)
    }


def one_row_each(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What says almost the same and waits stands in one row, under the first of them."""
    leaders = groups([card["text"] for card in cards])
    for index, card in enumerate(cards):
        card["alike"] = [
            other
            for other, leader in zip(cards, leaders, strict=True)
            if leader == index and other is not card and other["status"] == Status.PENDING
        ]
    return [card for index, card in enumerate(cards) if leaders[index] == index]
