"""Who posts: the origin a browser names, and the address a request comes from."""

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web

from moderation.errors import Forbidden
from moderation.model import Site
from moderation.settings import Networks


def origin_of(url: str) -> str:
    """scheme://host[:port], default ports left out; empty for what is no web address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (
        f":{port}" if port and port != {"http": 80, "https": 443}[parts.scheme] else ""
    )


def is_on_site(url: str, site: Site) -> bool:
    """Whether a page is on one of the site's origins: compared whole, never by suffix."""
    return bool(url) and origin_of(url) in site.origins


def check_origin(request: web.Request, site: Site, own: str) -> str:
    """The site's origin that this browser names, or '' when none is named. Raises Forbidden for a foreign one.

    `own` is our own origin: our error page posts again.
    """
    named = request.headers.get("Origin")
    if named is None:
        referer = request.headers.get("Referer", "")
        if not referer:
            return ""  # no browser
        named = origin_of(referer)
    if named in site.origins:
        return named
    if own and named == own:
        return ""
    raise Forbidden("Comments for this site can't be sent from here.", code="origin")


def client_address(request: web.Request, trusted: Networks) -> str:
    """The peer, or the right-most address of X-Forwarded-For that no trusted proxy has. IPv6 as its /64: one customer has that many."""
    peer = request.remote or ""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if trusted and any(address in network for network in trusted):
        for hop in reversed(request.headers.get("X-Forwarded-For", "").split(",")[-20:]):
            try:
                address = ipaddress.ip_address(hop.strip())
            except ValueError:
                break
            if not any(address in network for network in trusted):
                break
    if address.version == 6:
        return (
            str(ipaddress.ip_network((address, 64), strict=False).network_address)
            if not address.ipv4_mapped
            else str(address.ipv4_mapped)
        )
    return str(address)
