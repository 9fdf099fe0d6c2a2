"""Spans of time and their algebra: which parts of a chat's history are complete.

A tuple of spans is in normal form when they are sorted, disjoint and do not touch; all functions
take any tuple and return normal form.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Before every message."""


class Span(Struct, frozen=True, order=True):
    """Instants from *begin*, inclusive, to *end*, exclusive; never empty.

    Raises:
        ValueError: *end* is not after *begin*.
    """

    begin: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.begin:
            raise ValueError("a span ends after its begin")

    def __contains__(self, at: datetime) -> bool:
        return self.begin <= at < self.end


Spans = tuple[Span, ...]


def span(begin: datetime, end: datetime) -> Spans:
    """Return the span from *begin* to *end*, or none where it would be empty."""
    return (Span(begin, end),) if begin < end else ()


def union(*many: Iterable[Span]) -> Spans:
    """Return what is in any of *many*."""
    found: list[Span] = []
    for each in sorted(s for spans in many for s in spans):
        if found and each.begin <= found[-1].end:
            found[-1] = Span(found[-1].begin, max(found[-1].end, each.end))
        else:
            found.append(each)
    return tuple(found)


def intersection(one: Iterable[Span], other: Iterable[Span]) -> Spans:
    """Return what is in both."""
    rights = union(other)
    return union(
        *(span(max(a.begin, b.begin), min(a.end, b.end)) for a in union(one) for b in rights)
    )


def difference(one: Iterable[Span], other: Iterable[Span]) -> Spans:
    """Return what is in *one* and not in *other*."""
    left: list[Span] = []
    holes = union(other)
    for each in union(one):
        begin = each.begin
        for hole in holes:
            if hole.end <= begin or hole.begin >= each.end:
                continue
            left += span(begin, hole.begin)
            begin = max(begin, hole.end)
        left += span(begin, each.end)
    return tuple(left)


def covers(spans: Iterable[Span], wanted: Span) -> bool:
    """Tell whether all of *wanted* is in *spans*."""
    return not difference((wanted,), spans)
