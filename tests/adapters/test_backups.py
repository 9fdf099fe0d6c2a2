"""Backups of a real database: equal rows and equal truth, wherever they are put back."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql
from tests.contracts.archives import Backend, in_memory, in_postgres
from tests.support.backups import FakeClock, nobody
from tests.support.deliveries import ANA, NOON, delivery, edited, seen
from tests.support.postgres import Kind, Servers, fresh_database, server_params
from tests.support.reading import texts

from wagateway.adapters.filesystem.backups import FilesystemBackups
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.timescale import copies
from wagateway.adapters.timescale import migrate as migrating
from wagateway.adapters.timescale.copies import (
    COPIED,
    MADE_ANEW,
    TimescaleTables,
    drop_scratch,
    require_unused,
)
from wagateway.adapters.timescale.migrate import (
    migrate,
    packaged_migrations,
    status,
    storage_of,
)
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.timescale.storage import Edition
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.backups import Manifest, SchemaStep
from wagateway.domain.errors import Conflict, Rejected, StoreUnavailable
from wagateway.domain.events import Delivery, Source
from wagateway.domain.identity import SessionName
from wagateway.domain.views import SessionView
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.usecases.back_up import BackUp
from wagateway.usecases.restore_backup import RestoreBackup, Restored

pytestmark = pytest.mark.embedded

SAMPLES = Path(__file__).parents[1] / "data" / "waha" / "events"
_ROWS = sql.SQL("SELECT t::text FROM whatsapp_gateway.{} AS t ORDER BY 1")


@pytest.fixture
async def url(postgres_servers: Servers) -> AsyncIterator[str]:
    """A migrated, empty database."""
    async with postgres_servers.migrated() as url:
        yield url


@pytest.fixture
async def empty(postgres_server: str) -> AsyncIterator[str]:
    """A database without our schema."""
    async with fresh_database(postgres_server) as url:
        yield url


@asynccontextmanager
async def archive(url: str) -> AsyncIterator[Backend]:
    async with open_pool(url, max_size=4) as pool:
        yield in_postgres(pool)


def told(count: int = 1500) -> list[Delivery]:
    """Return what engines of every kind told: recorded events, and a simulated world."""
    bodies = [path.read_bytes() for path in sorted(SAMPLES.glob("*.json"))]
    scenario = Scenario(seed=7, sessions=2, chats=20)
    bodies += [each.body for each in itertools.islice(simulate(scenario), count)]
    return [each for body in bodies for each in read(body)]


def read(body: bytes) -> list[Delivery]:
    return WahaReader().read(body, received_at=NOON, source=Source.WEBHOOK)


async def back_up(url: str, folder: Path) -> Manifest:
    place = FilesystemBackups(folder, FakeClock())
    media, tables = InMemoryMediaStore(), TimescaleTables(url)
    making = BackUp(source=tables, media=media, clock=FakeClock(), version="0.1.0")
    return (await making(place, with_media=False, told=nobody)).manifest


async def restore(manifest: Manifest, folder: Path, into: str) -> Restored:
    target = TimescaleTables(into)
    async with FilesystemBackups(folder, FakeClock()).kept(manifest.name) as kept:
        return await RestoreBackup(target=target, media=None, folder=folder)(kept, told=nobody)


async def rows(url: str, tables: frozenset[str] = COPIED) -> dict[str, list[str]]:
    """Return every row, as text."""
    async with await psycopg.AsyncConnection.connect(url) as conn:
        await conn.execute("SET timezone = 'UTC'")
        return {
            name: [
                row[0]
                for row in await (await conn.execute(_ROWS.format(sql.Identifier(name)))).fetchall()
            ]
            for name in sorted(tables)
        }


async def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        cursor = await conn.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []


async def test_every_table_is_copied_or_made_anew(url: str) -> None:
    found = await execute(
        url,
        "SELECT c.relname FROM pg_class AS c WHERE c.relkind IN ('r', 'p')"
        " AND c.relnamespace = 'whatsapp_gateway'::regnamespace",
    )
    assert {name for (name,) in found} == COPIED | MADE_ANEW
    assert not COPIED & MADE_ANEW


class TestComingBack:
    async def test_rows_readers_and_search_are_the_same(
        self, url: str, empty: str, tmp_path: Path
    ) -> None:
        sessions: set[SessionName] = set()
        async with archive(url) as before:
            deliveries = told()
            for at in range(0, len(deliveries), 50):
                await before.record(*deliveries[at : at + 50])
            sessions = {view.session for view in await before.reader.sessions()}
            pictures = {session: await before.picture(session) for session in sessions}
        manifest = await back_up(url, tmp_path)
        assert manifest.rows > 3000
        assert {table.name for table in manifest.tables} == COPIED
        restored = await restore(manifest, tmp_path, empty)
        assert restored.rows == manifest.rows
        assert await rows(empty) == await rows(url)
        words = frozenset({"message_search"})
        assert await rows(empty, words) == await rows(url, words)
        async with archive(empty) as after:
            assert {session: await after.picture(session) for session in sessions} == pictures

    async def test_numbers_go_on_behind_those_that_were_given_out(
        self, url: str, empty: str, tmp_path: Path
    ) -> None:
        async with archive(url) as before:
            await before.record(*(delivery(seen(stanza=f"A{n}")) for n in range(5)))
        await execute(url, "DELETE FROM whatsapp_gateway.event_log WHERE event_id > 2")
        await restore(await back_up(url, tmp_path), tmp_path, empty)
        async with archive(empty) as after:
            await after.record(delivery(seen(stanza="B1")), delivery(seen(), session="outra"))
        ids = await execute(empty, "SELECT event_id FROM whatsapp_gateway.event_log ORDER BY 1")
        assert ids == [(1,), (2,), (6,), (7,)]
        found = await execute(empty, "SELECT session_id FROM whatsapp_gateway.sessions ORDER BY 1")
        assert found == [(1,), (2,)]

    async def test_numbers_go_on_behind_the_rows_where_no_counter_is_known(
        self, url: str, empty: str, tmp_path: Path
    ) -> None:
        """As of a role that may read the tables and not their sequences."""
        async with archive(url) as before:
            await before.record(*(delivery(seen(stanza=f"A{n}")) for n in range(5)))
        manifest = await back_up(url, tmp_path)
        async with FilesystemBackups(tmp_path, FakeClock()).kept(manifest.name) as kept:
            kept.manifest = msgspec.structs.replace(manifest, counters=())
            target = TimescaleTables(empty)
            restoring = RestoreBackup(target=target, media=None, folder=tmp_path)
            await restoring(kept, told=nobody)
        async with archive(empty) as after:
            await after.record(delivery(seen(), session="outra"))
        found = await execute(empty, "SELECT max(event_id) FROM whatsapp_gateway.event_log")
        assert found == [(6,)]

    async def test_the_archive_goes_on_as_if_nothing_had_happened(
        self, url: str, empty: str, tmp_path: Path
    ) -> None:
        async with archive(url) as before:
            await before.record(delivery(seen("Bom dia!")))
        await restore(await back_up(url, tmp_path), tmp_path, empty)
        async with archive(empty) as after:
            again = await after.record(delivery(seen("Bom dia!")), delivery(edited("Boa tarde!")))
            assert [one.outcome.value for one in again] == ["duplicate", "stored"]
            assert await texts(after.reader) == ["Boa tarde!"]
            position = await after.feed.position()
            assert position.transaction > 0

    async def test_an_empty_archive_comes_back_too(
        self, url: str, empty: str, tmp_path: Path
    ) -> None:
        manifest = await back_up(url, tmp_path)
        assert (manifest.rows, manifest.counters) == (0, ())
        await restore(manifest, tmp_path, empty)
        assert (await status(empty)).pending == ()

    async def test_values_that_are_hard_to_write_come_back(
        self, url: str, empty: str, tmp_path: Path
    ) -> None:
        hard = [
            "\\.",
            "\\N",
            "a\tb\r\nc\\",
            "\u2028 \x01 \x7f 😀",
            "'; DROP",
            '{"a": "\\u0000"}',
            "",
        ]
        async with archive(url) as before:
            told = [delivery(seen(t, stanza=f"A{n}"), body=t.encode()) for n, t in enumerate(hard)]
            await before.record(*told, delivery(seen(stanza="Z"), body=bytes(range(256))))
        for setting in (
            "bytea_output = 'escape'",
            "extra_float_digits = -9",
            "timezone = 'Asia/Tokyo'",
        ):
            await execute(url, f"ALTER DATABASE {url_name(url)} SET {setting}")
        await restore(await back_up(url, tmp_path), tmp_path, empty)
        async with archive(empty) as after:
            assert set(await texts(after.reader)) == {*hard, "Bom dia!"}


def url_name(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


def others() -> list[object]:
    """Return the servers beside the embedded one."""
    return [param for param in server_params() if param.id in {"container", "external"}]  # type: ignore[attr-defined]


class TestAcrossServers:
    """From one PostgreSQL to another, older or newer, with TimescaleDB or without."""

    @pytest.mark.parametrize("other", others())
    async def test_rows_are_the_same_there_and_back(
        self, other: Kind, postgres_servers: Servers, tmp_path: Path
    ) -> None:
        here, there = await postgres_servers.url("embedded"), await postgres_servers.url(other)
        async with (
            postgres_servers.migrated("embedded") as first,
            fresh_database(there) as second,
            fresh_database(here) as third,
        ):
            deliveries = told()
            async with archive(first) as before:
                for at in range(0, len(deliveries), 50):
                    await before.record(*deliveries[at : at + 50])
                pictures = [await before.picture(view.session) for view in await sessions(before)]
            await restore(await back_up(first, tmp_path), tmp_path, second)
            await compressed(second)
            manifest = await back_up(second, tmp_path)
            assert (await storage_of(second)).version == manifest.source.timescale
            await restore(manifest, tmp_path, third)
            assert await rows(third) == await rows(first)
            words = frozenset({"message_search"})
            assert await rows(third, words) == await rows(first, words)
            for url in (second, third):
                async with archive(url) as after:
                    found = [await after.picture(view.session) for view in await sessions(after)]
                assert found == pictures


async def sessions(of: Backend) -> list[SessionView]:
    return sorted(await of.reader.sessions(), key=lambda view: (view.session, view.account or ""))


async def compressed(url: str) -> None:
    """Compress all messages, where the server can."""
    if (await storage_of(url)).edition is Edition.FULL:
        chunks = "show_chunks('whatsapp_gateway.messages')"
        assert await execute(url, f"SELECT compress_chunk(c) FROM {chunks} AS c")


class TestWhileOthersWrite:
    async def test_a_backup_is_of_one_instant(self, url: str, empty: str, tmp_path: Path) -> None:
        """What is restored is what its own log tells, to the last message."""
        async with archive(url) as busy:
            writing = asyncio.create_task(self._write(busy))
            await asyncio.sleep(0.3)
            manifests = []
            for _ in range(3):
                manifests.append(await back_up(url, tmp_path))
                await asyncio.sleep(0.1)
            assert not writing.done()
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
        counts = [manifest.rows for manifest in manifests]
        assert 0 < counts[0] < counts[1] < counts[2]
        await restore(manifests[1], tmp_path, empty)
        logged = await execute(
            empty, "SELECT body FROM whatsapp_gateway.event_log ORDER BY event_id"
        )
        replayed = in_memory()
        for (body,) in logged:
            await replayed.record(*map(self._of, msgspec.json.decode(body)))
        async with archive(empty) as after:
            expected, found = await replayed.picture(), await after.picture()
            assert found["messages"] == expected["messages"]
            assert found["records"] == expected["records"]
            assert len(found["messages"][ANA]) == len(logged)

    async def _write(self, busy: Backend) -> None:
        for number in itertools.count():
            await busy.record(self._of(number))

    @staticmethod
    def _of(number: int) -> Delivery:
        observations = [seen(f"texto {number}", stanza=f"A{number}")]
        return delivery(*observations, body=msgspec.json.encode([number]))

    async def test_the_instant_is_after_what_it_waited_for(self, url: str) -> None:
        """Else a table that was rewritten meanwhile would be empty in the snapshot."""
        tables = TimescaleTables(url)

        async def chats() -> int:
            async with tables.snapshot() as snapshot:
                (table,) = [each for each in snapshot.tables if each.name == "chats"]
                return len([piece async for piece in snapshot.read(table)])

        async with await psycopg.AsyncConnection.connect(url) as conn:
            await conn.execute("LOCK TABLE whatsapp_gateway.chats IN ACCESS EXCLUSIVE MODE")
            reading = asyncio.create_task(chats())
            await asyncio.sleep(0.3)
            assert not reading.done()
            await conn.execute(
                "INSERT INTO whatsapp_gateway.chats (session_id, session, chat_id)"
                " VALUES (1, 'a', 'b')"
            )
            await conn.commit()
            assert await reading == 1

    async def test_nobody_waits_for_a_backup(self, url: str, tmp_path: Path) -> None:
        async with archive(url) as busy:
            await busy.record(delivery(seen()))
            async with TimescaleTables(url).snapshot() as snapshot:
                before = await busy.feed.position()
                async with asyncio.timeout(5):
                    await busy.record(delivery(seen("outra", stanza="A2")))
                    assert await busy.feed.position() > before  # the feed is not held up either
                (table,) = [each for each in snapshot.tables if each.name == "messages"]
                lines = b"".join([piece async for piece in snapshot.read(table)]).splitlines()
                assert len(lines) == 1


class TestRefusing:
    async def test_rows_that_are_there_stay(self, url: str, tmp_path: Path) -> None:
        async with archive(url) as here:
            await here.record(delivery(seen()))
        manifest = await back_up(url, tmp_path)
        before = await rows(url)
        with pytest.raises(Conflict, match="holds an archive already"):
            await restore(manifest, tmp_path, url)
        assert await rows(url) == before

    async def test_a_failure_leaves_the_schema_without_rows(
        self, url: str, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with archive(url) as here:
            await here.record(delivery(seen()))
        manifest = await back_up(url, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr("wagateway.usecases.restore_backup._compare", _fails)
            with pytest.raises(Rejected, match="no luck"):
                await restore(manifest, tmp_path, empty)
        assert not any((await rows(empty)).values())
        await restore(manifest, tmp_path, empty)
        assert await rows(empty) == await rows(url)

    async def test_what_a_gateway_said_on_an_empty_archive_is_no_archive(
        self, url: str, postgres_servers: Servers, tmp_path: Path
    ) -> None:
        manifest = await back_up(url, tmp_path)
        async with postgres_servers.migrated() as other:
            async with archive(other) as here:
                await here.sync.beat("other:1", since=NOON, until=NOON)
            await restore(manifest, tmp_path, other)
            assert (await rows(other))["uptimes"] == []

    async def test_who_still_writes_there_is_waited_for_and_then_told(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        manifest = await back_up(url, tmp_path)
        hasty = copies._BEGIN.replace("'10s'", "'100ms'")  # noqa: SLF001
        monkeypatch.setattr(copies, "_BEGIN", hasty)
        async with await psycopg.AsyncConnection.connect(url) as conn:
            await conn.execute("LOCK TABLE whatsapp_gateway.messages IN ROW EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable, match="stop the gateway"):
                await restore(manifest, tmp_path, url)

    async def test_an_archive_that_is_not_up_to_date_is_not_copied(
        self, empty: str, tmp_path: Path
    ) -> None:
        for migrations in (None, packaged_migrations()[:-1]):
            if migrations:
                await migrate(empty, migrations=migrations)
            with pytest.raises(Conflict, match="run `wagateway migrate` first"):
                await back_up(empty, tmp_path)

    async def test_rows_that_do_not_fit_are_told_without_quoting_them(
        self, url: str, tmp_path: Path
    ) -> None:
        manifest = await back_up(url, tmp_path)
        (table,) = [each for each in manifest.tables if each.name == "chats"]

        async def segredo() -> AsyncIterator[bytes]:
            yield b"segredo\tx\n"

        async with TimescaleTables(url).loading(manifest.tables) as load:
            with pytest.raises(Rejected, match="none that this database takes") as caught:
                await load.load(table, segredo())
        assert "segredo" not in str(caught.value)

    async def test_other_tables_than_those_of_the_schema_are_refused(
        self, url: str, tmp_path: Path
    ) -> None:
        manifest = await back_up(url, tmp_path)
        first, *others = manifest.tables
        renamed = msgspec.structs.replace(first, columns=first.columns[::-1])
        for tables in (others, [renamed, *others]):
            with pytest.raises(Conflict, match="not those of its schema"):
                async with TimescaleTables(url).loading(tables):
                    pass


async def _fails(*_: object) -> None:
    raise Rejected("no luck")


class TestVersions:
    """What is restored with a newer wagateway than it was backed up with, and the other way."""

    async def test_an_older_backup_is_brought_up_to_date(
        self, url: str, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with archive(url) as here:
            await here.record(delivery(seen()))
        manifest = await back_up(url, tmp_path)
        text = "ALTER TABLE whatsapp_gateway.chats ADD COLUMN muted boolean NOT NULL DEFAULT false;"
        newer = migrating.Migration(9000, "9000_mute_chats", text, "c" * 64, in_transaction=True)
        known = (*packaged_migrations(), newer)
        monkeypatch.setattr(migrating, "packaged_migrations", lambda: known)
        monkeypatch.setattr(
            "wagateway.adapters.timescale.copies.packaged_migrations", lambda: known
        )
        await restore(manifest, tmp_path, empty)
        assert (await status(empty)).pending == ()
        assert await execute(empty, "SELECT muted FROM whatsapp_gateway.chats") == [(False,)]
        # A database that is further already cannot take it.
        await execute(empty, "DROP SCHEMA whatsapp_gateway CASCADE")
        await migrate(empty)
        with pytest.raises(Conflict, match="without the schema whatsapp_gateway"):
            await restore(manifest, tmp_path, empty)

    async def test_a_newer_backup_is_refused(self, empty: str) -> None:
        known = [
            SchemaStep(version=m.version, name=m.name, checksum=m.checksum)
            for m in packaged_migrations()
        ]
        newer = SchemaStep(version=9000, name="9000_x", checksum="c")
        changed = msgspec.structs.replace(known[0], checksum="c")
        target = TimescaleTables(empty)
        for schema, words in (
            ([*known, newer], "newer wagateway"),
            ([], "none of ours"),
            ([changed, *known[1:]], "other migrations"),
            (known[1:], "other migrations"),
        ):
            with pytest.raises(Conflict, match=words):
                await target.prepare(schema)
        await require_unused(empty)


async def test_a_scratch_database_is_left_as_it_was(empty: str, url: str) -> None:
    await require_unused(empty)
    await migrate(empty)
    with pytest.raises(Conflict, match="name an empty one"):
        await require_unused(empty)
    await drop_scratch(empty)
    await require_unused(empty)
    await drop_scratch(empty)
