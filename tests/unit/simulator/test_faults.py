import pytest

from wagateway.simulator.faults import MEANINGS, SERVED_MEANINGS, USUAL, Faults


def test_nothing_goes_wrong_unless_it_is_asked_for() -> None:
    assert Faults.parse("none") == Faults.parse("") == Faults()
    assert Faults().rates() == {}


def test_the_usual_is_a_few_repetitions() -> None:
    assert USUAL.rates() == {"duplicate": 0.04}
    assert Faults.parse("usual") == USUAL


def test_all_has_a_rate_for_every_fault_and_each_is_explained() -> None:
    everything = Faults.parse("all").rates()
    assert everything.keys() == MEANINGS.keys()
    assert all(0 < rate <= 0.05 for rate in everything.values())


def test_all_has_the_faults_of_rest_where_it_is_served() -> None:
    everything = Faults.parse("all", served=True).rates()
    assert everything.keys() == MEANINGS.keys() | SERVED_MEANINGS.keys()
    assert len(everything) == len(Faults.__struct_fields__)
    assert all(0 < rate <= 0.05 for rate in everything.values())
    assert {name: everything[name] for name in MEANINGS} == Faults.parse("all").rates()


def test_a_fault_of_rest_is_known_everywhere_and_needs_serving() -> None:
    everything = Faults.parse("all", served=True).rates()
    faults = Faults.parse("late,rest-500,silent=0.2")
    assert faults.rest_500 == everything["rest-500"]
    assert faults.need_serving() == ["rest-500", "silent"]
    assert not Faults.parse("all").need_serving()


def test_a_name_without_a_rate_has_the_one_of_all() -> None:
    everything = Faults.parse("all").rates()
    assert Faults.parse("late,nul").rates() == {
        "late": everything["late"],
        "nul": everything["nul"],
    }


@pytest.mark.parametrize("text", ["lid-flip=0.25", " lid-flip = 0.25 ,", ",,lid_flip=.25"])
def test_names_are_written_with_dashes_and_space_around_words_is_free(text: str) -> None:
    assert Faults.parse(text) == Faults(lid_flip=0.25)
    assert Faults.parse(text).rates() == {"lid-flip": 0.25}


def test_later_words_change_what_earlier_ones_said() -> None:
    changed = Faults.parse("all,loss=0,forged=0.1").rates()
    expected = {**Faults.parse("all").rates(), "forged": 0.1}
    del expected["loss"]
    assert changed == expected
    assert Faults.parse("forged=0.1,forged=0.2").forged == 0.2
    assert Faults.parse("forged=0.1,usual") == USUAL
    assert Faults.parse("forged=1,none") == Faults()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("loss=much", "the rate of loss is a number, not 'much'"),
        ("loss=", "the rate of loss is a number"),
        ("lid-flip=1.01", "the rate of lid-flip is from 0 to 1, not 1.01"),
        ("loss=-0.1", "from 0 to 1"),
        ("loss=nan", "from 0 to 1"),
        ("loss=inf", "from 0 to 1"),
        ("usual,rain=0.5", "'rain' is no fault"),
        ("All", "'All' is no fault"),
        ("parse", "no fault"),
    ],
)
def test_what_means_nothing_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Faults.parse(text)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="there are") as refused:
        Faults.parse("rain")
    assert all(name in str(refused.value) for name in ("none", "usual", "all", *MEANINGS))


def test_both_ends_of_a_rate_are_allowed() -> None:
    assert Faults.parse("late=0,loss=1") == Faults(late=0, loss=1)


def test_what_rates_says_can_be_parsed_again() -> None:
    faults = Faults.parse("all,loss=0,re-pair=0.5")
    words = ",".join(f"{name}={rate}" for name, rate in faults.rates().items())
    assert Faults.parse(words) == faults
