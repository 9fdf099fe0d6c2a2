"""Pages of other origins: closed, but for those that are named."""

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.unit.entrypoints.http.world import API, application, client_of, filled_archive

OURS = "https://app.example.com"
ASKS = {
    "Origin": OURS,
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "x-api-token",
}
CORS = "access-control-allow-origin"


@pytest.fixture(scope="module")
async def open_client() -> AsyncIterator[httpx.AsyncClient]:
    app = application(reader=await filled_archive(), cors_origins=[OURS, "http://localhost:8080"])
    async with client_of(app) as client:
        yield client


def cors_headers(answer: httpx.Response) -> set[str]:
    return {name for name in answer.headers if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", [OURS, "null", "*", "http://gateway"])
async def test_closed_by_default(client: httpx.AsyncClient, origin: str) -> None:
    for method, headers in (("GET", {}), ("OPTIONS", ASKS)):
        asked = [*API.items(), *((k.encode(), v.encode()) for k, v in headers.items())]
        answer = await client.request(
            method, "/api/sessions", headers=[*asked, (b"Origin", origin.encode())]
        )
        assert cors_headers(answer) == set()
        assert "vary" not in answer.headers


async def test_a_named_origin_may_ask_and_read(open_client: httpx.AsyncClient) -> None:
    asked = await open_client.options("/api/sessions", headers=ASKS)
    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers[CORS] == OURS
    assert "X-Api-Token" in asked.headers["access-control-allow-headers"]
    assert "Last-Event-ID" in asked.headers["access-control-allow-headers"]
    assert asked.headers["access-control-allow-methods"] == "GET, HEAD, POST"
    answer = await open_client.get(
        "/api/sessions", headers=[*API.items(), (b"Origin", OURS.encode())]
    )
    assert (answer.status_code, answer.headers[CORS]) == (200, OURS)
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/api/sessions", "/api/unknown", "/api/events?limit=0"])
async def test_refusals_can_be_read_as_well(open_client: httpx.AsyncClient, path: str) -> None:
    for headers in ([], list(API.items())):
        answer = await open_client.get(path, headers=[*headers, (b"Origin", OURS.encode())])
        assert answer.headers[CORS] == OURS


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com.evil.example",
        "https://evil.example/https://app.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://APP.example.com",
        "null",
        "*",
        "",
    ],
)
async def test_others_are_not_named(open_client: httpx.AsyncClient, origin: str) -> None:
    asked = await open_client.options("/api/sessions", headers=ASKS | {"Origin": origin})
    answer = await open_client.get(
        "/api/sessions", headers=[*API.items(), (b"Origin", origin.encode())]
    )
    assert (asked.status_code, answer.status_code) == (401, 200)
    assert cors_headers(asked) == cors_headers(answer) == set()


async def test_caches_are_told_that_the_origin_matters(open_client: httpx.AsyncClient) -> None:
    for headers in ([], [(b"Origin", OURS.encode())], [(b"Origin", b"https://evil.example")]):
        answer = await open_client.get("/api/sessions", headers=[*API.items(), *headers])
        assert answer.headers["vary"] == "Origin"


async def test_no_credentials_are_ever_allowed(open_client: httpx.AsyncClient) -> None:
    for answer in (
        await open_client.options("/api/sessions", headers=ASKS),
        await open_client.get("/api/sessions", headers={"Origin": OURS}),
    ):
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers[CORS] != "*"


@pytest.mark.parametrize("path", ["/webhooks/messages", "/metrics", "/health", "/docs"])
async def test_only_the_api_is_opened(open_client: httpx.AsyncClient, path: str) -> None:
    assert cors_headers(await open_client.options(path, headers=ASKS)) == set()
    assert cors_headers(await open_client.get(path, headers={"Origin": OURS})) == set()
