"""Which addresses and URLs a webhook may go to. Pure: the worker's guard asks for the very address about to be dialled, the
admin API asks early, so that a mistake is named when it is made. SSRF: CWE-918.
"""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

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
# What listens there by custom is no web server, and a POST to it can do harm (mail, files, remote control, data stores).
_SERVICES = frozenset(
    {20, 21, 22, 23, 25, 53, 110, 111, 119, 135, 139, 143, 389, 445, 465, 514, 515, 587, 631, 636, 873, 993, 995}
    | {1433, 1521, 2049, 2375, 2376, 2379, 3306, 3389, 5432, 5672, 5984, 6379, 6380, 9042, 9092, 9200, 11211, 27017}
)


class Refusal(NamedTuple):
    """Why something may not be dialled: a word to count by (`forbidden`, `private`, `port`), and a text that names the
    setting that could allow it.
    """

    kind: str
    text: str


def reason_to_block(address: str, allow: Iterable[Network]) -> Refusal | None:
    """Why this address may not be dialled, or None."""
    try:
        ip: Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return Refusal("forbidden", "not an IP address")
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if any(ip in network for network in FORBIDDEN) or (
        ip in _COMPATIBLE if ip.version == 6 and ip != _LOOPBACK6 else False
    ):
        return Refusal("forbidden", f"{ip} is never allowed (metadata, link-local or reserved)")
    if any(ip in network for network in PRIVATE):
        if any(ip.version == network.version and ip in network for network in allow):
            return None
        return Refusal("private", f"{ip} is a private address; to allow it, add its network to MODERATION_EGRESS_ALLOW")
    if ip.version == 6 and ip not in _GLOBAL_UNICAST:
        return Refusal("forbidden", f"{ip} is not a public address")
    return None


def port_to_block(port: int) -> Refusal | None:
    """Why this port may not be dialled, or None."""
    return Refusal("port", f"port {port} belongs to another service than the web") if port in _SERVICES else None


def url_to_block(url: str, allow: Iterable[Network]) -> Refusal | None:
    """Why nothing would be delivered to this URL, as far as it can be told without asking for its name."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            return port_to_block(port) or reason_to_block("127.0.0.1", allow)
        return port_to_block(port)
    return port_to_block(port) or reason_to_block(host, allow)
