"""The sync worker: claims what is due, a few tasks at a time, until it is told to stop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import Struct

from wagateway.domain.errors import Rejected, Unavailable
from wagateway.domain.walk import SETTLE
from wagateway.ports.clock import Clock
from wagateway.ports.engine import EngineSession
from wagateway.ports.feed import WakeUp
from wagateway.ports.sync import SyncStore, SyncTask
from wagateway.usecases.find_sessions import FindSessions
from wagateway.usecases.set_clock_right import SetClockRight
from wagateway.usecases.sync import SyncTurn
from wagateway.usecases.sync_plan import SyncPlan
from wagateway.usecases.task_slots import TaskSlots
from wagateway.usecases.turn import Turn, broken, defect

_AGAIN = timedelta(seconds=10)
"""After the engine or the database could not be asked, or sessions could not be found."""

_CLOCK_WAS_AHEAD = (
    "this machine's clock was ahead, so what sync said of a time to come is taken back, and the "
    "last days are read again: keep the clock in step, for instance by NTP"
)


class SyncWorkerState(Struct, kw_only=True):
    """How a sync worker is, for its health check.

    Attributes:
        beat_at: when it last looked for work.
        running: tasks that have their turn now.
        turns: given since it began.
        messages: read since it began.
        stored: of these, what was news.
        sessions: how many the engine has, as it told last; None before it answered.
        problem: why it cannot work now.
    """

    beat_at: datetime | None = None
    running: int = 0
    turns: int = 0
    messages: int = 0
    stored: int = 0
    sessions: int | None = None
    problem: str | None = None


def _silent(_: Turn | str | Exception | None) -> None:
    return None


@dataclass(slots=True, kw_only=True)
class SyncWorker:
    """One process's share of the sync work; any number of them share one archive.

    Attributes:
        told: is told of each turn.
        troubled: is told why nothing can be done, once for each reason; None: it goes on. Also
            that the clock was ahead.
        broke: is told what of ours broke while sessions were looked for, once for each reason.
        wake_up: says that there may be due work; None: it is found by looking.
        poll: between two looks for due work.
        deadline: for what runs when it is told to stop; the rest goes back by its lease.
        state: changes while run() is at work.
    """

    find: FindSessions
    turn: SyncTurn
    store: SyncStore
    clock: Clock
    plan: SyncPlan
    told: Callable[[Turn], None] = _silent
    troubled: Callable[[str | None], None] = _silent
    broke: Callable[[Exception], None] = _silent
    wake_up: WakeUp | None = None
    poll: timedelta = timedelta(seconds=1)
    deadline: timedelta = timedelta(seconds=20)
    state: SyncWorkerState = field(default_factory=SyncWorkerState)
    _slots: TaskSlots = field(init=False)
    _find_at: datetime | None = None
    _went_back: bool = False
    _engine_problem: str | None = None

    def __post_init__(self) -> None:
        self._slots = TaskSlots(self.plan.concurrent)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop* is set; then finish the pages that are under way."""
        while not stop.is_set():
            await self._look(stop)
            await self._slots.rest(stop, self.poll, self.wake_up)
        await self._slots.finish(self.deadline)

    async def _look(self, stop: asyncio.Event) -> None:
        before, now = self.state.beat_at, self.clock()
        self.state.beat_at = now
        if before is not None and now < before - SETTLE:
            self._find_at, self._went_back = None, True
        if self._find_at is None or now >= self._find_at:
            await self._find(now)
        try:
            await self._begin(stop)
        except Unavailable as exc:
            self._trouble(str(exc))
        else:
            self._trouble(self._engine_problem)

    async def _find(self, now: datetime) -> None:
        right = SetClockRight(store=self.store, clock=self.clock, plan=self.plan)
        try:
            if await right(certain=self._went_back):
                self.troubled(_CLOCK_WAS_AHEAD)
            self._went_back = False
            found = await self.find()
        except (Unavailable, Rejected) as exc:
            self._engine_problem = str(exc)
            self._find_at = now + _AGAIN
        except Exception as exc:  # noqa: BLE001 - what was found before goes on meanwhile
            problem = defect(exc)
            if problem != self._engine_problem:
                self.broke(exc)
            self._engine_problem = problem
            self._find_at = now + _AGAIN
        else:
            self._engine_problem = None
            self._find_at = now + self._find_every(found)
            self.state.sessions = len(found)

    def _trouble(self, problem: str | None) -> None:
        if problem != self.state.problem:
            self.state.problem = problem
            self.troubled(problem)

    def _find_every(self, found: list[EngineSession]) -> timedelta:
        """A server without sessions will have one soon."""
        return min(self.plan.interval, timedelta(minutes=1)) if found else _AGAIN

    async def _begin(self, stop: asyncio.Event) -> None:
        if not self._slots.free:
            return
        for task in await self.store.claim(
            self.clock(), lease=self.plan.lease, limit=self._slots.free
        ):
            self._slots.begin(self._do(task, stop))

    async def _do(self, task: SyncTask, stop: asyncio.Event) -> None:
        self.state.running += 1
        try:
            turn = await self.turn(task, enough=stop.is_set)
        except Unavailable as exc:  # the database: the task goes back by its lease
            self._trouble(str(exc))
            return
        except Exception as exc:  # noqa: BLE001 - likewise; nobody waits for this task's result
            turn = broken(task, exc)
        finally:
            self.state.running -= 1
        self.state.turns += 1
        self.state.messages += turn.messages
        self.state.stored += turn.stored
        self.told(turn)
