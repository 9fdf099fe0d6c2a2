"""Instants in all the ways that engines write them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagateway.domain.times import instant

AT = datetime(2026, 10, 3, 12, 2, 3, tzinfo=UTC)
S = 1_791_028_923
HALF = AT + timedelta(milliseconds=500)

TIMES: dict[str, tuple[Any, datetime]] = {
    "seconds": (S, AT),
    "milliseconds": (S * 1000 + 500, HALF),
    "microseconds": (S * 10**6 + 500_000, HALF),
    "nanoseconds": (S * 10**9 + 500_000_000, HALF),
    "float seconds": (S + 0.5, HALF),
    "float milliseconds": (S * 1000 + 500.0, HALF),
    "text of seconds": (f"{S}", AT),
    "text of milliseconds": (f"{S}500", HALF),
    "text of a float": (f"{S}.5", HALF),
    "text in scientific notation": (f"{S / 10**9}e9", AT),
    "text with spaces": (f" {S} ", AT),
    "a Long": ({"low": S, "high": 0, "unsigned": True}, AT),
    "a Long without high": ({"low": S}, AT),
    "a Long with a negative low half": (
        {"low": (S * 1000 & 0xFFFFFFFF) - 2**32, "high": S * 1000 >> 32},
        AT,
    ),
    "ISO with Z": ("2026-10-03T12:02:03Z", AT),
    "ISO with an offset": ("2026-10-03T09:02:03-03:00", AT),
    "ISO without a zone": ("2026-10-03T12:02:03", AT),
    "ISO with a fraction": ("2026-10-03T12:02:03.500Z", HALF),
    "ISO date": ("2026-10-03", datetime(2026, 10, 3, tzinfo=UTC)),
    "the longest text": (f"{S}".rjust(64), AT),
    "the second year": ("0002-01-01", datetime(2, 1, 1, tzinfo=UTC)),
    "as late as seconds go": (10**11 - 1, datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
    "the first milliseconds": (10**11, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
    "the first microseconds": (10**14, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
    "the first nanoseconds": (10**17, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
    "one second": (1, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    "the last second": (253_402_300_799, datetime(1978, 1, 11, 21, 31, 40, 799000, tzinfo=UTC)),
    "the last second in nanoseconds": (
        253_402_300_799 * 10**9,
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ),
    "the last second in milliseconds": (
        253_402_300_799_000,
        datetime(1978, 1, 11, 21, 31, 40, 799000, tzinfo=UTC),
    ),
}

NO_TIMES: dict[str, Any] = {
    "nothing": None,
    "zero": 0,
    "negative": -1,
    "minus zero": -0.0,
    "true": True,
    "false": False,
    "not a number": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "the first second of year 10000": 253_402_300_800 * 10**9,
    "beyond year 9999": 10**22,
    "a huge integer": 10**400,
    "a huge negative integer": -(10**400),
    "empty text": "",
    "text of zero": "0",
    "text of NaN": "nan",
    "text of infinity": "1e999",
    "words": "yesterday",
    "endless digits": "1" * 5000,
    "long digits": "1" * 60,
    "a text that is too long": f"{S}".rjust(65),
    "a day that is none": "2026-02-30",
    "before the first year": "0001-01-01T00:00:00+14:00",
    "the first year": "0001-01-01",
    "a list": [S],
    "an empty Long": {},
    "a Long of text": {"low": str(S), "high": 0},
    "a huge Long": {"low": 0, "high": 10**100},
    "a zero Long": {"low": 0, "high": 0},
    "a negative Long": {"low": 5, "high": -1},
    "bytes": b"1791028923",
}


@pytest.mark.parametrize(("value", "expected"), TIMES.values(), ids=TIMES)
def test_a_time_is_read(value: object, expected: datetime) -> None:
    found = instant(value)
    assert found == expected
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize("value", NO_TIMES.values(), ids=NO_TIMES)
def test_what_says_no_time_is_none(value: object) -> None:
    assert instant(value) is None


def test_digits_in_text_say_what_the_number_says() -> None:
    nanoseconds = 1_791_028_923_144_272_509  # as a float it would be another microsecond
    assert instant(f"{nanoseconds}") == instant(nanoseconds) == AT.replace(microsecond=144_273)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.dictionaries(st.sampled_from(["low", "high"]), inner, max_size=2),
)


@given(_json)
def test_any_value_gives_a_usable_time_or_none(value: object) -> None:
    found = instant(value)
    if found is not None:
        assert found.tzinfo is UTC
        assert 1 < found.year <= 9999


_FIRST, _LAST = datetime(1974, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone


@given(st.datetimes(_FIRST, _LAST, timezones=st.just(UTC)))
def test_milliseconds_survive(at: datetime) -> None:
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    assert instant(round(at.timestamp() * 1000)) == at
    assert instant(at.isoformat()) == at
