"""What every answer tells a browser: guess nothing, embed nothing, keep nothing.

Source: OWASP, REST Security and HTTP Headers Cheat Sheets.
"""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"content-security-policy": (
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    b"permissions-policy": b"camera=(), display-capture=(), geolocation=(), microphone=()",
    b"cache-control": b"no-store",
}
_BEHIND_TLS = {b"strict-transport-security": b"max-age=31536000"}
"""For this name alone: others below it may be somebody else's."""


def with_security_headers(app: ASGIApp, *, behind_tls: bool = False) -> ASGIApp:
    """Wrap *app*: each header that an answer does not set itself is added, to errors too.

    Args:
        app: what answers.
        behind_tls: browsers reach it by https alone, and are told to go on so for a year.
    """
    wanted = _ALWAYS | (_BEHIND_TLS if behind_tls else {})

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message["headers"])
                present = {name.lower() for name, _ in given}
                message["headers"] = given + [h for h in wanted.items() if h[0] not in present]
            await send(message)

        await app(scope, receive, secured if scope["type"] == ScopeType.HTTP else send)

    return wrapped
