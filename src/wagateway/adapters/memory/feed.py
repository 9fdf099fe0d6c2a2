"""The feed of an archive in memory, and the wake-up of readers in the same process."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from msgspec import Struct
from typing_extensions import override

from wagateway.domain.archives import ArchiveEntry
from wagateway.domain.feed import Entry, FeedPage, Item, Position, told_after
from wagateway.ports.feed import ChangeFeed, WakeUp


class InMemoryChangeFeed(ChangeFeed):
    """Kept beside an archive in memory, which adds what it changed; each addition is a commit."""

    def __init__(
        self,
        archive_of: Callable[[int], ArchiveEntry],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Begin empty.

        Args:
            archive_of: returns an archive by its id, as it is when asked.
            clock: tells when something is added.
        """
        self._archive_of = archive_of
        self._clock = clock
        self._line = uuid4().hex[:8]
        self._rows: list[_Row] = []
        self._last = 0
        self._removed = 0

    def add(self, archive_id: int, items: Sequence[Item]) -> bool:
        """Tell *items*; return False where there are none."""
        if items:
            self._last += 1
            row = _Row(number=self._last, at=self._clock(), archive=archive_id, items=tuple(items))
            self._rows.append(row)
        return bool(items)

    def _entry(self, row: "_Row") -> Entry:
        archive = self._archive_of(row.archive)
        return Entry(
            transaction=row.number,
            change=row.number,
            at=row.at,
            session=archive.session,
            account=archive.account,
            items=row.items,
        )

    def _now(self) -> Position:
        return Position(self._line, self._last + 1)

    @override
    async def read(self, after: Position, *, limit: int) -> FeedPage:
        is_kept = self._removed < after.transaction <= self._last + 1
        if after.line != self._line or not is_kept:
            return FeedPage(told=[], until=self._now(), reset=True)
        rows = [row for row in self._rows if (row.number, row.number, len(row.items)) > after[1:]]
        page, more = rows[:limit], len(rows) > limit
        told = told_after(after, map(self._entry, page))
        return FeedPage(told=told, until=told[-1].position if more else self._now(), more=more)

    @override
    async def position(self) -> Position:
        return self._now()

    @override
    async def held_since(self) -> datetime | None:
        return None

    @override
    async def forget(self, *, older_than: timedelta, limit: int) -> int:
        before = self._clock() - older_than
        gone = [row for row in self._rows[:limit] if row.at < before]
        if gone:
            self._removed = gone[-1].number
            del self._rows[: len(gone)]
        return len(gone)


class _Row(Struct, frozen=True, kw_only=True):
    """What one commit changed in one archive."""

    number: int
    at: datetime
    archive: int
    items: tuple[Item, ...]


class InProcessWakeUp(WakeUp):
    """Wakes readers of the same process; what others commit they find by looking."""

    def __init__(self) -> None:
        """Nothing was committed yet."""
        self._committed = asyncio.Event()

    @override
    def wake(self) -> None:
        self._committed.set()

    @override
    async def wait(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._committed.wait()
        self._committed.clear()
