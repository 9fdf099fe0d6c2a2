from collections import Counter

from wagateway.simulator.dice import Dice, digest


def test_the_same_seed_rolls_the_same_on_every_python() -> None:
    dice = Dice("example", 1)
    rolled = [dice.number(1, 6) for _ in range(8)]
    assert rolled == [4, 2, 1, 2, 1, 6, 4, 1]
    assert Dice("example", 1).shuffled("abcdef") == ["c", "e", "b", "d", "a", "f"]


def test_numbers_reach_both_ends_and_go_no_further() -> None:
    dice = Dice("ends")
    assert {dice.number(1, 3) for _ in range(200)} == {1, 2, 3}


def test_weights_decide() -> None:
    dice = Dice("weights")
    drawn = Counter(dice.weighted("ab", (1, 9)) for _ in range(1000))
    assert 50 < drawn["a"] < 150


def test_a_sample_holds_different_items() -> None:
    assert len(set(Dice("sample").sample(range(10), 6))) == 6
    assert sorted(Dice("sample").sample("abc", 9)) == ["a", "b", "c"]


def test_a_digest_depends_on_every_part() -> None:
    assert digest(16, "a", 1) != digest(16, "a", 2)
    assert len(digest(40, "a")) == 40
