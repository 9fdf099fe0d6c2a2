import re
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import capture_logs
from tests.unit.entrypoints.http.world import (
    ANA,
    API,
    WEBHOOK,
    AwayArchive,
    Ingesting,
    application,
    client_of,
)
from typing_extensions import override

from wagateway.usecases.ingest import Ingested

MESSAGES = "/api/messages/{session}/{chat}"


def lines(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["event"] == "request"]


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        (f"/api/messages/default/{ANA}?before=551198765000&limit=5", MESSAGES, 400),
        (f"/api/messages/default/{ANA}?limit=5", MESSAGES, 200),
        ("/api/messages/default/+55 11 98765-0102", MESSAGES, 200),
        ("/5511987650102", "unmatched", 404),
    ],
)
async def test_logs_the_route_and_never_whom_it_was_about(
    client: httpx.AsyncClient, path: str, route: str, status: int
) -> None:
    with capture_logs() as logs:
        await client.get(path, headers=API)
    (line,) = lines(logs)
    assert line["route"] == route
    assert (line["method"], line["status"]) == ("GET", status)
    assert 0 <= line["ms"] < 60_000
    assert "551198765" not in str(logs)
    assert "98765" not in str(logs)
    assert "limit" not in str(logs)


async def test_logs_neither_body_nor_credentials() -> None:
    with capture_logs() as logs:
        async with client_of(application()) as client:
            await client.post("/webhooks/messages", content=b'"segredo"', headers=WEBHOOK)
    assert len(lines(logs)) == 1
    assert "segredo" not in str(logs)
    assert WEBHOOK["X-Whatsapp-Token"] not in str(logs)


async def test_a_refusal_at_the_gate_is_logged(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        await client.get("/api/sessions")
    assert [line["status"] for line in lines(logs)] == [401]


async def test_server_errors_are_warnings() -> None:
    with capture_logs() as logs:
        async with client_of(application(ingest=Ingesting(failure=ValueError()))) as client:
            await client.post("/webhooks/messages", content=b"{}", headers=WEBHOOK)
    assert [(line["log_level"], line["status"]) for line in lines(logs)] == [("warning", 500)]


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live", "/metrics"])
async def test_probes_that_find_all_well_are_told_at_debug(path: str) -> None:
    async def page() -> bytes:
        return b""

    with capture_logs() as logs:
        async with client_of(application(metrics=page)) as client:
            await client.get(path, headers=API)
    assert [(line["log_level"], line["route"]) for line in lines(logs)] == [("debug", path)]


async def test_probes_that_fail_are_told() -> None:
    async def page() -> bytes:
        return b""

    with capture_logs() as logs:
        async with client_of(application(reader=AwayArchive(), metrics=page)) as client:
            await client.get("/health/ready")
            await client.get("/metrics")
            await client.get("/health/no-such-thing")
    assert [(line["log_level"], line["status"]) for line in lines(logs)] == [
        ("warning", 503),
        ("info", 401),
        ("info", 404),
    ]


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("muaxk1f0w3q9zt7h", "muaxk1f0w3q9zt7h"),
        ("a" * 64, "a" * 64),
        ("a" * 65, "[0-9a-f]{32}"),
        ("x y", "[0-9a-f]{32}"),
        ("'; DROP", "[0-9a-f]{32}"),
        ("", "[0-9a-f]{32}"),
    ],
)
async def test_takes_over_a_harmless_request_id(
    client: httpx.AsyncClient, given: str, used: str
) -> None:
    response = await client.get("/health/live", headers={"X-Request-Id": given})
    assert re.fullmatch(used, response.headers["x-request-id"])


@pytest.mark.parametrize(
    ("given", "told"), [("muaxk1f0w3q9zt7h", "muaxk1f0w3q9zt7h"), ("x y", None), ("a" * 65, None)]
)
async def test_the_engine_s_id_of_a_delivery_is_on_every_line_too(
    given: str, told: str | None
) -> None:
    seen: list[str | None] = []

    class Curious(Ingesting):
        @override
        async def __call__(self, body: bytes) -> Ingested:
            seen.append(structlog.contextvars.get_contextvars().get("delivery_id"))
            return await super().__call__(body)

    async with client_of(application(ingest=Curious())) as client:
        headers = {**WEBHOOK, "X-Webhook-Request-Id": given}
        response = await client.post("/webhooks/messages", content=b"{}", headers=headers)
    assert seen == [told]
    assert response.headers["x-request-id"] != given
    assert "delivery_id" not in structlog.contextvars.get_contextvars()


async def test_the_request_id_is_on_every_line_of_the_request() -> None:
    seen: list[str] = []

    class Curious(Ingesting):
        @override
        async def __call__(self, body: bytes) -> Ingested:
            seen.append(structlog.contextvars.get_contextvars()["request_id"])
            return await super().__call__(body)

    async with client_of(application(ingest=Curious())) as client:
        response = await client.post("/webhooks/messages", content=b"{}", headers=WEBHOOK)
    assert seen == [response.headers["x-request-id"]]
    assert "request_id" not in structlog.contextvars.get_contextvars()
