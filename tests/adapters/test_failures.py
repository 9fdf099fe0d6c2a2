"""What partly fails in a real PostgreSQL, and what callers see of it, as docs/OPERATING.md says."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.support.cluster import Server, cluster, is_root, standby_of
from tests.support.deliveries import ANA, NOON, SECOND, SESSION, delivery, seen
from tests.support.listener import listening
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.domain.errors import NotFound, StoreUnavailable
from wagateway.domain.events import Delivery, Outcome

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
async def primary() -> AsyncIterator[Server]:
    async with cluster() as server:
        yield server


@pytest.fixture
async def url(primary: Server) -> AsyncIterator[str]:
    """A migrated, empty database, whose superuser we are."""
    async with fresh_database(primary.url) as url:
        await migrate(url)
        yield url


def told(number: int) -> Delivery:
    return delivery(seen(stanza=f"A{number}"), at=NOON + number * SECOND)


def large(number: int) -> Delivery:
    return delivery(
        seen(stanza=f"A{number}"), at=NOON + number * SECOND, body=bytes([number]) * 500_000
    )


async def recorded(archive: TimescaleArchive, *group: Delivery) -> bool:
    try:
        await archive.record(group)
    except StoreUnavailable:
        return False
    return True


async def kept(url: str) -> list[str]:
    async with open_pool(url, max_size=1) as pool:
        try:
            page = await TimescaleReader(pool).messages(SESSION, [ANA], limit=500)
        except NotFound:
            return []
    return sorted(message.id for message in page.messages)


async def counted(url: str, what: str) -> int:
    """Return what the server counted in this database since it was made."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await asyncio.sleep(0.1)  # the connections that were closed tell what they counted
        query = f"SELECT {what} FROM pg_stat_database WHERE datname = current_database()"
        row = await (await conn.execute(query.encode())).fetchone()
    assert row
    return int(row[0])


async def execute(url: str, *statements: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        for statement in statements:
            await conn.execute(statement.encode())


class TestDiskFull:
    @contextmanager
    def _small_disk(self, folder: Path) -> Iterator[Path]:
        place = folder / "small"
        place.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", place], check=True
        )
        owner = folder.stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        try:
            yield place
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)

    @pytest.mark.skipif(not is_root(), reason="a small disk of its own needs root")
    async def test_callers_wait_and_nothing_is_lost(self, url: str, primary: Server) -> None:
        with self._small_disk(primary.folder / "run") as place:
            await execute(
                url,
                f"CREATE TABLESPACE small LOCATION '{place}'",
                "ALTER TABLE whatsapp_gateway.event_log ALTER COLUMN body SET STORAGE EXTERNAL",
                "ALTER TABLE whatsapp_gateway.event_log SET TABLESPACE small",
            )
            try:
                async with open_pool(url, max_size=2) as pool:
                    archive, stored = TimescaleArchive(pool), 0
                    while await recorded(archive, large(stored)):
                        stored += 1
                    with pytest.raises(StoreUnavailable, match="DiskFull 53100"):
                        await archive.record([large(number) for number in range(stored, 20)])
                    assert 1 < stored < 10
                    assert len(await kept(url)) == stored
                    await execute(
                        url, "ALTER TABLE whatsapp_gateway.event_log SET TABLESPACE pg_default"
                    )
                    assert (await archive.record([large(stored)]))[0].outcome is Outcome.STORED
                    assert len(await kept(url)) == stored + 1
            finally:
                await execute(
                    url,
                    "ALTER TABLE whatsapp_gateway.event_log SET TABLESPACE pg_default",
                    "DROP TABLESPACE small",
                )


class Cutter:
    """Passes bytes on between clients and a server, and cuts a connection in mid-commit.

    Attributes:
        armed: cut the next one that commits, once the server has the order.
        cuts: how many were cut.
    """

    def __init__(self, server_socket: str) -> None:
        self.armed = False
        self.cuts = 0
        self._server_socket = server_socket

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(self._server_socket)
        back = asyncio.create_task(self._pass_on(theirs, writer))
        try:
            while data := await reader.read(65_536):
                ours.write(data)
                await ours.drain()
                if self.armed and b"COMMIT" in data:
                    self.armed = False
                    self.cuts += 1
                    back.cancel()  # the server acts on it, and its answer goes nowhere
                    await asyncio.sleep(0.2)
                    break
        finally:
            back.cancel()
            ours.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def cutter(url: str) -> AsyncIterator[tuple[Cutter, str]]:
    parts = conninfo_to_dict(url)
    found = Cutter(f"{parts['host']}/.s.PGSQL.5432")
    async with listening(found.serve) as port:
        yield found, make_conninfo(url, host="127.0.0.1", port=port)


class TestConnectionCutInMidCommit:
    @pytest.mark.parametrize("many", [1, 30])
    async def test_repeating_makes_no_twin(self, url: str, many: int) -> None:
        group = [told(number) for number in range(many)]
        async with cutter(url) as (cut, through), open_pool(through, max_size=2) as pool:
            archive = TimescaleArchive(pool)
            cut.armed = True
            first = await archive.record(group)  # which repeats by itself
            assert cut.cuts == 1
            assert {each.outcome for each in first} == {Outcome.DUPLICATE}
            assert {each.outcome for each in await archive.record(group)} == {Outcome.DUPLICATE}
        assert len(await kept(url)) == many


class TestConflicts:
    async def test_who_is_undone_by_a_deadlock_goes_on(self, url: str) -> None:
        async with open_pool(url, max_size=2) as pool:
            archive = TimescaleArchive(pool)
            await archive.record([told(1)])
            async with await psycopg.AsyncConnection.connect(url) as other:
                # Somebody's session holds what we write last, and then wants what we hold.
                await other.execute("SET deadlock_timeout = '10s'")
                await other.execute("LOCK TABLE whatsapp_gateway.event_log")
                writing = asyncio.create_task(archive.record([told(2)]))
                await asyncio.sleep(0.05)
                await other.execute("LOCK TABLE whatsapp_gateway.message_state")
                await other.commit()
                [one] = await writing
        assert one.outcome is Outcome.STORED
        assert await counted(url, "deadlocks") == 1
        assert await kept(url) == ["A1", "A2"]

    async def test_serialization_failures_are_repeated(self, url: str) -> None:
        name = conninfo_to_dict(url)["dbname"]
        await execute(
            url, f"ALTER DATABASE {name} SET default_transaction_isolation = serializable"
        )
        async with open_pool(url, max_size=4) as one, open_pool(url, max_size=4) as other:
            archives = [TimescaleArchive(one), TimescaleArchive(other)]

            async def deliver(number: int) -> None:
                while not await recorded(archives[number % 2], told(number // 2)):
                    await asyncio.sleep(0.01)

            await asyncio.gather(*(deliver(number) for number in range(40)))
        assert await counted(url, "xact_rollback") > 0
        assert await kept(url) == sorted(f"A{number}" for number in range(20))


class TestTimeout:
    async def test_a_lock_that_is_not_had_in_time_is_tried_later(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hasty = QUERIES["begin_writing"].replace(b"'5s'", b"'100ms'")
        assert hasty != QUERIES["begin_writing"]
        monkeypatch.setitem(QUERIES, "begin_writing", hasty)
        async with (
            open_pool(url, max_size=2) as pool,
            await psycopg.AsyncConnection.connect(url) as other,
        ):
            archive = TimescaleArchive(pool)
            await other.execute("LOCK TABLE whatsapp_gateway.message_state")
            with pytest.raises(StoreUnavailable, match="LockNotAvailable 55P03"):
                await archive.record([told(1)])
            await other.rollback()
            assert (await archive.record([told(1)]))[0].outcome is Outcome.STORED

    async def test_so_is_a_statement_that_takes_too_long(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hasty = QUERIES["begin_writing"].replace(b"'120s'", b"'100ms'")
        assert hasty != QUERIES["begin_writing"]
        await execute(
            url,
            "CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$",
            "CREATE TRIGGER rest BEFORE INSERT ON whatsapp_gateway.event_log"
            " FOR EACH ROW EXECUTE FUNCTION rest()",
        )
        async with open_pool(url, max_size=1) as pool:
            archive = TimescaleArchive(pool)
            with monkeypatch.context() as patch:
                patch.setitem(QUERIES, "begin_writing", hasty)
                with pytest.raises(StoreUnavailable, match="QueryCanceled 57014"):
                    await archive.record([told(1)])
            assert (await archive.record([told(1)]))[0].outcome is Outcome.STORED


class TestStandby:
    async def test_it_is_read_and_not_written_until_it_takes_over(self, primary: Server) -> None:
        async with fresh_database(primary.url) as url, standby_of(primary) as standby:
            await migrate(url)
            name = str(conninfo_to_dict(url)["dbname"])
            both = make_conninfo(
                url,
                host=f"{primary.folder / 'run'},{standby.folder / 'run'}",
                target_session_attrs="read-write",
            )
            async with open_pool(both, max_size=2, timeout_s=1.0) as pool:
                archive = TimescaleArchive(pool)
                await archive.record([told(1)])
                there = make_conninfo(standby.url, dbname=name)
                async with asyncio.timeout(20):
                    while await kept(there) != ["A1"]:
                        await asyncio.sleep(0.05)
                async with open_pool(there, max_size=1) as reading:
                    with pytest.raises(StoreUnavailable, match="ReadOnlySqlTransaction 25006"):
                        await TimescaleArchive(reading).record([told(2)])
                await primary.stop()
                with pytest.raises(StoreUnavailable):
                    await archive.record([told(2)])
                await standby.promote()
                async with asyncio.timeout(30):
                    while not await recorded(archive, told(2)):
                        await asyncio.sleep(0.1)
                assert await kept(there) == ["A1", "A2"]
            await primary.start()  # it is the next test's
