"""More than it can take: it says so, keeps its size, and good clients are still served."""

import asyncio
import contextlib
import itertools
import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from moderation.web import body
from tests.fault.proxy import proxy, valkey
from tests.flood import comments, flood, form
from tests.service import Service, running, said, until

_PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that takes few connections."""
    with running(tmp_path_factory.mktemp("small"), ("serve", "--no-workers"), MODERATION_CONNECTIONS="100") as found:
        yield found


def resident(service: Service) -> int:
    """Bytes of memory of the HTTP process."""
    assert service.process
    return int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]) * _PAGE


def open_files(service: Service) -> int:
    assert service.process
    return len(os.listdir(f"/proc/{service.process.pid}/fd"))


def takes(service: Service, site: str) -> bool:
    with contextlib.suppress(OSError):
        return service.post(f"/api/v1/sites/{site}/comments", said()).status == 202
    return False


@contextlib.contextmanager
def connections(service: Service, count: int, first: bytes) -> Iterator[list[socket.socket]]:
    """So many that begin with the same bytes."""
    made = []
    try:
        for _ in range(count):
            made.append(socket.create_connection(("127.0.0.1", service.port), timeout=60))
            with contextlib.suppress(OSError):
                made[-1].sendall(first)
        yield made
    finally:
        for one in made:
            one.close()


@pytest.mark.parametrize("first", [b"", b"POST /api/v1/sites/x/comments HTTP/1.1\r\nx-drip: "], ids=["silent", "half a head"])  # fmt: skip
def test_connections_that_say_nothing_keep_nobody_out(small: Service, first: bytes) -> None:
    site, before = small.site(), open_files(small)
    with connections(small, 600, first):
        until("room", lambda: takes(small, site))
        for _ in range(10):
            assert small.post(f"/api/v1/sites/{site}/comments", said()).status == 202
        assert open_files(small) < before + 100 + 100 + 10  # those who are being told so are a hundred at most
    until("them to be gone", lambda: open_files(small) <= before + 5)


def test_large_bodies_are_taken_only_as_many_as_fit(small: Service) -> None:
    site = small.site()
    whole = form(site, b"author=a&email=a%40example.org&thread=1&comment=" + b"x" * 1_000_000)
    fit = body.HELD_MAX_BYTES // body.BODY_MAX_BYTES
    with connections(small, 90, whole[:-1]) as busy:
        until("the others to be refused", lambda: len(select.select(busy, [], [], 0)[0]) >= 90 - fit)
        assert small.post(f"/api/v1/sites/{site}/comments", said()).status == 202
        answers = []
        for one in busy:
            with contextlib.suppress(OSError):
                one.sendall(whole[-1:])
            answers.append(one.recv(4096))
    statuses = {answer[9:12] for answer in answers if answer}
    assert statuses == {b"422", b"503"}  # too long for a comment, or no room to read it
    assert all(b"retry-after" in answer.lower() for answer in answers if answer[9:12] == b"503")
    assert small.post(f"/api/v1/sites/{site}/comments", said()).status == 202


def test_a_flood_from_more_connections_than_it_takes(small: Service) -> None:
    site = small.site()
    statuses = asyncio.run(flood(small.port, comments(site, 0, 3000), 400))
    assert statuses.total() == 3000
    assert not statuses.keys() - {202, 503, 0}  # 0: one too many even to be told
    assert statuses[202] > 500
    assert small.post(f"/api/v1/sites/{site}/comments", said()).status == 202


def test_a_slow_redis_slows_down_and_breaks_nothing(data: Path) -> None:
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(proxy(stack.enter_context(valkey(data / "valkey")).port))
        service = stack.enter_context(running(data, ("serve", "--no-workers"), MODERATION_REDIS_URL=line.url))
        site = service.site()
        service.comment(site)
        line.delay_seconds = 0.2
        statuses = asyncio.run(flood(service.port, comments(site, 0, 250), 50))
        assert statuses == {202: 250}
        line.delay_seconds = 2.0  # longer than anybody waits
        statuses = asyncio.run(flood(service.port, comments(site, 1000, 100), 100))
        assert statuses == {503: 100}
        line.delay_seconds = 0.0
        until("ready again", lambda: service.get("/readyz").status == 200)
        assert service.post(f"/api/v1/sites/{site}/comments", said()).status == 202


def test_it_does_not_grow_with_what_it_has_taken(service: Service) -> None:
    site, numbers = service.site(), itertools.count(0, 5000)

    def submit() -> int:
        statuses = asyncio.run(flood(service.port, comments(site, next(numbers), 5000), 64))
        assert statuses == {202: 5000}
        return resident(service)

    first = submit()
    submit()
    assert submit() < first * 1.1
