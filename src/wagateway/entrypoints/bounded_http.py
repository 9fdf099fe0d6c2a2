"""uvicorn's HTTP/1.1 with bounds on how long, and how much, a peer may send or not take."""

import asyncio
import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Of a request line and headers; what came with their end in one read is not counted."""

HEAD_TIMEOUT_S = 10.0
"""From the connection, or the first byte of a further request, to the end of the headers."""

BODY_TIMEOUT_S = 60.0
"""From the end of the headers to that of the body, of any request, read or not."""

MAX_UNWANTED_BYTES = 2**20
"""Of a body that goes on after its request was answered."""

STALLED_S = 120.0
"""How long a peer may take nothing of an answer that waits for it; of one that takes it slowly, the
system tells only once it took a good part of what it buffers."""

MAX_CONNECTIONS = 10_000
"""Of one process, as far as the system lets it open files; those beyond are closed at once."""

_OWN_FILES = 256
"""Files that are left for the database, the spool and whatever else is opened."""

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


STATE_KEY = "wagateway_connection"
"""Where a request finds its Connection in the state of its scope; other servers put none there."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What an answer that goes on for ever must know of where it goes.

    Attributes:
        stopping: set once the server stops; uvicorn itself waits for such an answer in vain.
        cut: ends the connection at once, whatever its peer did not take yet.
    """

    stopping: asyncio.Event
    cut: Callable[[], None]


class BoundedHttp(HttpToolsProtocol):
    """A connection whose peer must come to the point.

    uvicorn itself keeps headers of any size, and waits without end for them, for bodies, and for
    who does not take an answer: whoever can connect, with a token or not, could fill the memory or
    take all descriptors.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._in_body = False
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._unwanted_bytes = 0
        self._stalled: asyncio.TimerHandle | None = None
        self._connection = Connection(asyncio.Event(), self._cut)

    def _cut(self) -> None:
        self.transport.abort()

    @override
    def shutdown(self) -> None:
        super().shutdown()
        self._connection.stopping.set()

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _most_connections():
            transport.abort()  # else files run out for what keeps the archive
            return
        self._await_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        self._end_stall()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if not (self._in_head or self._in_body) and self.cycle.response_complete:
            self._await_head()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][STATE_KEY] = self._connection
        if not self._in_head:
            self._await_head()

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # trailers are none: who asks could say there what a proxy forbids
            super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        self._end_head()
        self._in_body = True
        self._deadline = self.loop.call_later(BODY_TIMEOUT_S, self.transport.close)
        self._unwanted_bytes = 0
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        if self.cycle.response_complete:
            self._unwanted_bytes += len(body)
            if self._unwanted_bytes > MAX_UNWANTED_BYTES:
                self.transport.close()
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._end_head()
        self._in_body = False
        super().on_message_complete()

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._end_stall()
        self._stalled = self.loop.call_later(STALLED_S, self._cut)

    @override
    def resume_writing(self) -> None:
        self._end_stall()
        super().resume_writing()

    def _end_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _await_head(self) -> None:
        self._end_head()
        self._in_head = True
        self._head_bytes = 0
        self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _end_head(self) -> None:
        self._in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _most_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(files - _OWN_FILES, files // 2))
