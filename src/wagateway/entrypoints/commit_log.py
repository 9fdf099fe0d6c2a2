"""What is logged of deliveries: those that could not be archived, and groups that were not written.

A delivery is named by WAHA's id of the event, never by whom it is about.
"""

import re

import structlog

from wagateway.domain.events import Outcome
from wagateway.domain.families import family_of
from wagateway.usecases.group_commit import Commit

_MOST = 5
"""Lines for one group: of a flood, a few say what it is."""
_CLEAN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.deliveries")


def log_commit(commit: Commit) -> None:
    """Log what went wrong with a group, and otherwise nothing: there may be thousands a second."""
    if commit.recorded is None:
        took_ms = round(commit.duration_s * 1000, 1)
        _log.warning("group_not_written", deliveries=len(commit.deliveries), ms=took_ms)
        return
    pairs = zip(commit.deliveries, commit.recorded, strict=True)
    failed = [(each, told) for each, told in pairs if told.outcome is Outcome.FAILED]
    for delivery, told in failed[:_MOST]:
        _log.warning(
            "delivery_not_archived",
            session=delivery.session,
            family=family_of(delivery).value,
            event_id=_clean(delivery.envelope_id),
            reason=told.reason,
        )
    if len(failed) > _MOST:
        _log.warning("more_not_archived", deliveries=len(failed) - _MOST)


def _clean(envelope_id: str | None) -> str | None:
    """Return the engine's id of an event where it looks like one; it is a text like any other."""
    return envelope_id if envelope_id and _CLEAN_ID.fullmatch(envelope_id) else None
