import asyncio
from pathlib import Path

from structlog.testing import capture_logs
from tests.support.deliveries import NOON, delivery, seen
from tests.support.metrics import Scraped
from tests.unit.entrypoints.metrics.test_page import Told

from wagateway.domain.events import Outcome, Recorded
from wagateway.entrypoints.metrics.page import MetricsPage, Plan
from wagateway.entrypoints.metrics.process import ProcessMetrics
from wagateway.entrypoints.metrics.siblings import Siblings
from wagateway.usecases.group_commit import Commit


class Process:
    """One of several behind a port."""

    def __init__(self, folder: Path, number: int) -> None:
        self.counts = ProcessMetrics(lambda: NOON)
        self.siblings = Siblings(folder, number)
        self.page = MetricsPage(self.counts, Told(), lambda: NOON, Plan(), self.siblings)

    def record(self, deliveries: int) -> None:
        self.counts.committed(
            Commit(
                deliveries=[delivery(seen())] * deliveries,
                recorded=[Recorded(outcome=Outcome.STORED)] * deliveries,
                duration_s=0.1,
            )
        )

    def write(self) -> None:
        self.siblings.write(self.page.counted())


def stored(found: Scraped) -> dict[str, float]:
    return {
        dict(labels)["worker"]: value
        for labels, value in found.series("deliveries_total").items()
        if {("family", "message"), ("outcome", "stored")} <= labels
    }


async def test_whichever_is_asked_tells_what_all_count(tmp_path: Path) -> None:
    one, two = Process(tmp_path, 0), Process(tmp_path, 1)
    one.record(2)
    two.record(3)
    one.write()
    two.write()
    for process in (one, two):
        found = Scraped(await process.page())
        assert stored(found) == {"0": 2, "1": 3}
        buckets = found.series("group_commit_seconds_bucket")
        assert len([labels for labels in buckets if ("le", "+Inf") in labels]) == 2


async def test_what_is_read_from_the_database_is_told_once(tmp_path: Path) -> None:
    one, two = Process(tmp_path, 0), Process(tmp_path, 1)
    two.write()
    assert Scraped(await one.page()).series("sync_due") == {frozenset(): 3}


async def test_it_tells_its_own_as_it_is_now(tmp_path: Path) -> None:
    one = Process(tmp_path, 0)
    one.write()
    one.record(1)
    assert stored(Scraped(await one.page())) == {"0": 1}


async def test_one_that_began_anew_counts_from_zero_and_no_other_does(tmp_path: Path) -> None:
    one, two = Process(tmp_path, 0), Process(tmp_path, 1)
    one.record(2)
    two.record(3)
    one.write()
    two.write()
    again = Process(tmp_path, 1)
    again.write()
    assert stored(Scraped(await one.page())) == {"0": 2, "1": 0}


async def test_a_file_that_is_none_of_ours_is_passed_over(tmp_path: Path) -> None:
    one = Process(tmp_path, 0)
    (tmp_path / "1.prom").write_bytes(b"\xff\x00 no page {")
    assert stored(Scraped(await one.page())) == {"0": 0}


async def test_it_is_written_again_and_again_until_the_end(tmp_path: Path) -> None:
    one, two = Process(tmp_path, 0), Process(tmp_path, 1)
    async with one.siblings.told(one.page.counted, every_s=0.01):
        one.record(5)
        async with asyncio.timeout(5):
            while stored(Scraped(await two.page())).get("0") != 5:
                await asyncio.sleep(0.005)
    one.record(1)
    await asyncio.sleep(0.05)
    assert stored(Scraped(await two.page()))["0"] == 5


async def test_a_disk_that_is_full_harms_nobody(tmp_path: Path) -> None:
    one = Process(tmp_path / "gone", 0)
    with capture_logs() as logs:
        async with one.siblings.told(one.page.counted, every_s=60):
            await asyncio.sleep(0.01)
    assert [log["event"] for log in logs] == ["metrics_not_shared"]
    assert stored(Scraped(await one.page())) == {"0": 0}
