"""The laws of every merge: commutative, associative, idempotent."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.deliveries import twin_worlds, worlds

from wagateway.domain.identity import resolve_links
from wagateway.domain.projection import links_of, records_of
from wagateway.domain.records import Record


def _same_key(draw: st.DrawFn) -> list[Record]:
    """Return three records of one type and key."""
    phones: dict[Any, Any] = {}
    world = draw(worlds(max_size=10) | twin_worlds())
    if draw(st.booleans()):
        phones = resolve_links(link for delivery in world for link in links_of(delivery))
    records = [record for delivery in world for _, record in records_of(delivery, phones)]
    if not records:
        return []
    first = draw(st.sampled_from(records))
    alike = [r for r in records if type(r) is type(first) and r.key == first.key]
    return [draw(st.sampled_from(alike)) for _ in range(3)]


same_key = st.composite(_same_key)()


def merged(a: Any, b: Any) -> Any:  # noqa: ANN401 - two records of one type
    return a.merged(b)


@given(same_key)
@settings(max_examples=600, deadline=None)
def test_merging_is_commutative_associative_and_idempotent(records: list[Record]) -> None:
    if not records:
        return
    a, b, c = records
    assert merged(a, b) == merged(b, a)
    assert merged(merged(a, b), c) == merged(a, merged(b, c))
    assert merged(a, a) == a
