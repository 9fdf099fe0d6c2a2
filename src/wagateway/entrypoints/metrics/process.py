"""What this process counts of its own work, in a registry of its own."""

import platform
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
)

from wagateway.adapters.timescale.pool import PoolUsage
from wagateway.domain.events import Outcome
from wagateway.domain.families import Family, family_of, sent_at
from wagateway.domain.media import DownloadStatus
from wagateway.entrypoints.http.health import Working
from wagateway.entrypoints.waha_webhook import WEBHOOK_PATH
from wagateway.ports.clock import Clock
from wagateway.usecases.fetch_media import FetchTurn
from wagateway.usecases.group_commit import Commit
from wagateway.usecases.turn import LOST, Turn

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_ENDS = frozenset(
    {
        DownloadStatus.COMPLETED,
        DownloadStatus.FAILED,
        DownloadStatus.SKIPPED,
        DownloadStatus.EXPIRED,
    }
)
TURNS = ("done", "goes_on", "waits", "failed", "lost", "defect")
FETCHES = (*sorted(_ENDS), "put_off", "lost", "defect")

_LAG_S = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)
_COMMIT_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 6, 30)
_GROUP = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ProcessMetrics:
    """Told by use cases and by the server of what they did; what it is told never fails.

    What may happen is there from the start, as zero: the first failure counts as a rise.
    """

    def __init__(self, clock: Clock) -> None:
        """Count from now on; *clock* tells how late a message is."""
        self._clock = clock
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        info = self._gauge("build_info", "Always 1; what is installed.", "version", "python")
        info.labels(version("wagateway"), platform.python_version()).set(1)
        self._count_deliveries()
        self._count_requests()
        self._count_work()

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"wagateway_{name}", meaning, labels, registry=self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"wagateway_{name}", meaning, labels, registry=self._registry)

    def _histogram(
        self, name: str, meaning: str, *labels: str, buckets: tuple[float, ...]
    ) -> Histogram:
        return Histogram(
            f"wagateway_{name}", meaning, labels, registry=self._registry, buckets=buckets
        )

    def _count_deliveries(self) -> None:
        self._deliveries = self._counter(
            "deliveries_total", "Deliveries that were recorded.", "family", "outcome"
        )
        self._delivered = {
            (family, outcome): self._deliveries.labels(family, outcome)
            for family in Family
            for outcome in Outcome
        }
        self._lag = self._histogram(
            "delivery_lag_seconds",
            "From WhatsApp's time of a message that came by webhook until it was stored.",
            buckets=_LAG_S,
        )
        self._commits = self._histogram(
            "group_commit_seconds", "Duration of a transaction of deliveries.", buckets=_COMMIT_S
        )
        self._groups = self._histogram(
            "group_commit_deliveries", "Deliveries that shared a transaction.", buckets=_GROUP
        )
        self._lost_commits = self._counter(
            "group_commit_failures_total",
            "Transactions of deliveries that failed; their callers were told to repeat.",
        )

    def _count_requests(self) -> None:
        self._requests = self._counter(
            "http_requests_total", "Requests that were answered.", "method", "route", "status"
        )
        for status in (200, 400, 401, 408, 413, 415, 500, 503):
            self._requests.labels("POST", WEBHOOK_PATH, status)
        self._request_s = self._histogram(
            "http_request_seconds",
            "From the head of a request to the end of its answer.",
            "route",
            buckets=_REQUEST_S,
        )

    def _count_work(self) -> None:
        self._turns = self._counter(
            "sync_turns_total", "Turns that syncs had, by how they ended.", "what", "result"
        )
        for what in ("chat", "session"):
            for result in TURNS:
                self._turns.labels(what, result)
        self._pages = self._counter("sync_pages_total", "Pages that sync asked the engine for.")
        self._read = self._counter("sync_messages_total", "Messages in these pages.")
        self._news = self._counter("sync_messages_stored_total", "Of these, those that were news.")
        self._fetches = self._counter(
            "media_fetches_total", "Tries to fetch a file, by what became of it.", "result"
        )
        for result in FETCHES:
            self._fetches.labels(result)
        self._fetched_bytes = self._counter("media_fetched_bytes_total", "Bytes that were stored.")

    # What is told as it happens

    def committed(self, commit: Commit) -> None:
        """Take note of a group of deliveries."""
        self._commits.observe(commit.duration_s)
        self._groups.observe(len(commit.deliveries))
        if commit.recorded is None:
            self._lost_commits.inc()
            return
        now = self._clock()
        for delivery, recorded in zip(commit.deliveries, commit.recorded, strict=True):
            self._delivered[family_of(delivery), recorded.outcome].inc()
            at = sent_at(delivery) if recorded.outcome is Outcome.STORED else None
            if at is not None:
                self._lag.observe(max(0.0, (now - at).total_seconds()))

    def requested(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Take note of a request; *route* is its template, or one word for all without one."""
        self._requests.labels(method if method in _METHODS else "other", route, status).inc()
        self._request_s.labels(route).observe(duration_s)

    def turned(self, turn: Turn) -> None:
        """Take note of a turn of sync."""
        what = "chat" if turn.task.chat else "session"
        self._turns.labels(what, _turn_result(turn)).inc()
        self._pages.inc(turn.pages)
        self._read.inc(turn.messages)
        self._news.inc(turn.stored)

    def fetched(self, turn: FetchTurn) -> None:
        """Take note of a try to fetch a file."""
        self._fetches.labels(_fetch_result(turn)).inc()
        self._fetched_bytes.inc(turn.size_bytes)

    # What is looked at when somebody asks

    def watch_streams(self, streams: Callable[[], int], *, most: int) -> None:
        """Show how many follow the archive here."""
        self._gauge("live_streams", "Listeners that follow the archive.").set_function(streams)
        self._gauge("live_streams_limit", "How many may.").set(most)

    def watch_pool(self, usage: Callable[[], PoolUsage]) -> None:
        """Show how the connections to the database are used."""
        connections = self._gauge(
            "database_connections", "Connections to the database, by what they do.", "state"
        )
        connections.labels("in_use").set_function(lambda: usage().in_use)
        connections.labels("idle").set_function(lambda: usage().idle)
        limit = self._gauge("database_connections_limit", "How many there may be.")
        limit.set_function(lambda: usage().most)
        waiting = self._gauge("database_connections_waiting", "Callers that wait for one.")
        waiting.set_function(lambda: usage().waiting)

    def watch_workers(self, workers: Iterable[tuple[str, Working]]) -> None:
        """Show how the workers of this process are, by name."""
        beat = self._gauge(
            "worker_look_age_seconds",
            "Since a worker last looked for work; infinite before the first time.",
            "part",
        )
        problem = self._gauge("worker_trouble", "1 while a worker cannot work, else 0.", "part")
        running = self._gauge("worker_tasks", "Tasks that a worker does at this moment.", "part")
        for part, state in workers:
            beat.labels(part).set_function(partial(self._age_s, state))
            problem.labels(part).set_function(partial(_trouble, state))
            running.labels(part).set_function(partial(_running, state))

    def _age_s(self, state: Working) -> float:
        return (self._clock() - state.beat_at).total_seconds() if state.beat_at else float("inf")

    def collect(self) -> Iterable[Metric]:
        """Return all that is counted here."""
        return self._registry.collect()


def _trouble(state: Working) -> float:
    return state.problem is not None


def _running(state: Working) -> float:
    return state.running


def _turn_result(turn: Turn) -> str:
    if turn.defect is not None:
        return "defect"
    if turn.problem == LOST:
        return "lost"
    if turn.problem is not None:
        return "failed" if turn.task.state.attempts else "waits"
    return "done" if turn.done else "goes_on"


def _fetch_result(turn: FetchTurn) -> str:
    status = turn.task.download.status
    if turn.defect is not None:
        return "defect"
    if status in _ENDS:
        return status
    return "lost" if status is DownloadStatus.DOWNLOADING else "put_off"
