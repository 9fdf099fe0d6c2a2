"""The whole API as its own OpenAPI document describes it, asked with anything that can be asked.

The questions are drawn from the document, and are the same in every run.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support.deliveries import ANA, BRUNO, NOON, SESSION, delivery, seen
from tests.support.depth import examples
from tests.unit.entrypoints.http.world import TOKEN_ONLY, application, client_of

from wagateway.domain.media import Rules, Stored, completed, file_key
from wagateway.domain.messages import Kind, MediaFacts
from wagateway.domain.sync import SyncState, fresh
from wagateway.entrypoints.bounded_http import STATE_KEY, Connection
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.http.app import create_app
from wagateway.entrypoints.http.auth import HttpSecurity
from wagateway.entrypoints.http.health import store_health
from wagateway.entrypoints.http.shapes import describe_shapes
from wagateway.entrypoints.settings import Settings
from wagateway.ports.engine import EngineChat

API_TOKEN = "fuzzed-token-0001"
SECURITY = HttpSecurity(api_token=API_TOKEN, webhook_token=TOKEN_ONLY.webhook_token)
CREDENTIALS = {"X-Api-Token": API_TOKEN, "X-Whatsapp-Token": TOKEN_ONLY.webhook_token or ""}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SECRETS = {"authorization", "x-api-token", "x-whatsapp-token"}
EXAMPLES = examples(150)
BYTES = b"a picture"
KNOWN: dict[str, list[Any]] = {
    "session": [SESSION],
    "chat": [ANA, BRUNO, "+55 11 98765-0102"],
    "message_id": ["A", "B", "gone"],
    "event_id": [1, 2, 2**63 - 1],
}
"""What is in the archive, for some of the questions: all else is answered 404."""


MOSTLY = [True, True, True, True, False]
HELD: list[dict[str, str]] = [
    {},
    {"Range": "bytes=1-3"},
    {"Range": "bytes=900-"},
    {"If-None-Match": "*"},
]
"""What who has a part of a file already may ask for."""


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with open_services(Settings.in_memory()) as services:
        await fill(services, tmp_path_factory.mktemp("files") / "file")
        yield create_app(
            ingest=services.ingest,
            reader=services.reader,
            sync=services.sync,
            library=services.library,
            live=services.live,
            health=store_health(services.reader),
            metrics=nothing_measured,
            security=SECURITY,
        )


async def nothing_measured() -> bytes:
    return b"# HELP wagateway_database_up 1\n"


async def fill(services: Services, file: Path) -> None:
    """Archive messages with and without files, of two chats that sync knows."""
    facts = MediaFacts(mimetype="image/jpeg", filename="praia.jpg")
    await services.archive.record(
        [
            delivery(seen(stanza="A", kind=Kind.IMAGE, media=facts)),
            delivery(seen(stanza="B")),
            delivery(seen(stanza="C", chat=BRUNO)),
        ]
    )
    sha256 = hashlib.sha256(BYTES).hexdigest()
    later = NOON + timedelta(hours=1)
    for task in await services.downloads.claim(
        later, rules=Rules(), lease=timedelta(minutes=1), limit=9
    ):
        done = msgspec.structs.replace(task, download=completed(task.download, sha256))
        stored = Stored(size_bytes=len(BYTES), mimetype="image/jpeg")
        await services.downloads.save(done, now=later, stored=stored)
    file.write_bytes(BYTES)
    await services.media.add(file_key(sha256), file, mimetype="image/jpeg")
    [archived] = await services.sync_store.archives()
    chats = [EngineChat(chat=ANA, active_at=NOON), EngineChat(chat=BRUNO)]
    await services.sync_store.enrol(archived, chats, state=fresh(NOON))
    await services.sync_store.enrol_session(archived, state=SyncState(due_at=NOON))


def that_ends(app: Litestar) -> Any:  # noqa: ANN401 - an ASGI application
    """Return *app* as it answers while the server stops: a stream has an end then."""
    stopping = asyncio.Event()
    stopping.set()

    async def ending(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own
        scope["state"] = {STATE_KEY: Connection(stopping, lambda: None)}
        await app(scope, receive, send)

    return ending


@asynccontextmanager
async def asking(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(that_ends(app)) as client:
        yield client


class Question(NamedTuple):
    """One request, and what the document says of it."""

    case: Case[Any]
    request: dict[str, Any]


@cache
def operations() -> list[APIOperation[Any, Any, Any, Any]]:
    schema = schemathesis.openapi.from_dict(dict(described(application())))
    found = list(schema.get_all_operations())
    readable = [each.ok() for each in found if isinstance(each, Ok)]
    assert len(readable) == len(found) > 20
    return readable


def described(app: Litestar) -> Mapping[str, Any]:
    """Return the document as it is served."""
    return describe_shapes(app.openapi_schema.to_schema())


@st.composite
def questions(draw: st.DrawFn, mode: GenerationMode) -> Question:
    """Draw what to ask, now and then for what there is, seldom with other credentials."""
    asked = operations() if mode is GenerationMode.POSITIVE else operations_with_input()
    case = draw(draw(st.sampled_from(asked)).as_strategy(mode))
    for name in case.path_parameters:
        if name in KNOWN and draw(st.sampled_from(MOSTLY)):
            case.path_parameters[name] = draw(st.sampled_from(KNOWN[name]))
    request = case.as_transport_kwargs(base_url="http://gateway")
    headers = {k: v for k, v in request.pop("headers").items() if k.lower() not in SECRETS}
    if draw(st.sampled_from(MOSTLY)):
        headers |= CREDENTIALS
    if case.operation.path.startswith("/api/media/"):
        headers |= draw(st.sampled_from(HELD))
        if draw(st.booleans()):  # a hash or an account that is drawn is never the right one
            request["params"] = {}
    request["headers"] = [(name.encode(), str(value).encode()) for name, value in headers.items()]
    if "data" in request:
        request["content"] = request.pop("data")
    return Question(case, {k: v for k, v in request.items() if k != "cookies"})


def operations_with_input() -> list[APIOperation[Any, Any, Any, Any]]:
    return [each for each in operations() if not each.path.startswith("/health")]


bounded = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


async def check(app: Litestar, question: Question) -> None:
    async with asking(app) as client:
        answer = await client.request(**question.request)
    try:
        question.case.validate_response(answer, checks=CHECKS)
    except FailureGroup as exc:  # no Exception, so that it would end the event loop of all tests
        raise AssertionError("\n".join(str(each) for each in exc.exceptions)) from exc


@bounded
@given(question=questions(GenerationMode.POSITIVE))
async def test_what_is_documented_is_answered_as_documented(
    app: Litestar, question: Question
) -> None:
    await check(app, question)


@bounded
@given(question=questions(GenerationMode.NEGATIVE))
async def test_what_is_not_documented_is_refused_as_documented(
    app: Litestar, question: Question
) -> None:
    await check(app, question)


async def test_methods_that_are_not_documented_are_refused(app: Litestar) -> None:
    known = {(each.method.upper(), each.path) for each in operations()}
    async with asking(app) as client:
        for path in sorted({path for _, path in known}):
            address = path.format(**{name: values[0] for name, values in KNOWN.items()})
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PURGE"):
                if (method, path) not in known:
                    answer = await client.request(method, address, headers=CREDENTIALS)
                    assert answer.status_code == httpx.codes.METHOD_NOT_ALLOWED, (method, path)
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert set(answer.headers["allow"].split(", ")) - {"OPTIONS", "HEAD"} == {
                        each for each, its in known if its == path
                    }
