"""Connections that never come to the point are cut; the others do not notice."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from wagateway.entrypoints import bounded_http
from wagateway.entrypoints.serve import listen, serving

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own
    """Answer slowly what asks for it."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
        return
    if scope["path"] == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    if scope["path"] == "/read":
        while (await receive()).get("more_body"):
            pass
    await asyncio.sleep(0.6 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    said = scope["client"][0] if scope["path"] == "/client" else "ok"
    await send({"type": "http.response.body", "body": said.encode()})


@asynccontextmanager
async def connected() -> AsyncIterator[Peer]:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        async with serving(app, listener):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            yield reader, writer
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.readuntil(b"0\r\n\r\n")


async def test_endless_headers_are_refused_before_they_fill_the_memory() -> None:
    async with connected() as (reader, writer):
        writer.write(HEAD)
        sent = 0
        while not reader.at_eof() and sent < 64 * 2**20:
            writer.write(b"X-a: " + b"a" * 60_000 + b"\r\n")
            sent += 60_000
            try:
                await asyncio.wait_for(writer.drain(), 1)
            except (ConnectionError, TimeoutError):
                break
            await asyncio.sleep(0)
        assert sent < 8 * 2**20


@pytest.mark.parametrize("begun", [b"", HEAD, b"GET / HTTP/1.1\r\n\r\n"])
async def test_who_does_not_come_to_the_point_is_cut(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_TIMEOUT_S", 0.2)
    async with connected() as (reader, writer):
        writer.write(begun)
        if begun.endswith(b"\r\n\r\n"):
            await answer_of(reader)
            writer.write(HEAD)  # the first was whole; a further one begins and does not end
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_who_comes_to_the_point_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_TIMEOUT_S", 0.3)
    async with connected() as (reader, writer):
        for path in (b"/slow", b"/"):
            writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b" 200 " in await answer_of(reader)
            await asyncio.sleep(0.4)  # between two requests nothing is begun


async def test_nobody_says_for_whom_they_ask_unless_that_is_settled_elsewhere() -> None:
    async with connected() as (reader, writer):
        said = b"X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n\r\n"
        writer.write(b"GET /client HTTP/1.1\r\nHost: a\r\n" + said)
        assert b"127.0.0.1" in await answer_of(reader)


async def test_headers_of_a_usual_size_are_taken() -> None:
    async with connected() as (reader, writer):
        writer.write(HEAD + b"X-a: " + b"a" * 30_000 + b"\r\n\r\n")
        assert b" 200 " in await answer_of(reader)


POST = b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n"


@pytest.mark.parametrize(("path", "answers"), [(b"read", 0), (b"slow", 0), (b"", 1)])
async def test_a_body_that_does_not_come_is_not_waited_for(
    path: bytes, answers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "BODY_TIMEOUT_S", 0.3)
    async with connected() as (reader, writer):
        writer.write(POST % path)
        async with asyncio.timeout(5):
            dripping = asyncio.create_task(drip(writer))
            answer = await until_it_ends(reader)
            dripping.cancel()
        assert answer.count(b" 200 ") == answers


async def until_it_ends(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the connection is closed, or broken off."""
    taken = b""
    with suppress(ConnectionError):
        while piece := await reader.read(2**20):
            taken += piece
    return taken


async def drip(writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while True:
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.02)


async def test_a_body_that_nobody_wants_is_cut() -> None:
    async with connected() as (reader, writer):
        writer.write(POST % b"")
        assert b" 200 " in await answer_of(reader)
        sent = 0
        with suppress(ConnectionError):
            async with asyncio.timeout(10):
                while sent < 2**30:
                    writer.write(b"a" * 65536)
                    await writer.drain()
                    sent += 65536
        assert sent < 2**26


async def test_a_small_body_that_nobody_wants_does_no_harm() -> None:
    async with connected() as (reader, writer):
        for _ in range(3):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
            assert b" 200 " in await answer_of(reader)
            for _ in range(4):
                writer.write(b"a" * 50_000)
                await writer.drain()
                await asyncio.sleep(0.01)


async def test_who_does_not_take_an_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "STALLED_S", 0.3)
    async with connected() as (reader, writer):
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(1)
        async with asyncio.timeout(5):
            taken = await until_it_ends(reader)
        assert len(taken) < 1000 * 65536  # not all that there is


async def test_who_takes_it_slowly_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_http, "STALLED_S", 0.5)
    async with connected() as (reader, writer):
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(15):
            assert len(await reader.readexactly(2**19)) == 2**19
            await asyncio.sleep(0.1)


async def test_connections_beyond_a_number_are_closed_and_the_others_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded_http, "MAX_CONNECTIONS", 3)
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        async with serving(app, listener):
            peers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            for _ in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                with suppress(ConnectionError):
                    async with asyncio.timeout(5):
                        assert await reader.read() == b""
                writer.close()
            for reader, writer in peers:
                writer.write(HEAD + b"\r\n")
                assert b" 200 " in await answer_of(reader)
                writer.close()
            await asyncio.sleep(0.1)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEAD + b"\r\n")
            assert b" 200 " in await answer_of(reader)
            writer.close()


@pytest.mark.parametrize(
    ("files", "most"), [(65536, 10_000), (1024, 768), (256, 128), (-1, 10_000)]
)
def test_files_are_left_for_what_keeps_the_archive(
    files: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert bounded_http._most_connections() == most  # noqa: SLF001 - no test opens so many
