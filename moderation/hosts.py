"""Host names as they are looked up. Pure."""

import idna


def ascii_host(host: str) -> str:
    """In ASCII and lower case (IDNA 2008 with the mapping of UTS 46). Raises ValueError for what is no host name."""
    if host.isascii():
        return host.lower()
    return idna.encode(host, uts46=True).decode()
