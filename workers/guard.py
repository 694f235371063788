"""The egress guard, on the socket: it sees the very address about to be connected to, so that literals, odd spellings and names
that change their answer (DNS rebinding) make no difference.
"""

import socket
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from moderation.egress import Network, Refusal, port_to_block, reason_to_block


class Blocked(OSError):
    """The egress guard refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.kind = refusal.kind


class Guard:
    """Hooks for aiohttp's connector."""

    def __init__(self, allow: tuple[Network, ...]) -> None:
        self._allow = allow

    def check(self, address: str) -> None:
        """Raises Blocked."""
        refusal = reason_to_block(address, self._allow)
        if refusal:
            raise Blocked(refusal)

    def socket_factory(self, address_info: Any) -> socket.socket:
        """For TCPConnector: the one place that sees every address dialled."""
        family, kind, protocol, _, sockaddr = address_info
        self.check(str(sockaddr[0]))
        refusal = port_to_block(int(sockaddr[1]))
        if refusal:
            raise Blocked(refusal)
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
