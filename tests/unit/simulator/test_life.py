from itertools import islice

from wagateway.simulator.dice import Dice
from wagateway.simulator.faults import Faults
from wagateway.simulator.happenings import AnyHappening, Sent, SessionChanged
from wagateway.simulator.life import happenings, re_pairing
from wagateway.simulator.stage import Cast, Stage
from wagateway.simulator.world import create_world

START_MS = 1_790_000_000_000
PAIRING = ["FAILED", "STARTING", "SCAN_QR_CODE", "SCAN_QR_CODE", "WORKING"]


def life(re_pair: float, count: int = 1500) -> list[AnyHappening]:
    cast = Cast(create_world(7), "7/a", Faults(re_pair=re_pair))
    told = happenings(cast, "7/a", start_ms=START_MS, history_ms=0, rate=5)
    return list(islice(told, count))


def statuses(told: list[AnyHappening]) -> list[str]:
    return [each.statuses[-1][0] for each in told if isinstance(each, SessionChanged)]


def test_pairing_again_goes_through_every_status_in_time() -> None:
    stage = Stage(Cast(create_world(7), "7/a"), Dice("pairing"), START_MS, 1, rush=False)
    re_pairing(stage)
    assert statuses(stage.happenings) == PAIRING
    times = [each.at_ms for each in stage.happenings]
    assert times == sorted(set(times))
    assert times[0] == START_MS
    assert times[-1] - times[0] < 80_000


def test_a_status_keeps_the_two_before_it() -> None:
    stage = Stage(Cast(create_world(7), "7/a"), Dice("pairing"), START_MS, 1, rush=False)
    re_pairing(stage)
    last = stage.happenings[-1]
    assert isinstance(last, SessionChanged)
    assert [status for status, _ in last.statuses] == PAIRING[-3:]


def test_every_conversation_can_end_with_a_pairing() -> None:
    calm, paired = life(0), life(1)
    assert statuses(paired).count("SCAN_QR_CODE") > 5 * (statuses(calm).count("SCAN_QR_CODE") + 1)


def test_things_happen_in_order_of_time_with_pairings_too() -> None:
    for re_pair in (0, 0.3):
        times = [each.at_ms for each in life(re_pair)]
        assert times == sorted(times)


def test_what_is_said_goes_on_around_pairings() -> None:
    stanzas = [each.note.stanza for each in life(0.5) if isinstance(each, Sent)]
    assert len(stanzas) > 100
    assert len(set(stanzas)) == len(stanzas)
