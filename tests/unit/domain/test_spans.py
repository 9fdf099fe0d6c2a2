"""The interval algebra agrees with sets of instants, and keeps its normal form."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagateway.domain.spans import (
    BEGINNING,
    Span,
    Spans,
    covers,
    difference,
    intersection,
    span,
    union,
)

_TICK = timedelta(seconds=1)
_TICKS = 24


def at(tick: int) -> datetime:
    return BEGINNING + tick * _TICK


@st.composite
def many(draw: st.DrawFn) -> Spans:
    pairs = draw(st.lists(st.tuples(st.integers(0, _TICKS), st.integers(1, 6)), max_size=6))
    return tuple(Span(at(begin), at(begin + length)) for begin, length in pairs)


def ticks(spans: Spans) -> set[int]:
    return {tick for tick in range(_TICKS + 10) if any(at(tick) in each for each in spans)}


def is_normal(spans: Spans) -> bool:
    return all(one.end < other.begin for one, other in pairwise(spans))


@given(many(), many())
def test_union_is_that_of_sets(one: Spans, other: Spans) -> None:
    got = union(one, other)
    assert ticks(got) == ticks(one) | ticks(other)
    assert is_normal(got)


@given(many(), many())
def test_intersection_is_that_of_sets(one: Spans, other: Spans) -> None:
    got = intersection(one, other)
    assert ticks(got) == ticks(one) & ticks(other)
    assert is_normal(got)


@given(many(), many())
def test_difference_is_that_of_sets(one: Spans, other: Spans) -> None:
    got = difference(one, other)
    assert ticks(got) == ticks(one) - ticks(other)
    assert is_normal(got)


@given(many(), st.integers(0, _TICKS), st.integers(1, 6))
def test_covers_is_that_of_sets(spans: Spans, begin: int, length: int) -> None:
    wanted = set(range(begin, begin + length))
    assert covers(spans, Span(at(begin), at(begin + length))) == (wanted <= ticks(spans))


def test_an_empty_span_is_refused_and_never_made() -> None:
    with pytest.raises(ValueError, match="ends after"):
        Span(at(3), at(3))
    assert span(at(3), at(3)) == ()
    assert span(at(4), at(3)) == ()
