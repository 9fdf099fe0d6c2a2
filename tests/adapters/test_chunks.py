"""Whole chunks that go: those of the log with their rows, those of messages once they are empty.

It needs a server with TimescaleDB: name one by WAGATEWAY_TEST_DATABASE_URL.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import LiteralString

import psycopg
import pytest
from tests.contracts.archives import Backend, in_postgres
from tests.support.deliveries import ANA, NOON, SESSION, delivery, seen
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale.copies import TimescaleTables
from wagateway.adapters.timescale.migrate import migrate, storage_of
from wagateway.adapters.timescale.pool import Pool, open_pool
from wagateway.adapters.timescale.storage import EVENT_LOG, MESSAGES, Extension, StoragePlan
from wagateway.domain.purges import PurgeCounts
from wagateway.ports.archive import LogFilter
from wagateway.usecases.purge import Retention, Upkeep

pytestmark = pytest.mark.embedded

DAY = timedelta(days=1)
WEEKS = 10


@dataclass(frozen=True, slots=True)
class Chunked:
    """An archive of ten weeks, a message a day, in chunks of a week."""

    url: str
    pool: Pool
    archive: Backend

    async def chunks(self, table: str) -> int:
        found = (await storage_of(self.url)).table(table)
        assert found is not None
        return found.chunks

    async def logged(self) -> int:
        return len((await self.archive.reader.events(LogFilter(), limit=500)).events)

    async def messages(self) -> int:
        return len((await self.archive.reader.messages(SESSION, [ANA], limit=500)).messages)

    async def execute(self, statement: LiteralString) -> None:
        async with self.pool.connection() as conn:
            await conn.execute(statement)

    def upkeep(self, **kept: timedelta) -> Upkeep:
        retention = Retention(**kept)
        return Upkeep(store=self.archive.purges, clock=lambda: NOON, retention=retention)

    @asynccontextmanager
    async def reading(self, statement: LiteralString) -> AsyncIterator[None]:
        """Read in a transaction that stays open."""
        async with await psycopg.AsyncConnection.connect(self.url) as conn:
            await conn.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await conn.execute(statement)
            yield


@pytest.fixture
async def chunked(postgres_server: str) -> AsyncIterator[Chunked]:
    async with fresh_database(postgres_server) as url:
        if (await storage_of(url)).extension not in {Extension.NOT_CREATED, Extension.PRESENT}:
            pytest.skip("this server has no TimescaleDB")
        await migrate(url, storage=StoragePlan(chunk_days=7))
        async with open_pool(url, max_size=3) as pool:
            archive = in_postgres(pool)
            told = [
                delivery(seen(stanza=f"A{n}", sent_at=NOON - n * DAY), at=NOON - n * DAY)
                for n in range(7 * WEEKS)
            ]
            await archive.record(*told)
            yield Chunked(url, pool, archive)


async def test_old_chunks_of_the_log_go_whole_and_the_rest_by_rows(chunked: Chunked) -> None:
    before = NOON - 30 * DAY
    chunks, swept = await chunked.chunks(EVENT_LOG), 0
    while (rows := await chunked.archive.purges.sweep_log(before)) is not None:
        assert 0 < rows <= 7
        swept += rows
    assert await chunked.chunks(EVENT_LOG) <= chunks - 5
    assert 33 <= swept <= 39
    assert await chunked.logged() == 70 - swept
    assert await chunked.upkeep(log=30 * DAY)() == PurgeCounts(log_rows=39 - swept)
    assert await chunked.logged() == 31


async def test_all_rows_are_counted_once(chunked: Chunked) -> None:
    assert await chunked.upkeep(log=30 * DAY)() == PurgeCounts(log_rows=39)
    assert await chunked.logged() == 31
    assert await chunked.messages() == 70


async def test_a_chunk_that_is_read_for_long_goes_by_rows(chunked: Chunked) -> None:
    chunks = await chunked.chunks(EVENT_LOG)
    async with chunked.reading("SELECT FROM whatsapp_gateway.event_log"):
        began = time.monotonic()
        assert await chunked.upkeep(log=30 * DAY)() == PurgeCounts(log_rows=39)
        assert time.monotonic() - began < 20
        assert await chunked.chunks(EVENT_LOG) == chunks
    assert await chunked.logged() == 31


async def test_no_chunk_goes_under_a_backup(chunked: Chunked) -> None:
    async with TimescaleTables(chunked.url).snapshot() as snapshot:
        assert await chunked.archive.purges.sweep_log(NOON) is None
        gone = await chunked.upkeep(messages=30 * DAY)()
        assert gone == PurgeCounts(messages=39, log_rows=39)
        await chunked.execute("VACUUM whatsapp_gateway.messages")
        await chunked.archive.purges.give_back()
        copied = {table.name: table for table in snapshot.tables}
        for table in (MESSAGES, EVENT_LOG):
            rows = b"".join([piece async for piece in snapshot.read(copied[table])])
            assert rows.count(b"\n") == 70
    assert await chunked.logged() == 31


async def test_readers_wait_for_an_instant(chunked: Chunked) -> None:
    longest, done = 0.0, asyncio.Event()

    async def read() -> None:
        nonlocal longest
        while not done.is_set():
            began = time.monotonic()
            await chunked.execute("SELECT count(*) FROM whatsapp_gateway.event_log")
            longest = max(longest, time.monotonic() - began)

    async with (
        asyncio.TaskGroup() as group,
        chunked.reading("SELECT FROM whatsapp_gateway.event_log"),
    ):
        group.create_task(read())
        assert await chunked.archive.purges.sweep_log(NOON) is None
        done.set()
    assert longest < 2  # a fifth of a second, on a machine that is busy with other tests


async def test_what_was_purged_is_remembered_when_its_chunks_are_gone(chunked: Chunked) -> None:
    chunks = await chunked.chunks(MESSAGES)
    gone = await chunked.upkeep(messages=30 * DAY)()
    assert gone == PurgeCounts(messages=39, log_rows=39)
    assert await chunked.chunks(MESSAGES) == chunks  # until it is sure that nobody sees the rows
    await chunked.execute("VACUUM whatsapp_gateway.messages")
    await chunked.archive.purges.give_back()
    assert await chunked.chunks(MESSAGES) <= chunks - 5
    again = [
        delivery(seen(stanza=f"A{n}", sent_at=NOON - n * DAY), at=NOON) for n in range(7 * WEEKS)
    ]
    recorded = await chunked.archive.record(*again)
    assert [r.reason for r in recorded[31:]] == ["purged"] * 39
    assert await chunked.messages() == 31
    assert len([r for r in await chunked.archive.records() if getattr(r, "is_purged", False)]) == 39


async def test_a_chunk_whose_rows_somebody_still_sees_stays(chunked: Chunked) -> None:
    async with chunked.reading("SELECT count(*) FROM whatsapp_gateway.chats"):
        await chunked.upkeep(messages=30 * DAY)()
        chunks = await chunked.chunks(MESSAGES)
        await chunked.execute("VACUUM whatsapp_gateway.messages")
        await chunked.archive.purges.give_back()
        assert await chunked.chunks(MESSAGES) == chunks
    assert await chunked.messages() == 31


async def test_a_role_that_does_not_own_the_tables_purges_by_rows(chunked: Chunked) -> None:
    name = f"keeper_{chunked.url[-8:]}"
    await chunked.execute(f"CREATE ROLE {name}")
    try:
        await chunked.execute(
            f"GRANT {name} TO CURRENT_USER;"
            f"GRANT USAGE ON SCHEMA whatsapp_gateway TO {name};"
            f"GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA whatsapp_gateway TO {name}"
        )
        async with open_pool(f"{chunked.url}?options=-crole%3D{name}", max_size=2) as pool:
            store = in_postgres(pool).purges
            assert await store.sweep_log(NOON) is None
            assert await store.step_log(None, NOON, limit=100) == 69
            await store.give_back()
    finally:
        await chunked.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
