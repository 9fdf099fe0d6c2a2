"""The REST API of the simulated WAHA, as an ASGI application.

    app = create_app(WahaServer.of(Scenario(served=True, past=500), api_key="secret"))
    httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://waha")

Faults that cut an answer off raise `CutShort`: a server then closes the connection.
Source: WAHA 2026.9.2 OpenAPI; WAHA docs.
"""

import asyncio
import hmac
import json
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

from wagateway.simulator.asgi import App, Message, Receive, Send
from wagateway.simulator.hosted import WORKING
from wagateway.simulator.offers import leads_to_bait
from wagateway.simulator.rest_answers import (
    Answer,
    Refused,
    broken,
    no_such_session,
    not_ready,
    refused,
    unauthorized,
)
from wagateway.simulator.rest_call import Call, Route
from wagateway.simulator.rest_faults import CutShort, Fault, RestFaults
from wagateway.simulator.rest_files import named_file
from wagateway.simulator.rest_query import Query
from wagateway.simulator.rest_routes import find_route
from wagateway.simulator.waha_server import WahaServer

_DRIP_S = 0.05
_DRIPS = 20
_WAIT_STEP_S = 0.05

__all__ = ["CutShort", "create_app"]


def create_app(server: WahaServer) -> App:
    """Return the application that serves *server*."""
    return _Application(server)


class _Application:
    def __init__(self, server: WahaServer) -> None:
        self._server = server
        self._faults = RestFaults(server.faults, server.seed)
        self._numbers: Iterator[int] = count()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        body = await _body(receive)
        if leads_to_bait(scope["path"]):
            await self._server.bait(scope, receive, send)
            return
        if not self._may_enter(scope):
            await _send(unauthorized(), send)
            return
        named = named_file(scope["path"])
        if named and scope["method"] in {"GET", "HEAD"}:
            await self._server.files.serve(*named, scope, receive, send)
            return
        fault = self._faults.of(next(self._numbers))
        if fault is Fault.HANG:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        answer = self._faults.answer(fault, scope, self._engine()) or await self._answer(
            scope, body
        )
        await _send(answer, send, fault)

    def _may_enter(self, scope: Message) -> bool:
        """Tell whether the key is right; ``/ping`` needs none."""
        key = self._server.api_key
        if key is None or scope["path"] == "/ping":
            return True
        given = dict(scope["headers"]).get(b"x-api-key", b"").decode("latin-1")
        given = given or _values(scope).get("x-api-key", "")
        return hmac.compare_digest(given.encode(), key.encode())

    async def _answer(self, scope: Message, body: bytes) -> Answer:
        try:
            call, route = self._call(scope, body)
            if route.needs_working:
                await self._wait_for(call)
            return route.handle(call)
        except Refused as refusal:
            return refusal.answer
        except Exception as exc:  # noqa: BLE001 - as WAHA answers what it did not expect
            answer = broken(scope["method"], _target(scope), _values(scope), self._engine())
            answer.body["exception"] |= {"message": str(exc), "name": type(exc).__name__}
            return answer

    def _call(self, scope: Message, body: bytes) -> tuple[Call, Route]:
        route, params = find_route(scope["method"], scope["path"])
        if route is None:
            raise refused(404, f"Cannot {scope['method']} {_target(scope)}")
        query = Query(_values(scope))
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        call = Call(
            server=self._server, params=params, query=query, body=_json(body), accept=accept
        )
        if name := params.get("session") or (route.session_in_query and _session(call)):
            hosted = self._server.sessions.get(name)
            if hosted is None:
                missing = route.path.startswith("/api/sessions")
                raise refused(404, "Session not found") if missing else no_such_session(name)
            call.hosted = hosted
        return call, route

    async def _wait_for(self, call: Call) -> None:
        """Wait until the session is WORKING, but no longer than WAHA does.

        Raises:
            Refused: it is not.
        """
        end_s = asyncio.get_running_loop().time() + self._server.wait_s
        while call.session.status != WORKING:
            if asyncio.get_running_loop().time() >= end_s:
                raise not_ready(call.session.name, call.session.status, WORKING)
            await asyncio.sleep(_WAIT_STEP_S)

    def _engine(self) -> str:
        return next(iter(self._server.sessions.values())).engine.name.value


def _session(call: Call) -> str:
    return call.query.text("session") or str(call.body.get("session") or "default")


def _values(scope: Message) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))


def _target(scope: Message) -> str:
    query = scope["query_string"].decode("latin-1")
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body) if body else {}
    except ValueError as exc:
        raise refused(400, f"Unexpected token in JSON: {exc}") from exc
    return value if isinstance(value, dict) else {}


async def _body(receive: Receive) -> bytes:
    parts = bytearray()
    while True:
        message = await receive()
        parts += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(parts)


async def _send(answer: Answer, send: Send, fault: Fault | None = None) -> None:
    content = answer.content()
    fields = {
        "content-type": answer.kind,
        "content-length": str(len(content)),
        "x-powered-by": "Express",
    }
    headers = [(k.encode(), v.encode()) for k, v in (*fields.items(), *answer.headers)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if fault is Fault.CUT:
        half = content[: len(content) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        raise CutShort
    if fault is Fault.SLOW:
        size = max(1, -(-len(content) // _DRIPS))
        for start in range(0, len(content), size):
            part = content[start : start + size]
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(_DRIP_S)
        content = b""
    await send({"type": "http.response.body", "body": content})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        phase = (await receive())["type"].removeprefix("lifespan.")
        await send({"type": f"lifespan.{phase}.complete"})
        if phase == "shutdown":
            return
