"""Answers of WAHA's REST API, errors in WAHA's shapes among them."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from wagateway.simulator.asgi import Send
from wagateway.simulator.wire import WAHA_VERSION, Payload

JSON = "application/json; charset=utf-8"
CREATED = 201
"""What WAHA answers to every POST that it accepts, whether something is created or not."""


class Answer(Struct, frozen=True, kw_only=True):
    """What a request gets.

    Attributes:
        body: a JSON value; bytes go out as they are.
        kind: the content type.
    """

    body: Any
    status: int = 200
    kind: str = JSON
    headers: tuple[tuple[str, str], ...] = ()

    def content(self) -> bytes:
        """Return the body as it is sent."""
        return self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)


class Refused(Exception):
    """A request is answered with an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


_REASONS = {400: "Bad Request", 404: "Not Found", 410: "Gone", 422: "Unprocessable Entity"}
_NO_STORE = (
    'Enable NOWEB store "config.noweb.store.enabled=True" and "config.noweb.store.full_sync=True" '
    "when starting a new session. Read more: https://waha.devlike.pro/docs/engines/noweb#store"
)


def refused(status: int, message: str | list[str]) -> Refused:
    """Return an error in the shape of Nest: ``message``, ``error``, ``statusCode``."""
    body = {"message": message, "error": _REASONS[status], "statusCode": status}
    return Refused(Answer(status=status, body=body))


def unauthorized() -> Answer:
    """Return the answer to a wrong key."""
    return Answer(status=401, body={"message": "Unauthorized", "statusCode": 401})


def no_such_session(name: str) -> Refused:
    """Return the answer of what belongs to a session that does not run."""
    start = f"Please start it first by using POST /api/sessions/{name}/start request"
    return refused(404, f"We didn't find a session with name '{name}'.\n{start}")


def not_ready(session: str, status: str, *expected: str) -> Refused:
    """Return the answer of a session in another status; it has a shape of its own."""
    body = {
        "error": "Session status is not as expected. Try again later or restart the session",
        "session": session,
        "status": status,
        "expected": list(expected),
    }
    return Refused(Answer(status=422, body=body))


def not_implemented(detail: str) -> Refused:
    """Return the answer to what the engine cannot do."""
    return refused(422, f"The method is not implemented by the engine. {detail}".rstrip())


def no_store() -> Refused:
    """Return the answer of a NOWEB session without a store."""
    return refused(400, _NO_STORE)


def no_such_file() -> Answer:
    """Return the answer where a file is not there, or not any more."""
    error = {
        "code": 404,
        "key": "FILE_NOT_FOUND",
        "message": "File not found",
        "details": "File not found or no longer available",
    }
    return Answer(status=404, body={"error": error})


async def send_answer(answer: Answer, send: Send) -> None:
    """Send *answer* as it is."""
    content = answer.content()
    fields = [("content-type", answer.kind), ("content-length", str(len(content)))]
    fields += [("x-powered-by", "Express"), *answer.headers]
    headers = [(name.encode(), value.encode()) for name, value in fields]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def broken(method: str, path: str, query: dict[str, str], engine: str) -> Answer:
    """Return a 500, which repeats the request.

    Args:
        method: of the request.
        path: with the query string.
        query: its parts.
        engine: of the server.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    body = {
        "statusCode": 500,
        "timestamp": f"{now}Z",
        "exception": {
            "message": "Evaluation failed: TypeError: Cannot read properties of undefined",
            "stack": "Error: Evaluation failed…",
            "name": "Error",
        },
        "request": {"path": path, "method": method, "body": {}, "query": query},
        "version": version(engine),
    }
    return Answer(status=500, body=body)


def version(engine: str) -> Payload:
    """Return what ``/api/server/version`` says."""
    return {
        "version": WAHA_VERSION,
        "engine": engine,
        "tier": "CORE",
        "browser": "/usr/bin/chromium" if engine == "WEBJS" else None,
        "platform": "linux/x64",
        "worker": {"id": "waha-1"},
    }
