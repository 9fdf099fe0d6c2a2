"""The REST API of the simulated WAHA on a real socket; needs uvicorn, of the extra ``server``.

with in_thread(create_app(server)) as url:
    httpx.get(f"{url}/ping")
"""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn
from typing_extensions import override

from wagateway.simulator.asgi import App

_GRACE_S = 1
"""How long open requests may take in the end: those that hang on purpose never would."""
_POLL_S = 0.01


class _Server(uvicorn.Server):
    """uvicorn, without its own handling of signals."""

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def local_socket(port: int = 0) -> socket.socket:
    """Return a socket that listens on 127.0.0.1; port 0 takes a free one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


@asynccontextmanager
async def serving(app: App, listener: socket.socket) -> AsyncIterator[str]:
    """Serve *app* on *listener*, an IPv4 one, while the context is open; yield its address."""
    server = _Server(_config(app))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not (server.started or running.done()):  # noqa: ASYNC110 - uvicorn sets no event
            await asyncio.sleep(_POLL_S)
        yield _address(listener)
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await running


@contextmanager
def in_thread(app: App, port: int = 0) -> Iterator[str]:
    """Serve *app* on 127.0.0.1 in a thread of its own; yield its address.

    Whoever changes the `WahaServer` meanwhile does so between two requests at best.
    """
    listener = local_socket(port)
    server = _Server(_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield _address(listener)
    finally:
        server.should_exit = True
        thread.join()


def _config(app: App) -> uvicorn.Config:
    # An answer that is cut off on purpose is nothing to log.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_GRACE_S,
    )


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared
