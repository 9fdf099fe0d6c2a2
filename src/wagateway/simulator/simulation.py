"""Several sessions of one WAHA server at once."""

import heapq
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from operator import attrgetter

import msgspec
from msgspec import Struct

from wagateway.simulator.crowd import MOST
from wagateway.simulator.engine import EngineName
from wagateway.simulator.faults import USUAL, Faults
from wagateway.simulator.files import Shelf
from wagateway.simulator.offers import Media
from wagateway.simulator.traffic import Delivery, Traffic
from wagateway.simulator.world import SMALLEST

START = datetime(2026, 1, 5, 11, tzinfo=UTC)
"""When the present begins unless it is said: always the same, so that a seed says everything."""
_PACE = 20.0
"""Deliveries per second of each session's own time where they are sent as fast as possible."""
_SEEDS_APART = 7919
_FIRST_YEAR, _LAST_YEAR = 1970, 8999
"""Instants far beyond have no epoch that every receiver can read."""


class Scenario(Struct, frozen=True, kw_only=True):
    """What is simulated; equal scenarios make equal deliveries, byte for byte.

    Attributes:
        engine: None: each conversation comes through another one.
        sessions: how many, 1 or more.
        chats: about how many in each session, from 17 to 10,000.
        rate: deliveries per second, all sessions together; None: as fast as they are taken.
        history: how far before *start* the past begins, which is delivered first.
        also_as_message: share of incoming messages that come as ``message`` too.
        served: there is a REST API beside the webhooks, so that each session has one engine: for
            None the sessions have different ones in turn.
        past: how many messages of all sessions are in their stores from the beginning, and in no
            webhook; 0 or more.
        media: which files are sent around, and how WAHA deals with them.
    """

    seed: int = 1
    engine: EngineName | None = None
    sessions: int = 1
    chats: int = SMALLEST
    rate: float | None = None
    start: datetime = START
    history: timedelta = timedelta(days=3)
    faults: Faults = USUAL
    also_as_message: float = 0.0
    hmac_key: str | None = None
    served: bool = False
    past: int = 0
    media: Media = Media()

    def __post_init__(self) -> None:
        if self.sessions < 1:
            raise ValueError("there must be at least one session")
        if not SMALLEST <= self.chats <= MOST:
            raise ValueError(f"there can be {SMALLEST} to {MOST} chats, not {self.chats}")
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ValueError("rate must be above 0")
        if self.past < 0 or (self.past and not self.served):
            raise ValueError("a past that no webhook tells needs a REST API, and is 0 or more")
        if (missing := self.faults.need_serving()) and not self.served:
            raise ValueError(f"{', '.join(missing)}: there is no REST API that could have it")
        if not _FIRST_YEAR <= self.start.year <= _LAST_YEAR:
            raise ValueError(f"start must be in the years {_FIRST_YEAR} to {_LAST_YEAR}")

    def session_names(self) -> list[str]:
        """Return the names of the sessions."""
        if self.sessions == 1:
            return ["default"]
        return [f"session-{number}" for number in range(1, self.sessions + 1)]

    def description(self) -> dict[str, object]:
        """Return what decides on the deliveries, as JSON values, without the key."""
        held = msgspec.to_builtins(self)
        held.pop("hmac_key")
        if self.media == Media():
            del held["media"]
        if not self.served:
            del held["served"], held["past"]
        return {**held, "history": self.history.total_seconds(), "faults": self.faults.rates()}


def simulate(scenario: Scenario) -> Iterator[Delivery]:
    """Yield the deliveries of all sessions, in the order of their offsets, without end.

    Those that are `lost` are among them: a poster does not send them.
    """
    streams = traffics(scenario)
    merged = heapq.merge(*streams, key=attrgetter("offset_s"))
    if scenario.rate:
        yield from merged
    else:
        for delivery in merged:
            yield msgspec.structs.replace(delivery, offset_s=0.0)


def traffics(scenario: Scenario) -> list[Traffic]:
    """Return the stream of each session, in the order of their names."""
    shelf = Shelf(scenario.media.stock, scenario.seed)
    pace = scenario.rate / scenario.sessions if scenario.rate else _PACE
    return [
        Traffic(
            start=scenario.start,
            seed=scenario.seed + _SEEDS_APART * number,
            session=session,
            engine=_engine_of(scenario, number),
            chats=scenario.chats,
            history=scenario.history,
            rate=pace,
            faults=scenario.faults,
            also_as_message=scenario.also_as_message,
            hmac_key=scenario.hmac_key,
            media=scenario.media,
            shelf=shelf,
            served=scenario.served,
        )
        for number, session in enumerate(scenario.session_names())
    ]


def _engine_of(scenario: Scenario, number: int) -> EngineName | None:
    if scenario.engine is None and scenario.served:
        return list(EngineName)[number % len(EngineName)]
    return scenario.engine
