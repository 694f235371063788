"""What is answered before any handler of ours: in our form, without the client's own bytes and without the names of our libraries."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import Service

ADDRESS = b"amal.private@example.net"
BROKEN = {
    "chunks": b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + ADDRESS + b"\r\n",
    "header": b"GET / HTTP/1.1\r\nHost: x\r\nX: \x01" + ADDRESS + b"\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + ADDRESS * 2000 + b"\r\n\r\n",
    "request line": b"GET / " + ADDRESS + b"\r\n\r\n",
}


def test_a_parser_that_can_be_fooled_is_not_used(data: Path) -> None:
    environ = {**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"}
    command = [sys.executable, "-m", "moderation", "serve", "--port", "0", "--data", str(data)]
    refused = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "AIOHTTP_NO_EXTENSIONS" in refused.stderr


def exchange(service: Service, raw: bytes) -> bytes:
    heard = b""
    with socket.create_connection(("127.0.0.1", service.port), 60) as peer:
        peer.sendall(raw)
        while b"\r\n\r\n" not in heard or not heard.partition(b"\r\n\r\n")[2]:
            piece = peer.recv(65536)
            if not piece:
                break
            heard += piece
    return heard


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_http_is_refused_in_our_form(service: Service, name: str) -> None:
    head, _, body = exchange(service, BROKEN[name]).partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert b"content-type: application/problem+json" in head.lower()
    assert b"nosniff" in head
    assert json.loads(body)["status"] == 400
    assert b"private" not in head + body
    assert service.get("/healthz").status == 200


@pytest.mark.parametrize("path", ["/api/v1/comments", "/nothing", "/healthz"])
def test_what_somebody_expects_is_not_said_back(service: Service, path: str) -> None:
    heard = exchange(service, f"GET {path} HTTP/1.1\r\nHost: x\r\nExpect: <script>\r\n\r\n".encode())
    assert b"<script>" not in heard
    assert b" 417 " not in heard.splitlines()[0]


def test_who_waits_for_it_is_told_to_go_on(service: Service, site: str) -> None:
    raw = f"POST /api/v1/sites/{site}/comments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), 60) as peer:
        peer.sendall(raw.encode())
        assert peer.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(b"{}")
        assert peer.recv(65536).startswith(b"HTTP/1.1 422 ")


def test_who_never_says_a_whole_request_is_hung_up_on(service: Service, silent: list[socket.socket]) -> None:
    """They were opened when the tests began (conftest), so that nobody waits for this."""
    for peer in silent:
        peer.settimeout(90)
        assert peer.recv(1) == b""
    assert service.get("/healthz").status == 200


def test_a_body_that_never_ends_is_given_up(service: Service, unfinished: socket.socket) -> None:
    assert int(unfinished.recv(65536).split()[1]) in {400, 408}
    assert service.get("/healthz").status == 200


@pytest.mark.parametrize("raw", [b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", b"nonsense\r\n\r\n"])  # fmt: skip
def test_no_library_says_its_name(service: Service, raw: bytes) -> None:
    head = exchange(service, raw).partition(b"\r\n\r\n")[0].lower()
    assert b"server: moderation\r\n" in head + b"\r\n"
    assert b"aiohttp" not in head
    assert b"python" not in head
