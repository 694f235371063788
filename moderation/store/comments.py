"""Comments: stored in one script call, read by id or page by page."""

import json
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from moderation.addresses import network
from moderation.errors import Conflict, FieldError, Invalid, NotFound, TooMany
from moderation.model import Comment, Site, Status, Submission
from moderation.privacy import Privacy, mask_address, mask_addresses
from moderation.screening.folding import name_key
from moderation.store import keys, scripts
from moderation.store.connection import Store

WHOLE_THREAD_MAX, _STEP = 2000, 500
REGULAR_AFTER = 3  # approved comments; from then on the name is known as this author's
EVENT_OF = {
    Status.PENDING: "comment.submitted",
    Status.APPROVED: "comment.approved",
    Status.SPAM: "comment.spam",
    Status.REJECTED: "comment.rejected",
}
_HEAD = '{"s":"pending","v":1}\n'


class Accepted(NamedTuple):
    """What the visitor is told."""

    comment_id: str
    status: Status


class StaleSite(Exception):
    """The caller's copy of the site is old: load it again and repeat."""


def make_body(
    privacy: Privacy, site: str, comment_id: str, said: Submission, screening: dict[str, Any] | None, author: str = ""
) -> dict[str, Any]:
    """What never changes. Addresses in name and text are masked here, on the way in; the original is sealed beside them."""
    name, text, title = mask_addresses(said.name), mask_addresses(said.text), mask_addresses(said.thread_title)
    body: dict[str, Any] = {
        "site": site,
        "thread": said.thread,
        "name": name,
        "text": text,
        "who": author or privacy.author_id(site, said.email, said.name),
        "locale": said.locale,
    }
    if said.email:
        body["email"] = privacy.seal(said.email, comment_id)
    if name != said.name or text != said.text:
        body["masked"] = [
            f for f, was, now in (("author", said.name, name), ("comment", said.text, text)) if was != now
        ]
        body["original"] = privacy.seal(json.dumps([said.name, said.text], ensure_ascii=False), comment_id)
    for key, value in (
        ("url", said.url),
        ("thread_url", said.thread_url),
        ("thread_title", title),
        ("external_id", said.external_id),
    ):
        if value:
            body[key] = value
    if said.notify_replies and said.email:
        body["notify"] = True
    if screening:
        body["screening"] = screening
    return body


async def submit(
    store: Store,
    site: Site,
    version: str,
    said: Submission,
    *,
    address: str,
    author: str = "",
    idempotency_key: str = "",
    status: Status = Status.PENDING,
    screening: dict[str, Any] | None = None,
    bands: tuple[str, ...] = (),
    client: str = "",
) -> Accepted:
    """Store one comment in one round trip; returns only after Redis has it on disk. `author` is the pseudonym where it is known, `status` is what the rules came to, `screening` their
    trace, `bands` its near-duplicate names where the policy wants them kept, `client` what outside checkers are told of it (sealed, 15 days).

    Raises Conflict (duplicate, idempotency), Invalid (parent), TooMany, StaleSite, Unavailable.
    """
    privacy, policy = store.privacy, site.policy
    partition = keys.site_partition(site.id, store.partitions)
    tag = keys.tag(partition)
    comment_id = keys.new_id(partition)
    body = make_body(privacy, site.id, comment_id, said, screening, author)
    who, thread = body["who"], keys.thread_key(said.thread)
    duplicate = privacy.keyed_hash("dup", who, said.name, said.thread, said.text)
    content = idempotency_key and privacy.keyed_hash("content", duplicate, *_all_but_the_locale(said))
    event = EVENT_OF[status]
    arguments: tuple[Any, ...] = (
        [
            f"{tag}c:{comment_id}",
            f"{tag}site:{site.id}",
            f"{tag}s:{site.id}:{status}",
            f"{tag}t:{site.id}:{thread}:{status}",
            f"{tag}a:{who}",
            f"{tag}dup:{duplicate}",
            f"{tag}idem:{privacy.keyed_hash('idem', site.id, idempotency_key) if idempotency_key else ''}",
            f"{tag}subs:{site.id}:{event}",
            f"{tag}x:{site.id}",
        ],
        comment_id,
        _HEAD.encode() + to_json(body),
        version,
        policy.duplicate_window_seconds,
        content,
        "1" if idempotency_key else "",
        said.parent,
        _rates(privacy, site, who, thread, address) if policy.rate_limits else "",
        event,
        tag,
        said.external_id,
        site.id,
        said.thread,
        "" if site.checkers else notify_mode(site),
        status,
    )
    if status is not Status.PENDING or bands or site.checkers:  # what few comments have
        waits = status is Status.PENDING
        arguments += (
            who,
            asked_checkers(site) if waits else _told(said) if status is Status.APPROVED else "",
            f"{tag}nd:{site.id}:{said_today()}" if bands else "",
            " ".join(bands),
            privacy.seal(client, comment_id) if client and site.checkers and waits else "",
            name_key(body["name"]) if status is Status.APPROVED else "",
            REGULAR_AFTER,
        )
    reply = await scripts.run_to_last(store, "submit", *arguments)
    match reply[0]:
        case "ok":
            return Accepted(comment_id, status)
        case "same":
            return Accepted(reply[1], Status(reply[2]))
        case "site":
            raise StaleSite
        case "duplicate":
            raise Conflict("You said this already: the same comment is waiting or published.", code="duplicate")
        case "conflict":
            raise Conflict("This Idempotency-Key came with another comment before.", code="idempotency_conflict")
        case "parent":
            raise Invalid([FieldError("parent", "not_found", "The comment you reply to is not there (any more).")])
        case _:
            raise TooMany(int(reply[1]))


def _told(said: Submission) -> str:
    """Who gets a mail when the rules publish a comment: its author knows, but may have to confirm the wish to hear of replies."""
    return "author reply" if said.email and said.notify_replies else "reply"


def asked_checkers(site: Site) -> str:
    """The outside checkers of a comment that waits."""
    return " ".join(f"check:{name}" for name in site.checkers)


def notify_mode(site: Site) -> str:
    """How a site's moderators are told of waiting comments, '' when nobody is."""
    return site.notify_mode if site.notify and site.notify_mode != "off" else ""


def _all_but_the_locale(said: Submission) -> tuple[str, ...]:
    """What a repeated request must have the same. The locale may have come from the browser; where to go back to is no content."""
    notify = "1" if said.notify_replies else ""
    return (said.email, said.url, said.parent, said.thread_url, said.thread_title, notify, said.external_id)


def said_today() -> str:
    """The day (UTC) that near-duplicates are looked for in."""
    return time.strftime("%Y%m%d", time.gmtime())


def _rates(privacy: Privacy, site: Site, who: str, thread: str, address: str) -> str:
    """Each pace that this comment is part of: a hash, the ms between two, and how many may come at once."""
    found = []
    for kind, pace in site.policy.rates.chosen:
        if kind == "address":
            subject = address
        elif kind == "network":
            subject = network(address) if address else ""
        else:
            subject = {"author": who, "thread": thread, "site": site.id}[kind]
        if subject:
            found.append(f"{privacy.keyed_hash('rate', site.id, kind, subject)} {pace}")
    return " ".join(found)


def parse_value(comment_id: str, value: str, claim: dict[str, Any] | None = None) -> Comment:
    """Head and body of a stored value."""
    head, _, body = value.partition("\n")
    parsed = from_json(head)
    return Comment(comment_id, (said := from_json(body))["site"], Status(parsed["s"]), parsed["v"], said, parsed, claim)


async def load(store: Store, comment_id: str) -> Comment:
    """One comment with its live claim; raises NotFound."""
    return (await load_many(store, [comment_id]))[0] or _missing()


def _missing() -> Comment:
    raise NotFound("There is no such comment.")


async def load_many(store: Store, ids: list[str]) -> list[Comment | None]:
    """Several comments in one write; None where there is none."""
    values = await store.pipe.call_many([("GET", f"{store.tag_of_id(i)}c:{i}") for i in ids])
    found = [parse_value(i, v) if v else None for i, v in zip(ids, values, strict=True)]
    held = [c for c in found if c and c.status is Status.PENDING]
    if not held:
        return found
    commands: list[tuple[Any, ...]] = [("TIME",)]
    for comment in held:
        tag = store.tag_of_id(comment.id)
        commands.append(("ZSCORE", f"{tag}claims:{comment.site}", comment.id))
        commands.append(("HGET", f"{tag}claimed:{comment.site}", comment.id))
    now, *replies = await store.pipe.call_many(commands)
    at = int(now[0]) * 1000
    claims: dict[str, dict[str, Any]] = {}
    for comment, score, holder in zip(held, replies[::2], replies[1::2], strict=True):
        if score and float(score) > at:
            claims[comment.id] = {"by": holder, "until_ms": int(float(score))}
    return [
        Comment(c.id, c.site, c.status, c.version, c.body, c.head, claims[c.id]) if c and c.id in claims else c
        for c in found
    ]


@dataclass(frozen=True, slots=True)
class Page:
    """Some comments in order, and how many there are in all."""

    items: list[Comment]
    total: int


async def page(
    store: Store,
    site: str,
    statuses: list[Status],
    *,
    thread: str = "",
    cursor: str = "",
    newest: bool = False,
    limit: int = 50,
) -> Page:
    """One page of a site (or of one of its threads), all indexes read at one instant. `cursor` is the last id seen."""
    tag = store.tag_of_site(site)
    prefix = f"{tag}t:{site}:{keys.thread_key(thread)}:" if thread else f"{tag}s:{site}:"
    return await _page(store, tag, site, [prefix + status for status in statuses], cursor, newest, limit)


async def page_of_author(
    store: Store, site: str, author: str, *, cursor: str = "", newest: bool = False, limit: int = 50
) -> Page:
    """One page of one author's comments on a site, all statuses."""
    tag = store.tag_of_site(site)
    return await _page(store, tag, site, [f"{tag}a:{author}"], cursor, newest, limit)


async def _page(store: Store, tag: str, site: str, indexes: list[str], cursor: str, newest: bool, limit: int) -> Page:
    total, *rows = await scripts.run(
        store.pipe,
        "page",
        indexes,
        cursor,
        "newest" if newest else "oldest",
        limit,
        tag,
        f"{tag}claims:{site}",
        f"{tag}claimed:{site}",
    )
    items = []
    for comment_id, value, until, holder in zip(*[iter(rows)] * 4, strict=True):
        if value:
            claim = {"by": holder, "until_ms": int(float(until))} if until else None
            items.append(parse_value(comment_id, value, claim))
    return Page(items, total)


async def whole_thread(store: Store, site: str, thread: str) -> list[Comment] | None:
    """Everything that is approved there, oldest first; None where that is more than WHOLE_THREAD_MAX comments."""
    found: list[Comment] = []
    while True:
        cursor = found[-1].id if found else ""
        some = await page(store, site, [Status.APPROVED], thread=thread, cursor=cursor, limit=_STEP)
        if some.total > WHOLE_THREAD_MAX:
            return None
        found += some.items
        if len(some.items) < _STEP:
            return found


async def thread_version(store: Store, site: str, thread: str) -> str:
    """Changes whenever the site or the approved part of a thread does; the base of every ETag of its reading. Raises NotFound."""
    tag = store.tag_of_site(site)
    version, changed = await store.pipe.call_many(
        [("HGET", f"{tag}site:{site}", "v"), ("GET", f"{tag}tv:{site}:{keys.thread_key(thread)}")]
    )
    if not version:
        raise NotFound("There is no such site.")
    return f"{version} {changed or 0}"


async def counts(store: Store, site: str, threads: list[str]) -> dict[str, int]:
    """How many approved comments each thread has. Raises NotFound."""
    tag = store.tag_of_site(site)
    there, *found = await store.pipe.call_many(
        [
            ("HEXISTS", f"{tag}site:{site}", "v"),
            *[("ZCARD", f"{tag}t:{site}:{keys.thread_key(thread)}:approved") for thread in threads],
        ]
    )
    if not there:
        raise NotFound("There is no such site.")
    return dict(zip(threads, map(int, found), strict=True))


async def count(store: Store, site: str, status: Status) -> int:
    """How many comments of a site have a status."""
    return int(await store.pipe.call("ZCARD", f"{store.tag_of_site(site)}s:{site}:{status}"))


def masked_email(privacy: Privacy, comment: Comment) -> str | None:
    """What moderators see of an address."""
    sealed = comment.body.get("email")
    if not sealed:
        return None
    try:
        return mask_address(privacy.open(sealed, comment.id))
    except ValueError:
        return "•••"
