"""The page of a whole process: what was done through its application is on it."""

from tests.support.metrics import Scraped
from tests.support.watched import BEARER, POSTED, watched

from wagateway.entrypoints.settings import Settings


async def test_a_process_in_memory_is_watched() -> None:
    async with watched(Settings.in_memory()) as client:
        await client.post_message("A1")
        await client.post_message("A1")
        assert (await client.get("/metrics")).status_code == 401
        found = Scraped((await client.get("/metrics", headers=BEARER)).content)
    assert found.value("database_up") == 1
    assert found.value("deliveries_total", family="message", outcome="stored") == 1
    assert found.value("deliveries_total", family="message", outcome="duplicate") == 1
    assert found.value("delivery_lag_seconds_count") == 1
    assert found.value("http_requests_total", **POSTED, status="200") == 2
    assert found.value("http_requests_total", method="GET", route="/metrics", status="401") == 1
    assert found.value("session_status", session="vendas", status="UNKNOWN") == 1
    assert found.value("live_streams") == 0
    assert found.series("database_connections") == {}
    assert found.value("worker_trouble", part="sync") == 0
