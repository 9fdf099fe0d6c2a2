"""Which pages of other origins a browser lets read the API: none that the operator did not name.

Tokens go in a header that a page must know, and cookies mean nothing here, so that no answer allows
credentials. Source: WHATWG Fetch, CORS protocol.
"""

from collections.abc import Collection

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from wagateway.entrypoints.http.auth import API_TOKEN_HEADER, is_api

_READABLE = (
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Retry-After, "
    "X-Request-Id"
)
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (
        b"access-control-allow-headers",
        f"Authorization, {API_TOKEN_HEADER}, Content-Type, If-None-Match, If-Range, Last-Event-ID,"
        " Range, X-Request-Id".encode(),
    ),
    (b"access-control-max-age", b"600"),
]


def with_cors(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """Wrap *app*: pages of *origins* may ask what is below ``/api``, and read the answers."""
    if not origins:
        return app
    named = {origin.encode() for origin in origins}

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not is_api(scope):
            await app(scope, receive, send)
            return
        origin = next(iter(_values(scope, b"origin")), None)
        told = [(b"vary", b"Origin"), *(_allowed(origin) if origin in named else [])]
        if origin in named and scope["method"] == "OPTIONS":
            await _answer_preflight(send, [*told, *_PREFLIGHT])
            return

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *told]
            await send(message)

        await app(scope, receive, telling)

    return wrapped


def _allowed(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _READABLE.encode()),
    ]


def _values(scope: HTTPScope, wanted: bytes) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == wanted]


async def _answer_preflight(send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
