import math
from itertools import islice, pairwise

from wagateway.simulator.eras import Era, Plan, eras, life_of
from wagateway.simulator.faults import Faults
from wagateway.simulator.happenings import Sent
from wagateway.simulator.life import scene_gap_ms
from wagateway.simulator.world import create_world

START_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def plan(account_change: float, *, key: str = "7/default", rate: float = 2.0) -> Plan:
    return Plan(
        seed=7,
        chats=17,
        key=key,
        start_ms=START_MS,
        history_ms=DAY_MS,
        rate=rate,
        faults=Faults(account_change=account_change),
    )


def first_eras(count: int, account_change: float = 0.3) -> list[Era]:
    return list(islice(eras(plan(account_change)), count))


def test_an_account_that_never_changes_has_one_era_without_end() -> None:
    (era,) = eras(plan(0))
    assert (era.number, era.start_ms, era.end_ms) == (0, START_MS, math.inf)
    assert era.world == create_world(7)


def test_each_era_begins_when_the_one_before_ends() -> None:
    found = first_eras(50)
    assert [era.number for era in found] == list(range(50))
    assert found[0].start_ms == START_MS
    for before, after in pairwise(found):
        assert after.start_ms == int(before.end_ms)
        assert after.start_ms > before.start_ms


def test_each_era_has_another_account_than_the_one_before() -> None:
    found = first_eras(50)
    assert found[0].world == create_world(7)
    for before, after in pairwise(found):
        assert after.world.account.phone != before.world.account.phone


def test_the_second_account_is_always_a_new_one() -> None:
    for key in range(12):
        first, second = islice(eras(plan(0.3, key=str(key))), 2)
        assert second.world.account.phone != first.world.account.phone


def test_some_accounts_come_back_and_some_are_new() -> None:
    phones = [era.world.account.phone for era in first_eras(50)]
    returns = sum(phone == phones[place] for place, phone in enumerate(phones[2:]))
    assert 10 < returns < 40
    assert 10 < len(set(phones)) < 40
    assert all(phone in phones[:place] for place, phone in enumerate(phones) if place > 1) is False


def test_the_same_plan_has_the_same_eras_and_another_key_others() -> None:
    assert first_eras(9) == first_eras(9)
    others = list(islice(eras(plan(0.3, key="7/loja")), 9))
    assert [era.end_ms for era in others] != [era.end_ms for era in first_eras(9)]


def test_eras_last_as_many_conversations_as_the_rate_says() -> None:
    found = first_eras(400, 0.25)
    lasting = [(era.end_ms - era.start_ms) / scene_gap_ms(2.0) for era in found]
    assert min(lasting) >= 0.99
    assert 3 < sum(lasting) / len(lasting) < 5  # one in four conversations ends an era


def test_an_account_may_change_after_every_conversation() -> None:
    found = first_eras(5, 1.0)
    lasting = [round((era.end_ms - era.start_ms) / scene_gap_ms(2.0)) for era in found]
    assert set(lasting) <= {1, 2}


def test_only_the_first_era_has_a_past() -> None:
    chosen = plan(0.02)
    first, second, *_ = islice(eras(chosen), 2)
    assert next(life_of(first, chosen)).at_ms < START_MS - DAY_MS // 2
    assert next(life_of(second, chosen)).at_ms >= second.start_ms


def test_nothing_happens_after_an_era_s_end() -> None:
    chosen = plan(0.02)
    for era in islice(eras(chosen), 3):
        life = [happening.at_ms for happening in life_of(era, chosen)]
        assert life == sorted(life)
        assert life[-1] < era.end_ms


def test_an_account_that_comes_back_says_nothing_twice() -> None:
    chosen = plan(0.1)
    stanzas = [
        happening.note.stanza
        for era in islice(eras(chosen), 12)
        for happening in life_of(era, chosen)
        if isinstance(happening, Sent)
    ]
    assert len(stanzas) > 100
    assert len(set(stanzas)) == len(stanzas)
