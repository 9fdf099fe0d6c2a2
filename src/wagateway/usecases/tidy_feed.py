"""Remove from the feed what nobody goes on from any more; any number of processes may."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from wagateway.domain.errors import Unavailable
from wagateway.ports.feed import ChangeFeed

_AT_ONCE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class TidyFeed:
    """Removes what was told longer ago than *kept_for*, now and then until it is told to stop."""

    feed: ChangeFeed
    kept_for: timedelta
    every: timedelta = timedelta(minutes=10)

    async def __call__(self) -> int:
        """Remove all that is too old; return how many rows.

        Raises:
            StoreUnavailable: the database is away; some may be removed.
        """
        removed = last = await self.feed.forget(older_than=self.kept_for, limit=_AT_ONCE)
        while last == _AT_ONCE:
            last = await self.feed.forget(older_than=self.kept_for, limit=_AT_ONCE)
            removed += last
        return removed

    async def run(self, stop: asyncio.Event) -> None:
        """Do so until *stop* is set; where the database is away, the next time does more."""
        while not stop.is_set():
            with suppress(Unavailable):
                await self()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.every.total_seconds()):
                    await stop.wait()
