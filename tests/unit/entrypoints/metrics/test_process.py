from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from prometheus_client import generate_latest
from tests.support.deliveries import ANA, NOON, SECOND, SESSION, acked, delivery, seen
from tests.support.metrics import Scraped

from wagateway.adapters.timescale.pool import PoolUsage
from wagateway.domain.events import Delivery, NotUnderstood, Outcome, Recorded, Source
from wagateway.domain.identity import Author, StanzaId
from wagateway.domain.media import Attachment, Download, DownloadStatus
from wagateway.domain.messages import Ack, Kind, MediaFacts
from wagateway.domain.sync import SyncState
from wagateway.entrypoints.metrics.process import ProcessMetrics
from wagateway.ports.downloads import DownloadTask
from wagateway.ports.sync import Archived, SyncTask
from wagateway.usecases.fetch_media import FetchTurn
from wagateway.usecases.group_commit import Commit
from wagateway.usecases.media_work import MediaWorkerState
from wagateway.usecases.sync_work import SyncWorkerState
from wagateway.usecases.turn import LOST, Turn

ARCHIVE = Archived(id=1, session=SESSION, account=None)


class Watch:
    """A clock that stands where the test puts it."""

    now = NOON + 3 * SECOND

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def process() -> ProcessMetrics:
    return ProcessMetrics(Watch())


def scraped(process: ProcessMetrics) -> Scraped:
    class Registry:
        def collect(self) -> Iterator[object]:
            yield from process.collect()

    return Scraped(generate_latest(Registry()))  # type: ignore[arg-type]


def commit(*pairs: tuple[Delivery, Outcome], duration_s: float = 0.02) -> Commit:
    return Commit(
        deliveries=[each for each, _ in pairs],
        recorded=[Recorded(outcome=outcome) for _, outcome in pairs],
        duration_s=duration_s,
    )


class TestDeliveries:
    def test_are_counted_by_family_and_outcome(self, process: ProcessMetrics) -> None:
        unknown = delivery(NotUnderstood(reason="x"), event="5511987650102@c.us")
        process.committed(
            commit(
                (delivery(seen()), Outcome.STORED),
                (delivery(seen()), Outcome.DUPLICATE),
                (delivery(acked(Ack.READ)), Outcome.STORED),
                (unknown, Outcome.FAILED),
            )
        )
        found = scraped(process)
        rises = {labels: n for labels, n in found.series("deliveries_total").items() if n}
        assert {tuple(sorted(labels)): n for labels, n in rises.items()} == {
            (("family", "message"), ("outcome", "stored")): 1,
            (("family", "message"), ("outcome", "duplicate")): 1,
            (("family", "ack"), ("outcome", "stored")): 1,
            (("family", "not_understood"), ("outcome", "failed")): 1,
        }

    def test_no_event_makes_a_series_of_its_own(self, process: ProcessMetrics) -> None:
        before = len(scraped(process).values)
        for number in range(50):
            told = delivery(seen(stanza=f"A{number}"), event=f"new.{number}", session=f"{number}")
            process.committed(commit((told, Outcome.STORED)))
        assert len(scraped(process).values) == before

    def test_a_message_that_is_news_tells_how_late_it_was(self, process: ProcessMetrics) -> None:
        process.committed(
            commit(
                (delivery(seen(sent_at=NOON)), Outcome.STORED),
                (delivery(seen(sent_at=NOON)), Outcome.DUPLICATE),
                (delivery(seen(sent_at=NOON), source=Source.IMPORT), Outcome.STORED),
                (delivery(acked(Ack.READ)), Outcome.STORED),
            )
        )
        found = scraped(process)
        assert found.value("delivery_lag_seconds_count") == 1
        assert found.value("delivery_lag_seconds_sum") == 3
        assert found.value("delivery_lag_seconds_bucket", le="2.5") == 0
        assert found.value("delivery_lag_seconds_bucket", le="5.0") == 1

    def test_a_message_of_a_time_to_come_is_not_late(self, process: ProcessMetrics) -> None:
        process.committed(
            commit((delivery(seen(sent_at=NOON + timedelta(days=9))), Outcome.STORED))
        )
        assert scraped(process).value("delivery_lag_seconds_sum") == 0

    def test_a_group_has_a_size_and_a_duration(self, process: ProcessMetrics) -> None:
        both = (delivery(seen()), Outcome.STORED), (delivery(seen()), Outcome.STORED)
        process.committed(commit(*both, duration_s=0.25))
        found = scraped(process)
        assert found.value("group_commit_seconds_sum") == 0.25
        assert found.value("group_commit_deliveries_sum") == 2
        assert found.value("group_commit_failures_total") == 0

    def test_a_group_that_failed_counts_no_delivery(self, process: ProcessMetrics) -> None:
        process.committed(Commit(deliveries=[delivery(seen())], recorded=None, duration_s=6.0))
        found = scraped(process)
        assert found.value("group_commit_failures_total") == 1
        assert found.value("group_commit_seconds_count") == 1
        assert sum(found.series("deliveries_total").values()) == 0


@pytest.mark.parametrize(
    ("turn", "result"),
    [
        ({"done": True}, "done"),
        ({}, "goes_on"),
        ({"problem": "the engine asks to wait"}, "waits"),
        ({"problem": LOST}, "lost"),
        ({"problem": "refused", "attempts": 1}, "failed"),
        ({"problem": "a defect", "attempts": 1, "defect": ValueError("5511987650102")}, "defect"),
    ],
)
def test_a_turn_of_sync_is_counted_by_its_end(
    process: ProcessMetrics, turn: dict[str, object], result: str
) -> None:
    state = SyncState(attempts=turn.pop("attempts", 0))  # type: ignore[arg-type]
    task = SyncTask(archive=ARCHIVE, chat=ANA, state=state)
    process.turned(Turn(task=task, pages=3, messages=20, stored=7, **turn))  # type: ignore[arg-type]
    found = scraped(process)
    rises = {labels: n for labels, n in found.series("sync_turns_total").items() if n}
    assert rises == {frozenset({("what", "chat"), ("result", result)}): 1}
    assert found.value("sync_pages_total") == 3
    assert found.value("sync_messages_total") == 20
    assert found.value("sync_messages_stored_total") == 7


def test_the_turn_of_a_session_is_told_apart(process: ProcessMetrics) -> None:
    process.turned(Turn(task=SyncTask(archive=ARCHIVE, chat=None, state=SyncState()), done=True))
    assert scraped(process).value("sync_turns_total", what="session", result="done") == 1


@pytest.mark.parametrize(
    ("status", "defect", "result"),
    [
        (DownloadStatus.COMPLETED, None, "completed"),
        (DownloadStatus.EXPIRED, None, "expired"),
        (DownloadStatus.SKIPPED, None, "skipped"),
        (DownloadStatus.FAILED, None, "failed"),
        (DownloadStatus.PENDING, None, "put_off"),
        (DownloadStatus.DOWNLOADING, None, "lost"),
        (DownloadStatus.PENDING, ValueError(), "defect"),
    ],
)
def test_a_file_is_counted_by_what_became_of_it(
    process: ProcessMetrics, status: DownloadStatus, defect: Exception | None, result: str
) -> None:
    task = DownloadTask(
        archive=ARCHIVE,
        chat=ANA,
        stanza=StanzaId("A1"),
        author=Author("them"),
        waha_id="x",
        file=Attachment(
            session=SESSION,
            chat=ANA,
            kind=Kind.IMAGE,
            from_me=False,
            sent_at=NOON,
            facts=MediaFacts(),
        ),
        heard_at=NOON,
        download=Download(status=status),
        lease="x",
    )
    process.fetched(FetchTurn(task=task, size_bytes=1000, defect=defect))
    found = scraped(process)
    rises = {labels for labels, n in found.series("media_fetches_total").items() if n}
    assert rises == {frozenset({("result", result)})}
    assert found.value("media_fetched_bytes_total") == 1000


def test_requests_are_counted_by_route_and_status(process: ProcessMetrics) -> None:
    process.requested("GET", "/api/messages/{session}/{chat}", 200, 0.02)
    process.requested("BREW", "unmatched", 404, 0.001)
    found = scraped(process)
    assert (
        found.value(
            "http_requests_total",
            method="GET",
            route="/api/messages/{session}/{chat}",
            status="200",
        )
        == 1
    )
    assert found.value("http_requests_total", method="other", route="unmatched", status="404") == 1
    assert found.value("http_request_seconds_count", route="unmatched") == 1


class TestLooks:
    def test_streams_and_connections_are_looked_at_when_asked(
        self, process: ProcessMetrics
    ) -> None:
        open_streams = [1, 2]
        usage = PoolUsage(in_use=3, idle=1, most=10, waiting=2)
        process.watch_streams(lambda: len(open_streams), most=100)
        process.watch_pool(lambda: usage)
        assert scraped(process).value("live_streams") == 2
        open_streams.clear()
        found = scraped(process)
        assert (found.value("live_streams"), found.value("live_streams_limit")) == (0, 100)
        assert found.value("database_connections", state="in_use") == 3
        assert found.value("database_connections", state="idle") == 1
        assert found.value("database_connections_limit") == 10
        assert found.value("database_connections_waiting") == 2

    def test_workers_tell_of_themselves(self, process: ProcessMetrics) -> None:
        sync = SyncWorkerState(beat_at=NOON, running=4)
        process.watch_workers([("sync", sync), ("media", MediaWorkerState(problem="full"))])
        found = scraped(process)
        assert found.value("worker_look_age_seconds", part="sync") == 3
        assert found.value("worker_look_age_seconds", part="media") == float("inf")
        assert found.value("worker_trouble", part="sync") == 0
        assert found.value("worker_trouble", part="media") == 1
        assert found.value("worker_tasks", part="sync") == 4
        sync.beat_at = NOON + 2 * SECOND
        assert scraped(process).value("worker_look_age_seconds", part="sync") == 1


def test_what_is_installed_is_told(process: ProcessMetrics) -> None:
    [labels] = scraped(process).series("build_info")
    assert {name for name, _ in labels} == {"version", "python"}


def test_two_of_them_share_nothing(process: ProcessMetrics) -> None:
    other = ProcessMetrics(Watch())
    other.committed(commit((delivery(seen()), Outcome.STORED)))
    assert sum(scraped(process).series("deliveries_total").values()) == 0
