"""Who posts: the origin a browser names, and the address a request comes from."""

import ipaddress
import re
import socket
import time

from aiohttp import hdrs, web

from moderation.errors import Forbidden
from moderation.log import get_logger
from moderation.model import Site
from moderation.settings import Networks
from moderation.submission import origin_of

_FOR = re.compile(r"""(?i)(?:^|[;,\s])for="?(?:\[([0-9a-f.:]+)\]|([0-9.]+))""")

log = get_logger(__name__)
_TELL_SECONDS, _TOLD_MAX = 1.0, 100


def check_origin(request: web.Request, site: Site, own: str) -> str:
    """The site's origin that this browser names, or '' when none is named. Raises Forbidden for a foreign one.

    `own` is our own origin: our error page posts again.
    """
    named = request.headers.get(hdrs.ORIGIN)
    if named is None:
        referer = request.headers.get(hdrs.REFERER, "")
        if not referer:
            return ""  # no browser
        named = origin_of(referer)
    if named in site.origins:
        return named
    if own and named == own:
        return ""
    raise Forbidden("Comments for this site can't be sent from here.", code="origin")


class Foreign:
    """Tells the operator which pages may not post: what a visitor's browser says of it speaks of CORS alone, or of an outage."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()
        self._next_at = float("-inf")

    def refused(self, request: web.Request, site: str) -> None:
        """A line for each origin of a site, once; at most one in a second, and no more than a hundred."""
        named = origin_of(request.headers.get(hdrs.ORIGIN, "") or request.headers.get(hdrs.REFERER, ""))[:300]
        now = time.monotonic()
        if (site, named) in self._told or now < self._next_at or len(self._told) >= _TOLD_MAX:
            return
        self._told.add((site, named))
        self._next_at = now + _TELL_SECONDS
        log.warning("a page of an origin that the site does not have was refused", site=site, origin=named or "none")


class Proxies:
    """Those in front of us whose word about the sender is believed."""

    def __init__(self, trusted: Networks) -> None:
        whole = (1 << 128) - 1
        self._masks = tuple(
            (int(n.network_address), int(n.netmask))
            if n.version == 6
            else (0xFFFF00000000 | int(n.network_address), (whole ^ 0xFFFFFFFF) | int(n.netmask))
            for n in trusted
        )

    def client_address(self, request: web.Request) -> str:
        """The peer, or the right-most address of X-Forwarded-For that no trusted proxy has. IPv6 as its /64: one customer has that many."""
        peer = request.remote or ""
        if self._masks and self._trusts(_number(peer)):
            for hop in reversed(_hops(request)):
                number = _number(hop)
                if number is None:
                    break
                peer = hop
                if not self._trusts(number):
                    break
        return _network_of(peer) if ":" in peer else peer

    def _trusts(self, number: int | None) -> bool:
        if number is not None:
            for network, mask in self._masks:
                if number & mask == network:
                    return True
        return False


def _hops(request: web.Request) -> list[str]:
    """Who each proxy says it heard from, nearest last: X-Forwarded-For, else Forwarded (RFC 7239)."""
    forwarded = request.headers.get(hdrs.X_FORWARDED_FOR)
    if forwarded is None:
        return [six or four for six, four in _FOR.findall(request.headers.get(hdrs.FORWARDED, ""))][-20:]
    return [hop.strip() for hop in forwarded.split(",")[-20:]]


def _number(address: str) -> int | None:
    """An address as one number; IPv4 as its IPv4-mapped IPv6 form. (ipaddress takes ten times as long.)"""
    try:
        if ":" in address:
            return int.from_bytes(socket.inet_pton(socket.AF_INET6, address.partition("%")[0]))
        return 0xFFFF00000000 | int.from_bytes(socket.inet_pton(socket.AF_INET, address))
    except (OSError, ValueError):
        return None


def _network_of(address: str) -> str:
    """The /64 of an IPv6 address; what is IPv4 inside, as that."""
    number = _number(address)
    if number is None:
        return address
    found = ipaddress.IPv6Address(number)
    return str(found.ipv4_mapped or ipaddress.IPv6Address(number >> 64 << 64))
