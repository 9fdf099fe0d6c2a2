"""Servers of raw bytes, which leave no connection behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Is given a connection, which is closed when it returns."""


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """Yield a port of this machine; *serve* gets each connection there, until the end."""
    connections = _Connections(serve)
    server = await asyncio.start_server(connections.take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await _take_no_more(server)
        server.close()
        await connections.end()
        await server.wait_closed()


async def _take_no_more(server: asyncio.Server) -> None:
    """Let what was accepted arrive: a server that is closed before leaves its socket open."""
    for listener in server.sockets:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    for _ in range(3):
        await asyncio.sleep(0)


class _Connections:
    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._served: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Tasks of our own: the library logs one of its own that is cancelled as an error.
        self._served[writer] = asyncio.create_task(self._attend(reader, writer))

    async def end(self) -> None:
        for task in self._served.values():
            task.cancel()
        told = await asyncio.gather(*self._served.values(), return_exceptions=True)
        for writer in self._served:  # a task that was cancelled before its first step closed none
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        for each in told:
            if isinstance(each, Exception):
                raise each

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._serve(reader, writer)
        finally:
            writer.close()
