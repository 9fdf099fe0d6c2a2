"""A session's health says the worst that is known of it, and why."""

from datetime import UTC, datetime, timedelta

import pytest

from wagateway.domain.coverage import Evidence
from wagateway.domain.events import SessionStatus
from wagateway.domain.health import HealthLevel, session_health
from wagateway.domain.sync import SyncState, SyncStatus

NOW = datetime(2026, 10, 3, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WORKING = SessionStatus.WORKING
SEEN = SyncState(caught_up_at=NOW - MINUTE)


@pytest.mark.parametrize(
    ("status", "state", "level", "reason"),
    [
        (WORKING, SEEN, HealthLevel.HEALTHY, None),
        (SessionStatus.STOPPED, SEEN, HealthLevel.UNHEALTHY, "the session is STOPPED"),
        (SessionStatus.FAILED, None, HealthLevel.UNHEALTHY, "the session is FAILED"),
        (SessionStatus.SCAN_QR_CODE, SEEN, HealthLevel.UNHEALTHY, "the session is SCAN_QR_CODE"),
        (WORKING, None, HealthLevel.UNKNOWN, "no worker has looked at it yet"),
        (WORKING, SyncState(), HealthLevel.UNKNOWN, "no worker has looked at it yet"),
        (WORKING, SyncState(problem="refused"), HealthLevel.UNKNOWN, "refused"),
        (
            WORKING,
            SyncState(status=SyncStatus.FAILED, problem="refused"),
            HealthLevel.UNHEALTHY,
            "refused",
        ),
        (
            WORKING,
            SyncState(caught_up_at=NOW - MINUTE, status=SyncStatus.FAILED, problem="refused"),
            HealthLevel.UNHEALTHY,
            "refused",
        ),
        (
            WORKING,
            SyncState(caught_up_at=NOW - 18 * MINUTE),
            HealthLevel.UNKNOWN,
            "no worker has looked at it lately",
        ),
        (WORKING, SyncState(caught_up_at=NOW - 17 * MINUTE), HealthLevel.HEALTHY, None),
        (SessionStatus.STARTING, SEEN, HealthLevel.DEGRADED, "the session is STARTING"),
        (None, SEEN, HealthLevel.DEGRADED, "the session is in a state that was not told"),
        (
            WORKING,
            SyncState(caught_up_at=NOW - MINUTE, problem="away"),
            HealthLevel.DEGRADED,
            "away",
        ),
    ],
)
def test_the_worst_that_is_known_counts(
    status: SessionStatus | None,
    state: SyncState | None,
    level: HealthLevel,
    reason: str | None,
) -> None:
    heard = NOW - 2 * MINUTE
    health = session_health(
        status, state, Evidence(last_heard_at=heard), now=NOW, interval=5 * MINUTE
    )
    assert (health.level, health.reason) == (level, reason)
    assert health.last_event_at == heard
    assert health.probed_at == (state.caught_up_at if state else None)
