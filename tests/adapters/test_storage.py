"""Plain tables everywhere, hypertables where TimescaleDB is.

What only TimescaleDB does needs a server that has it: name one by WAGATEWAY_TEST_DATABASE_URL.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest
from structlog.testing import capture_logs
from tests.contracts.archives import in_postgres
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BRUNO,
    NOON,
    SECOND,
    SESSION,
    delivery,
    linked,
    seen,
)
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale import arrange as arranging
from wagateway.adapters.timescale._queries import STORAGE_QUERIES
from wagateway.adapters.timescale.migrate import migrate, storage_of
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.timescale.storage import (
    EVENT_LOG,
    MESSAGES,
    Edition,
    Extension,
    Storage,
    StoragePlan,
    steps,
)
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.identity import Jid
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.settings import Settings

pytestmark = pytest.mark.embedded

PLAIN = StoragePlan(timescale=False)
REFRESH: LiteralString = """
CALL refresh_continuous_aggregate('whatsapp_gateway.messages_hourly_stats', NULL, NULL)
"""


@pytest.fixture
async def url(postgres_server: str) -> AsyncIterator[str]:
    """An empty database."""
    async with fresh_database(postgres_server) as fresh:
        yield fresh


@pytest.fixture
async def with_timescale(url: str) -> str:
    """An empty database of a server that has TimescaleDB."""
    if (await storage_of(url)).extension not in {Extension.NOT_CREATED, Extension.PRESENT}:
        pytest.skip("this server has no TimescaleDB")
    return url


async def execute(url: str, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        cursor = await conn.execute(statement, values or None)
        return await cursor.fetchall() if cursor.description else []


async def fill(url: str, *, days: int, chat: Jid = ANA) -> None:
    """Record a message a day, from noon of today on back."""
    async with open_pool(url, max_size=2) as pool:
        told = [
            delivery(
                seen(f"dia {n}", chat=chat, stanza=f"A{n}", sent_at=NOON - n * timedelta(days=1))
            )
            for n in range(days)
        ]
        await in_postgres(pool).record(*told)


async def texts(url: str) -> set[str]:
    return {text for (text,) in await execute(url, "SELECT text FROM whatsapp_gateway.messages")}


def is_chunked(found: Storage) -> dict[str, bool]:
    return {table.name: table.chunk is not None for table in found.tables}


async def test_tables_are_plain_where_they_are_left_alone(url: str) -> None:
    await migrate(url, storage=PLAIN)
    found = await storage_of(url)
    assert is_chunked(found) == {MESSAGES: False, EVENT_LOG: False}
    assert not found.aggregate


async def test_nothing_is_left_to_do_after_migrating(url: str) -> None:
    await migrate(url)
    found = await storage_of(url)
    assert list(steps(found, StoragePlan())) == []
    has_it = found.edition is not Edition.PLAIN
    assert is_chunked(found) == {MESSAGES: has_it, EVENT_LOG: has_it}


async def test_an_unmigrated_database_has_no_tables(url: str) -> None:
    assert (await storage_of(url)).tables == ()


async def test_starters_at_once_lay_the_tables_out_once(url: str) -> None:
    await asyncio.gather(*(migrate(url) for _ in range(4)))
    assert list(steps(await storage_of(url), StoragePlan())) == []


class TestOnTimescale:
    async def test_rows_that_are_there_move_into_chunks(self, with_timescale: str) -> None:
        url = with_timescale
        await migrate(url, storage=PLAIN)
        await fill(url, days=200)
        with capture_logs() as logs:
            await migrate(url, storage=StoragePlan(chunk_days=30))
        moved = [each for each in logs if each["log_level"] == "warning"]
        assert [(each["rows"], each["event"].split()[0]) for each in moved] == [
            (200, MESSAGES),
            (200, EVENT_LOG),
        ]
        assert "it is locked" in moved[0]["event"]
        messages = (await storage_of(url)).table(MESSAGES)
        assert messages is not None
        assert messages.chunks in {7, 8}
        assert await texts(url) == {f"dia {n}" for n in range(200)}
        with capture_logs() as logs:
            await migrate(url, storage=StoragePlan(chunk_days=30))
        assert logs == []

    async def test_it_comes_after_the_archive(self, with_timescale: str) -> None:
        url = with_timescale
        await execute(url, "DROP EXTENSION IF EXISTS timescaledb CASCADE")
        await migrate(url, storage=PLAIN)
        await fill(url, days=3)
        assert (await storage_of(url)).extension is Extension.NOT_CREATED
        await migrate(url)
        await fill(url, days=5)
        assert is_chunked(await storage_of(url)) == {MESSAGES: True, EVENT_LOG: True}
        assert await texts(url) == {f"dia {n}" for n in range(5)}

    async def test_a_chunk_covers_what_the_setting_says(self, with_timescale: str) -> None:
        url = with_timescale
        await migrate(url)
        for days, expected in ((None, (90, 30)), (7, (7, 7)), (400, (400, 400)), (None, (90, 30))):
            await migrate(url, storage=StoragePlan(chunk_days=days))
            found = await storage_of(url)
            assert tuple(t.chunk.days for t in found.tables if t.chunk) == expected

    async def test_many_rows_are_not_moved_unasked(self, with_timescale: str) -> None:
        url = with_timescale
        await migrate(url, storage=PLAIN)
        await fill(url, days=4)
        with capture_logs() as logs:
            await migrate(url, storage=StoragePlan(most_rows=3))
        assert is_chunked(await storage_of(url)) == {MESSAGES: False, EVENT_LOG: False}
        assert ["wagateway migrate" in each["event"] for each in logs[-2:]] == [True, True]
        await migrate(url, storage=StoragePlan(most_rows=4))
        assert is_chunked(await storage_of(url)) == {MESSAGES: True, EVENT_LOG: True}

    async def test_a_start_lays_out_an_empty_archive(self, with_timescale: str) -> None:
        async with open_services(Settings(database_url=with_timescale, chunk_days=9)):
            found = await storage_of(with_timescale)
        assert [t.chunk for t in found.tables] == [timedelta(days=9)] * 2
        async with open_services(Settings(database_url=with_timescale, timescale="off")):
            assert await storage_of(with_timescale) == found

    async def test_a_busy_table_stays_as_it_is(
        self, with_timescale: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = with_timescale
        await migrate(url, storage=PLAIN)
        monkeypatch.setattr(
            "wagateway.adapters.timescale.migrate._LIMITS", "SET lock_timeout = '100ms'"
        )
        async with await psycopg.AsyncConnection.connect(url) as other:
            await other.execute("LOCK TABLE whatsapp_gateway.messages IN ROW EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable, match="lock that other work holds"):
                await migrate(url)
            assert is_chunked(await storage_of(url)) == {MESSAGES: False, EVENT_LOG: False}
            await migrate(url, storage=StoragePlan(most_rows=10))  # a start goes on without
            assert is_chunked(await storage_of(url)) == {MESSAGES: False, EVENT_LOG: True}
        await migrate(url)
        assert list(steps(await storage_of(url), StoragePlan())) == []

    async def test_the_functions_are_found_wherever_they_are(self, with_timescale: str) -> None:
        url = with_timescale
        if (await storage_of(url)).extension is Extension.PRESENT:
            await execute(url, "DROP EXTENSION timescaledb")
        await execute(url, 'CREATE SCHEMA "Time scale"')
        await execute(url, 'CREATE EXTENSION timescaledb SCHEMA "Time scale"')
        await migrate(url)
        assert is_chunked(await storage_of(url)) == {MESSAGES: True, EVENT_LOG: True}

    async def test_a_role_that_may_not_create_it_goes_on_without(self, with_timescale: str) -> None:
        url = with_timescale
        await execute(url, "DROP EXTENSION IF EXISTS timescaledb CASCADE")
        async with guest(url) as guest_url:
            await execute(url, "CREATE SCHEMA whatsapp_gateway")
            name = urlsplit(guest_url).username
            await execute(url, f"ALTER SCHEMA whatsapp_gateway OWNER TO {name}")
            with capture_logs() as logs:
                await migrate(guest_url)
            assert [each["event"] for each in logs] == [
                "not done: create the extension timescaledb"
            ]
            assert (await storage_of(guest_url)).edition is Edition.PLAIN

    async def test_all_statements_of_the_full_edition_fit(
        self, with_timescale: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The Apache edition knows them, and refuses them for its licence alone."""
        url = with_timescale
        await migrate(url)
        if (await storage_of(url)).edition is not Edition.APACHE:
            pytest.skip("this server has the full edition")
        await execute(url, "GRANT SELECT ON whatsapp_gateway.messages_hourly_stats TO PUBLIC")
        alone = ("allow_compression", "create_statistics", "refresh_statistics")
        asked: dict[str, dict[str, object]] = {name: {} for name in alone}
        asked |= {"drop_compression_policy": {}, "add_compression_policy": {"after": timedelta(1)}}
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            for name, values in asked.items():
                async with conn.transaction(force_rollback=True):
                    await conn.execute(STORAGE_QUERIES["find_timescale"])
                    if name == "create_statistics":
                        await conn.execute(STORAGE_QUERIES["drop_statistics"])
                    with pytest.raises(psycopg.errors.FeatureNotSupported, match="license"):
                        async with conn.transaction():
                            await conn.execute(STORAGE_QUERIES[name], values or None)
            cursor = await conn.execute(STORAGE_QUERIES["statistics_readers"])
            assert await cursor.fetchall() == [("",)]
        monkeypatch.setattr(arranging, "_FULL_LICENSE", "apache")
        with capture_logs() as logs:
            await migrate(url)
        assert [each["event"] for each in logs] == [
            "not done: allow compression",
            "not done: make a continuous aggregate of the statistics",
        ]
        await execute(url, "SELECT FROM whatsapp_gateway.messages_hourly_stats")


class TestOnFullEdition:
    @pytest.fixture
    async def full(self, with_timescale: str) -> str:
        """A migrated database of a server that has the full edition."""
        await migrate(with_timescale)
        if (await storage_of(with_timescale)).edition is not Edition.FULL:
            pytest.skip("this server has the Apache edition")
        return with_timescale

    async def test_the_policy_follows_the_setting(self, full: str) -> None:
        for days in (90, 30, 0, 7):
            for _ in range(2):
                await migrate(full, storage=StoragePlan(compress_after_days=days))
            messages = (await storage_of(full)).table(MESSAGES)
            assert messages is not None
            assert messages.compress_after == (timedelta(days=days) if days else None)

    async def test_the_statistics_count_what_is_there(self, full: str) -> None:
        assert (await storage_of(full)).aggregate
        await fill(full, days=40)
        count: LiteralString = (
            "SELECT sum(messages)::int, sum(with_text)::int, count(DISTINCT hour)::int"
            " FROM whatsapp_gateway.messages_hourly_stats"
        )
        assert await execute(full, count) == [(40, 40, 40)]
        await execute(full, REFRESH)
        await fill(full, days=41)
        await execute(full, REFRESH)
        assert await execute(full, count) == [(41, 41, 41)]

    async def test_compressed_messages_move_and_go(self, full: str) -> None:
        await fill(full, days=40, chat=ANA_LID)
        await fill(full, days=3, chat=BRUNO)
        chunks = await execute(
            full, "SELECT compress_chunk(c)::text FROM show_chunks('whatsapp_gateway.messages') c"
        )
        assert chunks
        messages = (await storage_of(full)).table(MESSAGES)
        assert messages is not None
        assert messages.compressed == len(chunks)
        async with open_pool(full, max_size=2) as pool:
            backend = in_postgres(pool)
            at = NOON - timedelta(days=7)
            better = seen("melhor", chat=ANA_LID, stanza="A7", sent_at=at)
            await backend.record(delivery(better, at=NOON - SECOND))
            await backend.record(delivery(linked()))
            page = await backend.reader.messages(SESSION, [ANA], limit=100)
            days = [f"dia {n}" for n in range(40)]
            days[7] = "melhor"  # earlier seen, so its facts replaced what was compressed
            assert [view.text for view in page.messages] == days
            others = await backend.reader.messages(SESSION, [BRUNO], limit=100)
            assert len(others.messages) == 3
        await fill(full, days=41, chat=ANA_LID)  # into chunks that are compressed
        assert await texts(full) == {*days, "dia 40"}


@asynccontextmanager
async def guest(url: str) -> AsyncIterator[str]:
    """Yield *url* for a role without any rights."""
    parts = urlsplit(url)
    name = f"guest_{parts.path[-8:]}"
    boss = parts._replace(netloc=parts.netloc.replace("wagateway:", "postgres:")).geturl()
    await execute(boss, f"CREATE ROLE {name} LOGIN PASSWORD 'guest'")
    try:
        host = parts.netloc.rpartition("@")[2]
        yield parts._replace(netloc=f"{name}:guest@{host}").geturl()
    finally:
        await execute(boss, f"DROP OWNED BY {name}; DROP ROLE {name}")
