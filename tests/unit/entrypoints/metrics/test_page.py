import asyncio
import re
import threading
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.support.deliveries import NOON, SECOND
from tests.support.metrics import Scraped
from typing_extensions import override

from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import SessionStatus
from wagateway.domain.identity import SessionName
from wagateway.domain.media import DownloadStatus
from wagateway.domain.sync import SyncStatus
from wagateway.entrypoints.metrics.page import MetricsPage, Plan
from wagateway.entrypoints.metrics.process import ProcessMetrics
from wagateway.ports.figures import ArchiveFigures, Figures, SessionFigures

HOUR = timedelta(hours=1)
WELL = SessionFigures(
    session=SessionName("vendas"),
    status=SessionStatus.WORKING,
    last_event_at=NOON - 40 * SECOND,
    sync_status=SyncStatus.PENDING,
    looked_at=NOON - 100 * SECOND,
    chats=4,
    gap_s=300.0,
    incomplete_chats=1,
)


def figures(*sessions: SessionFigures) -> Figures:
    return Figures(
        session_count=len(sessions),
        sessions=sessions,
        sync_chats={SyncStatus.IDLE: 9, SyncStatus.FAILED: 2},
        sync_due=3,
        sync_due_since=NOON - 5 * SECOND,
        files={DownloadStatus.PENDING: 4, DownloadStatus.EXPIRED: 1},
        files_due=4,
        files_due_since=NOON - 9 * SECOND,
        offered_since=NOON - 100 * SECOND,
        uninspected=7,
        failed_rows=6,
    )


class Told(ArchiveFigures):
    """Tells what the test wants."""

    def __init__(self, *sessions: SessionFigures) -> None:
        self.figures = figures(*sessions)
        self.failure: Exception | None = None
        self.hangs = False
        self.asked = 0

    @override
    async def read(self, now: datetime, *, within: timedelta, most_sessions: int) -> Figures:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        assert (within, most_sessions) == (timedelta(days=1), 100)
        return self.figures


def page_of(told: Told, **plan: object) -> MetricsPage:
    given = {"lifetime": timedelta(seconds=180), "fresh_s": 0.0} | plan
    clock = lambda: NOON  # noqa: E731 - as short as the clocks of other tests
    return MetricsPage(ProcessMetrics(clock), told, clock, Plan(**given))  # type: ignore[arg-type]


async def scraped(page: MetricsPage) -> Scraped:
    async with asyncio.timeout(5):
        return Scraped(await page())


async def test_a_session_is_told_in_ages() -> None:
    found = await scraped(page_of(Told(WELL)))
    assert found.value("database_up") == 1
    assert found.value("sessions") == 1
    assert found.value("session_status", session="vendas", status="WORKING") == 1
    assert found.value("session_health", session="vendas", level="healthy") == 1
    assert found.value("session_event_age_seconds", session="vendas") == 40
    assert found.value("session_look_age_seconds", session="vendas") == 100
    assert found.value("session_gap_seconds", session="vendas") == 300
    assert found.value("session_incomplete_chats", session="vendas") == 1


async def test_what_is_not_known_of_a_session_is_not_told() -> None:
    bare = SessionFigures(session=SessionName("x"), last_event_at=NOON + HOUR)
    found = await scraped(page_of(Told(bare)))
    assert found.value("session_status", session="x", status="UNKNOWN") == 1
    assert found.value("session_health", session="x", level="unknown") == 1
    assert found.value("session_event_age_seconds", session="x") == 0
    for name in ("look_age_seconds", "gap_seconds", "incomplete_chats"):
        assert found.series(f"session_{name}") == {}


async def test_health_is_judged_by_the_interval_of_sync() -> None:
    late = msgspec.structs.replace(WELL, looked_at=NOON - HOUR)
    for interval, level in ((timedelta(minutes=5), "unknown"), (HOUR, "healthy")):
        found = await scraped(page_of(Told(late), interval=interval))
        assert found.value("session_health", session="vendas", level=level) == 1
    stopped = SessionFigures(
        session=SessionName("y"), status=SessionStatus.STOPPED, last_event_at=NOON
    )
    found = await scraped(page_of(Told(stopped)))
    assert found.value("session_health", session="y", level="unhealthy") == 1


async def test_queues_are_told() -> None:
    found = await scraped(page_of(Told()))
    assert found.value("sync_chats", status="failed") == 2
    assert (found.value("sync_due"), found.value("sync_due_age_seconds")) == (3, 5)
    assert found.value("media_files", status="pending") == 4
    assert (found.value("media_due"), found.value("media_due_age_seconds")) == (4, 9)
    assert found.value("media_expires_in_seconds") == 80
    assert found.value("media_uninspected") == 7
    assert found.value("log_failed_rows") == 6


async def test_what_the_engine_keeps_for_ever_does_not_expire() -> None:
    found = await scraped(page_of(Told(), lifetime=None))
    assert found.value("media_expires_in_seconds") is None


async def test_a_name_that_is_no_label_is_one_all_the_same() -> None:
    hostile = SessionName('x"} 1\n# TYPE up gauge\\')
    found = await scraped(page_of(Told(SessionFigures(session=hostile, last_event_at=NOON))))
    assert found.value("session_event_age_seconds", session=hostile) == 0


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("vendas", "vendas"),
        ("loja-12", "loja-12"),
        ("since 2026-11-24", "since 2026-11-24"),
        ("5511987650102", r"\[number\]-[0-9a-f]{6}"),
        ("vendas 5511987650102", r"vendas \[number\]-[0-9a-f]{6}"),
        ("+55 (11) 98765-0102", r"\+\[number\]-[0-9a-f]{6}"),
        ("5511987650102@c.us", r"\[number\]@c\.us-[0-9a-f]{6}"),
    ],
)
async def test_a_session_that_is_named_by_a_number_is_told_without_it(
    name: str, shown: str
) -> None:
    other = name.replace("0102", "0103")
    both = (SessionFigures(session=SessionName(n), last_event_at=NOON) for n in {name, other})
    page = await page_of(Told(*both))()
    assert b"1987650102" not in page
    assert b"98765-0102" not in page
    labels = {dict(each)["session"] for each in Scraped(page).series("session_event_age_seconds")}
    assert len(labels) == len({name, other})
    assert all(re.fullmatch(shown, label) for label in labels)


class TestWithoutTheDatabase:
    async def nothing_of_it(self, page: MetricsPage) -> None:
        found = await scraped(page)
        assert found.value("database_up") == 0
        assert found.value("group_commit_failures_total") == 0
        of_the_archive = ("wagateway_session", "wagateway_sync_due", "wagateway_media_due")
        assert not [name for name, _ in found.values if name.startswith(of_the_archive)]

    async def test_that_is_away(self) -> None:
        told = Told(WELL)
        told.failure = StoreUnavailable("no connection to db.internal")
        await self.nothing_of_it(page_of(told))

    async def test_that_hangs(self) -> None:
        told = Told(WELL)
        told.hangs = True
        await self.nothing_of_it(page_of(told, timeout_s=0.02))

    async def test_of_which_a_defect_keeps_us_away(self) -> None:
        told = Told(WELL)
        told.failure = ValueError("5511987650102@c.us")
        with capture_logs() as logs:
            await self.nothing_of_it(page_of(told))
        assert "551198765" not in str(logs)
        assert [log["reason"] for log in logs] == ["ValueError"]

    async def test_that_comes_back(self) -> None:
        told = Told(WELL)
        told.failure = StoreUnavailable("away")
        page = page_of(told)
        await self.nothing_of_it(page)
        told.failure = None
        assert (await scraped(page)).value("database_up") == 1


class TestAskedOften:
    async def test_the_database_is_asked_once_in_a_while(self) -> None:
        told = Told(WELL)
        page = page_of(told, fresh_s=60.0)
        await asyncio.gather(*(scraped(page) for _ in range(20)))
        assert told.asked == 1

    async def test_that_it_is_away_holds_for_a_while_too(self) -> None:
        told = Told(WELL)
        told.hangs = True
        page = page_of(told, fresh_s=60.0, timeout_s=0.02)
        await asyncio.gather(*(scraped(page) for _ in range(20)))
        assert told.asked == 1

    async def test_and_later_again(self) -> None:
        told = Told(WELL)
        page = page_of(told, fresh_s=0.01)
        await scraped(page)
        await asyncio.sleep(0.02)
        await scraped(page)
        assert told.asked == 2


async def test_free_space_is_told_also_of_a_folder_that_is_not_made_yet(tmp_path: Path) -> None:
    page = page_of(Told(), places={"media": tmp_path / "not" / "yet", "database": tmp_path})
    found = await scraped(page)
    for place in ("media", "database"):
        free = found.value("disk_free_bytes", place=place)
        size = found.value("disk_size_bytes", place=place)
        assert free is not None
        assert size is not None
        assert 0 < free <= size


class Hanging:
    """Stands for a folder on a disk that does not answer until it is let go."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.looks = 0

    @property
    def parents(self) -> list[Path]:
        return [Path("/")]

    def exists(self) -> bool:
        self.looks += 1
        self.gate.wait(10)
        return False


async def test_a_disk_that_hangs_is_looked_at_once_and_harms_nobody() -> None:
    folder = Hanging()
    page = page_of(Told(WELL), places={"media": folder}, timeout_s=0.02)
    try:
        for _ in range(5):
            found = await scraped(page)
            assert found.value("database_up") == 1
            assert found.series("disk_free_bytes") == {}
        assert folder.looks == 1
    finally:
        folder.gate.set()
    async with asyncio.timeout(5):
        while not (await scraped(page)).series("disk_free_bytes"):
            await asyncio.sleep(0.01)


async def test_when_series_began_is_left_out() -> None:
    found = await scraped(page_of(Told(WELL)))
    assert not [name for name, _ in found.values if name.endswith("_created")]


@pytest.mark.parametrize("sessions", [0, 100])
async def test_the_page_has_an_end(sessions: int) -> None:
    many = [
        SessionFigures(session=SessionName(f"s{n}"), last_event_at=NOON, looked_at=NOON, chats=1)
        for n in range(sessions)
    ]
    found = await scraped(page_of(Told(*many)))
    assert len(found.values) < 250 + 6 * sessions
