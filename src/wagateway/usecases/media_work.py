"""The media worker: fetches what is due, what is gone soonest first, until it is told to stop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import Struct

from wagateway.domain.errors import Unavailable
from wagateway.domain.media import DownloadStatus, MediaObject
from wagateway.ports.clock import Clock
from wagateway.ports.downloads import DownloadStore, DownloadTask
from wagateway.ports.feed import WakeUp
from wagateway.usecases.fetch_media import FetchMedia, FetchTurn, MediaPlan
from wagateway.usecases.inspect_media import InspectMedia
from wagateway.usecases.task_slots import TaskSlots

_TIDY_EVERY = timedelta(hours=1)
_TIDIED_AT_ONCE = 500


class MediaWorkerState(Struct, kw_only=True):
    """How a media worker is, for its health check.

    Attributes:
        beat_at: when it last looked for work.
        running: files that are fetched now; of these, *again* must be got from WhatsApp first.
        stored: files since it began.
        stored_bytes: of these.
        failed: tries that stored nothing.
        inspected: stored files that were looked into.
        problem: why it cannot work now.
    """

    beat_at: datetime | None = None
    running: int = 0
    again: int = 0
    stored: int = 0
    stored_bytes: int = 0
    failed: int = 0
    inspected: int = 0
    problem: str | None = None


def _silent(_: FetchTurn | str | Exception | None) -> None:
    return None


@dataclass(slots=True, kw_only=True)
class MediaWorker:
    """One process's share of the downloads; any number of them share one archive.

    Attributes:
        inspect: None: nothing is looked into.
        told: is told what became of each file.
        troubled: is told why nothing can be done, once for each reason; None: it goes on.
        broke: is told what of ours broke while a file was looked into.
        wake_up: says that there may be due work; None: it is found by looking.
        poll: between two looks for due work.
        deadline: for what runs when it is told to stop; the rest goes back by its lease.
        state: changes while run() is at work.
    """

    fetch: FetchMedia
    inspect: InspectMedia | None
    downloads: DownloadStore
    clock: Clock
    plan: MediaPlan
    told: Callable[[FetchTurn], None] = _silent
    troubled: Callable[[str | None], None] = _silent
    broke: Callable[[Exception], None] = _silent
    wake_up: WakeUp | None = None
    poll: timedelta = timedelta(seconds=1)
    deadline: timedelta = timedelta(seconds=20)
    state: MediaWorkerState = field(default_factory=MediaWorkerState)
    _fetching: TaskSlots = field(init=False)
    _looking: TaskSlots = field(default_factory=lambda: TaskSlots(1))
    _tidying: TaskSlots = field(default_factory=lambda: TaskSlots(1))
    _prepared: bool = False
    _tidied_at: datetime | None = None
    _rests_until: datetime | None = None
    _looks_at: datetime | None = None
    _store_problem: str | None = None
    _stores: bool = False

    def __post_init__(self) -> None:
        self._fetching = TaskSlots(self.plan.concurrent)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop* is set; then finish the files that are under way."""
        while not stop.is_set():
            await self._look()
            await self._fetching.rest(stop, self.poll, self.wake_up)
        for slots in (self._fetching, self._looking, self._tidying):
            await slots.finish(self.deadline)

    async def _look(self) -> None:
        self.state.beat_at = now = self.clock()
        if self._rests_until is not None and now < self._rests_until:
            return
        self._rests_until = None
        try:
            await self._begin(now)
        except Unavailable as exc:
            self._trouble(str(exc))
        else:
            self._trouble(self._store_problem)

    def _trouble(self, problem: str | None) -> None:
        if problem != self.state.problem:
            self.state.problem = problem
            self.troubled(problem)

    async def _begin(self, now: datetime) -> None:
        """Begin what is due: files, a look into one that is stored, and now and then tidying."""
        if not self._prepared:
            await self.fetch.media.prepare()
            self._prepared = True
        begun = 0
        if self._fetching.free:
            begun = await self._claim(now)
        may_look = self._looks_at is None or now >= self._looks_at
        if self.inspect is not None and self._looking.free and may_look:
            self._looking.begin(self._inspected(self.inspect))
        is_time = self._tidied_at is None or now >= self._tidied_at + _TIDY_EVERY
        if is_time and not begun and self._tidying.free:
            self._tidied_at = now
            self._tidying.begin(self._tidied())

    async def _claim(self, now: datetime) -> int:
        tasks = await self.downloads.claim(
            now,
            rules=self.plan.rules,
            lease=self.plan.lease,
            limit=self._fetching.free,
            again=max(0, self.plan.again - self.state.again),
        )
        for task in tasks:
            self._fetching.begin(self._fetched(task))
        return len(tasks)

    async def _fetched(self, task: DownloadTask) -> None:
        again = task.download.again
        self.state.running += 1
        self.state.again += again
        try:
            turn = await self.fetch(task)
        except Unavailable as exc:  # the database: the file goes back by its lease
            self._rest(str(exc))
            return
        except Exception as exc:  # noqa: BLE001 - likewise; nobody waits for this task's result
            turn = FetchTurn(task=task, problem="a defect of wagateway", defect=exc)
        finally:
            self.state.running -= 1
            self.state.again -= again
        self._store_problem = None
        if turn.nowhere and not self._stores:  # what it stored since says that it refuses one file
            self._rest(turn.problem)
        self._stores = turn.task.download.status is DownloadStatus.COMPLETED
        if self._stores:
            self.state.stored += 1
            self.state.stored_bytes += turn.size_bytes
        else:
            self.state.failed += 1
        self.told(turn)

    def _rest(self, problem: str | None) -> None:
        self._store_problem = problem
        self._rests_until = self.clock() + self.plan.rest
        self._trouble(problem)

    async def _inspected(self, inspect: InspectMedia) -> None:
        """Look into stored files, one after the other, until none is due."""
        try:
            while files := await self.downloads.claim_inspections(
                self.clock(), lease=self.plan.lease, limit=1
            ):
                await self._look_into(files[0], inspect)
        except Unavailable:  # who fetches says so; one file that cannot be read holds nobody back
            self._looks_at = self.clock() + self.plan.rest

    async def _look_into(self, file: MediaObject, inspect: InspectMedia) -> None:
        try:
            await inspect(file)
        except Unavailable:
            raise
        except Exception as exc:  # noqa: BLE001 - it is looked into again, a few times
            self.broke(exc)
        else:
            self.state.inspected += 1

    async def _tidied(self) -> None:
        """Remove stored files that no message has any more."""
        media = self.fetch.media
        try:
            while await self.downloads.remove_unused(media.remove, limit=_TIDIED_AT_ONCE):
                pass
        except Unavailable as exc:
            self._rest(str(exc))
        except Exception as exc:  # noqa: BLE001 - the next hour tries again
            self.broke(exc)
