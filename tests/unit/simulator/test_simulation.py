import json
from datetime import timedelta
from itertools import islice, pairwise

import msgspec
import pytest

from wagateway.simulator.engine import EngineName
from wagateway.simulator.faults import Faults
from wagateway.simulator.simulation import START, Scenario, simulate
from wagateway.simulator.traffic import Delivery


def first(count: int, scenario: Scenario) -> list[Delivery]:
    return list(islice(simulate(scenario), count))


def sessions(deliveries: list[Delivery]) -> set[str]:
    return {json.loads(one.body)["session"] for one in deliveries}


def test_one_session_has_waha_s_name_and_several_are_numbered() -> None:
    assert Scenario().session_names() == ["default"]
    assert Scenario(sessions=3).session_names() == ["session-1", "session-2", "session-3"]
    assert sessions(first(100, Scenario())) == {"default"}
    assert sessions(first(300, Scenario(sessions=3))) == {"session-1", "session-2", "session-3"}


@pytest.mark.parametrize("number", [0, -1])
def test_there_is_at_least_one_session(number: int) -> None:
    with pytest.raises(ValueError, match="at least one session"):
        Scenario(sessions=number)


@pytest.mark.parametrize("year", [1, 1969, 9000])
def test_it_begins_in_a_year_that_receivers_can_read(year: int) -> None:
    with pytest.raises(ValueError, match="1970"):
        Scenario(start=START.replace(year=year))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_rate_is_above_0(rate: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Scenario(rate=rate)


def test_equal_scenarios_make_equal_deliveries() -> None:
    scenario = Scenario(seed=5, sessions=2, chats=30, faults=Faults.parse("all"))
    assert first(1500, scenario) == first(1500, msgspec.structs.replace(scenario))
    assert first(300, scenario) != first(300, msgspec.structs.replace(scenario, seed=6))


def test_sessions_are_merged_in_the_order_of_their_offsets() -> None:
    found = first(1200, Scenario(sessions=3, rate=30))
    assert all(a.offset_s <= b.offset_s for a, b in pairwise(found))
    assert found[-1].offset_s > 1


def test_without_a_rate_nothing_waits_and_the_order_is_the_same() -> None:
    swift = first(600, Scenario(sessions=2))
    assert {one.offset_s for one in swift} == {0.0}
    paced = first(600, Scenario(sessions=2, rate=40))
    assert [one.body for one in swift] == [one.body for one in paced]


def test_the_rate_is_of_all_sessions_together() -> None:
    found = first(3000, Scenario(sessions=3, rate=20, history=timedelta(0)))[600:]
    pace = len(found) / (found[-1].offset_s - found[0].offset_s)
    assert 14 < pace < 26


def test_each_session_has_people_of_its_own() -> None:
    found = first(600, Scenario(sessions=3))
    accounts = {one.fact.session: one.fact.account.phone for one in found if one.fact}
    assert len(accounts) == len(set(accounts.values())) == 3


def test_one_session_of_a_seed_is_not_another_session_of_the_next() -> None:
    def accounts(seed: int) -> set[str]:
        found = first(600, Scenario(seed=seed, sessions=3))
        return {one.fact.account.phone for one in found if one.fact}

    assert not accounts(1) & accounts(2)


def test_the_description_says_everything_but_the_key() -> None:
    scenario = Scenario(
        seed=5,
        engine=EngineName.GOWS,
        sessions=2,
        rate=7.5,
        history=timedelta(hours=36),
        faults=Faults(loss=0.5),
        hmac_key="s3gr3do",
    )
    told = json.loads(msgspec.json.encode(scenario.description()))
    assert "s3gr3do" not in json.dumps(told)
    assert told == {
        "seed": 5,
        "engine": "GOWS",
        "sessions": 2,
        "chats": 17,
        "rate": 7.5,
        "start": "2026-01-05T11:00:00Z",
        "history": 129_600.0,
        "faults": {"loss": 0.5},
        "also_as_message": 0.0,
    }
    assert START.isoformat() == "2026-01-05T11:00:00+00:00"


def test_the_key_signs_every_session() -> None:
    signed = first(100, Scenario(sessions=2, hmac_key="s3gr3do"))
    assert all("X-Webhook-Hmac" in one.headers for one in signed)
    assert not any("X-Webhook-Hmac" in one.headers for one in first(100, Scenario()))
