"""How the archive stands, as metrics: the same whichever process is asked."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from wagateway.domain.coverage import Evidence
from wagateway.domain.health import session_health
from wagateway.domain.identity import SessionName
from wagateway.domain.sync import SyncState
from wagateway.ports.figures import Figures, SessionFigures

MOST_SESSIONS = 100
"""Of which each has a handful of series; of what comes after these, only the number is told."""
GAPS_WITHIN = timedelta(days=1)
UNKNOWN = "UNKNOWN"
"""The status of a session of which the engine told none."""


_NUMBER = re.compile(r"\d(?:[\s().+-]{0,2}\d){8,}")


def session_label(session: SessionName) -> str:
    """Return the name of a session as a label, without a phone number that it may be made of.

    A few digits of a digest keep names apart that differ in their numbers alone; many numbers have
    the same ones.
    """
    plain = _NUMBER.sub("[number]", session)
    if plain == session:
        return session
    return f"{plain}-{hashlib.sha256(session.encode()).hexdigest()[:6]}"


def database_up(*, up: bool) -> Metric:
    """Return whether the database told how the archive stands."""
    return _gauge("database_up", "1 where the database told how the archive stands, else 0.", up)


def archive_metrics(
    figures: Figures, now: datetime, *, interval: timedelta, lifetime: timedelta | None
) -> Iterator[Metric]:
    """Yield *figures*, their instants as times from *now*.

    Args:
        figures: as they were read, at most some seconds ago.
        now: the present.
        interval: between two looks of sync, by which health is judged.
        lifetime: how long the engine keeps a file; None: for ever.
    """
    yield _gauge("sessions", "Sessions that the archive knows.", figures.session_count)
    yield from _session_metrics(figures.sessions, now, interval)
    yield _family("sync_chats", "Chats by where their sync stands.", "status", figures.sync_chats)
    yield _gauge("sync_due", "Syncs that could go on, of chats and of sessions.", figures.sync_due)
    yield _gauge(
        "sync_due_age_seconds",
        "Since when the first of these could; 0 where none can.",
        _age_s(figures.sync_due_since, now),
    )
    yield _family(
        "media_files", "Files by their download; not the stored ones.", "status", figures.files
    )
    yield _gauge("media_due", "Files that could be fetched.", figures.files_due)
    yield _gauge(
        "media_due_age_seconds",
        "Since when the first of these could; 0 where none can.",
        _age_s(figures.files_due_since, now),
    )
    if figures.offered_since is not None and lifetime is not None:
        left = (figures.offered_since - now).total_seconds() + lifetime.total_seconds()
        yield _gauge(
            "media_expires_in_seconds",
            "Until the engine drops the first file that waits; absent where none can expire.",
            left,
        )
    yield _gauge(
        "media_uninspected", "Stored files that wait for a look into them.", figures.uninspected
    )
    yield _gauge(
        "log_failed_rows",
        "Rows of the event log that could not be projected: to be replayed after a fix.",
        figures.failed_rows,
    )


def _session_metrics(
    sessions: Iterable[SessionFigures], now: datetime, interval: timedelta
) -> Iterator[Metric]:
    status = _of_session("status", "Always 1; the session's state in the engine.", "status")
    health = _of_session("health", "Always 1; how well the session is.", "level")
    event_s = _of_session("event_age_seconds", "Since the latest webhook of the session.")
    look_s = _of_session(
        "look_age_seconds",
        "Since the last look of sync at all chats that came to its end; absent before the first.",
    )
    gap_s = _of_session(
        "gap_seconds", "What of the last day is not proven complete, on average of its chats."
    )
    incomplete = _of_session(
        "incomplete_chats", "Chats that lack more than a quarter of an hour of the last day."
    )
    told = {session_label(each.session): each for each in sessions}  # each once, or none is taken
    for name, each in told.items():
        status.add_metric([name, each.status or UNKNOWN], 1)
        health.add_metric([name, _health(each, now, interval)], 1)
        event_s.add_metric([name], _age_s(each.last_event_at, now))
        if each.looked_at is not None:
            look_s.add_metric([name], _age_s(each.looked_at, now))
        if each.chats:
            gap_s.add_metric([name], each.gap_s)
            incomplete.add_metric([name], each.incomplete_chats)
    yield from (status, health, event_s, look_s, gap_s, incomplete)


def _health(each: SessionFigures, now: datetime, interval: timedelta) -> str:
    state = None
    if each.sync_status is not None:
        state = SyncState(
            status=each.sync_status, problem=each.sync_problem, caught_up_at=each.looked_at
        )
    known = Evidence(last_heard_at=each.last_event_at)
    return session_health(each.status, state, known, now=now, interval=interval).level


def _of_session(name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"wagateway_session_{name}", meaning, labels=["session", *labels])


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"wagateway_{name}", meaning, value=value)


def _family(name: str, meaning: str, label: str, values: Mapping[Any, int]) -> Metric:
    family = GaugeMetricFamily(f"wagateway_{name}", meaning, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _age_s(since: datetime | None, now: datetime) -> float:
    """Return how long ago that was; nothing is younger than now, whose clock ever told it."""
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
