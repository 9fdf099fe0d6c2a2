"""Regular backups: when they are due, who makes them, and which go."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.backups import FakeTables, World
from typing_extensions import override

from wagateway.adapters.memory.backup_turns import InMemoryBackupTurns
from wagateway.domain.errors import Conflict, Rejected, StoreUnavailable
from wagateway.ports.tables import Table
from wagateway.usecases.backup_work import BackupWorker, Regular, RegularBackup
from wagateway.usecases.restore_backup import CheckBackup, Damage

HOUR = timedelta(hours=1)


@pytest.fixture
async def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    await found.fill()
    return found


def regular(world: World, *, keep: int = 2) -> RegularBackup:
    return RegularBackup(
        back_up=world.making,
        place=world.place,
        turns=InMemoryBackupTurns(),
        clock=world.clock,
        every=24 * HOUR,
        keep=keep,
    )


async def test_is_made_when_it_is_due(world: World) -> None:
    backup = regular(world)
    assert await backup() is not None
    world.clock.pass_(23 * HOUR)
    assert await backup() is None
    world.clock.pass_(HOUR)
    assert await backup() is not None
    assert len(await world.place.names()) == 2


async def test_the_oldest_go_after_a_new_one(world: World) -> None:
    backup = regular(world)
    made = []
    for _ in range(3):
        made.append(await backup())
        world.clock.pass_(24 * HOUR)
    last = made[-1]
    assert last is not None
    assert made[0] is not None
    assert last.removed == (made[0].manifest.name,)
    assert len(await world.place.names()) == 2
    assert await world.check(last.manifest) == []


async def test_nothing_goes_where_the_new_one_cannot_be_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = regular(world, keep=1)
    await backup()
    good = await world.place.names()
    world.clock.pass_(24 * HOUR)

    async def ill(*_: object, **__: object) -> list[Damage]:
        return [Damage(file="tables/messages.tsv.gz", problem="was changed")]

    monkeypatch.setattr(CheckBackup, "__call__", ill)
    with pytest.raises(Rejected, match="No older one went: look at the disk") as refusal:
        await backup()
    assert "was changed" in str(refusal.value)
    assert "It was removed." in str(refusal.value)
    assert "put back" not in str(refusal.value)
    assert await world.place.names() == good


async def test_who_cannot_remove_a_damaged_one_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ill(*_: object, **__: object) -> list[Damage]:
        return [Damage(file="tables/messages.tsv.gz", problem="was changed")]

    async def fail(*_: object) -> None:
        raise Conflict("a backup is being made there")

    monkeypatch.setattr(CheckBackup, "__call__", ill)
    monkeypatch.setattr(type(world.place), "remove", fail)
    with pytest.raises(Rejected, match=r"Remove it, .* \(a backup is being made there\)\."):
        await regular(world)()


async def test_a_failure_is_repeated_soon(world: World) -> None:
    backup = regular(world)
    world.tables.failure = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await backup()
    world.tables.failure = None
    world.clock.pass_(timedelta(minutes=14))
    assert await backup() is None
    world.clock.pass_(timedelta(minutes=1))
    assert await backup() is not None


class Slow(FakeTables):
    """Tables that are read until they are told to end."""

    def __init__(self) -> None:
        super().__init__({"messages": [b"1\tBom dia!"]})
        self.reading = asyncio.Event()
        self.enough = asyncio.Event()

    @override
    async def read(self, table: Table) -> AsyncIterator[bytes]:
        self.reading.set()
        await self.enough.wait()
        async for piece in super().read(table):
            yield piece


async def test_nobody_else_begins_while_one_is_made(world: World) -> None:
    world.tables = slow = Slow()
    backup = replace(regular(world), lease=timedelta(milliseconds=30))
    making = asyncio.create_task(backup())
    await slow.reading.wait()
    for _ in range(5):
        world.clock.pass_(timedelta(milliseconds=10))
        await asyncio.sleep(0.03)  # it is renewed meanwhile
        assert await backup() is None
    slow.enough.set()
    assert await making is not None


def worker(backup: RegularBackup) -> tuple[BackupWorker, list[Regular], list[str | None]]:
    told: list[Regular] = []
    troubles: list[str | None] = []
    poll = timedelta(milliseconds=1)
    working = BackupWorker(regular=backup, told=told.append, troubled=troubles.append, poll=poll)
    return working, told, troubles


async def until(what: object) -> None:
    async with asyncio.timeout(5):
        while not what:
            await asyncio.sleep(0.001)


async def test_a_worker_tells_what_it_made_and_each_trouble_once(world: World) -> None:
    world.tables.failure = StoreUnavailable("away")
    working, told, troubles = worker(replace(regular(world), again=timedelta()))
    stop = asyncio.Event()
    running = asyncio.create_task(working.run(stop))
    await until(troubles)
    await asyncio.sleep(0.02)
    assert troubles == ["away"]
    world.tables.failure = None
    await until(told)
    stop.set()
    await running
    assert troubles == ["away", None]


async def test_a_worker_that_stops_breaks_a_backup_off_and_another_goes_on(world: World) -> None:
    world.tables = slow = Slow()
    backup = regular(world)
    working, told, _ = worker(backup)
    stop = asyncio.Event()
    running = asyncio.create_task(working.run(stop))
    await slow.reading.wait()
    stop.set()
    async with asyncio.timeout(5):
        await running
    assert told == []
    assert await world.place.names() == []
    slow.enough.set()
    assert await backup() is not None
