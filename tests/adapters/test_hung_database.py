"""A database that is there and says nothing: everybody is answered soon, and nothing is lost."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg_pool import PoolTimeout
from structlog.testing import capture_logs
from tests.support.deliveries import ANA, SESSION, delivery, seen
from tests.support.hung import frozen, silent_listener
from tests.support.metrics import Scraped
from tests.support.within import within
from tests.unit.entrypoints.http.world import API, application, client_of

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.memory.feed import InProcessWakeUp
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.timescale import migrate as runner
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.downloads import TimescaleDownloadStore
from wagateway.adapters.timescale.feed import TimescaleChangeFeed
from wagateway.adapters.timescale.figures import TimescaleArchiveFigures
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import Pool, open_pool
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.adapters.timescale.sync import TimescaleSyncStore
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import Outcome
from wagateway.entrypoints.containers import now
from wagateway.entrypoints.http.health import HealthStatus, store_health
from wagateway.entrypoints.metrics.page import MetricsPage, Plan
from wagateway.entrypoints.metrics.process import ProcessMetrics
from wagateway.usecases.group_commit import GroupCommit
from wagateway.usecases.live import Live
from wagateway.usecases.media_library import MediaLibrary
from wagateway.usecases.sync_control import SyncControl

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    """A migrated server of one's own, since all that are connected to it hang with it."""
    folder = tmp_path_factory.mktemp("hung")
    async with EmbeddedPostgres.running(Path(folder) / "data") as server:
        await migrate(server.url)
        yield server


@pytest.fixture
async def pool(server: EmbeddedPostgres) -> AsyncIterator[Pool]:
    async with open_pool(server.url, timeout_s=1) as pool:
        await pool.wait()
        yield pool


@contextmanager
def hung(server: EmbeddedPostgres) -> Iterator[None]:
    assert server.pid
    with frozen(server.pid):
        yield


async def test_a_writer_is_answered_soon_and_its_delivery_is_kept(
    server: EmbeddedPostgres, pool: Pool
) -> None:
    commit = GroupCommit(TimescaleArchive(pool), patience_s=0.5)
    with hung(server):
        with within(10), pytest.raises(StoreUnavailable, match="in time"):
            await commit.record([delivery(seen(stanza="W1"))])
        next_one = asyncio.create_task(commit.record([delivery(seen(stanza="W2"))]))
        for _ in range(20):  # steps without any wait
            await asyncio.sleep(0)
        assert isinstance(next_one.exception(), StoreUnavailable)
    async with asyncio.timeout(20):
        while True:
            try:
                (again,) = await commit.record([delivery(seen(stanza="W1"))])
                break
            except StoreUnavailable:
                await asyncio.sleep(0.05)
    assert again.outcome is Outcome.DUPLICATE
    page = await TimescaleReader(pool).messages(SESSION, [ANA])
    assert [message.id for message in page.messages] == ["W1"]


async def test_a_reader_is_answered_and_works_when_the_database_does(
    server: EmbeddedPostgres, pool: Pool
) -> None:
    reader = TimescaleReader(pool, answer_s=0.3)
    with hung(server), within(20), pytest.raises(StoreUnavailable):
        await reader.sessions()
    async with asyncio.timeout(20):
        await TimescaleReader(pool).sessions()


async def test_health_says_so_at_once_however_often_it_is_asked(
    server: EmbeddedPostgres, pool: Pool
) -> None:
    health = store_health(TimescaleReader(pool), timeout_s=0.3)
    assert (await health()).status is HealthStatus.OK
    with hung(server), within(10):
        for _ in range(3):
            assert (await health()).status is HealthStatus.DOWN
        many = await asyncio.gather(*(health() for _ in range(50)))
        assert {report.status for report in many} == {HealthStatus.DOWN}
    async with asyncio.timeout(20):
        while (await health()).status is HealthStatus.DOWN:
            await asyncio.sleep(0.05)


async def test_metrics_are_told_without_it_however_often_they_are_asked_for(
    server: EmbeddedPostgres, pool: Pool
) -> None:
    plan = Plan(timeout_s=0.3, fresh_s=0.0)
    page = MetricsPage(ProcessMetrics(now), TimescaleArchiveFigures(pool), now, plan)

    async def is_up() -> float | None:
        return Scraped(await page()).value("database_up")

    assert await is_up() == 1
    with hung(server), within(10):
        for _ in range(3):
            assert await is_up() == 0
    async with asyncio.timeout(20):
        while await is_up() == 0:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "path",
    [
        "sessions",
        "events",
        "events/1/body",
        "live",
        *(f"{what}/vendas" for what in ("chats", "contacts", "coverage", "sync", "media")),
        *(f"{what}/vendas/{ANA}" for what in ("messages", "coverage")),
        f"media/vendas/{ANA}/A1",
    ],
)
async def test_the_api_says_so_in_time(server: EmbeddedPostgres, pool: Pool, path: str) -> None:
    archive, reader = TimescaleArchive(pool), TimescaleReader(pool)
    downloads = TimescaleDownloadStore(pool)
    app = application(
        reader=reader,
        sync=SyncControl(store=TimescaleSyncStore(pool, archive), reader=reader, clock=now),
        library=MediaLibrary(
            reader=reader, downloads=downloads, media=InMemoryMediaStore(), clock=now
        ),
        live=Live(
            feed=TimescaleChangeFeed(pool),
            reader=reader,
            wake_up=InProcessWakeUp(),
            clock=now,
        ),
        answer_timeout_s=0.5,
    )
    async with client_of(app) as client:
        with hung(server), within(10):
            answer = await client.get(f"/api/{path}", headers=API)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_the_log_says_once_why_no_connection_can_be_had_and_once_that_there_is_one(
    server: EmbeddedPostgres,
) -> None:
    away = "postgresql://nobody@127.0.0.1:1/none"
    with capture_logs() as logs:
        async with open_pool(away, timeout_s=2) as pool:
            with pytest.raises(PoolTimeout):
                await pool.getconn()
            assert pool.get_stats()["connections_errors"] > 1
            async with await pool.connection_class.connect(server.url):
                pass
    assert [each["event"] for each in logs] == ["database_unreachable", "database_reached_again"]
    assert "port 1 failed: Connection refused" in logs[0]["reason"]


async def test_closing_does_not_wait_for_ever(server: EmbeddedPostgres) -> None:
    async with open_pool(server.url, timeout_s=1) as pool:
        await pool.wait()
        others = asyncio.all_tasks()
        commit = GroupCommit(TimescaleArchive(pool), patience_s=0.3)
        with hung(server), within(20):
            with pytest.raises(StoreUnavailable):
                await commit.record([delivery(seen(stanza="C1"))])
            await commit.aclose()
            await pool.close()
    assert asyncio.all_tasks() <= others


async def test_a_peer_that_takes_connections_and_says_nothing_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "_CONNECT_S", 2)
    async with silent_listener() as url:
        with within(20):
            async with open_pool(url, timeout_s=0.5) as pool:
                commit = GroupCommit(TimescaleArchive(pool))
                with within(10), pytest.raises(StoreUnavailable):
                    await commit.record([delivery(seen())])
                health = store_health(TimescaleReader(pool), timeout_s=0.3)
                with within(10):
                    assert (await health()).status is HealthStatus.DOWN
                await commit.aclose()
        with within(20), pytest.raises(StoreUnavailable):
            await runner.status(url)
