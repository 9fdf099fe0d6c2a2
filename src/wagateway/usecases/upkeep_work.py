"""The worker that looks now and then whether the archive's upkeep is due."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from wagateway.domain.errors import Unavailable
from wagateway.domain.purges import PurgeCounts
from wagateway.usecases.purge import Upkeep


@dataclass(slots=True, kw_only=True)
class UpkeepWorker:
    """One process's share of the upkeep; any number of them share one archive.

    Attributes:
        told: is told what went, when anything did.
        troubled: is told why nothing can be done, once for each reason; None: it goes on.
        poll: between two looks whether it is due.
    """

    upkeep: Upkeep
    told: Callable[[PurgeCounts], None]
    troubled: Callable[[str | None], None]
    poll: timedelta = timedelta(minutes=1)
    _problem: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop* is set; then end the step that is under way."""
        while not stop.is_set():
            try:
                gone = await self.upkeep(stop.is_set)
            except Unavailable as exc:
                self._trouble(str(exc))
            else:
                self._trouble(None)
                if gone:
                    self.told(gone)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.poll.total_seconds())

    def _trouble(self, problem: str | None) -> None:
        if problem != self._problem:
            self._problem = problem
            self.troubled(problem)
