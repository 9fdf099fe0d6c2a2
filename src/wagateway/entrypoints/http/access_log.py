"""One log line per request, and the id that ties it to everything else that was logged.

Neither path nor query is logged: both name people. The path's template says which route it was.
"""

import re
import time
import uuid
from collections.abc import Callable

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

_CLEAN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ERROR = 400
_TOO_MANY = 429
_SERVER_ERROR = 500
_PROBED = frozenset({"/health", "/health/ready", "/health/live", "/metrics"})
"""Programs ask these every few seconds: that all is still well is no news."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.access")


UNMATCHED = "unmatched"
"""The route of a request for which there is none."""

Requested = Callable[[str, str, int, float], None]
"""Is told of each request: method, route's template, status, and duration in seconds."""


def _silent(_: str, __: str, ___: int, ____: float) -> None:
    return None


def request_id_of(scope: Scope) -> str | None:
    """Return the id of this request, once the access log has given it one."""
    return scope.get("state", {}).get("request_id")


def access_logged(app: ASGIApp, requested: Requested = _silent) -> ASGIApp:
    """Wrap *app*: a request id in the answer, and one line when it ended, however it ended.

    Every line that is logged meanwhile has the request's id, and that of WAHA's delivery, which
    stays the same however often it is repeated.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            await _logged(app, scope, receive, send, requested)
        else:
            await app(scope, receive, send)

    return wrapped


async def _logged(
    app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send, requested: Requested
) -> None:
    request_id = _request_id(scope)
    scope.setdefault("state", {})["request_id"] = request_id
    status = _SERVER_ERROR

    async def observed(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
        await send(message)

    began = time.perf_counter()
    delivery_id = _id_in(scope, b"x-webhook-request-id")
    ids = {"request_id": request_id} | ({"delivery_id": delivery_id} if delivery_id else {})
    with structlog.contextvars.bound_contextvars(**ids):
        try:
            await app(scope, receive, observed)
        finally:
            took_s = time.perf_counter() - began
            route = scope.get("path_template", UNMATCHED)
            requested(scope["method"], route, status, took_s)
            _write(route, status)(
                "request",
                method=scope["method"],
                route=route,
                status=status,
                ms=round(took_s * 1000, 1),
            )


def _write(route: str, status: int) -> Callable[..., None]:
    """Return what logs at the level of a request to *route* that ended with *status*."""
    if status >= _SERVER_ERROR:
        return _log.warning
    is_no_news = route in _PROBED and status < _ERROR
    # Who is turned away for asking too often shall not fill the disk; metrics count it.
    return _log.debug if is_no_news or status == _TOO_MANY else _log.info


def _request_id(scope: HTTPScope) -> str:
    """Take over the caller's id where it is harmless, so that both logs can be joined."""
    return _id_in(scope, b"x-request-id") or uuid.uuid4().hex


def _id_in(scope: HTTPScope, header: bytes) -> str | None:
    for name, value in scope["headers"]:
        if name == header and _CLEAN_ID.fullmatch(value):
            return value.decode()
    return None
