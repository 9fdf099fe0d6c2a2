"""What changes in the archive, as server-sent events. Source: WHATWG HTML, Server-sent events."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import HeaderParameter, QueryParameter, SkipValidation
from litestar.response.base import ASGIResponse
from litestar.types import Guard, Receive, Send
from typing_extensions import override

from wagateway.domain.errors import InvalidInput
from wagateway.domain.feed import TOLD, Position, kinds_named
from wagateway.domain.identity import chat_candidates, session_named
from wagateway.domain.views import ChangeView
from wagateway.entrypoints.bounded_http import STATE_KEY, Connection
from wagateway.entrypoints.http import examples
from wagateway.entrypoints.http.media import with_address
from wagateway.entrypoints.http.parameters import SessionFilter
from wagateway.entrypoints.http.problems import documented
from wagateway.usecases.live import Live, Stream

HEARTBEAT_S = 15.0
"""The longest silence; proxies take a connection for dead after a minute or so."""

STALLED_S = 30.0
"""How long a client may take nothing before it is cut; it goes on by Last-Event-ID."""

_GOODBYE_S = 0.5
"""How long a client may take to read the end when the server stops."""

_CHUNK_BYTES = 64 * 1024
_RETRY_MS = 1000
_OPENING = f": wagateway\nretry: {_RETRY_MS}\n".encode()
_GOODBYE = b": the gateway stops, or looks into a defect; go on with Last-Event-ID\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Following = NamedDependency[SkipValidation[Live]]

ChatFilter = Annotated[
    str | None,
    QueryParameter(
        description=(
            "Only this chat of `session`: a JID, a LID or a phone number. It need not exist yet,"
            " and is followed when its messages move, as a hidden id turns out to be a phone."
        ),
        examples=[Example(value="5511987650102@c.us")],
    ),
]
Kinds = Annotated[
    str | None,
    QueryParameter(
        description=f"Only these, separated by commas: {', '.join(TOLD)}. Default: all.",
        examples=[Example(value="message,edit,revocation")],
    ),
]
AfterPlace = Annotated[
    str | None,
    QueryParameter(
        description=(
            "Go on after the event of this `id`. Default: from now on. The header Last-Event-ID"
            " counts instead where both are given, since it is the later one."
        ),
        examples=[Example(value="5d41402a-52-7-1")],
    ),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        description="The same as `after`, as browsers send it when they connect again.",
        examples=[Example(value="5d41402a-52-7-1")],
    ),
]


@get(
    "/live",
    summary="What changes, as it changes",
    operation_id="follow_changes",
    tags=["Live"],
    media_type="text/event-stream",
    responses={
        200: ResponseSpec(
            ChangeView,
            description=(
                "A stream of server-sent events without an end: `event` is the kind, `data` this"
                " as one line of JSON, `id` its position."
            ),
            media_type="text/event-stream",
            generate_examples=False,
            examples=[Example(value=msgspec.to_builtins(examples.CHANGE))],
        ),
        **documented(400, 401, 404, 429, 500, 503),
    },
)
async def follow_changes(
    request: Request[Any, Any, Any],
    live: Following,
    session: SessionFilter = None,
    chat: ChatFilter = None,
    kinds: Kinds = None,
    after: AfterPlace = None,
    last_event_id: LastEventId = None,
) -> Response[Any]:
    """Tell each change of the archive once it is committed, in the order of commits.

    Who was disconnected goes on with the `id` of the last event, without gap or repetition, for
    three days (WHATSAPP_LIVE_RETENTION_HOURS); after that a `reset` says that the archive has to be
    read anew, and the present follows. A comment every 15 seconds keeps the connection; it brings
    an `id` too, so that who waits long stays up to date. A client that takes nothing for half a
    minute is cut off, and goes on likewise.
    """
    if chat and not session:
        raise InvalidInput("chat is given together with session, since chats repeat between them")
    stream = await live.follow(
        session=session_named(session) if session else None,
        chat=chat_candidates(chat) if chat else (),
        kinds=kinds_named((kinds or "").split(",")),
        after=last_event_id or after or None,
    )
    return EventStream(stream, request.scope.get("state", {}).get(STATE_KEY))


class EventStream(Response[bytes]):
    """An answer that lasts as long as its stream, its client, and the server."""

    def __init__(self, stream: Stream, connection: Connection | None) -> None:
        """Tell what *stream* does; *connection* is where it goes, if the server says so."""
        super().__init__(b"", media_type="text/event-stream", headers=_HEADERS)
        self._stream = stream
        self._connection = connection or Connection(asyncio.Event(), lambda: None)

    @override
    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        return _Events(self._stream, self._connection)


class _Events(ASGIResponse):
    _should_set_content_length = False

    def __init__(self, stream: Stream, connection: Connection) -> None:
        super().__init__(media_type="text/event-stream", headers=_HEADERS)
        self._stream = stream
        self._connection = connection

    @override
    async def __call__(self, *args: Any) -> None:
        try:
            await super().__call__(*args)
        finally:
            self._stream.close()

    @override
    async def send_body(self, send: Send, receive: Receive) -> None:
        telling = asyncio.create_task(self._tell(send))
        gone = asyncio.create_task(_gone(receive))
        stopping = asyncio.create_task(self._connection.stopping.wait())
        whole = False
        try:
            await asyncio.wait({telling, gone, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self._stream.close()  # so that telling comes to its end
            await asyncio.wait(
                {telling, gone}, timeout=_GOODBYE_S, return_when=asyncio.FIRST_COMPLETED
            )
            whole = telling.done() and await telling
        finally:
            if not whole:
                self._connection.cut()
                await asyncio.wait({gone}, timeout=_GOODBYE_S)
            for task in (telling, gone, stopping):
                task.cancel()
            await asyncio.gather(telling, gone, stopping, return_exceptions=True)

    async def _tell(self, send: Send) -> bool:
        """Send what comes until the stream ends; return False where the client takes nothing."""
        await self._send(send, _OPENING + _place(self._stream.place))
        while (changes := await self._stream.next(HEARTBEAT_S)) is not None:
            for chunk in _chunks(changes) if changes else [b":" + _place(self._stream.place)]:
                if not await self._send(send, chunk):
                    return False
        return await self._send(send, _GOODBYE, last=True)

    async def _send(self, send: Send, body: bytes, *, last: bool = False) -> bool:
        try:
            async with asyncio.timeout(STALLED_S):
                await send({"type": "http.response.body", "body": body, "more_body": not last})
        except TimeoutError:
            return False
        return True


async def _gone(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _place(place: Position) -> bytes:
    """Return a block without data: clients keep its id, and tell nobody."""
    return f"\nid: {place.id}\n\n".encode()


def _chunks(changes: Iterable[ChangeView]) -> Iterator[bytes]:
    """Yield *changes* as blocks, several together while they are small."""
    chunk = b""
    for change in changes:
        chunk += block(change)
        if len(chunk) >= _CHUNK_BYTES:
            yield chunk
            chunk = b""
    if chunk:
        yield chunk


def block(change: ChangeView) -> bytes:
    """Return *change* as a server-sent event."""
    if change.message is not None:
        message = with_address(change.message, change.account)
        change = msgspec.structs.replace(change, message=message)
    data = msgspec.json.encode(change)
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        change.position.encode(),
        change.kind.encode(),
        data,
    )


def live_router(guard: Guard) -> Router:
    """Return the route ``/api/live``, behind *guard*."""
    return Router(
        "/api",
        route_handlers=[follow_changes],
        guards=[guard],
        security=[{"apiToken": []}, {"bearer": []}],
    )
