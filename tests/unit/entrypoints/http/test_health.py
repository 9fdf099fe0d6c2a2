import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import httpx
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient
from tests.support.deliveries import BRUNO, delivery
from tests.unit.entrypoints.http.world import (
    NOON,
    AwayArchive,
    BrokenArchive,
    application,
    client_of,
    nothing_measured,
)
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.feed import InMemoryChangeFeed
from wagateway.adapters.memory.spool import InMemorySpool
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import Account, SessionChanged, SessionStatus
from wagateway.domain.views import SessionView
from wagateway.entrypoints.http.app import create_health_app
from wagateway.entrypoints.http.auth import MetricsAccess
from wagateway.entrypoints.http.health import (
    HealthReport,
    HealthStatus,
    PartHealth,
    remembered,
    store_health,
    with_feed,
    with_spool,
    with_workers,
)
from wagateway.ports.spool import SpoolDepth, SpooledBody
from wagateway.usecases.media_work import MediaWorkerState
from wagateway.usecases.sync_work import SyncWorkerState

DOWN = {"status": "down", "parts": {"store": {"status": "down"}}}


class SilentArchive(InMemoryArchive):
    @override
    async def ping(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/"])
async def test_a_well_gateway_needs_no_token_to_say_so(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path)
    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "parts": {
            "store": {"status": "ok", "detail": None},
            "sessions": {"status": "ok", "detail": None},
        },
    }


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_a_store_that_is_away_is_down(path: str) -> None:
    async with client_of(application(reader=AwayArchive())) as client:
        response = await client.get(path)
    assert response.status_code == 503
    report = response.json()
    assert (report["status"], report["parts"]["store"]["status"]) == ("down", "down")
    assert "db.internal" not in response.text


async def test_a_store_that_says_nothing_is_down() -> None:
    reader = SilentArchive()
    app = application(reader=reader, health=store_health(reader, timeout_s=0.05))
    async with asyncio.timeout(5), client_of(app) as client:
        assert (await client.get("/health")).status_code == 503


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (SessionStatus.STOPPED, "degraded"),
        (SessionStatus.FAILED, "degraded"),
        (SessionStatus.SCAN_QR_CODE, "degraded"),
        (SessionStatus.STARTING, "ok"),
        (SessionStatus.WORKING, "ok"),
    ],
)
async def test_a_session_that_is_away_is_told_without_its_name(
    status: SessionStatus, told: str
) -> None:
    archive = InMemoryArchive()
    working = SessionChanged(status=SessionStatus.WORKING, at=NOON)
    changed = SessionChanged(status=status, at=NOON)
    await archive.record(
        [delivery(working, session="vendas"), delivery(changed, session="compras")]
    )
    async with client_of(application(reader=archive)) as client:
        for path in ("/health", "/health/ready"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["status"]) == (200, told)
            assert answer.json()["parts"]["sessions"]["status"] == told
            assert "compras" not in answer.text


async def test_a_former_account_s_archive_counts_for_nothing() -> None:
    archive = InMemoryArchive()
    await archive.record([delivery(SessionChanged(status=SessionStatus.STOPPED, at=NOON))])
    later = NOON + timedelta(hours=1)
    working = SessionChanged(status=SessionStatus.WORKING, at=later)
    await archive.record([delivery(working, at=later, account=Account(phone=BRUNO))])
    assert (await store_health(archive)()).status is HealthStatus.OK


class HangingSessions(InMemoryArchive):
    @override
    async def sessions(self) -> list[SessionView]:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("reader", [HangingSessions(), BrokenArchive()])
async def test_sessions_that_cannot_be_read_stop_no_gateway(reader: InMemoryArchive) -> None:
    app = application(reader=reader, health=store_health(reader, timeout_s=0.05))
    async with asyncio.timeout(5), client_of(app) as client:
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert "hunter2" not in answer.text


async def test_a_process_lives_without_its_store() -> None:
    async with client_of(application(reader=AwayArchive())) as client:
        response = await client.get("/health/live")
    assert (response.status_code, response.json()["status"]) == (200, "ok")


async def test_degraded_still_serves() -> None:
    async def health() -> HealthReport:
        parts = {"redis": PartHealth(status=HealthStatus.DOWN, detail="polling instead")}
        return HealthReport(status=HealthStatus.DEGRADED, parts=parts)

    async with client_of(application(health=health)) as client:
        for path in ("/health", "/health/ready"):
            response = await client.get(path)
            assert (response.status_code, response.json()["status"]) == (200, "degraded")


async def test_lifespans_open_in_order_and_close_in_reverse() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def first(_: Litestar) -> AsyncIterator[None]:
        seen.append("first opens")
        yield
        seen.append("first closes")

    @asynccontextmanager
    async def second(_: Litestar) -> AsyncIterator[None]:
        seen.append("second opens")
        yield
        seen.append("second closes")

    async with AsyncTestClient(application(lifespan=[first, second])) as client:
        assert (await client.get("/health/live")).status_code == 200
    assert seen == ["first opens", "second opens", "second closes", "first closes"]


@pytest.mark.parametrize(
    ("state", "alone", "status"),
    [
        (SyncWorkerState(beat_at=NOON), True, "ok"),
        (SyncWorkerState(beat_at=NOON, problem="waha:3000 refused"), True, "degraded"),
        (SyncWorkerState(beat_at=NOON - timedelta(minutes=5)), True, "down"),
        (SyncWorkerState(beat_at=NOON - timedelta(minutes=5)), False, "degraded"),
        (SyncWorkerState(), True, "down"),
    ],
)
async def test_a_worker_is_a_part_of_its_own(
    state: SyncWorkerState, *, alone: bool, status: str
) -> None:
    health = with_workers(
        store_health(InMemoryArchive()), {"sync": state}, lambda: NOON, alone=alone
    )
    async with client_of(
        create_health_app(health, nothing_measured, MetricsAccess.of(None))
    ) as client:
        answer = await client.get("/health")
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/api/sessions")).status_code == 404
    assert answer.status_code == (503 if status == "down" else 200)
    told = answer.json()
    assert (told["status"], told["parts"]["sync"]["status"]) == (status, status)
    assert told["parts"]["store"]["status"] == "ok"
    assert "waha:3000" not in answer.text


async def test_each_worker_is_a_part_and_who_is_off_is_none() -> None:
    files = MediaWorkerState(beat_at=NOON, problem="the bucket cannot be reached")
    workers = {"media": files, "sync": None}
    health = with_workers(store_health(InMemoryArchive()), workers, lambda: NOON, alone=False)
    report = await health()
    assert set(report.parts) == {"store", "sessions", "media"}
    part = report.parts["media"]
    assert part.status is HealthStatus.DEGRADED
    assert part.detail == "The media worker cannot work now; the log says why."


async def test_a_worker_beside_a_database_that_is_away_is_down() -> None:
    workers = {"sync": SyncWorkerState(beat_at=NOON), "media": None}
    health = with_workers(store_health(AwayArchive()), workers, lambda: NOON, alone=True)
    assert (await health()).status is HealthStatus.DOWN


class _Spool(InMemorySpool):
    """A spool that may be away."""

    def __init__(self, *, away: bool) -> None:
        super().__init__(lambda: NOON)
        self.away = away
        self.full = False
        self.tried = 0

    @override
    async def prepare(self) -> None:
        self.tried += 1
        if self.full:
            raise StoreUnavailable("No space left on device")

    @override
    async def depth(self) -> SpoolDepth:
        if self.away:
            raise StoreUnavailable("redis.internal refused")
        return await super().depth()


@pytest.mark.parametrize(("store_away", "status"), [(False, "degraded"), (True, "down")])
async def test_a_full_spool_takes_nothing(*, store_away: bool, status: str) -> None:
    spool = InMemorySpool(lambda: NOON, max_bytes=20_000)
    await spool.put([SpooledBody(body=b"x" * 10_000, received_at=NOON)])
    reader = AwayArchive() if store_away else InMemoryArchive()
    report = await with_spool(store_health(reader), spool)()
    assert (report.status, report.parts["spool"].status) == (status, "down")
    assert "full" in (report.parts["spool"].detail or "")


@pytest.mark.parametrize(
    ("store_away", "spool_away", "status"),
    [
        (False, False, "ok"),
        (True, False, "degraded"),
        (False, True, "degraded"),
        (True, True, "down"),
    ],
)
@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_webhooks_need_the_database_or_the_spool(
    path: str, *, store_away: bool, spool_away: bool, status: str
) -> None:
    reader = AwayArchive() if store_away else InMemoryArchive()
    health = with_spool(store_health(reader), _Spool(away=spool_away))
    async with client_of(
        create_health_app(health, nothing_measured, MetricsAccess.of(None))
    ) as client:
        answer = await client.get(path)
    assert answer.status_code == (503 if status == "down" else 200)
    told = answer.json()
    assert told["status"] == status
    assert told["parts"]["store"]["status"] == ("down" if store_away else "ok")
    assert told["parts"]["spool"]["status"] == ("down" if spool_away else "ok")
    assert "redis.internal" not in answer.text


async def test_what_waits_in_the_spool_and_what_was_set_aside_is_told() -> None:
    spool = _Spool(away=False)
    health = with_spool(store_health(InMemoryArchive()), spool)
    body = SpooledBody(body=b"{}", received_at=NOON)
    await spool.put([body])
    await spool.put([body])
    report = await health()
    assert report.status is report.parts["spool"].status is HealthStatus.DEGRADED
    assert report.parts["spool"].detail == (
        "Webhooks wait in the spool until the database takes them."
    )
    await spool.set_aside("1")
    await spool.let_go(["2"])
    detail = (await health()).parts["spool"].detail
    assert detail == "Some could not be recorded and were set aside; the log says why."


async def test_a_spool_that_can_be_read_and_not_written_is_down() -> None:
    spool = _Spool(away=False)
    spool.full = True
    health = with_spool(store_health(InMemoryArchive()), spool)
    assert (await health()).parts["spool"].status is HealthStatus.DOWN
    spool.full = False
    for _ in range(3):
        assert (await health()).parts["spool"].status is HealthStatus.OK
    assert spool.tried == 2  # once it is well, not each time


async def test_without_a_spool_there_is_no_such_part() -> None:
    report = await with_spool(store_health(InMemoryArchive()), None)()
    assert "spool" not in report.parts


class _HeldFeed(InMemoryChangeFeed):
    """A feed that is held up since then, or cannot be asked."""

    def __init__(self, since: datetime | None, *, away: bool = False) -> None:
        super().__init__(lambda _: pytest.fail("nothing is told"))
        self.since = since
        self.away = away

    @override
    async def held_since(self) -> datetime | None:
        if self.away:
            raise StoreUnavailable("away")
        return self.since


@pytest.mark.parametrize(
    ("feed", "status"),
    [
        (_HeldFeed(None), None),
        (_HeldFeed(NOON - timedelta(seconds=30)), None),
        (_HeldFeed(NOON - timedelta(seconds=90)), "degraded"),
        (_HeldFeed(None, away=True), None),
    ],
)
async def test_a_feed_that_is_held_up_for_long_is_told(feed: _HeldFeed, status: str | None) -> None:
    report = await with_feed(store_health(InMemoryArchive()), feed, lambda: NOON)()
    assert report.status == (status or "ok")
    assert ("live" in report.parts) is (status is not None)


async def test_who_asks_again_and_again_is_told_what_was_seen_a_moment_ago() -> None:
    looks = 0
    now = 0.0

    async def look() -> HealthReport:
        nonlocal looks
        looks += 1
        return HealthReport(status=HealthStatus.OK, parts={})

    health = remembered(look, for_s=1.0, clock=lambda: now)
    for _ in range(100):
        assert (await health()).status is HealthStatus.OK
    assert looks == 1
    now = 1.0
    await health()
    assert looks == 2
