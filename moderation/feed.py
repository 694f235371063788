"""Approved comments → an Atom feed (RFC 4287). Pure."""

from xml.etree import ElementTree

from moderation import markup, public
from moderation.model import Comment, Site

_ATOM = "http://www.w3.org/2005/Atom"
_NEVER = "1970-01-01T00:00:00.000Z"


def _text(parent: ElementTree.Element, name: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, name, attributes).text = text


def _entry(feed: ElementTree.Element, site: Site, comment: Comment) -> None:
    shown = public.comment(comment)
    entry = ElementTree.SubElement(feed, "entry", {"xml:lang": shown["locale"]})
    _text(entry, "id", f"urn:uuid:{comment.id}")
    _text(entry, "title", shown["author"]["name"] or "–")
    _text(entry, "updated", shown["approved_at"])
    _text(entry, "published", shown["created_at"])
    _text(ElementTree.SubElement(entry, "author"), "name", shown["author"]["name"] or "–")
    if link := public.link(site, comment):
        ElementTree.SubElement(entry, "link", {"rel": "alternate", "href": link})
    if comment.head.get("p"):
        ElementTree.SubElement(entry, "thr:in-reply-to", {"ref": f"urn:uuid:{comment.head['p']}"})
    _text(entry, "content", f'<div dir="{shown["direction"]}">{shown["html"]}</div>', type="html")


def render(site: Site, thread: str, newest_first: list[Comment], address: str) -> bytes:
    """`address` is the feed's own."""
    feed = ElementTree.Element(
        "feed", {"xmlns": _ATOM, "xmlns:thr": "http://purl.org/syndication/thread/1.0", "xml:lang": site.locale}
    )
    title = next((c.body["thread_title"] for c in newest_first if c.body.get("thread_title")), thread)
    _text(feed, "id", address)
    _text(feed, "title", markup.plain_line(f"{title} – {site.name}"))
    _text(feed, "updated", max((c.head["ap"] for c in newest_first), default=_NEVER))
    ElementTree.SubElement(feed, "link", {"rel": "self", "href": address, "type": "application/atom+xml"})
    for comment in newest_first:
        _entry(feed, site, comment)
    rendered: bytes = ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)
    return rendered
