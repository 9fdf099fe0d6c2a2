"""Notice that our clock was ahead, and take back what was said of a time to come."""

from dataclasses import dataclass

from wagateway.domain.sync import set_right
from wagateway.domain.walk import SETTLE
from wagateway.ports.clock import Clock
from wagateway.ports.sync import SyncStore
from wagateway.usecases.sync_plan import SyncPlan
from wagateway.usecases.turn import with_state


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

    async def __call__(self) -> int:
        """Set every archive right that needs it; return how many did."""
        now, found = self.clock(), 0
        since = now - self.plan.lookback
        for archive in await self.store.archives():
            latest = await self.store.latest(archive)
            if latest is None or latest <= now + SETTLE:
                continue
            tasks = await self.store.tasks(archive)
            changed = [with_state(task, set_right(task.state, now, since=since)) for task in tasks]
            await self.store.set_right(changed, since=since)
            found += 1
        return found
