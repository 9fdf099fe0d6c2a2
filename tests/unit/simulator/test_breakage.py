import json

from wagateway.simulator.breakage import huge, malformed, unknown
from wagateway.simulator.dice import Dice
from wagateway.simulator.wire import Emission

WHOLE = Emission(
    event="message.any",
    payload={"id": "false_5511987650102@c.us_A1", "body": "oi", "_data": {"key": {"id": "A1"}}},
)


def test_a_malformed_copy_differs_in_one_part_and_keeps_its_name() -> None:
    dice = Dice("broken")
    broken = [malformed(WHOLE, dice)[0] for _ in range(300)]
    for one in broken:
        changed = {k for k, v in one.payload.items() if WHOLE.payload.get(k) != v}
        assert len(changed) == 1
        assert one.event == "message.any"
        assert one.payload.keys() >= WHOLE.payload.keys()
    assert len({json.dumps(one.payload) for one in broken}) > 12


def test_a_malformed_copy_says_whether_the_engine_s_own_data_is_whole() -> None:
    dice = Dice("broken")
    for broken, whole in [malformed(WHOLE, dice) for _ in range(300)]:
        assert whole == (broken.payload["_data"] == WHOLE.payload["_data"])


def test_what_is_broken_was_whole_before() -> None:
    before = json.dumps(WHOLE.payload)
    for _ in range(50):
        malformed(WHOLE, Dice("broken"))
        huge(WHOLE)
    assert json.dumps(WHOLE.payload) == before


def test_a_huge_body_holds_everything_and_more_than_a_megabyte() -> None:
    padded = huge(WHOLE)
    assert len(json.dumps(padded.payload)) > 1_000_000
    assert padded.event == WHOLE.event
    data = padded.payload["_data"]
    assert isinstance(data, dict)
    assert data["key"] == {"id": "A1"}
    assert {**padded.payload, "_data": 0} == {**WHOLE.payload, "_data": 0}


def test_a_body_without_data_of_the_engine_can_be_huge_too() -> None:
    for payload in ({"id": "x"}, {"id": "x", "_data": "gone"}):
        padded = huge(Emission(event="presence.update", payload=payload))
        assert len(json.dumps(padded.payload)) > 1_000_000


def test_unknown_events_have_several_names() -> None:
    dice = Dice("unknown")
    names = {unknown(dice, 1_790_000_000_000).event for _ in range(100)}
    assert len(names) == 4
    assert unknown(dice, 1_790_000_000_000).payload["timestamp"] == 1_790_000_000
