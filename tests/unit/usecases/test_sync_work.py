"""A worker takes what is due until it is told to stop, whatever the engine and the store do."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from tests.support.deliveries import ANA, BRUNO
from tests.support.sync_world import PLAN, World
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.sync import InMemorySyncStore
from wagateway.domain.errors import Defect, EngineUnavailable, StoreUnavailable
from wagateway.domain.events import Recorded
from wagateway.domain.sync import SyncState
from wagateway.domain.views import SessionView
from wagateway.ports.engine import EngineSession
from wagateway.ports.sync import SyncTask
from wagateway.usecases.sync_work import SyncWorker
from wagateway.usecases.turn import Turn

TICK = timedelta(milliseconds=1)


class Told:
    """What a worker said."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.troubles: list[str | None] = []
        self.defects: list[Exception] = []


def worker_of(world: World, told: Told) -> SyncWorker:
    return SyncWorker(
        find=world.find,
        turn=world.turn,
        store=world.store,
        clock=world.clock,
        plan=PLAN,
        told=told.turns.append,
        troubled=told.troubles.append,
        broke=told.defects.append,
        poll=TICK,
        deadline=timedelta(seconds=5),
    )


@asynccontextmanager
async def at_work(worker: SyncWorker) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)


async def test_it_finds_the_session_and_archives_its_history() -> None:
    world, told = World(), Told()
    world.fill(ANA, 90)
    world.fill(BRUNO, 30)
    worker = worker_of(world, told)
    async with at_work(worker):
        await until(lambda: worker.state.stored >= 120 and worker.state.running == 0)
    assert (await world.stored(ANA), await world.stored(BRUNO)) == (90, 30)
    assert worker.state.sessions == 1
    assert worker.state.problem is None
    assert sum(turn.stored for turn in told.turns) == worker.state.stored
    assert told.troubles == []


class AwayEngine(World):
    """Does not answer until it is told to."""

    away = True

    def __init__(self) -> None:
        super().__init__()
        ask = self.engine.sessions

        async def sessions() -> list[EngineSession]:
            if self.away:
                raise EngineUnavailable("no connection")
            return await ask()

        self.engine.sessions = sessions  # type: ignore[method-assign]


async def test_an_engine_that_is_away_is_said_once_and_asked_again() -> None:
    world, told = AwayEngine(), Told()
    worker = worker_of(world, told)
    async with at_work(worker):
        await until(lambda: told.troubles == ["no connection"])
        await asyncio.sleep(0.02)
        assert told.troubles == ["no connection"]
        world.away = False
        world.now += timedelta(seconds=11)
        await until(lambda: told.troubles == ["no connection", None])
    assert worker.state.problem is None


async def test_a_clock_that_was_ahead_is_told_and_the_work_goes_on() -> None:
    world, told = World(), Told()
    world.fill(ANA, 3)
    await world.settle()
    world.now += timedelta(hours=9)
    await world.settle()
    world.now -= timedelta(hours=8)
    world.engine.add(ANA, "news", world.now)
    async with at_work(worker_of(world, told)):
        await until(lambda: "news" in world.stanzas(ANA))
    [trouble] = told.troubles
    assert trouble is not None
    assert trouble.startswith("this machine's clock was ahead")


class BrokenReader(InMemoryArchive):
    """Runs into a defect where it is asked for sessions."""

    @override
    async def sessions(self) -> list[SessionView]:
        raise ValueError("the words of a message")


async def test_a_defect_while_sessions_are_found_is_told_once_and_work_goes_on() -> None:
    world, told = World(), Told()
    await world.find()
    world.fill(ANA, 30)
    worker = worker_of(world, told)
    worker.find = dataclasses.replace(world.find, reader=BrokenReader())
    async with at_work(worker):
        await until(lambda: worker.state.stored >= 30)
        assert told.troubles == ["a defect of wagateway: ValueError"]
        assert worker.state.problem == told.troubles[0]
        world.now += timedelta(seconds=11)
        await until(lambda: worker.state.beat_at == world.now)
        await asyncio.sleep(0.02)
        assert [type(defect) for defect in told.defects] == [ValueError]
        worker.find = world.find
        world.now += timedelta(seconds=11)
        await until(lambda: told.troubles[-1] is None)
    assert worker.state.sessions == 1


async def test_a_clock_that_is_set_back_while_it_works_is_noticed_at_once() -> None:
    world, told = World(), Told()
    world.fill(ANA, 3)
    worker = worker_of(world, told)
    async with at_work(worker):
        await until(lambda: worker.state.stored >= 3 and worker.state.running == 0)
        world.now += timedelta(hours=9)
        turns = len(told.turns)
        await until(lambda: len(told.turns) > turns and worker.state.running == 0)
        world.now -= timedelta(hours=8)
        world.engine.add(ANA, "news", world.now)
        await until(lambda: "news" in world.stanzas(ANA))
    assert [trouble and trouble[:35] for trouble in told.troubles] == [
        "this machine's clock was ahead, so "
    ]


class AwayStore(InMemorySyncStore):
    """Cannot be asked for work."""

    @override
    async def claim(self, *_: object, **__: object) -> list[SyncTask]:
        raise StoreUnavailable("the database is away")


async def test_a_database_that_is_away_is_waited_for() -> None:
    world, told = World(), Told()
    worker = worker_of(world, told)
    worker.store = AwayStore(world.archive)
    async with at_work(worker):
        await until(lambda: told.troubles == ["the database is away"])
        worker.store = world.store
        await until(lambda: told.troubles[-1] is None)
    assert told.troubles == ["the database is away", None]


async def test_a_defect_in_a_turn_stops_nobody_and_quotes_nothing() -> None:
    world, told = World(), Told()
    world.fill(ANA, 3)
    world.fill(BRUNO, 3)
    world.engine.lists_all = False
    world.engine.failures = [ValueError("the words of a message")]
    worker = worker_of(world, told)
    async with at_work(worker):
        await until(lambda: worker.state.stored >= 3 and worker.state.running == 0)
    [broken] = [turn for turn in told.turns if turn.defect]
    assert broken.problem == "a defect of wagateway: ValueError"
    task = await world.task(broken.task.chat)
    assert (task.state.problem, task.state.attempts) == (broken.problem, 1)
    assert not any("words" in str(turn.problem) for turn in told.turns)


class RefusingStore(InMemorySyncStore):
    """Takes no state."""

    @override
    async def save(self, *_: object, **__: object) -> list[Recorded]:
        raise Defect("the database refused the words of a message")


async def test_a_defect_that_leaves_a_turn_is_told_without_its_words() -> None:
    world, told = World(), Told()
    world.fill(ANA, 3)
    await world.find()
    refusing = RefusingStore(world.archive)
    await refusing.enrol_session(await world.archived(), state=SyncState(due_at=world.now))
    worker = worker_of(world, told)
    worker.turn = dataclasses.replace(world.turn, store=refusing)
    worker.store = refusing
    async with at_work(worker):
        await until(lambda: bool(told.turns))
    turn = told.turns[0]
    assert isinstance(turn.defect, Defect)
    assert turn.problem == "a defect of wagateway: Defect"
    assert worker.state.running == 0


async def test_what_hangs_when_it_stops_goes_back_by_its_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, told = World(), Told()
    began = asyncio.Event()

    async def hanging(self: object, task: SyncTask, **_: object) -> Turn:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(type(world.turn), "__call__", hanging)
    worker = worker_of(world, told)
    worker.deadline = TICK
    async with at_work(worker):
        await began.wait()
    assert worker.state.running == 0
    world.now += PLAN.lease
    assert await world.store.claim(world.now, lease=PLAN.lease, limit=1)
