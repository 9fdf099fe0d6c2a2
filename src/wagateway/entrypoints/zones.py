"""Instants as people read and write them: in the time zone that the settings name."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from wagateway.domain.errors import InvalidInput

_UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
)


def zone(name: str) -> tzinfo:
    """Return the zone *name*, one that the settings accept."""
    return UTC if name == "UTC" else ZoneInfo(name)  # small images lack the files of zones


def shown(at: datetime, timezone: str) -> str:
    """Return *at* to the minute, for people of *timezone*."""
    return f"{at.astimezone(zone(timezone)):%Y-%m-%d %H:%M %Z}"


def aware(at: datetime, timezone: str) -> datetime:
    """Return *at* in UTC; where it names no offset, a clock of *timezone* is meant."""
    local = at if at.tzinfo is not None else at.replace(tzinfo=zone(timezone))
    return local.astimezone(UTC)


def aware_span(
    since: datetime | None, until: datetime | None, timezone: str
) -> tuple[datetime | None, datetime | None]:
    """Return both as aware() does; None is without a bound.

    Raises:
        InvalidInput: no time is between the two.
    """
    begin, end = since and aware(since, timezone), until and aware(until, timezone)
    if begin and end and begin >= end:
        raise InvalidInput("--since must be before --until: there is no time between them.")
    return begin, end


def lasting(span: timedelta) -> str:
    """Return *span* in its largest whole unit, such as ``53 days``."""
    for name, unit in _UNITS:
        if (count := span // unit) > 0:
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a minute"
