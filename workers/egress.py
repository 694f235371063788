"""Which addresses a webhook may be dialled to. Checked on the socket, for the very address about to be connected to, so that
literals, odd spellings and names that change their answer (DNS rebinding) are all seen. SSRF: CWE-918.
"""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Never, whatever the settings say: metadata services, link-local, multicast, reserved, and IPv6 that carries IPv4 inside.
# `ipaddress.is_global` calls many of these global (CVE-2024-4032 and others), so the table is written out.
FORBIDDEN = _networks(
    "0.0.0.0/8", "169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24",
    "203.0.113.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::254/128", "fd20:ce::254/128", "::ffff:0:0:0/96", "64:ff9b::/96",
    "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
)  # fmt: skip
PRIVATE = _networks(
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7"
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_LOOPBACK6 = ipaddress.IPv6Address("::1")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class Blocked(OSError):
    """The egress guard refused; the text names the setting that could allow it."""


def reason_to_block(address: str, allow: Iterable[Network]) -> str | None:
    """Why this address may not be dialled, or None."""
    try:
        ip: Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "not an IP address"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if any(ip in network for network in FORBIDDEN) or (
        ip in _COMPATIBLE if ip.version == 6 and ip != _LOOPBACK6 else False
    ):
        return f"{ip} is never allowed (metadata, link-local or reserved)"
    if any(ip in network for network in PRIVATE):
        if any(ip.version == network.version and ip in network for network in allow):
            return None
        return f"{ip} is a private address; to allow it, add its network to MODERATION_EGRESS_ALLOW"
    if ip.version == 6 and ip not in _GLOBAL_UNICAST:
        return f"{ip} is not a public address"
    return None


class Guard:
    """Hooks for aiohttp's connector."""

    def __init__(self, allow: tuple[Network, ...]) -> None:
        self._allow = allow

    def check(self, address: str) -> None:
        """Raises Blocked."""
        reason = reason_to_block(address, self._allow)
        if reason:
            raise Blocked(reason)

    def socket_factory(self, address_info: Any) -> socket.socket:
        """For TCPConnector: the one place that sees every address dialled."""
        family, kind, protocol, _, sockaddr = address_info
        self.check(str(sockaddr[0]))
        made = socket.socket(family=family, type=kind, proto=protocol)
        made.setblocking(False)
        return made

    def resolver(self) -> AbstractResolver:
        """Refuses a name as a whole if any of its answers is forbidden: a mixed answer is no honest receiver."""
        return _Resolver(self)


class _Resolver(ThreadedResolver):
    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        for answer in found:
            self._guard.check(answer["host"])
        return found
