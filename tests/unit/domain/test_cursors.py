"""Places in lists, as opaque text."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.deliveries import NOON

from wagateway.domain.cursors import (
    LAST_CHARACTER,
    FilePosition,
    MessagePosition,
    decode_cursor,
    encode_cursor,
    file_position,
    message_position,
)
from wagateway.domain.errors import InvalidInput

_ids = st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30
)
_positions = st.builds(
    MessagePosition,
    sent_at=st.datetimes(timezones=st.just(UTC)),
    stanza=_ids | st.just("\\u0000"),
    author=_ids,
)


@given(_positions, st.booleans())
def test_a_position_survives(position: MessagePosition, end: bool) -> None:  # noqa: FBT001
    text = encode_cursor(position)
    assert re.fullmatch(r"[\w-]+", text, re.ASCII)
    assert message_position(text, end_of_instant=end) == position


_parts = st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
_forged = st.builds(encode_cursor, _parts | st.lists(_parts, max_size=4) | _positions)


@given(
    st.text(max_size=80) | _forged,
    st.sampled_from([MessagePosition, str, int, tuple[float, str]]),
)
def test_any_text_is_read_or_refused(text: str, type_: type) -> None:
    try:
        found: object = decode_cursor(text, type_)
    except InvalidInput:
        return
    assert decode_cursor(encode_cursor(found), type_) == found


@given(st.text(max_size=80), st.booleans())
def test_any_text_is_a_place_or_refused(text: str, end: bool) -> None:  # noqa: FBT001
    try:
        found = message_position(text, end_of_instant=end)
    except InvalidInput:
        return
    assert found.sent_at.tzinfo is UTC


def test_an_instant_stands_for_either_of_its_ends() -> None:
    begin = message_position("2026-10-03T12:00:00Z", end_of_instant=False)
    end = message_position("2026-10-03T12:00:00Z", end_of_instant=True)
    assert begin == MessagePosition(NOON, "", "")
    assert end == MessagePosition(NOON, LAST_CHARACTER, LAST_CHARACTER)
    assert begin < MessagePosition(NOON, "A", "me") < end
    assert begin < MessagePosition(NOON, "\U0010fffe", "\U0010fffe") < end


def test_a_place_in_another_zone_is_the_same_place() -> None:
    elsewhere = datetime(2026, 10, 3, 9, tzinfo=timezone(timedelta(hours=-3)))
    text = encode_cursor((elsewhere, "A1", "me"))
    found = message_position(text, end_of_instant=True)
    assert found == MessagePosition(NOON, "A1", "me")
    assert found.sent_at.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        ["2026-10-03T12:00:00", "A1", "me"],
        ["0001-01-01T00:00:00+14:00", "A1", "me"],
        ["2026-10-03T12:00:00Z", "\x00", "me"],
        ["2026-10-03T12:00:00Z", "A1"],
        ["2026-10-03T12:00:00Z", "A1", "me", "more"],
        ["2026-10-03T12:00:00Z", 1, "me"],
        {"sent_at": "2026-10-03T12:00:00Z"},
        None,
    ],
)
def test_what_is_no_place_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        message_position(encode_cursor(value), end_of_instant=True)


@pytest.mark.parametrize("text", ["", "yesterday", "1791028923", "2026-02-30", "2026-13"])
def test_the_refusal_of_a_place_says_what_is_one(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        message_position(text, end_of_instant=True)
    assert str(caught.value) == (
        "before and after take a cursor from an answer or an ISO 8601 instant, "
        "such as 2026-01-31T12:00:00Z"
    )


@pytest.mark.parametrize("text", ["", "é", "A", encode_cursor(1), encode_cursor("\x00")])
def test_the_refusal_of_a_cursor_says_where_one_comes_from(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a cursor of this list; use one that an answer"):
        decode_cursor(text, str)


def test_a_place_in_a_gallery_is_read_as_it_was_written() -> None:
    place = FilePosition(NOON, "A1", "5511987650102@c.us", "them")
    assert file_position(encode_cursor(place)) == place
    assert file_position(None) > place


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", encode_cursor(MessagePosition(NOON, "A1", "them"))),
        encode_cursor(("2026-10-03T12:00:00", "A1", "c", "them")),
        encode_cursor(("0001-01-01T00:00:00+23:00", "A1", "c", "them")),
    ],
)
def test_what_is_no_place_in_a_gallery_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        file_position(text)
