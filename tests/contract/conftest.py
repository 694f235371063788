"""What all these tests begin with."""

import socket
from collections.abc import Iterator

import pytest

from tests.service import Service


@pytest.fixture(scope="session")
def silent(service: Service) -> Iterator[list[socket.socket]]:
    """Connections that say nothing, or not a whole head. Asked for early by test_hostile.py and looked at late by test_wire.py."""
    peers = [socket.create_connection(("127.0.0.1", service.port), 20) for _ in range(30)]
    for peer in peers[10:20]:
        peer.sendall(b"PO")
    for peer in peers[20:]:
        peer.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nX-A: b")
    yield peers
    for peer in peers:
        peer.close()
