"""Many clients in one loop: each sends its requests one after the other on a connection of its own."""

import asyncio
import urllib.parse
from collections import Counter
from collections.abc import Iterator

_HOST = "127.0.0.1"


def comments(site: str, first: int, count: int) -> Iterator[bytes]:
    """Different ones, as a form sends them."""
    for n in range(first, first + count):
        fields = {
            "author": "ليلى", "email": f"reader{n}@example.org", "comment": f"شكراً على هذا التقرير المفصّل {n}", "thread": "41",
        }  # fmt: skip
        yield form(site, urllib.parse.urlencode(fields).encode())


def form(site: str, body: bytes) -> bytes:
    """A whole request."""
    return (
        f"POST /api/v1/sites/{site}/comments HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


async def _client(port: int, requests: Iterator[bytes], statuses: Counter[int]) -> None:
    reader = writer = None
    for request in requests:
        if writer is None:
            reader, writer = await asyncio.open_connection(_HOST, port)
        assert reader
        writer.write(request)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            statuses[0] += 1
            writer = None
            continue
        statuses[int(head[9:12])] += 1
        if b"connection: close" in head.lower():
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


async def flood(port: int, requests: Iterator[bytes], connections: int) -> Counter[int]:
    """All of the requests, over so many connections; how often each status came, 0 for a connection that broke."""
    statuses: Counter[int] = Counter()
    await asyncio.gather(*[_client(port, requests, statuses) for _ in range(connections)])
    return statuses
