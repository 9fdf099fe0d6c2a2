"""What the database cannot take now waits in the spool, and is recorded once it can."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from tests.support.deliveries import NOON
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.spool import InMemorySpool
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.errors import Defect, StoreUnavailable
from wagateway.domain.events import Delivery, Recorded, Source
from wagateway.domain.identity import SessionName
from wagateway.ports.archive import LogFilter
from wagateway.ports.spool import SpooledBody, SpoolEntry
from wagateway.ports.spool_form import newer_waits
from wagateway.usecases import spooling
from wagateway.usecases.group_commit import GroupCommit
from wagateway.usecases.ingest import IngestBody, Ingested
from wagateway.usecases.spooling import Away, DrainSpool, SpoolBodies

ANA, BRUNO = SessionName("ana"), SessionName("bruno")


def event(number: int, session: str = ANA) -> bytes:
    """Return a body that is recorded whatever else was."""
    told = {"event": "telepathy", "session": session, "payload": {"number": number}}
    return msgspec.json.encode(told)


class MoodyArchive(InMemoryArchive):
    """An archive that is away for some sessions, or as a whole, or breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.away: set[str] | None = set()
        self.broken: bytes | None = None
        self.asked = 0
        self.slowly_s = 0.0

    @override
    async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        self.asked += 1
        await asyncio.sleep(self.slowly_s)
        if self.away is None or any(each.session in self.away for each in deliveries):
            raise StoreUnavailable("the database is away")
        if self.broken and any(self.broken in each.body for each in deliveries):
            raise Defect("broken")
        return await super().record(deliveries)


class MoodySpool(InMemorySpool):
    """A spool that can be away, too, or slow."""

    def __init__(self) -> None:
        super().__init__(lambda: NOON)
        self.away = False
        self.hang: asyncio.Event | None = None
        self.writes: list[int] = []
        self.under_way = 0
        self.released = 0

    @override
    async def put(self, bodies: Sequence[SpooledBody]) -> None:
        self.under_way += 1
        if self.hang is not None:
            await self.hang.wait()
        self.under_way -= 1
        if self.away:
            raise StoreUnavailable("the spool is away")
        self.writes.append(len(bodies))
        await super().put(bodies)

    @override
    async def release(self) -> None:
        self.released += 1


class Damaged(InMemorySpool):
    """A spool whose disk damaged its first entry."""

    @override
    async def oldest(self, *, limit: int, without: Collection[str] = ()) -> Sequence[SpoolEntry]:
        return [
            msgspec.structs.replace(entry, bodies=(), problem="it is damaged")
            if entry.key == "1"
            else entry
            for entry in await super().oldest(limit=limit, without=without)
        ]


class World:
    """An ingest with a spool over parts that can be told to fail."""

    def __init__(
        self, *, ask_again_s: float = 15.0, patience_s: float = 6.0, slowly_s: float = 0.0
    ) -> None:
        self.archive, self.kept = MoodyArchive(), MoodySpool()
        self.away = Away(ask_again_s=ask_again_s)
        self.archive.slowly_s = slowly_s
        patience = slowly_s / 2 or 6.0
        self.commit = GroupCommit(self.archive, max_items=1, patience_s=patience)
        self.spool = SpoolBodies(self.kept, patience_s=patience_s)
        self.ingest = IngestBody(
            engine=WahaReader(),
            commit=self.commit,
            clock=lambda: NOON,
            spool=self.spool,
            away=self.away,
        )
        self.told: list[Any] = []
        self.troubles: list[str | None] = []
        self.broke: list[Exception] = []
        self.aside: list[tuple[str, str]] = []
        self.drain = DrainSpool(
            spool=self.kept,
            engine=WahaReader(),
            commit=self.commit,
            away=self.away,
            told=self.told.append,
            troubled=self.troubles.append,
            broke=self.broke.append,
            set_aside=lambda key, why: self.aside.append((key, why)),
            poll_s=0.001,
            passed_s=0.0,
        )

    async def numbers(self) -> list[int]:
        """Return what the log holds, in its order."""
        rows = await self.archive.logged(LogFilter(), after=0, limit=10_000)
        return [msgspec.json.decode(row.body)["payload"]["number"] for row in rows]


IGNORED = Ingested(stored=0, duplicates=0, ignored=1, failed=0)
SPOOLED = Ingested(stored=0, duplicates=0, ignored=0, failed=0, spooled=1)


@pytest.fixture
async def world() -> World:
    return World()


class TestIngest:
    async def test_nothing_is_spooled_while_the_database_is_there(self, world: World) -> None:
        assert await world.ingest(event(1)) == IGNORED
        assert world.kept.writes == []

    async def test_what_the_database_cannot_take_is_spooled(self, world: World) -> None:
        world.archive.away = None
        assert await world.ingest(event(1), source=Source.IMPORT) == SPOOLED
        [entry] = await world.kept.oldest(limit=10)
        assert entry.bodies == (SpooledBody(body=event(1), received_at=NOON, source=Source.IMPORT),)

    async def test_a_body_of_several_events_is_spooled_whole(self, world: World) -> None:
        world.archive.away = None
        answer = await world.ingest(b"[" + event(1) + b"," + event(2) + b"]")
        assert answer == msgspec.structs.replace(SPOOLED, spooled=2)

    async def test_what_is_away_is_not_asked_by_everybody(self, world: World) -> None:
        world.archive.away = None
        for n in range(5):
            assert await world.ingest(event(n)) == SPOOLED
        assert world.archive.asked == 1

    async def test_one_asks_again_after_a_while(self) -> None:
        world = World(ask_again_s=0.0)
        world.archive.away = None
        await world.ingest(event(1))
        world.archive.away = set()
        await asyncio.sleep(0)
        assert await world.ingest(event(2)) == IGNORED
        assert await world.ingest(event(3)) == IGNORED

    async def test_other_sessions_are_not_disturbed(self, world: World) -> None:
        world.archive.away = {ANA}
        assert await world.ingest(event(1, ANA)) == SPOOLED
        assert await world.ingest(event(2, BRUNO)) == IGNORED
        assert await world.ingest(event(3, ANA)) == SPOOLED

    @pytest.mark.parametrize("times", [1, 2])
    async def test_without_database_and_spool_nothing_is_acknowledged(
        self, world: World, times: int
    ) -> None:
        world.archive.away, world.kept.away = None, True
        for _ in range(times):
            with pytest.raises(StoreUnavailable):
                await world.ingest(event(1))

    async def test_a_broken_spool_is_no_reason_to_refuse_what_the_database_takes(
        self, world: World
    ) -> None:
        world.archive.away = None
        await world.ingest(event(1))
        world.archive.away, world.kept.away = set(), True
        assert await world.ingest(event(2)) == IGNORED

    async def test_a_spool_that_hangs_is_not_waited_for(self) -> None:
        world = World(patience_s=0.3)
        world.archive.away, world.kept.hang = None, asyncio.Event()
        with pytest.raises(StoreUnavailable, match="in time"):
            await world.ingest(event(1))
        world.kept.hang.set()
        assert await world.ingest(event(2)) == SPOOLED


class TestWriting:
    async def test_what_arrives_meanwhile_goes_together(self, world: World) -> None:
        world.archive.away, world.kept.hang = None, asyncio.Event()
        world.away.was_away([ANA])
        first = asyncio.create_task(world.ingest(event(0)))
        await asyncio.sleep(0.01)
        rest = [asyncio.create_task(world.ingest(event(n))) for n in range(1, 21)]
        await asyncio.sleep(0.01)
        world.kept.hang.set()
        assert await asyncio.gather(first, *rest) == [SPOOLED] * 21
        assert world.kept.writes == [1, 20]

    async def test_a_slow_write_makes_the_next_not_late(self, world: World) -> None:
        world.archive.away, world.kept.hang = None, asyncio.Event()
        world.away.was_away([ANA])
        calls = []
        for n in range(5):
            calls.append(asyncio.create_task(world.ingest(event(n))))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert world.kept.under_way == 3
        world.kept.hang.set()
        assert await asyncio.gather(*calls) == [SPOOLED] * 5
        assert sorted(world.kept.writes) == [1, 1, 1, 2]

    async def test_large_bodies_go_in_several_writes(self) -> None:
        kept = MoodySpool()
        spool = SpoolBodies(kept, max_group_bytes=100)
        bodies = [SpooledBody(body=b"x" * size, received_at=NOON) for size in (60, 40, 1, 300, 5)]
        await asyncio.gather(*map(spool, bodies))
        assert kept.writes == [2, 1, 1, 1]

    async def test_too_much_at_once_is_turned_away(self) -> None:
        kept = MoodySpool()
        kept.hang = asyncio.Event()
        spool = SpoolBodies(kept, patience_s=6.0, max_waiting_bytes=100)
        body = SpooledBody(body=b"x" * 60, received_at=NOON)
        callers = [asyncio.create_task(spool(body))]
        await asyncio.sleep(0.01)
        callers.append(asyncio.create_task(spool(body)))
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="too many"):
            await spool(body)
        kept.hang.set()
        await asyncio.gather(*callers)
        assert kept.writes == [1, 1]

    async def test_one_that_fails_in_a_way_of_its_own_is_told_to_its_caller(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(_: Sequence[SpooledBody]) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(world.kept, "put", broken)
        world.archive.away = None
        with pytest.raises(RuntimeError, match="a bug"):
            await world.ingest(event(1))

    async def test_closing_writes_what_was_taken(self, world: World) -> None:
        waiting = asyncio.create_task(world.spool(SpooledBody(body=b"{}", received_at=NOON)))
        await asyncio.sleep(0)
        await world.spool.aclose()
        await waiting
        assert world.kept.writes == [1]


class TestDrain:
    async def test_records_in_the_order_of_arrival(self, world: World) -> None:
        world.archive.away = None
        for n in range(250):
            await world.ingest(event(n))
        world.archive.away = set()
        for _ in range(12):
            assert await world.drain() == 20
        assert await world.drain() == 10
        assert await world.drain() == 0
        assert await world.numbers() == list(range(250))
        assert await world.ingest(event(250)) == IGNORED  # it is known to be back

    async def test_lets_go_of_nothing_while_the_database_is_away(self, world: World) -> None:
        world.archive.away = None
        await world.ingest(event(1))
        with pytest.raises(StoreUnavailable):
            await world.drain()
        assert (await world.kept.depth()).entries == 1

    async def test_waits_for_a_slow_database_and_brings_nothing_twice(self) -> None:
        """Were it to give up, the next round would queue the same again behind itself."""
        world = World(slowly_s=0.05)
        for n in range(5):
            await world.kept.put([SpooledBody(body=event(n), received_at=NOON)])
        assert await world.drain() == 5
        assert world.archive.asked == 5

    async def test_what_cannot_be_read_is_set_aside_and_told(self, world: World) -> None:
        await world.kept.put([SpooledBody(body=b"{", received_at=NOON)])
        await world.kept.put([SpooledBody(body=event(1), received_at=NOON)])
        assert await world.drain() == 1
        depth = await world.kept.depth()
        assert (depth.entries, depth.set_aside) == (0, 1)
        assert len(world.broke) == 1
        assert world.aside == [("1", "InvalidInput")]
        assert await world.numbers() == [1]

    async def test_what_the_disk_damaged_is_set_aside_and_told(self, world: World) -> None:
        damaged = Damaged(lambda: NOON)
        world.drain.spool = damaged
        for n in range(2):
            await damaged.put([SpooledBody(body=event(n), received_at=NOON)])
        assert await world.drain() == 1
        depth = await damaged.depth()
        assert (depth.entries, depth.set_aside) == (0, 1)
        assert (world.aside, world.broke) == ([("1", "it is damaged")], [])
        assert await world.numbers() == [1]

    async def test_who_can_record_nothing_lets_others_try(self, world: World) -> None:
        await world.kept.put([SpooledBody(body=event(1), received_at=NOON)])
        world.archive.away = None
        with pytest.raises(StoreUnavailable):
            await world.drain()
        assert world.kept.released == 1
        world.archive.away = set()
        assert await world.drain() == 1
        assert world.kept.released == 1

    async def test_what_breaks_while_others_are_taken_is_set_aside_after_some_tries(
        self, world: World
    ) -> None:
        world.archive.broken = event(0)
        await world.kept.put([SpooledBody(body=event(0), received_at=NOON)])
        for n in range(1, 6):
            await world.kept.put([SpooledBody(body=event(n, BRUNO), received_at=NOON)])
            assert await world.drain() == 1
        depth = await world.kept.depth()
        assert (depth.entries, depth.set_aside) == (0, 1)

    async def test_where_nothing_is_taken_nothing_is_set_aside(self, world: World) -> None:
        """A defect of ours, or of the database, is no fault of what waits."""
        world.archive.broken = b"telepathy"
        for n in range(3):
            await world.kept.put([SpooledBody(body=event(n), received_at=NOON)])
        for _ in range(10):
            assert await world.drain() == 0
        depth = await world.kept.depth()
        assert (depth.entries, depth.set_aside) == (3, 0)
        assert len(world.broke) == 30

    async def test_runs_until_it_is_told_to_stop_and_tells_each_trouble_once(
        self, world: World
    ) -> None:
        world.archive.away = None
        for n in range(3):
            await world.ingest(event(n))
        stop = asyncio.Event()
        running = asyncio.create_task(world.drain.run(stop))
        while not world.troubles:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        world.archive.away = set()
        while (await world.kept.depth()).entries:
            await asyncio.sleep(0.001)
        stop.set()
        await running
        assert world.troubles == ["the database is away", None]
        assert sorted(set(await world.numbers())) == [0, 1, 2]

    async def test_two_that_drain_the_same_leave_one_archive(self, world: World) -> None:
        world.archive.away = None
        for n in range(15):
            await world.ingest(event(n))
        world.archive.away = set()
        await asyncio.gather(world.drain(), world.drain())
        assert sorted(set(await world.numbers())) == list(range(15))
        assert (await world.kept.depth()).entries == 0


class Stubborn(MoodySpool):
    """A spool that does not let go of some entries, and sets none of them aside."""

    def __init__(self, *stubborn: str) -> None:
        super().__init__()
        self.stubborn = set(stubborn)

    @override
    async def let_go(self, keys: Collection[str]) -> None:
        await super().let_go([key for key in keys if key not in self.stubborn])
        if self.stubborn.intersection(keys):
            raise StoreUnavailable("the disk is read only")

    @override
    async def set_aside(self, key: str) -> None:
        if key in self.stubborn:
            raise StoreUnavailable("no space left")
        await super().set_aside(key)


class OfTwoVersions(MoodySpool):
    """A spool in which something of a newer version waits, behind all that is ours."""

    @override
    async def oldest(self, *, limit: int, without: Collection[str] = ()) -> Sequence[SpoolEntry]:
        found = await super().oldest(limit=limit, without=without)
        if not found:
            raise newer_waits()
        return found


class Hanging(MoodySpool):
    """A spool that never tells what waits."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.given_up = False

    @override
    async def oldest(self, *, limit: int, without: Collection[str] = ()) -> Sequence[SpoolEntry]:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up = True
        return []


def spooled(*bodies: bytes) -> list[SpooledBody]:
    return [SpooledBody(body=body, received_at=NOON) for body in bodies]


class TestNeighbours:
    """What cannot be recorded stops no other, in groups of the usual size."""

    @pytest.fixture
    async def world(self) -> World:
        world = World()
        world.commit = GroupCommit(world.archive)
        world.drain.commit = world.commit
        return world

    async def drained(self, world: World, *, rounds: int) -> None:
        for _ in range(rounds):
            with suppress(StoreUnavailable):
                await world.drain()

    async def test_a_session_that_is_locked_stops_no_other(self, world: World) -> None:
        world.archive.away = {ANA}
        await world.kept.put(spooled(event(0, ANA)))
        for n in range(1, 51):
            await world.kept.put(spooled(event(n, BRUNO)))
        await self.drained(world, rounds=6)
        assert sorted(await world.numbers()) == list(range(1, 51))
        assert (await world.kept.depth()).entries == 1

    async def test_nor_others_that_it_shares_entries_with(self, world: World) -> None:
        world.archive.away = {ANA}
        await world.kept.put(spooled(event(0, ANA), event(1, BRUNO), event(2, ANA)))
        await self.drained(world, rounds=2)
        assert await world.numbers() == [1]
        assert (await world.kept.depth()).entries == 1

    async def test_nor_when_it_fills_the_head(self, world: World) -> None:
        world.archive.away = {ANA}
        for n in range(100):
            await world.kept.put(spooled(event(n, ANA)))
        for n in range(100, 120):
            await world.kept.put(spooled(event(n, BRUNO)))
        await self.drained(world, rounds=8)
        assert sorted(await world.numbers()) == list(range(100, 120))
        world.archive.away = set()
        while (await world.kept.depth()).entries:
            await world.drain()
        assert sorted(await world.numbers()) == list(range(120))

    async def test_nor_again_and_again_when_it_fills_the_head(self, world: World) -> None:
        world.archive.away = {ANA}
        world.drain.passed_s = 600.0
        for n in range(200):
            await world.kept.put(spooled(event(n, ANA)))
        for n in range(200, 400):
            await world.kept.put(spooled(event(n, BRUNO)))
        await self.drained(world, rounds=20)
        assert sorted(await world.numbers()) == list(range(200, 400))

    async def test_what_breaks_is_set_aside_and_its_neighbours_are_recorded(
        self, world: World
    ) -> None:
        world.archive.broken = event(3)
        for n in range(50):
            await world.kept.put(spooled(event(n)))
            if n % 5 == 4:
                await self.drained(world, rounds=2)
        assert sorted(set(await world.numbers())) == [n for n in range(50) if n != 3]
        assert world.aside == [("4", "Defect")]

    async def test_what_cannot_be_let_go_is_recorded_once_and_stops_no_other(
        self, world: World
    ) -> None:
        stubborn = world.drain.spool = Stubborn("1")
        for n in range(50):
            await stubborn.put(spooled(event(n)))
        await self.drained(world, rounds=5)
        assert await world.numbers() == list(range(50))
        assert (await stubborn.depth()).entries == 1
        assert world.troubles == ["the disk is read only"]
        stubborn.stubborn.clear()
        await self.drained(world, rounds=2)
        assert (await stubborn.depth()).entries == 0
        assert await world.numbers() == list(range(50))
        assert world.troubles == ["the disk is read only", None]

    @pytest.mark.parametrize("neighbours", [0, 1])
    async def test_what_was_set_aside_and_is_put_back_is_tried_at_once(
        self, world: World, neighbours: int
    ) -> None:
        world.drain.passed_s = 600.0
        await world.kept.put(spooled(b"{"))
        for n in range(neighbours):
            await world.kept.put(spooled(event(n)))
        await self.drained(world, rounds=1)
        assert world.aside == [("1", "InvalidInput")]
        assert await world.kept.put_back() == 1
        await world.kept.put(spooled(event(9)))
        await self.drained(world, rounds=2)
        assert world.aside == [("1", "InvalidInput")] * 2

    async def test_what_cannot_be_set_aside_stops_no_other(self, world: World) -> None:
        stubborn = world.drain.spool = Stubborn("1")
        await stubborn.put(spooled(b"{"))
        for n in range(5):
            await stubborn.put(spooled(event(n)))
        await self.drained(world, rounds=3)
        assert await world.numbers() == list(range(5))
        depth = await stubborn.depth()
        assert (depth.entries, depth.set_aside) == (1, 0)
        assert world.troubles == ["no space left"]

    async def test_what_failed_is_tried_again_where_nothing_else_can_be_read(
        self, world: World
    ) -> None:
        world.drain.spool = kept = OfTwoVersions()
        world.archive.away = {ANA}
        await kept.put(spooled(event(1)))
        await self.drained(world, rounds=3)
        world.archive.away = set()
        await self.drained(world, rounds=2)
        assert await world.numbers() == [1]

    async def test_who_is_cancelled_leaves_no_round_behind(self, world: World) -> None:
        hanging = world.drain.spool = Hanging()
        running = asyncio.create_task(world.drain.run(asyncio.Event()))
        await hanging.asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert hanging.given_up

    async def test_a_database_that_hangs_holds_up_no_stop(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(spooling, "_ENDING_S", 0.01)
        world.archive.slowly_s = 600.0
        await world.kept.put(spooled(event(1)))
        stop = asyncio.Event()
        running = asyncio.create_task(world.drain.run(stop))
        while not world.archive.asked:
            await asyncio.sleep(0)
        stop.set()
        async with asyncio.timeout(30):
            await running
        assert (await world.kept.depth()).entries == 1


async def test_who_would_be_answered_too_late_is_told_so_and_not_written() -> None:
    """Else a disk that is too slow is busy with what its callers gave up."""
    kept = MoodySpool()
    kept.hang = asyncio.Event()
    spool = SpoolBodies(kept, patience_s=0.2, at_once=1)
    first = asyncio.create_task(spool(SpooledBody(body=b"a", received_at=NOON)))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(spool(SpooledBody(body=b"b", received_at=NOON)))
    await asyncio.sleep(0.15)
    kept.hang.set()
    await first
    with pytest.raises(StoreUnavailable, match="too slow"):
        await second
    assert kept.writes == [1]
    await spool(SpooledBody(body=b"c", received_at=NOON))
    assert kept.writes == [1, 1]


async def test_after_a_write_that_outlasted_all_patience_the_next_is_tried() -> None:
    kept = MoodySpool()
    kept.hang = asyncio.Event()
    spool = SpoolBodies(kept, patience_s=0.05)
    with pytest.raises(StoreUnavailable, match="in time"):
        await spool(SpooledBody(body=b"a", received_at=NOON))
    await asyncio.sleep(0.02)
    kept.hang.set()
    await spool.aclose()  # the first is written by now
    await spool(SpooledBody(body=b"b", received_at=NOON))
    assert kept.writes == [1, 1]
