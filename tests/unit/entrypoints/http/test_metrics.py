from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from tests.unit.entrypoints.http.world import (
    API,
    API_TOKEN,
    TOKEN_ONLY,
    WEBHOOK_TOKEN,
    AwayArchive,
    application,
    client_of,
    raw_request,
)

from wagateway.adapters.memory.rate_limit import InMemoryRateLimit
from wagateway.entrypoints.http.app import create_health_app
from wagateway.entrypoints.http.auth import HttpSecurity, MetricsAccess
from wagateway.entrypoints.http.health import store_health
from wagateway.entrypoints.http.limits import Limits

METRICS_TOKEN = "metrics-secret-0004"
SECURITY = HttpSecurity(
    api_token=API_TOKEN, webhook_token=WEBHOOK_TOKEN, metrics_token=METRICS_TOKEN
)
BEARER = f"Bearer {METRICS_TOKEN}".encode()
OPENED = b"# HELP up Up.\n# TYPE up gauge\nup 1.0\n"


async def page() -> bytes:
    return OPENED


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(application(metrics=page, security=SECURITY)) as client:
        yield client


async def test_prometheus_reads_the_text_with_its_token(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics", headers={b"authorization": BEARER})
    assert (answer.status_code, answer.content) == (200, OPENED)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [API, {b"authorization": f"Bearer {API_TOKEN}".encode()}, {b"x-api-token": BEARER[7:]}],
)
async def test_the_token_of_the_api_opens_it_too(
    client: httpx.AsyncClient, headers: dict[bytes, bytes]
) -> None:
    assert (await client.get("/metrics", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Bearer metrics-secret-000"},
        {b"authorization": b"Basic " + BEARER[7:]},
        {b"authorization": BEARER, b"x-api-token": b"wrong"},
        {b"x-whatsapp-token": WEBHOOK_TOKEN.encode()},
        {b"authorization": f"Bearer {WEBHOOK_TOKEN}".encode()},
    ],
)
async def test_nobody_else_reads_it(client: httpx.AsyncClient, headers: dict[bytes, bytes]) -> None:
    answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert b"up 1.0" not in answer.content


@pytest.mark.parametrize("path", ["/metrics/", "//metrics", "/api/metrics", "/metrics/x"])
async def test_no_other_spelling_opens_it(path: str) -> None:
    app = application(metrics=page, security=SECURITY)
    answer = await raw_request(app, path, method="GET")
    assert answer.status in {401, 404}
    assert b"up 1.0" not in answer.body


async def test_the_token_of_the_metrics_opens_nothing_else(client: httpx.AsyncClient) -> None:
    for headers in ({b"authorization": BEARER}, {b"x-api-token": BEARER[7:]}):
        assert (await client.get("/api/sessions", headers=headers)).status_code == 401


async def test_without_a_token_of_its_own_that_of_the_api_is_needed() -> None:
    async with client_of(application(metrics=page, security=TOKEN_ONLY)) as client:
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers=API)).status_code == 200


def test_no_token_shows() -> None:
    assert METRICS_TOKEN not in repr(SECURITY)
    assert METRICS_TOKEN not in repr(SECURITY.metrics)


class TestBesideTheHealthOfAWorker:
    async def test_who_fails_too_often_is_told_to_wait(self) -> None:
        limits = Limits(failures=InMemoryRateLimit(2))
        access = MetricsAccess.of("metrics-secret")
        app = create_health_app(store_health(AwayArchive()), page, access, limits)
        async with client_of(app) as client:
            statuses = [(await client.get("/metrics")).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]

    @pytest.mark.parametrize(("token", "status"), [(METRICS_TOKEN, 200), ("other", 401)])
    async def test_the_same_tokens_open_it(self, token: str, status: int) -> None:
        access = MetricsAccess.of(METRICS_TOKEN, None)
        health = store_health(AwayArchive())
        async with client_of(create_health_app(health, page, access)) as client:
            headers = {"Authorization": f"Bearer {token}"}
            assert (await client.get("/metrics", headers=headers)).status_code == status

    @pytest.mark.parametrize("presented", [b"", b"Bearer", b"Bearer ", b"Bearer None"])
    async def test_where_no_token_is_set_nobody_gets_in(self, presented: bytes) -> None:
        access = MetricsAccess.of(None, "")
        async with client_of(
            create_health_app(store_health(AwayArchive()), page, access)
        ) as client:
            answer = await client.get("/metrics", headers={b"authorization": presented})
        assert answer.status_code == 401


async def test_requests_are_told_by_their_template_and_never_by_whom_they_were_about() -> None:
    seen: list[tuple[str, str, int]] = []

    def requested(method: str, route: str, status: int, took_s: float) -> None:
        assert took_s >= 0
        seen.append((method, route, status))

    async with client_of(application(metrics=page, requested=requested)) as client:
        await client.get("/api/messages/default/5511987650102", headers=API)
        await client.get("/5511987650102")
        await client.get("/metrics")
    assert seen == [
        ("GET", "/api/messages/{session}/{chat}", 404),
        ("GET", "unmatched", 404),
        ("GET", "/metrics", 401),
    ]
    assert "551198765" not in str(msgspec.to_builtins(seen))
