"""WordPress eXtended RSS 1.2 as WordPress's importer takes it: one item a thread, matched there by its title."""

import html
from datetime import UTC, datetime

from moderation.archives.archived import Archived
from moderation.model import Status

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/" xmlns:content="http://purl.org/rss/1.0/modules/content/" \
xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:wp="http://wordpress.org/export/1.2/">
<channel>
<title>{title}</title>
<link>{link}</link>
<description></description>
<language>{language}</language>
<wp:wxr_version>1.2</wp:wxr_version>
<wp:base_site_url>{link}</wp:base_site_url>
<wp:base_blog_url>{link}</wp:base_blog_url>
"""
_APPROVED = {Status.APPROVED: "1", Status.PENDING: "0", Status.SPAM: "spam", Status.REJECTED: "trash"}
_NUMBER_MAX = 9  # digits of a post's number that may be the site's own; numbers made up here are longer


def _text(value: str) -> str:
    return html.escape(value, quote=False)


def _data(value: str) -> str:
    return f"<![CDATA[{value.replace(']]>', ']]]]><![CDATA[>')}]]>"


def head(title: str, link: str, language: str) -> str:
    """Up to the first item."""
    return _HEAD.format(title=_text(title), link=_text(link), language=_text(language))


def begin_item(thread: int, found: Archived) -> str:
    """A post that has comments. Its date is left empty, since the importer then looks for the title alone."""
    name = found.thread
    own = name.isascii() and name.isdigit() and len(name) <= _NUMBER_MAX and not name.startswith("0")
    fields = {
        "title": _data(found.thread_title or name),
        "link": _text(found.thread_url),
        "dc:creator": "",
        "guid": _text(name),
        "content:encoded": _data(""),
        "excerpt:encoded": _data(""),
        "wp:post_id": name if own else str(10**_NUMBER_MAX + thread),
        "wp:post_date": "",
        "wp:post_date_gmt": "",
        "wp:comment_status": "open",
        "wp:ping_status": "closed",
        "wp:post_name": "",
        "wp:status": "publish",
        "wp:post_parent": "0",
        "wp:menu_order": "0",
        "wp:post_type": "post",
        "wp:post_password": "",
        "wp:is_sticky": "0",
    }
    return "<item>\n" + "".join(_element(name, value) for name, value in fields.items())


def comment(number: int, parent: int, found: Archived) -> str:
    """One comment; numbers stand for ids, parents first, as the importer wants it."""
    assert found.created_ms is not None
    date = f"{datetime.fromtimestamp(found.created_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}"
    fields = {
        "id": str(number),
        "author": _data(found.name),
        "author_email": _data(found.email),
        "author_url": _text(found.url),
        "author_IP": "",
        "date": date,
        "date_gmt": date,
        "content": _data(_text(found.text)),
        "approved": _APPROVED[found.status],
        "type": "comment",
        "parent": str(parent),
        "user_id": "0",
    }
    return (
        "<wp:comment>\n"
        + "".join(_element("wp:comment_" + name, value) for name, value in fields.items())
        + "</wp:comment>\n"
    )


def _element(name: str, value: str) -> str:
    return f"<{name}>{value}</{name}>\n"


def end_item() -> str:
    """After the comments of a post."""
    return "</item>\n"


def tail() -> str:
    """After the last item."""
    return "</channel>\n</rss>\n"
