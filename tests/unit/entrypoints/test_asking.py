"""Whoever answers without end, or with too much, is not listened to for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from tests.support.ill import Answer, http, ill_server

from wagateway.entrypoints.asking import BoundedTransport

ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def asked(answer: Answer, **bounds: float) -> AsyncIterator[httpx.AsyncClient]:
    transport = BoundedTransport(**bounds)  # type: ignore[arg-type]  # a number of bytes is whole
    async with (
        ill_server(answer) as url,
        httpx.AsyncClient(base_url=url, transport=transport) as client,
    ):
        yield client


async def test_an_answer_is_read_whole() -> None:
    heads: list[str] = []

    async def say(head: str, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(http(404, b'{"message":"pong"}', Content_Type="application/json"))

    async with asked(say) as client:
        answer = await client.get("/ping", params={"all": "true"}, headers={"X-Api-Key": "k"})
        again = await client.get("/ping")
    assert (answer.status_code, answer.json()) == (404, {"message": "pong"})
    assert answer.headers["content-type"] == "application/json"
    assert again.content == answer.content
    assert heads[0].startswith("GET /ping?all=true ")
    assert "x-api-key: k\r\n" in heads[0].lower()


async def test_one_that_never_ends_is_left() -> None:
    async def go_on(_: str, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ENDLESS)
        while True:
            writer.write(b"1\r\n:\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with asked(go_on, within_s=0.3) as client, asyncio.timeout(20):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/ping")


async def test_one_that_is_too_long_is_left() -> None:
    async def flood(_: str, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ENDLESS)
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    async with asked(flood, most_bytes=2**20) as client, asyncio.timeout(20):
        with pytest.raises(httpx.RemoteProtocolError, match="too long"):
            await client.get("/ping")


async def test_one_that_is_packed_is_refused() -> None:
    async def pack(_: str, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(200, b"\x1f\x8b", Content_Encoding="gzip"))

    async with asked(pack) as client:
        with pytest.raises(httpx.RemoteProtocolError, match="packed"):
            await client.get("/ping")


async def test_nobody_there_is_an_error_of_the_connection() -> None:
    async with httpx.AsyncClient(transport=BoundedTransport()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/ping")
