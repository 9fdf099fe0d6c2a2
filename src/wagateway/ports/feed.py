"""The feed of changes: read from any place in it, and how a reader learns that there is more."""

from abc import ABC, abstractmethod
from datetime import datetime, timedelta

from wagateway.domain.feed import FeedPage, Position


class ChangeFeed(ABC):
    """What changed in all archives, in an order that no later commit disturbs.

    Changes of one archive are told in the order of their commits. A transaction that is open, of
    whoever it may be, holds up what was begun after it: it is told once that has ended. Any method
    may raise StoreUnavailable.
    """

    @abstractmethod
    async def read(self, after: Position, *, limit: int) -> FeedPage:
        """Return what comes next after a place, each change once.

        Args:
            after: a place that this feed gave, however long ago; of another feed, or from before
                what is kept, it gives a page that is a reset.
            limit: transactions a page, 1 or more; each may have changed much.
        """

    @abstractmethod
    async def position(self) -> Position:
        """Return the present place: what is committed from now on comes after it."""

    @abstractmethod
    async def held_since(self) -> datetime | None:
        """Return when the oldest change was made that is committed and cannot be told yet.

        None: there is none. One that is minutes old waits for a transaction that somebody left
        open.
        """

    @abstractmethod
    async def forget(self, *, older_than: timedelta, limit: int) -> int:
        """Remove what was told longer ago than that, and what another server's feed left here.

        Returns:
            How many rows were removed; less than *limit*: nothing is left to remove.
        """


class WakeUp(ABC):
    """Says that there may be more to read; a reader looks from time to time even so."""

    @abstractmethod
    def wake(self) -> None:
        """Say that something was committed; called from the event loop, and never fails."""

    @abstractmethod
    async def wait(self, timeout_s: float) -> None:
        """Return once something was committed since the last wait, or after a time."""
