"""What the public, and the site, see of a comment. Lists its fields one by one, so that nothing else can slip out."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from moderation import markup
from moderation.model import Comment, Site, Status
from moderation.submission import is_on_site, origin_of


def iso(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def page(site: Site, body: dict[str, Any]) -> str:
    """The page of a comment: the address that came with it, if it is on the site, else by the site's template; '' when neither is known."""
    given = str(body.get("thread_url") or "").partition("#")[0]
    template = site.thread_url_template or ""
    if given and (is_on_site(given, site) or origin_of(given) == origin_of(template.replace("{thread}", "x"))):
        return given
    return template.replace("{thread}", quote(body["thread"], safe=""))


def link(site: Site, comment: Comment) -> str:
    """Where a comment stands on its page; '' when that is not known."""
    found = page(site, comment.body)
    return f"{found}#comment-{comment.id}" if found else ""


def author(comment: Comment) -> dict[str, Any]:
    """Name and link; the id is a pseudonym, the same for one address on one site."""
    body = comment.body
    return {"id": body["who"], "name": markup.plain_line(body["name"]), "url": body.get("url")}


def said(comment: Comment) -> dict[str, Any]:
    """Text in its three forms: as written, as safe HTML, and which way it runs."""
    text, locale = comment.body["text"], comment.body["locale"]
    return {
        "text": markup.close_bidi(text),
        "html": markup.to_html(text),
        "locale": locale,
        "direction": markup.text_direction(text, markup.direction(locale)),
    }


def comment(found: Comment) -> dict[str, Any]:
    """The public fields of the contract, section 4."""
    return {
        "id": found.id,
        "thread": found.body["thread"],
        "parent": found.head.get("p"),
        "status": found.status.value,
        "author": author(found),
        **said(found),
        "created_at": iso(found.created_ms),
        "approved_at": found.head.get("ap") if found.status is Status.APPROVED else None,
        "external_id": found.head.get("x") or found.body.get("external_id"),
    }
