"""Times in which a session is stopped, or says that it works while nothing comes.

What happens meanwhile is held back, and reaches the engine's store afterwards.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec.structs import replace

from wagateway.simulator.delivery import Delivery
from wagateway.simulator.dice import Dice
from wagateway.simulator.eras import Plan
from wagateway.simulator.happenings import AnyHappening, SessionChanged

WINDOW_MS = 10_000
_FOLLOW = 0.5
"""How often webhooks of what happened while a session was stopped come afterwards."""


class Disruption(StrEnum):
    """What a window of time is like."""

    STOPPED = "stopped"
    SILENT = "silent"


class Disruptions:
    """The disruptions of one session; they begin with the present."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rates = {
            Disruption.STOPPED: plan.faults.stopped,
            Disruption.SILENT: plan.faults.silent,
        }
        self._any = any(self._rates.values())

    def at(self, at_ms: int) -> Disruption | None:
        """Return what the window around an instant is like, None for a good one."""
        window = at_ms // WINDOW_MS
        if not self._any or window * WINDOW_MS < self._plan.start_ms:
            return None
        for kind, rate in self._rates.items():
            if rate and Dice(kind, self._plan.key, window).chance(rate):
                return kind
        return None

    def held_back(self, deliveries: Iterable[Delivery]) -> Iterator[Delivery]:
        """Yield *deliveries*, those of a disruption after it: lost, or late where webhooks follow.

        Events of the session's status pass.
        """
        held: list[Delivery] = []
        for delivery in deliveries:
            kind = None if delivery.event == "session.status" else self.at(delivery.due_ms)
            if kind is not None:
                lost = delivery.lost or not self._follow(kind, delivery.due_ms)
                held.append(replace(delivery, lost=lost))
                continue
            if held and self.at(delivery.due_ms) is None:
                for late in held:
                    yield replace(late, offset_s=delivery.offset_s)
                held.clear()
            yield delivery

    def told(self, happenings: Iterable[AnyHappening]) -> Iterator[AnyHappening]:
        """Yield *happenings*, and the changes of status that stopping and starting are."""
        before = self._plan.start_ms // WINDOW_MS
        for happening in happenings:
            window = happening.at_ms // WINDOW_MS
            if self._rates[Disruption.STOPPED]:
                for number in range(before + 1, window + 1):
                    yield from self._changes(number)
            before = max(before, window)
            yield happening

    def _changes(self, window: int) -> Iterator[SessionChanged]:
        """Yield what changes when *window* begins."""
        at_ms = window * WINDOW_MS
        stopped = self.at(at_ms) is Disruption.STOPPED
        was_stopped = self.at(at_ms - 1) is Disruption.STOPPED
        if stopped and not was_stopped:
            yield _changed((("STOPPED", at_ms),))
        elif was_stopped and not stopped:
            starting = ("STARTING", at_ms)
            yield _changed((starting,))
            yield _changed((starting, ("WORKING", at_ms + 1)))

    def _follow(self, kind: Disruption, at_ms: int) -> bool:
        dice = Dice("follow", self._plan.key, at_ms // WINDOW_MS)
        return kind is Disruption.STOPPED and dice.chance(_FOLLOW)


def _changed(statuses: tuple[tuple[str, int], ...]) -> SessionChanged:
    return SessionChanged(at_ms=statuses[-1][1], scene=0, statuses=statuses)
