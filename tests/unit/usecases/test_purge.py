"""Purges as a person says them, and as the settings do: in steps, once, and to their end."""

import asyncio
from datetime import datetime, timedelta

import pytest
from tests.support.deliveries import (
    ANA,
    BRUNO,
    NOON,
    SECOND,
    SESSION,
    delivery,
    seen,
)
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.purges import InMemoryPurgeStore
from wagateway.domain.errors import InvalidInput, NotFound, StoreUnavailable
from wagateway.domain.events import Account
from wagateway.domain.identity import Jid
from wagateway.domain.purges import PurgeCounts
from wagateway.ports.archive import LogFilter
from wagateway.usecases.purge import PurgeMessages, Retention, Upkeep
from wagateway.usecases.upkeep_work import UpkeepWorker

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
OTHER = Account(phone=Jid("5511912340002@c.us"))


class World:
    """An archive with messages of several ages, and a clock that stands still."""

    def __init__(self, store: type[InMemoryPurgeStore] = InMemoryPurgeStore) -> None:
        self.archive = InMemoryArchive()
        self.store = store(self.archive)
        self.now = NOON
        self.purge = PurgeMessages(store=self.store, clock=self.clock, batch=2)

    def clock(self) -> datetime:
        return self.now

    async def fill(self, days: int = 5) -> None:
        """Archive a message of each of the last *days* days, which came when it was sent."""
        for n in range(1, days + 1):
            at = NOON - n * DAY
            await self.archive.record([delivery(seen(stanza=f"A{n}", sent_at=at), at=at)])

    async def stanzas(self) -> list[str]:
        page = await self.archive.messages(SESSION, [ANA])
        return [message.id for message in page.messages]

    async def logged(self) -> int:
        return len((await self.archive.events(LogFilter())).events)

    def upkeep(self, **retention: timedelta) -> Upkeep:
        return Upkeep(store=self.store, clock=self.clock, retention=Retention(**retention), batch=2)


class TestPurgeMessages:
    async def test_purges_a_session_with_its_log_in_steps(self) -> None:
        world = World()
        await world.fill()
        steps = [step async for step in world.purge(SESSION, by="maria")]
        assert [step.messages for step in steps] == [2, 2, 1, 0, 0, 0]
        assert [step.log_rows for step in steps] == [0, 0, 0, 2, 2, 1]
        assert await world.stanzas() == []
        assert await world.store.unfinished() == []

    async def test_purges_by_age(self) -> None:
        world = World()
        await world.fill()
        before = NOON - 3 * DAY
        counted = await world.purge.preview(SESSION, before=before)
        assert counted == PurgeCounts(messages=2, log_rows=2)
        steps = [step async for step in world.purge(SESSION, by="maria", before=before)]
        assert sum(steps, PurgeCounts()) == counted
        assert await world.stanzas() == ["A1", "A2", "A3"]

    async def test_of_a_chat_the_log_stays(self) -> None:
        world = World()
        await world.fill(2)
        steps = [step async for step in world.purge(SESSION, [ANA], by="maria", reason="old")]
        assert steps == [PurgeCounts(messages=2)]
        assert await world.purge.preview(SESSION, [ANA]) == PurgeCounts()
        assert await world.logged() == 2
        page = await world.archive.messages(SESSION, [ANA])
        assert page.purged_before == NOON

    async def test_counts_the_log_of_several_accounts_once(self) -> None:
        world = World()
        await world.fill(1)
        await world.archive.record([delivery(seen(sent_at=NOON - HOUR), account=OTHER)])
        world.now = NOON + HOUR
        assert await world.purge.preview(SESSION) == PurgeCounts(messages=2, log_rows=2)
        steps = [step async for step in world.purge(SESSION, by="m", account=OTHER.phone)]
        assert steps == [PurgeCounts(messages=1)]

    async def test_what_was_broken_off_is_remembered_and_ended_by_a_worker(self) -> None:
        world = World()
        await world.fill()
        async for _ in world.purge(SESSION, by="maria"):
            break
        assert len(await world.stanzas()) == 3
        await world.archive.record([delivery(seen(stanza="A9", sent_at=NOON - DAY))])
        assert len(await world.stanzas()) == 3
        assert await world.upkeep()() == PurgeCounts(messages=3, log_rows=5)
        assert await world.stanzas() == []

    async def test_refuses_what_is_yet_to_come_or_not_there(self) -> None:
        world = World()
        await world.fill(1)
        with pytest.raises(InvalidInput, match="is yet to come"):
            await world.purge.preview(SESSION, before=NOON + SECOND)
        with pytest.raises(NotFound):
            await world.purge.preview(SESSION, [BRUNO])


class TestUpkeep:
    async def test_keeps_everything_where_nothing_is_set(self) -> None:
        world = World()
        await world.fill()
        assert await world.upkeep()() == PurgeCounts()
        assert len(await world.stanzas()) == await world.logged() == 5

    async def test_purges_what_is_older_than_it_is_kept(self) -> None:
        world = World()
        await world.fill()
        assert await world.upkeep(messages=3 * DAY)() == PurgeCounts(messages=2, log_rows=2)
        assert await world.stanzas() == ["A1", "A2", "A3"]
        world.now += DAY
        assert await world.upkeep(messages=3 * DAY)() == PurgeCounts(messages=1, log_rows=1)

    async def test_the_log_alone_has_its_own_age(self) -> None:
        world = World()
        await world.fill()
        gone = await world.upkeep(messages=4 * DAY, log=2 * DAY)()
        assert gone == PurgeCounts(messages=1, log_rows=3)
        assert (len(await world.stanzas()), await world.logged()) == (4, 2)

    async def test_is_done_once_for_all_workers_and_an_hour_later_again(self) -> None:
        world = World()
        await world.fill(1)
        assert await world.upkeep()() is not None
        assert await world.upkeep()() is None
        world.now += HOUR
        assert await world.upkeep()() is not None

    async def test_a_worker_that_stops_leaves_the_rest_to_the_next_at_once(self) -> None:
        world = World()
        await world.fill()
        assert await world.upkeep(messages=HOUR)(lambda: True) == PurgeCounts(messages=2)
        assert await world.upkeep(messages=HOUR)() == PurgeCounts(messages=3, log_rows=5)

    async def test_one_that_died_is_followed_after_its_lease(self) -> None:
        world = World()
        await world.fill()
        steps = world.upkeep(messages=HOUR)
        assert await world.store.claim_upkeep(world.now, until=world.now + steps.lease)
        assert await steps() is None
        world.now += steps.lease
        assert (await steps() or PurgeCounts()).messages == 5


class SweptStore(InMemoryPurgeStore):
    """A store that lets go the log in stretches of two days, and then gives room back."""

    given_back = 0

    @override
    async def sweep_log(self, before: datetime) -> int | None:
        ended = before - DAY
        return await self.step_log(None, ended, limit=2) or None

    @override
    async def give_back(self) -> None:
        self.given_back += 1


async def test_what_goes_of_the_log_at_a_stroke_is_counted_with_the_rest() -> None:
    world = World(SweptStore)
    await world.fill(8)
    assert await world.upkeep(log=HOUR)() == PurgeCounts(log_rows=8)
    assert await world.logged() == 0
    assert isinstance(world.store, SweptStore)
    assert world.store.given_back == 1


class AwayStore(InMemoryPurgeStore):
    """A store that is away at first."""

    times = 2

    @override
    async def claim_upkeep(self, now: datetime, *, until: datetime) -> bool:
        self.times -= 1
        if self.times >= 0:
            raise StoreUnavailable("the database is away")
        return await super().claim_upkeep(now, until=until)


async def test_a_worker_waits_for_the_database_and_tells_what_went() -> None:
    world, stop = World(AwayStore), asyncio.Event()
    await world.fill()
    troubles: list[str | None] = []
    told: list[PurgeCounts] = []

    def done(gone: PurgeCounts) -> None:
        told.append(gone)
        stop.set()

    worker = UpkeepWorker(
        upkeep=world.upkeep(messages=HOUR),
        told=done,
        troubled=troubles.append,
        poll=timedelta(milliseconds=1),
    )
    await asyncio.wait_for(worker.run(stop), 10)
    assert troubles == ["the database is away", None]
    assert told == [PurgeCounts(messages=5, log_rows=5)]
