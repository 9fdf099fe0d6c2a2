"""The accounts that a session has one after another, and what happens while each has it."""

import math
from collections.abc import Iterator
from itertools import count

from msgspec import Struct

from wagateway.simulator.crowd import crowded_world
from wagateway.simulator.dice import Dice
from wagateway.simulator.faults import Faults
from wagateway.simulator.files import Shelf
from wagateway.simulator.happenings import AnyHappening
from wagateway.simulator.life import happenings, scene_gap_ms
from wagateway.simulator.stage import Cast
from wagateway.simulator.world import World

_SEEDS_APART = 1_000_003
_COMES_BACK = 0.5


class Plan(Struct, frozen=True, kw_only=True):
    """What one session's life depends on.

    Attributes:
        seed: decides on the people.
        chats: how many, about.
        key: decides, with the seed, on what happens.
        start_ms, history_ms: see `life.happenings`.
        rate: deliveries per second of the present, on average.
        faults: what goes wrong, how often.
        shelf: the files that are sent around; None: any.
    """

    seed: int
    chats: int
    key: str
    start_ms: int
    history_ms: int
    rate: float
    faults: Faults
    shelf: Shelf | None = None


class Era(Struct, frozen=True, kw_only=True):
    """The time for which a session has one account.

    Attributes:
        end_ms: epoch milliseconds; infinity for the last one.
    """

    number: int
    world: World
    start_ms: int
    end_ms: float


def eras(plan: Plan) -> Iterator[Era]:
    """Yield the eras of a session, without end unless the account never changes."""
    dice = Dice("eras", plan.key)
    world = before = crowded_world(plan.seed, plan.chats)
    start_ms = plan.start_ms
    for number in count():
        end_ms = start_ms + _length_ms(plan, dice)
        yield Era(number=number, world=world, start_ms=start_ms, end_ms=end_ms)
        if math.isinf(end_ms):
            return
        start_ms = int(end_ms)
        if number and dice.chance(_COMES_BACK):
            before, world = world, before
        else:
            another = plan.seed + _SEEDS_APART * (number + 1)
            before, world = world, crowded_world(another, plan.chats)


def life_of(era: Era, plan: Plan) -> Iterator[AnyHappening]:
    """Yield what happens in *era*, in order of time; only the first one has a past."""
    key = f"{plan.key}/{era.number}"
    told = happenings(
        Cast(era.world, key, plan.faults, plan.shelf),
        key,
        start_ms=era.start_ms,
        history_ms=0 if era.number else plan.history_ms,
        rate=plan.rate,
    )
    for happening in told:
        if happening.at_ms >= era.end_ms:
            return
        yield happening


def _length_ms(plan: Plan, dice: Dice) -> float:
    """Return how long an era lasts: after each conversation it may end."""
    ends = plan.faults.account_change
    if not ends:
        return math.inf
    scenes = math.log1p(-dice.between(0, 1)) / math.log1p(-ends) if ends < 1 else 1
    return (1 + int(scenes)) * scene_gap_ms(plan.rate)
