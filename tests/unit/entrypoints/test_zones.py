from datetime import UTC, datetime, timedelta, timezone

import pytest

from wagateway.entrypoints.zones import aware, lasting, shown

NOON = datetime(2026, 10, 3, 12, 0, tzinfo=UTC)


def test_people_are_shown_the_time_of_their_zone() -> None:
    assert shown(NOON, "UTC") == "2026-10-03 12:00 UTC"
    assert shown(NOON, "America/Sao_Paulo") == "2026-10-03 09:00 -03"


def test_a_time_without_an_offset_is_one_of_the_zone() -> None:
    assert aware(datetime(2026, 10, 3, 9, 0), "America/Sao_Paulo") == NOON  # noqa: DTZ001 - meant
    assert aware(datetime(2026, 10, 3, 12, 0), "UTC") == NOON  # noqa: DTZ001 - meant
    there = datetime(2026, 10, 3, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    assert aware(there, "America/Sao_Paulo") == NOON


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=53, hours=7), "53 days"),
        (timedelta(days=1), "1 day"),
        (timedelta(hours=5, minutes=59), "5 hours"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(seconds=-5), "less than a minute"),
    ],
)
def test_a_span_is_told_in_its_largest_unit(span: timedelta, text: str) -> None:
    assert lasting(span) == text
