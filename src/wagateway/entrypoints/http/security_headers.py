"""What every answer tells a browser: guess nothing, embed nothing, keep nothing."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}


def with_security_headers(app: ASGIApp) -> ASGIApp:
    """Wrap *app*: each header that an answer does not set itself is added, to errors too."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message["headers"])
                present = {name.lower() for name, _ in given}
                message["headers"] = given + [h for h in _ALWAYS.items() if h[0] not in present]
            await send(message)

        await app(scope, receive, secured if scope["type"] == ScopeType.HTTP else send)

    return wrapped
