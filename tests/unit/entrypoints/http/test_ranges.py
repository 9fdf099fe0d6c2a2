"""Which part of a file is wanted, whatever stands in the header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagateway.entrypoints.http.ranges import NothingThere, is_held, range_applies, wanted_range

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=0-", (0, 99)),
        ("bytes=10-19", (10, 19)),
        ("bytes=90-500", (90, 99)),
        ("bytes=-1", (99, 99)),
        ("bytes=-500", (0, 99)),
        ("BYTES=1-2", (1, 2)),
        (" bytes=1-2 ", (1, 2)),
        (None, None),
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
        ("bytes=1.5-2", None),
        ("bytes=٣-٤", None),
        ("bytes=" + "9" * 4000 + "-", None),
    ],
)
def test_the_wanted_part(header: str | None, part: tuple[int, int] | None) -> None:
    assert wanted_range(header, 100) == part


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=-0", 100), ("bytes=0-", 0)],
)
def test_a_part_behind_the_end_is_nothing(header: str, size: int) -> None:
    with pytest.raises(NothingThere):
        wanted_range(header, size)


@given(st.text(max_size=40) | st.from_regex(r"bytes=\d{0,20}-\d{0,20}"), st.integers(0, 10**12))
def test_a_part_always_lies_in_the_file(header: str, size: int) -> None:
    try:
        part = wanted_range(header, size)
    except NothingThere:
        return
    assert part is None or 0 <= part[0] <= part[1] < size


@pytest.mark.parametrize(
    ("header", "held"),
    [
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ("*", True),
        ('"abcd"', False),
        ("abc", False),
        ("", False),
        (None, False),
    ],
)
def test_who_holds_it_already(header: str | None, *, held: bool) -> None:
    assert is_held(header, ETAG) is held


@pytest.mark.parametrize(
    ("header", "applies"),
    [(None, True), ('"abc"', True), ('W/"abc"', False), ('"abcd"', False), ("yesterday", False)],
)
def test_a_range_of_another_version_is_not_applied(header: str | None, *, applies: bool) -> None:
    assert range_applies(header, ETAG) is applies
