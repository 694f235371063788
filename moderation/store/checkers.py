"""Outside checkers: how a site set them up, and what follows from what they say. Nothing they say publishes what our own rules held."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from moderation import lifecycle
from moderation.errors import Conflict, NotFound
from moderation.model import Comment, Decision, Site, Status
from moderation.privacy import Sealed
from moderation.store import comments, review, scripts, sites
from moderation.store.comments import parse_value
from moderation.store.connection import Store
from moderation.store.review import DecisionRequest

VERDICTS = ("publish", "hold", "spam", "reject")
_DECISIONS = {"spam": Decision.SPAM, "reject": Decision.REJECT}


@dataclass(frozen=True, slots=True)
class Checker:
    """`url` is asked; `secret` is Akismet's key, or signs the requests of an external one; `options` are its own."""

    name: str
    url: str
    secret: str
    options: dict[str, Any]


def _key(store: Store, site: str) -> str:
    return f"{store.tag_of_site(site)}ck:{site}"


async def save(store: Store, site: Site, checker: Checker) -> Site:
    """Set one up. From now on it is asked of every comment that waits."""
    record = {"url": checker.url, "secret": store.privacy.seal(checker.secret, f"checker:{site.id}"), **checker.options}
    await store.pipe.call("HSET", _key(store, site.id), checker.name, to_json(record))
    changed = site.model_copy(update={"checkers": tuple(sorted({*site.checkers, checker.name}))})
    await sites.save(store, changed)
    return changed


async def remove(store: Store, site: Site, name: str) -> None:
    """Ask it no more. Raises NotFound."""
    if name not in site.checkers:
        raise NotFound("There is no such checker.")
    await sites.save(store, site.model_copy(update={"checkers": tuple(one for one in site.checkers if one != name)}))
    await store.pipe.call("HDEL", _key(store, site.id), name)


async def load(store: Store, site: str, name: str) -> Checker:
    """Raises NotFound."""
    text = await store.pipe.call("HGET", _key(store, site), name)
    if not text:
        raise NotFound("There is no such checker.")
    record = from_json(text)
    secret = store.privacy.open(record.pop("secret"), f"checker:{site}")
    return Checker(name, record.pop("url"), secret, record)


async def client_of(store: Store, comment: Comment) -> dict[str, str]:
    """The address and browser a comment came from, as long as they are kept."""
    sealed = await store.pipe.call("GET", f"{store.tag_of_id(comment.id)}cl:{comment.id}")
    try:
        return dict(json.loads(store.privacy.open(sealed, comment.id))) if sealed else {}
    except Sealed:
        return {}


async def conclude(
    store: Store, site: Site, comment_id: str, name: str, verdict: str, detail: str = "", corrections: int | None = None
) -> Comment:
    """Note what a checker said ('' and no verdict: it did not answer), and do what follows.

    Spam and reject are decided in its name, unless somebody decided before. When all said `publish` and the rules would have published,
    the comment is. Otherwise a human is told. An answer about a text that was corrected since (`corrections`: how often it had been when
    the checker was asked) says nothing. Raises NotFound.
    """
    comment = await _note(store, site, comment_id, name, verdict, detail, "", corrections)
    if corrections is not None and corrections != comment.corrections:
        return comment
    if comment.status is not Status.PENDING or comment.head.get("by"):
        return comment  # somebody decided about it already
    if verdict in _DECISIONS:
        return await _decide(store, comment, _DECISIONS[verdict], name, "")
    said = comment.head.get("ck", {})
    if (
        verdict == "publish"
        and _would_publish(comment)
        and all(said.get(one) == "publish" for one in {*site.checkers, name})
    ):
        return await _decide(store, comment, Decision.APPROVE, "rules", "author reply")
    return await _note(store, site, comment_id, "", "", "", comments.notify_mode(site))


async def _note(
    store: Store,
    site: Site,
    comment_id: str,
    name: str,
    verdict: str,
    detail: str,
    tells: str,
    corrections: int | None = None,
) -> Comment:
    tag = store.tag_of_id(comment_id)
    reply = await scripts.run(
        store.pipe,
        "checked",
        [f"{tag}c:{comment_id}", f"{tag}h:{comment_id}", f"{tag}dg:{site.id}", f"{tag}dgs:{site.id}"],
        comment_id,
        name if verdict else "",
        verdict,
        detail,
        tells,
        tag,
        site.id,
        store.new_id(site.id),
        "" if corrections is None else corrections,
    )
    if reply[0] == "missing":
        raise NotFound("There is no such comment.")
    return parse_value(comment_id, reply[1])


def _would_publish(comment: Comment) -> bool:
    return bool((comment.body.get("screening") or {}).get("then") == "publish")


async def _decide(store: Store, comment: Comment, decision: Decision, by: str, mails: str) -> Comment:
    wanted = DecisionRequest(decision, by, version=comment.version, reason="")
    try:
        return await review.decide(store, comment, wanted, lifecycle.plan(decision), mails)
    except Conflict:  # a human was quicker, or looks at it right now
        return comment
