"""Notice that our clock was ahead, and take back what was said of a time to come."""

from dataclasses import dataclass
from datetime import timedelta

from wagateway.domain.sync import set_right
from wagateway.domain.walk import SETTLE
from wagateway.ports.clock import Clock
from wagateway.ports.sync import Archived, SyncStore
from wagateway.usecases.sync_plan import SyncPlan
from wagateway.usecases.turn import with_state

_LONGEST_WAIT = timedelta(hours=1)
"""That an engine may ask for; a session's look, or a worker's hold, is due no later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetClockRight:
    """Let sync go on from the present where it is said to have read what is yet to come.

    Without it nothing would be read until that time, and what happens until then would count as
    complete. How long the clock was wrong nobody knows, so nothing within the lookback counts as
    complete until it is read again. Clocks of several machines may differ by less than SETTLE.
    """

    store: SyncStore
    clock: Clock
    plan: SyncPlan

    async def __call__(self, *, certain: bool = False) -> int:
        """Set every archive right that needs it; return how many did.

        Args:
            certain: the clock was seen to go back, whatever the states say.
        """
        found = 0
        for archive in await self.store.archives():
            latest = await self.store.latest(archive, wait=_LONGEST_WAIT + self.plan.interval)
            if certain or (latest is not None and latest > self.clock() + SETTLE):
                await self._set_right(archive)
                found += 1
        return found

    async def _set_right(self, archive: Archived) -> None:
        while True:  # until nobody changed a task meanwhile
            now = self.clock()
            since = now - self.plan.lookback
            tasks = await self.store.tasks(archive)
            changed = [with_state(task, set_right(task.state, now, since=since)) for task in tasks]
            if not changed or await self.store.set_right(changed, since=since):
                return
