"""The order of things: which scenes are played when, before the start and from then on."""

import heapq
from collections.abc import Iterator
from itertools import count

from wagateway.simulator.dice import Dice
from wagateway.simulator.happenings import AnyHappening
from wagateway.simulator.scenes import DECK, Scene, reconnect
from wagateway.simulator.stage import SECOND_MS, Cast, Stage
from wagateway.simulator.world import local_hour

HISTORY_SCENES = 2 * len(DECK)
"""How many conversations lie before the start: each kind twice."""
DELIVERIES_PER_SCENE = 8.3
"""What a conversation makes on average; turns a rate of deliveries into one of scenes."""

_BUSIEST_HOUR = 11
_RUSH_EVERY = 3


def scene_gap_ms(rate: float) -> float:
    """Return how far apart conversations begin, on average, to make *rate* deliveries a second."""
    return SECOND_MS * DELIVERIES_PER_SCENE / rate


def happenings(
    cast: Cast, key: str, *, start_ms: int, history_ms: int, rate: float
) -> Iterator[AnyHappening]:
    """Yield what happens, for ever, in order of time.

    Args:
        cast: the world and its state; the scenes change it.
        key: what chance depends on.
        start_ms: when the present begins, in epoch milliseconds.
        history_ms: how far before that the first scenes lie; 0 for no past.
        rate: deliveries per second that the present makes, on average.
    """
    waiting: list[tuple[int, int, AnyHappening]] = []
    order = count()
    programme = _programme(Dice(key), start_ms, history_ms, rate)
    for number, (at_ms, scene) in enumerate(_with_re_pairings(programme, cast, key)):
        while waiting and waiting[0][0] < at_ms:
            yield heapq.heappop(waiting)[2]
        for happening in _play(scene, cast, Dice(key, number), at_ms, number):
            heapq.heappush(waiting, (happening.at_ms, next(order), happening))


def re_pairing(stage: Stage) -> None:
    """The session is logged out, and the same phone is linked again."""
    for status in ("FAILED", "STARTING", "SCAN_QR_CODE", "SCAN_QR_CODE", "WORKING"):
        stage.session(status)
        stage.wait(2, 20)


def _play(scene: Scene, cast: Cast, dice: Dice, at_ms: int, number: int) -> list[AnyHappening]:
    plays = cast.plays.get(scene.__name__, 0)
    cast.plays[scene.__name__] = plays + 1
    stage = Stage(cast, dice, at_ms, number, rush=plays % _RUSH_EVERY == 0)
    scene(stage)
    return stage.happenings


def _programme(
    dice: Dice, start_ms: int, history_ms: int, rate: float
) -> Iterator[tuple[int, Scene]]:
    """Yield scenes with the instant at which they begin, in order of time."""
    scenes = _dealt(dice)
    yield start_ms - history_ms, reconnect
    if history_ms:
        times = sorted(_past(dice, start_ms, history_ms) for _ in range(HISTORY_SCENES))
        yield from zip(times, scenes, strict=False)
        yield start_ms, reconnect
    gap_ms = scene_gap_ms(rate)
    at_ms: float = start_ms + SECOND_MS
    while True:
        yield int(at_ms), next(scenes)
        at_ms += gap_ms * dice.between(0.4, 1.6)  # may be less than a millisecond


def _with_re_pairings(
    programme: Iterator[tuple[int, Scene]], cast: Cast, key: str
) -> Iterator[tuple[int, Scene]]:
    dice = Dice("re-pairing", key)
    for at_ms, scene in programme:
        yield at_ms, scene
        if dice.chance(cast.faults.re_pair):
            yield at_ms, re_pairing


def _dealt(dice: Dice) -> Iterator[Scene]:
    while True:
        yield from dice.shuffled(DECK)


def _past(dice: Dice, start_ms: int, history_ms: int) -> int:
    """Return an instant of the past, more likely in the morning than at night."""
    while True:
        at_ms = start_ms - 1 - int(dice.between(0, history_ms))
        away_h = abs(local_hour(at_ms) - _BUSIEST_HOUR)
        if dice.chance(max(0.02, 1 - away_h / _BUSIEST_HOUR)):
            return at_ms
