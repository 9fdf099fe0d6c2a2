import httpx
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from tests.unit.entrypoints.http.world import (
    API,
    WEBHOOK,
    AwayArchive,
    BrokenArchive,
    Ingesting,
    application,
    client_of,
)

from wagateway.domain.errors import (
    Conflict,
    Defect,
    EngineUnavailable,
    InvalidInput,
    NotFound,
    Rejected,
    StoreUnavailable,
    Unavailable,
    WagatewayError,
)


async def answer_to(failure: Exception) -> httpx.Response:
    async with client_of(application(ingest=Ingesting(failure=failure))) as client:
        return await client.post("/webhooks/messages", content=b"{}", headers=WEBHOOK)


@pytest.mark.parametrize(
    ("failure", "status", "title"),
    [
        (InvalidInput, 400, "Invalid input"),
        (NotFound, 404, "Not found"),
        (Conflict, 409, "Conflict"),
        (Rejected, 400, "Invalid input"),
        (Unavailable, 503, "Unavailable"),
    ],
)
async def test_each_branch_of_the_error_tree_has_its_status(
    failure: type[WagatewayError], status: int, title: str
) -> None:
    response = await answer_to(failure("what to do"))
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    slug = title.lower().replace(" ", "-")
    assert response.json() == {
        "type": f"/docs#problem-{slug}",
        "title": title,
        "status": status,
        "detail": "what to do",
    } | ({"request_id": response.headers["x-request-id"]} if status == 503 else {})
    assert (response.headers.get("retry-after") == "2") == (status == 503)


@pytest.mark.parametrize(
    "failure", [Defect("row 7 of chat 551198765"), ValueError("551198765"), KeyError()]
)
async def test_a_defect_tells_nothing_but_where_to_look(failure: Exception) -> None:
    response = await answer_to(failure)
    assert response.status_code == 500
    assert "551198765" not in response.text
    assert response.json()["request_id"] == response.headers["x-request-id"]


def test_the_environment_cannot_switch_debugging_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESTAR_DEBUG", "1")
    assert application().debug is False


async def test_a_defect_is_logged_with_its_place_and_without_its_text() -> None:
    with capture_logs() as logs:
        async with client_of(application(reader=BrokenArchive())) as client:
            response = await client.get("/api/sessions", headers=API)
    assert response.status_code == 500
    (defect,) = [line for line in logs if line["event"] == "defect"]
    assert defect["error"] == "RuntimeError"
    assert "builtins.KeyError" in defect["trace"]
    assert any("in sessions" in line for line in defect["trace"])
    quiet = [line for line in logs if line["log_level"] != "debug"]
    assert "hunter2" not in str(quiet)
    assert "551198765" not in str(quiet)


async def test_a_store_that_is_away_is_a_503_everywhere() -> None:
    async with client_of(application(reader=AwayArchive())) as client:
        response = await client.get("/api/sessions", headers=API)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    assert response.json()["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("failure", [StoreUnavailable, EngineUnavailable])
async def test_what_a_server_said_is_for_the_log_alone(failure: type[WagatewayError]) -> None:
    said = 'DiskFull 53100 could not extend file "base/16384/2619"'
    with capture_logs(processors=[merge_contextvars]) as logs:
        response = await answer_to(failure(said))
    assert response.status_code == 503
    assert "base/" not in response.text
    assert "Repeat later" in response.json()["detail"]
    (line,) = [line for line in logs if line["event"] == "unavailable"]
    assert line["reason"] == said
    assert line["request_id"] == response.json()["request_id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 405),
        ("GET", "/unknown", 404),
        ("GET", "/webhooks", 404),
        ("GET", "/schema/unknown", 404),
        ("GET", "/schema/openapi.yaml", 404),
        ("GET", "/health/unknown", 404),
        ("POST", "/health", 405),
        ("DELETE", "/docs", 405),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/%00", 404),
    ],
)
async def test_the_routers_own_errors_are_problems_too(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert response.json()["detail"].endswith(".")


async def test_a_nonsensical_host_is_a_problem(client: httpx.AsyncClient) -> None:
    response = await client.get("/health", headers={"Host": "a b/c"})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/health", "/unknown", "/api/sessions", "/docs", "/schema/openapi.json"]
)
async def test_every_answer_is_guarded_in_a_browser(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    for cannot in ("frame-ancestors", "base-uri", "form-action"):
        assert f"{cannot} 'none'" in headers["content-security-policy"]
    assert len(headers.get_list("content-security-policy")) == 1
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert "strict-transport-security" not in headers  # nobody said that there is TLS
    assert "server" not in headers


async def test_browsers_are_told_to_come_by_tls_where_it_is_said_to_be_there() -> None:
    async with client_of(application(behind_tls=True)) as client:
        for path in ("/health", "/unknown", "/api/sessions", "/docs"):
            headers = (await client.get(path)).headers
            assert headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("path", ["/api/sessions", "/api/unknown", "/api/events/1/body", "/health"])
async def test_nothing_of_the_archive_is_cached(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers=API)
    assert response.headers["cache-control"] == "no-store"
