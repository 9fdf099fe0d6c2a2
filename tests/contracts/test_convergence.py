"""G4: any order, grouping and repetition of the same deliveries leaves the same archive."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contracts.archives import Backend, backend, in_memory
from tests.support.deliveries import twin_worlds, worlds
from tests.support.depth import examples
from tests.support.postgres import USUAL, Servers

from wagateway.domain.events import Delivery
from wagateway.domain.identity import SessionName


async def _in_memory(groups: list[list[Delivery]]) -> dict[str, Any]:
    archive = in_memory()
    for group in groups:
        await archive.record(*group)
    return await archive.picture(groups[0][0].session)


World = list[Delivery]
Retelling = tuple[World, list[World]]


@st.composite
def _retold(draw: st.DrawFn, told: st.SearchStrategy[World]) -> Retelling:
    """Return a world, and the same told in another order, with repetitions, in other groups."""
    world = draw(told)
    again = draw(st.lists(st.sampled_from(world), max_size=4))
    shuffled = draw(st.permutations([*world, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    edges = [0, *cuts, len(shuffled)]
    groups = [list(shuffled[a:b]) for a, b in itertools.pairwise(edges)]
    return world, [group for group in groups if group]


@given(_retold(worlds()))
@settings(max_examples=examples(120))
async def test_any_retelling_leaves_the_same_archive_in_memory(retelling: Retelling) -> None:
    world, groups = retelling
    assert await _in_memory(groups) == await _in_memory([world])


@given(_retold(twin_worlds()))
@settings(max_examples=examples(160))
async def test_any_retelling_of_twins_leaves_the_same_archive_in_memory(
    retelling: Retelling,
) -> None:
    world, groups = retelling
    assert await _in_memory(groups) == await _in_memory([world])


@given(_retold(worlds(pictures=True)))
@settings(max_examples=examples(120))
async def test_any_retelling_of_pictures_leaves_the_same_previews_in_memory(
    retelling: Retelling,
) -> None:
    world, groups = retelling
    assert await _in_memory(groups) == await _in_memory([world])


@pytest.fixture(scope="module")
async def postgres(postgres_servers: Servers) -> AsyncIterator[Backend]:
    async with backend(USUAL, postgres_servers) as found:
        yield found


_runs = itertools.count()


@pytest.mark.embedded
@given(retelling=_retold(worlds() | worlds(pictures=True) | twin_worlds()))
@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_any_retelling_leaves_the_same_archive_in_postgres(
    postgres: Backend, retelling: Retelling
) -> None:
    world, groups = retelling
    session = SessionName(f"run-{next(_runs)}")
    for group in groups:
        await postgres.record(*_under(session, group))
    expected = await _in_memory([_under(session, world)])
    assert await postgres.picture(session) == expected


def _under(session: SessionName, world: World) -> World:
    return [msgspec.structs.replace(delivery, session=session) for delivery in world]
