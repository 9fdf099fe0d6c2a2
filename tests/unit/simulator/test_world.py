import re
from collections import Counter

import pytest

from wagateway.simulator.world import Language, create_world

FICTITIOUS = re.compile(r"55119[4-9]\d{3}01\d\d|120255501\d\d")


def test_the_same_seed_gives_the_same_world() -> None:
    assert create_world(3) == create_world(3)
    assert create_world(3) != create_world(4)


@pytest.mark.parametrize("seed", range(20))
def test_everybody_is_fictitious_and_different(seed: int) -> None:
    world = create_world(seed)
    everybody = (world.account, *world.people)
    assert all(FICTITIOUS.fullmatch(person.phone) for person in everybody)
    assert len({person.phone for person in everybody}) == len(everybody) == 13
    assert len({person.lid for person in everybody}) == len(everybody)
    assert len({person.name for person in everybody}) == len(everybody)


def test_people_write_in_four_languages() -> None:
    spoken = Counter(person.language for person in create_world(1).people)
    assert spoken == {
        Language.PORTUGUESE: 5,
        Language.ENGLISH: 3,
        Language.SPANISH: 2,
        Language.ARABIC: 2,
    }


def test_some_people_show_a_hidden_id_first_and_are_in_no_group_yet() -> None:
    world = create_world(1)
    hidden = [person for person in world.people if person.hidden]
    assert len(hidden) == 2
    assert not any(person in group.members for group in world.groups for person in hidden)


def test_groups_use_both_ways_of_addressing() -> None:
    groups = create_world(1).groups
    assert len({group.jid for group in groups}) == 3
    assert {group.by_lid for group in groups} == {True, False}
    assert all(len(set(group.members)) == len(group.members) >= 3 for group in groups)
