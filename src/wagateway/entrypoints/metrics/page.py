"""The page that Prometheus reads: what this process counts, and how the archive stands.

To ask for it never fails and never hangs: what cannot be told in time is left out.
"""

import asyncio
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

import structlog
from msgspec import Struct
from prometheus_client import Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from wagateway.adapters.filesystem.daemon_threads import DaemonThreads
from wagateway.entrypoints.metrics.archive import (
    GAPS_WITHIN,
    MOST_SESSIONS,
    archive_metrics,
    database_up,
)
from wagateway.entrypoints.metrics.process import ProcessMetrics
from wagateway.entrypoints.metrics.siblings import Siblings
from wagateway.entrypoints.metrics.spool import spool_metrics
from wagateway.entrypoints.question import Question, trouble
from wagateway.ports.clock import Clock
from wagateway.ports.figures import ArchiveFigures, Figures
from wagateway.ports.spool import Spool

_T = TypeVar("_T")

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.metrics")


class _Space(NamedTuple):
    """Of a disk, in bytes: as shutil.disk_usage() tells it."""

    total: int
    used: int
    free: int


class Plan(Struct, frozen=True, kw_only=True):
    """How the page is made.

    Attributes:
        interval: between two looks of sync, by which the health of sessions is judged.
        lifetime: how long the engine keeps a file; None: for ever.
        places: folders of which the free space is told, by a name for each.
        timeout_s: how long the database, and then the disks, may take to answer.
        fresh_s: how long an answer of the database holds, also that there is none.
    """

    interval: timedelta = timedelta(minutes=5)
    lifetime: timedelta | None = None
    places: Mapping[str, Path] = {}
    timeout_s: float = 2.0
    fresh_s: float = 10.0


class MetricsPage:
    """Makes the page anew each time; the database is asked once in a while, however many ask."""

    def __init__(
        self,
        process: ProcessMetrics,
        figures: ArchiveFigures,
        clock: Clock,
        plan: Plan,
        siblings: Siblings | None = None,
        spool: Spool | None = None,
    ) -> None:
        """Show *process* and *figures*; with *siblings* what the other processes of a port count.

        And what waits in the *spool*, where there is one.

        Prometheus reaches one of these at a time, and never knows which.
        """
        self._process = process
        self._clock = clock
        self._plan = plan
        self._siblings = siblings
        self._figures = Question(
            lambda: figures.read(clock(), within=GAPS_WITHIN, most_sessions=MOST_SESSIONS),
            plan.timeout_s,
        )
        self._depth = None if spool is None else Question(spool.depth, plan.timeout_s)
        self._looks = {place: DaemonThreads(at_once=1) for place in plan.places}
        self._read: Figures | None = None
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def __call__(self) -> bytes:
        """Return the page in Prometheus' text format, version 0.0.4."""
        now = self._clock()
        figures, space, spool = await asyncio.gather(
            self._known(), self._disks(), self._spooled(now)
        )
        families = [*self._own(), database_up(up=figures is not None), *space, *spool]
        if figures is not None:
            families += archive_metrics(
                figures, now, interval=self._plan.interval, lifetime=self._plan.lifetime
            )
        return generate_latest(_Page(families))

    def counted(self) -> bytes:
        """Return what this process alone counts, for its siblings."""
        return generate_latest(_Page(_without_created(self._process.collect())))

    def _own(self) -> Iterable[Metric]:
        mine = _without_created(self._process.collect())
        return mine if self._siblings is None else self._siblings.joined(mine)

    async def _known(self) -> Figures | None:
        """Return how the archive stands, or stood some seconds ago; None where nobody knows."""
        async with self._reading:
            loop = asyncio.get_running_loop()
            if self._read_at is None or loop.time() - self._read_at >= self._plan.fresh_s:
                self._read = _told(await self._figures(), "archive_unknown")
                self._read_at = loop.time()
            return self._read

    async def _spooled(self, now: datetime) -> list[Metric]:
        if self._depth is None:
            return []
        depth = _told(await self._depth(), "spool_unknown")
        return spool_metrics(depth, now)

    async def _disks(self) -> list[Metric]:
        looked = await asyncio.gather(*map(self._space, self._plan.places))
        free = GaugeMetricFamily(
            "wagateway_disk_free_bytes", "Free where files are kept.", labels=["place"]
        )
        size = GaugeMetricFamily("wagateway_disk_size_bytes", "Of this disk.", labels=["place"])
        for place, space in zip(self._plan.places, looked, strict=True):
            if space is not None:
                size.add_metric([place], space.total)
                free.add_metric([place], space.free)
        return [free, size] if self._plan.places else []

    async def _space(self, place: str) -> _Space | None:
        """Return the space of the disk under *place*; None where it does not tell in time."""
        with suppress(OSError):
            return await self._looks[place].run(
                self._plan.timeout_s, _space, self._plan.places[place]
            )
        return None


class _Page(Collector):
    """Families as something that is collected."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    @override
    def collect(self) -> Iterable[Metric]:
        return self._families


def _told(asked: asyncio.Task[_T], event: str) -> _T | None:
    """Return the answer; where there is none, log why as *event*."""
    try:
        reason = trouble(asked)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the rest of the page is told
        reason = type(exc).__name__
    if reason is not None:
        _log.warning(event, reason=reason)
        return None
    return asked.result()


def _without_created(families: Iterable[Metric]) -> Iterator[Metric]:
    """Leave out when each series began, which doubles the page and nobody asks for."""
    for family in families:
        kept = Metric(family.name, family.documentation, family.type)
        kept.samples = [each for each in family.samples if not each.name.endswith("_created")]
        yield kept


def _space(path: Path) -> _Space | None:
    """Return the space of the disk under *path*, which need not be there yet."""
    there = next((each for each in (path, *path.parents) if each.exists()), None)
    return None if there is None else _Space._make(shutil.disk_usage(there))
