"""Connections that only take up room."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from moderation.web import listener
from moderation.web.listener import Listener

BIG = b"x" * (24 * 1024 * 1024)
ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
MAX = 4


heard: list[web.Request] = []


async def answer(request: web.Request) -> web.Response:
    heard.append(request)
    await request.read()
    return web.Response(body=BIG if "big" in request.query else b"small")


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[int, web.Server]]:
    """Its port, and itself."""
    heard.clear()
    monkeypatch.setattr(listener, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(listener, "STALL_SECONDS", 1.0)
    monkeypatch.setattr(listener, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(listener, "HEAD_WITHIN_SECONDS", 1.0)
    app = web.Application()
    app.router.add_route("*", "/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server
    made = Listener(runner.server, MAX)
    yield await made.open("127.0.0.1", 0, shared=False), runner.server
    await made.close()
    await made.until_left(0)
    await runner.cleanup()


@pytest.fixture
def port(server: tuple[int, web.Server]) -> int:
    return server[0]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_answer_that_nobody_reads_is_given_up(server: tuple[int, web.Server]) -> None:
    port, serving = server
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET /?big HTTP/1.1\r\nhost: x\r\n\r\n")
    await reader.readline()
    await until(lambda: not serving.connections)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(len(BIG)), 60)


async def test_an_answer_that_is_read_slowly_arrives(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /?big HTTP/1.1\r\nhost: x\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    got = 0
    while got < len(BIG):
        got += len(await reader.read(1024 * 1024))
        await asyncio.sleep(0.02)
    writer.close()
    assert got == len(BIG)


async def test_a_head_that_never_ends_is_given_up(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nx-drip: ")
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()


async def test_the_silent_make_room(port: int) -> None:
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX)]
    reader, writer = silent[-1]
    writer.write(ASK)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await asyncio.sleep(0.15)
    more, asking = await asyncio.open_connection("127.0.0.1", port)
    asking.write(ASK)
    assert (await more.readline()).startswith(b"HTTP/1.1 200")
    assert await asyncio.wait_for(silent[0][0].read(), 60) == b""  # the one that was silent longest
    for _, end in (*silent, (more, asking)):
        end.close()


async def test_when_all_are_busy_the_next_is_told_to_come_again(port: int) -> None:
    busy = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX)]
    for _, writer in busy:
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n1")
    await until(lambda: len(heard) == MAX)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASK)
    refusal = await asyncio.wait_for(reader.read(), 60)
    assert refusal.startswith(b"HTTP/1.1 503")
    assert b"\r\nRetry-After: 2\r\n" in refusal
    for reader, writer in busy:
        writer.write(b"2")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
