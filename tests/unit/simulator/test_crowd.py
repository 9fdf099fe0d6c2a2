import re

import pytest

from wagateway.simulator.crowd import MOST, crowded_world
from wagateway.simulator.world import SMALLEST, World, create_world

FICTITIOUS = re.compile(r"55119\d{4}01\d\d|120255501\d\d")


def chats(world: World) -> int:
    """Return how many there are, with the channel and the stories."""
    return len(world.people) + len(world.groups) + 2


@pytest.mark.parametrize("number", [SMALLEST, SMALLEST + 1, 40, 500])
def test_there_are_as_many_chats_as_asked(number: int) -> None:
    assert chats(crowded_world(1, number)) == number


def test_the_smallest_world_is_the_one_without_a_crowd() -> None:
    assert crowded_world(3, SMALLEST) == create_world(3)


@pytest.mark.parametrize("chats", [SMALLEST - 1, MOST + 1, -5])
def test_a_world_that_cannot_be_is_refused(chats: int) -> None:
    with pytest.raises(ValueError, match="17 to 10000 chats"):
        crowded_world(3, chats)


def test_the_people_of_the_small_world_are_in_the_crowd() -> None:
    small, large = create_world(3), crowded_world(3, 60)
    assert large.account == small.account
    assert large.people[: len(small.people)] == small.people
    assert large.groups[: len(small.groups)] == small.groups
    assert large.channel == small.channel


def test_one_in_five_further_chats_is_a_group() -> None:
    small, large = create_world(3), crowded_world(3, SMALLEST + 100)
    assert len(large.groups) - len(small.groups) == 20


def test_the_same_seed_gives_the_same_crowd() -> None:
    assert crowded_world(3, 60) == crowded_world(3, 60)
    assert crowded_world(3, 60).people[-1] != crowded_world(4, 60).people[-1]


@pytest.mark.parametrize(("seed", "number"), [(1, 120), (2, 120), (3, MOST)])
def test_everybody_is_fictitious_and_different(seed: int, number: int) -> None:
    world = crowded_world(seed, number)
    everybody = (world.account, *world.people)
    assert [person for person in everybody if not FICTITIOUS.fullmatch(person.phone)] == []
    assert len({person.phone for person in everybody}) == len(everybody)
    assert len({person.lid for person in everybody}) == len(everybody)
    assert not {person.phone for person in everybody} & {person.lid for person in everybody}
    assert len({group.jid for group in world.groups}) == len(world.groups)


def test_groups_are_of_different_people_who_are_no_secret() -> None:
    for group in crowded_world(1, 300).groups:
        assert 3 <= len(group.members) == len({person.phone for person in group.members})
        assert not any(person.hidden for person in group.members)
        assert set(group.languages) >= {member.language for member in group.members[:1]}
        assert len(set(group.subjects)) == len(group.subjects) >= 2


def test_a_crowd_addresses_its_groups_both_ways_and_hides_some_people() -> None:
    world = crowded_world(1, 200)
    assert {group.by_lid for group in world.groups[3:]} == {True, False}
    assert 5 < sum(person.hidden for person in world.people[12:]) < 50
