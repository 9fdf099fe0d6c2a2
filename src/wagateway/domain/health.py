"""How well a session is, from what its engine and its sync tell."""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from wagateway.domain.coverage import Evidence
from wagateway.domain.events import SessionStatus
from wagateway.domain.sync import SyncState, SyncStatus


class HealthLevel(StrEnum):
    """How well, in one word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Something is late or missing, and will be made up for."""
    UNHEALTHY = "unhealthy"
    """Nothing comes in; somebody must do something."""
    UNKNOWN = "unknown"
    """Nobody has asked the engine lately."""


class Health(Struct, frozen=True, kw_only=True):
    """How well a session is, and why it is not well.

    Attributes:
        reason: for people; None where it is well.
        probed_at: when the last look at all chats began that came to its end.
        last_event_at: when the latest webhook came; None before the first.
    """

    level: HealthLevel
    reason: str | None = None
    probed_at: datetime | None = None
    last_event_at: datetime | None = None


AWAY = frozenset({SessionStatus.STOPPED, SessionStatus.FAILED, SessionStatus.SCAN_QR_CODE})
"""States that a session does not leave by itself: somebody must start it, mend it or pair it."""
_LATE = 3
"""Intervals without a look at the engine, and two minutes for it, after which nobody knows."""


def session_health(
    status: SessionStatus | None,
    state: SyncState | None,
    known: Evidence,
    *,
    now: datetime,
    interval: timedelta,
) -> Health:
    """Judge a session.

    Args:
        status: the latest that the engine told.
        state: the sync of the session as a whole; None where no worker found it.
        known: of the session as a whole; only its latest webhook counts here.
        now: the present.
        interval: between two looks at the engine.
    """
    probed_at = state.caught_up_at if state else None
    level, reason = _judged(status, state, probed_at, now, interval)
    return Health(
        level=level, reason=reason, probed_at=probed_at, last_event_at=known.last_heard_at
    )


def _judged(  # noqa: PLR0911 - one line for each answer, the worst first
    status: SessionStatus | None,
    state: SyncState | None,
    probed_at: datetime | None,
    now: datetime,
    interval: timedelta,
) -> tuple[HealthLevel, str | None]:
    if status in AWAY:
        return HealthLevel.UNHEALTHY, f"the session is {status}"
    if state is not None and state.status is SyncStatus.FAILED:
        return HealthLevel.UNHEALTHY, state.problem
    if state is None or probed_at is None:
        problem = None if state is None else state.problem
        return HealthLevel.UNKNOWN, problem or "no worker has looked at it yet"
    if now - probed_at > interval * _LATE + timedelta(minutes=2):
        return HealthLevel.UNKNOWN, state.problem or "no worker has looked at it lately"
    if status is not SessionStatus.WORKING:
        return HealthLevel.DEGRADED, f"the session is {status or 'in a state that was not told'}"
    if state.problem:
        return HealthLevel.DEGRADED, state.problem
    return HealthLevel.HEALTHY, None
