"""No question to the API stays without an answer, whatever hangs behind it."""

import asyncio
from contextlib import suppress

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from wagateway.entrypoints.http.access_log import UNMATCHED, request_id_of
from wagateway.entrypoints.http.auth import is_api
from wagateway.entrypoints.http.problems import RETRY_AFTER_S, problem, send_problem

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.http")


def answered_in_time(app: ASGIApp, timeout_s: float) -> ASGIApp:
    """Wrap *app*: what below ``/api`` did not begin to answer within *timeout_s* is a 503.

    What hangs is told to end, and not waited for: a driver may take long to let go. An answer that
    has begun may take as long as it takes.
    """
    left_alone: set[asyncio.Task[None]] = set()

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not is_api(scope):
            await app(scope, receive, send)
            return
        begun = asyncio.get_running_loop().create_future()

        async def telling(message: Message) -> None:
            if begun.cancelled():  # nobody listens any more
                return
            if not begun.done():
                begun.set_result(None)
            await send(message)

        answering = asyncio.ensure_future(_run(app, scope, receive, telling))
        try:
            await asyncio.wait(
                {answering, begun}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if begun.done() or answering.done():
                await answering
                return
        finally:
            begun.cancel()
            if not answering.done():
                answering.cancel()
                left_alone.add(answering)
                answering.add_done_callback(left_alone.discard)
        _log.warning("unanswered", route=scope.get("path_template", UNMATCHED), seconds=timeout_s)
        answer = problem(
            503,
            f"The archive did not answer within {timeout_s:g} seconds.",
            request_id=request_id_of(scope),
        )
        await send_problem(send, answer, {"Retry-After": str(RETRY_AFTER_S)})

    return wrapped


async def _run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run *app* to its end; one that was told to end does so quietly."""
    with suppress(asyncio.CancelledError):
        await app(scope, receive, send)
