"""HTTP servers that are ill: each connection is handed to a function, request by request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.support.listener import listening

Answer = Callable[[str, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Is given the head of a request, from its first line on, and says what it likes."""


@asynccontextmanager
async def ill_server(answer: Answer) -> AsyncIterator[str]:
    """Yield the ``http://`` address of a server whose requests *answer* answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await answer(head.decode("latin-1"), reader, writer)
            await writer.drain()

    async with listening(serve) as port:
        yield f"http://127.0.0.1:{port}"


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return an answer; an underscore in a header's name stands for a hyphen."""
    lines = [f"HTTP/1.1 {status} Said"]
    named = {"Content_Length": str(len(body)), **headers}
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in named.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
