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
    """Its database is away at first; when it is asked for the third time, all is to stop."""

    def __init__(self, stop: asyncio.Event) -> None:
        self.asked = 0
        self.stop = stop

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
        if self.asked == 3:
            self.stop.set()
        return 0


async def test_tries_again_and_stops_at_once() -> None:
    stop = asyncio.Event()
    feed = Away(stop)
    every = timedelta(milliseconds=10)
    async with asyncio.timeout(5):
        await TidyFeed(feed=feed, kept_for=timedelta(), every=every).run(stop)
    assert feed.asked == 3
