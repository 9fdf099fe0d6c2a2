import asyncio
from datetime import datetime, timedelta

import pytest
from tests.support.deliveries import delivery, seen
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.feed import FeedPage, Position
from wagateway.ports.feed import ChangeFeed
from wagateway.usecases import tidy_feed
from wagateway.usecases.tidy_feed import TidyFeed


async def filled(rows: int) -> InMemoryArchive:
    archive = InMemoryArchive()
    for n in range(rows):
        await archive.record([delivery(seen(stanza=f"A{n}"))])
    return archive


async def test_removes_all_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidy_feed, "_AT_ONCE", 3)
    archive = await filled(7)
    assert await TidyFeed(feed=archive.feed, kept_for=timedelta(hours=1))() == 0
    assert await TidyFeed(feed=archive.feed, kept_for=timedelta())() == 7
    assert await TidyFeed(feed=archive.feed, kept_for=timedelta())() == 0


class Away(ChangeFeed):
    """Its database is away at first."""

    def __init__(self) -> None:
        self.asked = 0

    @override
    async def read(self, after: Position, *, limit: int) -> FeedPage:
        raise NotImplementedError

    @override
    async def position(self) -> Position:
        raise NotImplementedError

    @override
    async def held_since(self) -> datetime | None:
        raise NotImplementedError

    @override
    async def forget(self, *, older_than: timedelta, limit: int) -> int:
        self.asked += 1
        if self.asked == 1:
            raise StoreUnavailable("away")
        return 0


async def test_tries_again_and_stops_at_once() -> None:
    feed, stop = Away(), asyncio.Event()
    every = timedelta(milliseconds=10)
    running = asyncio.create_task(TidyFeed(feed=feed, kept_for=timedelta(), every=every).run(stop))
    async with asyncio.timeout(5):
        while feed.asked < 3:
            await asyncio.sleep(0.01)
        stop.set()
        await running
