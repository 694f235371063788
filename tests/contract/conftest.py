"""What all these tests begin with."""

import json
import socket
from collections.abc import Iterator

import pytest

from tests.service import Service, said


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


@pytest.fixture(scope="session")
def unfinished(service: Service) -> Iterator[socket.socket]:
    """A body that never ends, begun early and looked at late like the silent ones."""
    head = f"POST /api/v1/sites/{service.site()}/comments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    body = json.dumps(said()).encode()
    with socket.create_connection(("127.0.0.1", service.port), 60) as peer:
        peer.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:20])
        yield peer
