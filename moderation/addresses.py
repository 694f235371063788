"""Whom an IP address stands for. Pure."""

import ipaddress
from functools import lru_cache

_BITS = {4: 24, 6: 48}  # what one organisation usually has (RFC 6177, for IPv6)


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """Its /24 (IPv4) or /48 (IPv6); as it is when it is no address."""
    try:
        ip = ipaddress.ip_address(address.partition("/")[0].partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, _BITS[ip.version]), strict=False))
