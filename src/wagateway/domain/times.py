"""Instants as engines write them, turned into aware UTC datetimes.

Units differ by event and engine: seconds, milliseconds, floats, numeric strings, ISO 8601, and
``{"low": N, "high": 0, "unsigned": true}`` (a protobuf Long). The magnitude tells the unit.
Source: WAHA docs, Events; recorded WAHA 2024.10 bodies.
"""

import math
from datetime import UTC, datetime
from typing import Any

_FIRST_MILLISECONDS = 10**11
_FIRST_MICROSECONDS = 10**14
_FIRST_NANOSECONDS = 10**17
_LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z, the last one that datetime holds."""


_LAST_NANOSECOND = (_LAST_SECOND + 1) * 10**9


def instant(value: Any) -> datetime | None:  # noqa: ANN401 - engines send any JSON value here
    """Return *value* as an aware UTC datetime, or None when it says no usable time.

    Zero, negative, not finite and beyond the year 9999 say no time.
    """
    if isinstance(value, dict):
        low, high = value.get("low"), value.get("high", 0)
        if not isinstance(low, int) or not isinstance(high, int):
            return None
        value = (high << 32) + (low & 0xFFFFFFFF)
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _from_number(value)


def _from_text(text: str) -> datetime | None:
    if len(text) > 64:  # noqa: PLR2004 - longer than any way to write an instant
        return None
    try:
        number = float(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return None
        try:
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except OverflowError:
            return None
        return at if at.year > 1 else None
    return _from_number(int(text) if text.isascii() and text.isdigit() else number)


def _from_number(number: float) -> datetime | None:
    if number <= 0 or number > _LAST_NANOSECOND or not math.isfinite(number):
        return None
    for first, per_second in (
        (_FIRST_NANOSECONDS, 10**9),
        (_FIRST_MICROSECONDS, 10**6),
        (_FIRST_MILLISECONDS, 10**3),
    ):
        if number >= first:
            number = number / per_second
            break
    if number > _LAST_SECOND:
        return None
    return datetime.fromtimestamp(round(number, 6), UTC)
