"""Where webhooks may go: every range, every spelling, at the socket."""

import ipaddress
import socket
from collections.abc import Iterator

import aiohttp
import pytest

from moderation.egress import port_to_block, reason_to_block, url_to_block
from tests.service import Receiver
from workers.guard import Blocked, Guard

EVERYWHERE = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))

NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.1", "192.0.0.192", "192.0.2.1", "198.51.100.7",
    "203.0.113.255", "192.88.99.1", "198.18.0.1", "198.19.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "fe80::1", "febf::1", "fe80::1%eth0", "fec0::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254", "::2", "::127.0.0.1", "::8.8.8.8", "::ffff:0:7f00:1",
    "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001::1", "2001:1ff::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1",
    "3fff::1", "5f00::1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::ffff:100.100.100.200", "", "x", "127.1", "2130706433", "0177.0.0.1", "0x7f000001",
]  # fmt: skip
PRIVATE = [
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1",
    "::1", "fc00::1", "fdff::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.1", "169.253.255.255", "169.255.0.0", "223.255.255.255", "198.17.255.255", "198.20.0.0", "192.0.1.0",
    "2606:4700:4700::1111", "2a00:1450::1", "2001:4860:4860::8888", "::ffff:8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_dialled_whatever_is_allowed(address: str) -> None:
    assert reason_to_block(address, ())
    assert reason_to_block(address, EVERYWHERE)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_dialled_only_if_allowed(address: str) -> None:
    assert "MODERATION_EGRESS_ALLOW" in str(reason_to_block(address, ()))
    assert reason_to_block(address, EVERYWHERE) is None
    assert reason_to_block(address, (ipaddress.ip_network("192.168.77.0/24"),))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_dialled(address: str) -> None:
    assert reason_to_block(address, ()) is None


def test_outside_of_global_unicast_nothing_is_dialled() -> None:
    assert all(reason_to_block(f"{first:x}::1", EVERYWHERE) for first in (0x200, 0x400, 0x1000, 0x4000, 0x8000, 0xE000))


def test_the_socket_is_not_even_made() -> None:
    for address in ("10.0.0.1", "169.254.169.254", "127.0.0.1"):
        with pytest.raises(Blocked):
            Guard(()).socket_factory((socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 80)))
    with Guard(EVERYWHERE).socket_factory((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))) as made:
        assert made.getblocking() is False


@pytest.fixture
def bait() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


async def _dial(guard: Guard, url: str) -> int:
    connector = aiohttp.TCPConnector(
        socket_factory=guard.socket_factory, resolver=guard.resolver(), use_dns_cache=False
    )
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(url, data=b"", allow_redirects=False) as answer,
    ):
        return answer.status


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0177.0.0.1", "0x7f000001", "0x7f.1", "0", "0.0.0.0", "127.0.0.1.", "１２７.０.０.１", "127。0。0。1", "ⓛocalhost",
     "localhost", "LOCALHOST.", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::]", "[fe80::1%25eth0]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"],
)  # fmt: skip
async def test_no_spelling_of_loopback_reaches_it(bait: Receiver, host: str) -> None:
    port = bait.url.split(":")[2].split("/")[0]
    with pytest.raises((aiohttp.ClientError, OSError, ValueError)):
        await _dial(Guard(()), f"http://{host}:{port}/hook")
    assert bait.count == 0


async def test_what_is_allowed_is_reached_by_address_and_by_name(bait: Receiver) -> None:
    guard = Guard((ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1")))
    assert await _dial(guard, bait.url) == 200
    assert await _dial(guard, bait.url.replace("127.0.0.1", "localhost")) == 200
    assert bait.count == 2


async def test_a_name_is_refused_before_a_connection_is_tried() -> None:
    with pytest.raises(Blocked):
        await Guard(()).resolver().resolve("localhost", 80)


@pytest.mark.parametrize("port", [22, 25, 587, 3306, 5432, 6379, 11211])
async def test_ports_of_other_services_are_not_dialled(port: int) -> None:
    assert port_to_block(port)
    with pytest.raises(aiohttp.ClientConnectorError) as found:
        await _dial(Guard(EVERYWHERE), f"http://127.0.0.1:{port}/")
    assert isinstance(found.value.os_error, Blocked)


@pytest.mark.parametrize("port", [80, 443, 8080, 8443, 3000, 40_000])
def test_ports_of_web_servers_are_open(port: int) -> None:
    assert port_to_block(port) is None


@pytest.mark.parametrize(
    ("url", "word"),
    [("http://127.0.0.1/x", "MODERATION_EGRESS_ALLOW"), ("http://localhost:8000/", "MODERATION_EGRESS_ALLOW"), ("https://a.localhost/", "MODERATION_EGRESS_ALLOW"),
     ("https://169.254.169.254/latest", "never"), ("https://[::1]/", "MODERATION_EGRESS_ALLOW"), ("https://news.example:25/", "port 25")],
)  # fmt: skip
def test_what_will_not_be_dialled_is_named_early(url: str, word: str) -> None:
    assert word in str(url_to_block(url, ()))


@pytest.mark.parametrize("url", ["https://news.example/hook", "http://news.example:8080/", "https://1.1.1.1/"])
def test_nothing_is_said_against_public_addresses(url: str) -> None:
    assert url_to_block(url, ()) is None
