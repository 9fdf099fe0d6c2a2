"""The migration runner, on a real server."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from tests.support.listener import listening
from tests.support.postgres import database_url, fresh_database

from wagateway.adapters.timescale import migrate as runner
from wagateway.adapters.timescale.migrate import (
    Migration,
    migrate,
    migrations_in,
    packaged_migrations,
    status,
)
from wagateway.domain.errors import Conflict, Defect, InvalidInput, Rejected, StoreUnavailable

pytestmark = pytest.mark.embedded

Files = Callable[..., tuple[Migration, ...]]


@pytest.fixture
async def database(postgres_server: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture
async def embedded(embedded_server: str) -> AsyncIterator[str]:
    """The same on the server whose superuser, and whose socket, are known."""
    async with fresh_database(embedded_server) as url:
        yield url


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Write files, by name without ending, and read them all as migrations."""

    def write(**texts: str) -> tuple[Migration, ...]:
        for name, text in texts.items():
            (tmp_path / f"{name.removeprefix('m')}.sql").write_bytes(text.encode())
        return migrations_in(tmp_path)

    return write


async def rows(url: str, query: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        return await (await conn.execute(query.encode())).fetchall()


async def run(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute(statement.encode())


@asynccontextmanager
async def role(url: str, attributes: str = "") -> AsyncIterator[str]:
    """Yield *url* for another, powerless role."""
    parts = urlsplit(url)
    name = f"guest_{parts.path[-8:]}"
    # Only a superuser may make roles on the embedded server; its password is the owner's.
    boss = parts._replace(netloc=parts.netloc.replace("wagateway:", "postgres:")).geturl()
    await run(boss, f"CREATE ROLE {name} LOGIN PASSWORD 'guest' {attributes}")
    try:
        yield parts._replace(netloc=f"{name}:guest@").geturl()
    finally:
        await run(boss, f"DROP OWNED BY {name}; DROP ROLE {name}")


class TestApplying:
    async def test_applies_in_order_and_only_once(self, database: str, files: Files) -> None:
        known = files(
            m0001_create_people="CREATE TABLE people (id int);",
            m0002_add_name="ALTER TABLE people ADD name text;",
        )
        assert [m.version for m in await migrate(database, migrations=known)] == [1, 2]
        assert await migrate(database, migrations=known) == []
        assert await rows(database, "SELECT id, name FROM people") == []

    async def test_keeps_a_ledger(self, database: str, files: Files) -> None:
        text = "SELECT 1;\n"
        await migrate(database, migrations=files(m0001_do_nothing=text))
        ledger = "SELECT version, name, checksum, elapsed_ms >= 0, applied_at <= now()"
        assert await rows(database, f"{ledger} FROM whatsapp_gateway.schema_migrations") == [
            (1, "0001_do_nothing", hashlib.sha256(text.encode()).hexdigest(), True, True)
        ]

    async def test_applies_what_was_added_later(self, database: str, files: Files) -> None:
        await migrate(database, migrations=files(m0001_create_a="CREATE TABLE a ();"))
        known = files(m0003_create_b="CREATE TABLE b ();")
        assert [m.name for m in await migrate(database, migrations=known)] == ["0003_create_b"]

    async def test_leaves_percent_and_dollar_quotes_alone(
        self, database: str, files: Files
    ) -> None:
        text = """
        CREATE FUNCTION share() RETURNS text LANGUAGE plpgsql AS $body$
        BEGIN RETURN format('%s%% of %L; $1', 5, 'it''s'); END $body$;
        COMMENT ON FUNCTION share() IS '%(name)s %s 100%';
        """
        await migrate(database, migrations=files(m0001_create_share=text))
        assert await rows(database, "SELECT share()") == [("5% of 'it''s'; $1",)]

    async def test_a_failing_file_leaves_nothing_and_its_forerunners_stay(
        self, database: str, files: Files
    ) -> None:
        known = files(
            m0001_create_a="CREATE TABLE a ();",
            m0002_create_b="CREATE TABLE b (); SELECT 1 / 0;",
        )
        with pytest.raises(Defect, match=r"0002_create_b failed: division by zero"):
            await migrate(database, migrations=known)
        assert await rows(database, "SELECT to_regclass('a')::text, to_regclass('b')::text") == [
            ("a", None)
        ]
        assert [m.version for m in (await status(database, migrations=known)).pending] == [2]

    async def test_a_file_may_not_end_its_own_transaction(
        self, database: str, files: Files
    ) -> None:
        known = files(m0001_create_a="CREATE TABLE a (); COMMIT;")
        with pytest.raises(Defect, match="ends or begins a transaction"):
            await migrate(database, migrations=known)

    async def test_runs_a_marked_file_outside_a_transaction(
        self, database: str, files: Files
    ) -> None:
        known = files(
            m0001_create_a="CREATE TABLE a (id int);",
            m0002_index_a="-- Why: fast.\n-- wagateway: no-transaction\n"
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS a_id ON a (id);",
        )
        assert [m.in_transaction for m in known] == [True, False]
        await migrate(database, migrations=known)
        assert await rows(database, "SELECT to_regclass('a_id')::text") == [("a_id",)]
        assert (await status(database, migrations=known)).pending == ()

    async def test_a_marked_file_holds_one_statement(self, database: str, files: Files) -> None:
        text = "-- wagateway: no-transaction\nCREATE TABLE a ();\nCREATE TABLE b ();"
        with pytest.raises(Defect, match="multiple commands"):
            await migrate(database, migrations=files(m0001_create_both=text))
        assert await rows(database, "SELECT to_regclass('a')::text") == [(None,)]

    async def test_does_not_wait_for_a_lock_for_ever(self, database: str, files: Files) -> None:
        first = files(m0001_create_a="CREATE TABLE a ();")
        await migrate(database, migrations=first)
        known = files(m0002_change_a="SET LOCAL lock_timeout = '50ms'; ALTER TABLE a ADD x int;")
        async with await psycopg.AsyncConnection.connect(database) as conn:
            await conn.execute("LOCK TABLE a")
            with pytest.raises(StoreUnavailable, match="0002_change_a waited too long for a lock"):
                await migrate(database, migrations=known)
        assert len(await migrate(database, migrations=known)) == 1

    async def test_sets_a_lock_timeout_and_no_statement_timeout(
        self, database: str, files: Files
    ) -> None:
        await run(
            database,
            f"ALTER DATABASE \"{urlsplit(database).path[1:]}\" SET statement_timeout = '1min'",
        )
        text = """CREATE TABLE limits AS
        SELECT current_setting('lock_timeout') a, current_setting('statement_timeout') b;"""
        await migrate(database, migrations=files(m0001_create_limits=text))
        assert await rows(database, "TABLE limits") == [("10s", "0")]


class TestStartingTogether:
    async def test_five_tasks_apply_once(self, database: str, files: Files) -> None:
        known = files(
            m0001_create_a="CREATE TABLE a (id int); SELECT pg_sleep(0.2);",
            m0002_index_a="-- wagateway: no-transaction\nCREATE INDEX CONCURRENTLY a_id ON a (id);",
        )
        together = (migrate(database, migrations=known) for _ in range(5))
        assert sorted(map(len, await asyncio.gather(*together))) == [0, 0, 0, 0, 2]

    async def test_five_processes_apply_once(
        self, database: str, files: Files, tmp_path: Path
    ) -> None:
        files(m0001_create_a="CREATE TABLE a (id int); SELECT pg_sleep(0.2);")
        script = (
            "import asyncio, pathlib, sys\n"
            "from wagateway.adapters.timescale.migrate import migrate, migrations_in\n"
            "known = migrations_in(pathlib.Path(sys.argv[2]))\n"
            "print(len(asyncio.run(migrate(sys.argv[1], migrations=known))))\n"
        )
        started = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, database, tmp_path, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(5)
        ]
        outputs = [(await process.communicate())[0] for process in started]
        assert sorted(outputs) == [b"0\n", b"0\n", b"0\n", b"0\n", b"1\n"]

    async def test_gives_up_waiting_for_another(self, database: str, files: Files) -> None:
        slow = files(m0001_sleep="SELECT pg_sleep(1);")
        async with asyncio.TaskGroup() as group:
            group.create_task(migrate(database, migrations=slow))
            await asyncio.sleep(0.3)
            with pytest.raises(StoreUnavailable, match="Another wagateway has been migrating"):
                await migrate(database, migrations=slow, wait_s=0.1)


class TestDrift:
    async def test_an_empty_database_has_nothing_applied(self, database: str, files: Files) -> None:
        found = await status(database, migrations=files(m0001_create_a="CREATE TABLE a ();"))
        assert (found.applied, [m.version for m in found.pending]) == ((), [1])
        assert await rows(database, "SELECT to_regnamespace('whatsapp_gateway')") == [(None,)]

    async def test_tells_what_was_applied_when(self, database: str, files: Files) -> None:
        known = files(m0001_create_a="CREATE TABLE a ();")
        await migrate(database, migrations=known)
        (row,) = (await status(database, migrations=known)).applied
        assert (row.version, row.name, row.checksum) == (1, known[0].name, known[0].checksum)
        assert row.applied_at.tzinfo is not None

    @pytest.mark.parametrize("ask", [migrate, status])
    async def test_refuses_a_changed_file(
        self, database: str, files: Files, ask: Callable[..., Awaitable[object]]
    ) -> None:
        await migrate(database, migrations=files(m0001_create_a="CREATE TABLE a ();"))
        changed = files(m0001_create_a="CREATE TABLE a (id int);")
        with pytest.raises(Conflict, match="0001_create_a was changed after"):
            await ask(database, migrations=changed)

    async def test_takes_other_line_endings_for_the_same_file(
        self, database: str, files: Files
    ) -> None:
        await migrate(database, migrations=files(m0001_create_a="CREATE TABLE a (\n);\n"))
        windows = files(m0001_create_a="\ufeffCREATE TABLE a (\r\n);\r\n")
        assert await migrate(database, migrations=windows) == []

    async def test_refuses_when_an_applied_file_is_missing(
        self, database: str, files: Files
    ) -> None:
        known = files(m0001_create_a="SELECT 1;", m0002_create_b="SELECT 1;")
        await migrate(database, migrations=known)
        with pytest.raises(Conflict, match=r"0001_create_a was applied .* file is missing"):
            await migrate(database, migrations=known[1:])

    async def test_refuses_a_new_file_before_an_applied_one(
        self, database: str, files: Files
    ) -> None:
        await migrate(database, migrations=files(m0002_create_b="SELECT 1;"))
        with pytest.raises(Conflict, match="0001_create_a is new, but 0002 was applied"):
            await migrate(database, migrations=files(m0001_create_a="SELECT 1;"))

    async def test_refuses_a_database_of_a_newer_wagateway(
        self, database: str, files: Files
    ) -> None:
        known = files(m0001_create_a="SELECT 1;", m0002_create_b="SELECT 1;")
        await migrate(database, migrations=known)
        with pytest.raises(Conflict, match=r"newer wagateway \(to 0002, this one knows up to 0001"):
            await migrate(database, migrations=known[:1])


class TestRefusals:
    async def test_an_old_server(
        self, database: str, files: Files, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runner, "OLDEST_SERVER", 99)
        with pytest.raises(Rejected, match="wagateway needs 99 or newer"):
            await status(database, migrations=())

    async def test_a_server_that_is_away(self) -> None:
        with pytest.raises(StoreUnavailable) as caught:
            await status("postgresql://127.0.0.1:1/nothing", migrations=())
        assert "Migrating" not in str(caught.value)

    @pytest.mark.parametrize("wrong", ["password", "database", "host"])
    async def test_a_server_that_does_not_let_us_in_with_what_to_check(
        self, database: str, wrong: str
    ) -> None:
        parts = urlsplit(database)
        url = {
            "password": parts._replace(netloc="wagateway:hidden-word@"),
            "database": parts._replace(path="/no_such_database"),
            "host": parts._replace(netloc="wagateway:hidden-word@no.such.host.invalid", query=""),
        }[wrong].geturl()
        for act in (status, migrate):
            with pytest.raises(StoreUnavailable, match="does not let us in") as caught:
                await act(url, migrations=())
            remedy = str(caught.value).splitlines()[-1]
            for word in ("WHATSAPP_DATABASE_URL", "password", "createdb"):
                assert word in remedy
            assert "hidden-word" not in str(caught.value)

    @pytest.mark.parametrize("url", ["postgresql://u:secret@h/%zz", "secret"])
    async def test_an_unreadable_url_without_telling_it(self, url: str) -> None:
        with pytest.raises(InvalidInput, match="cannot be read") as caught:
            await status(url, migrations=())
        assert "secret" not in str(caught.value)

    async def test_a_role_without_rights(self, embedded: str, files: Files) -> None:
        known = files(m0001_create_a="CREATE TABLE whatsapp_gateway.a ();")
        async with role(embedded) as guest:
            with pytest.raises(Rejected, match="needs more rights"):
                await migrate(guest, migrations=known)

    async def test_a_role_that_may_only_use_a_ready_schema_is_enough(
        self, embedded: str, files: Files
    ) -> None:
        known = files(m0001_create_a="CREATE TABLE whatsapp_gateway.a ();")
        async with role(embedded) as guest:
            owner = urlsplit(guest).username
            await run(
                embedded,
                f"CREATE SCHEMA whatsapp_gateway; GRANT ALL ON SCHEMA whatsapp_gateway TO {owner}",
            )
            assert len(await migrate(guest, migrations=known)) == 1

    async def test_a_server_without_an_extension(self, database: str, files: Files) -> None:
        known = files(m0001_create_extension="CREATE EXTENSION no_such_extension;")
        with pytest.raises(Rejected, match="needs what this server lacks"):
            await migrate(database, migrations=known)

    async def test_a_connection_pooler(self, embedded: str, files: Files) -> None:
        async with pooler(embedded) as pooled:
            assert (await status(pooled, migrations=())).applied == ()
            with pytest.raises(Conflict, match="direct connection"):
                await migrate(pooled, migrations=files(m0001_create_a="CREATE TABLE a ();"))
        assert await rows(embedded, "SELECT to_regclass('a')::text") == [(None,)]


class TestFiles:
    @pytest.mark.parametrize(
        "name", ["1_create_a", "0001-create-a", "0001_", "0001_Create", "create_a", "0001_a__b"]
    )
    def test_refuses_other_names(self, tmp_path: Path, name: str) -> None:
        (tmp_path / f"{name}.sql").touch()
        with pytest.raises(Defect, match="must be named NNNN_verb_object"):
            migrations_in(tmp_path)

    def test_refuses_a_number_twice(self, files: Files) -> None:
        with pytest.raises(Defect, match="0001_create_a and 0001_create_b share a number"):
            files(m0001_create_a="", m0001_create_b="")

    def test_reads_nothing_but_sql(self, tmp_path: Path, files: Files) -> None:
        (tmp_path / "README.md").touch()
        assert [m.name for m in files(m0001_create_a="")] == ["0001_create_a"]

    def test_the_mark_counts_only_at_the_top(self, files: Files) -> None:
        (migration,) = files(m0001_create_a="SELECT 1;\n-- wagateway: no-transaction\n")
        assert migration.in_transaction

    def test_finds_the_packaged_ones(self) -> None:
        versions = [m.version for m in packaged_migrations()]
        assert versions == list(range(1, len(versions) + 1))
        assert versions


@asynccontextmanager
async def pooler(url: str) -> AsyncIterator[str]:
    """Stand before the server as PgBouncer does: with a process id of its own invention."""
    parts = urlsplit(url)
    options = dict(option.split("=") for option in parts.query.split("&"))
    address = f"{unquote(options['host'])}/.s.PGSQL.{options['port']}"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(address)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, server_writer))
                group.create_task(pump(server_reader, writer))
        finally:
            server_writer.close()

    async with listening(serve) as port:
        pooled = parts._replace(
            netloc=f"{parts.netloc}127.0.0.1:{port}", query="sslmode=disable&gssencmode=disable"
        )
        yield pooled.geturl()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    key_data = b"K\x00\x00\x00\x0c"
    while data := await reader.read(65536):
        before, found, after = data.partition(key_data)
        writer.write(before + found + (b"\x00\x00\x00\x07" + after[4:] if found else after))
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def test_a_database_keeps_the_rest_of_its_url() -> None:
    url = "postgresql://a:b@/one?host=%2Ftmp%2Fs&port=5"
    assert database_url(url, "two") == "postgresql://a:b@/two?host=%2Ftmp%2Fs&port=5"
    assert database_url("host=h dbname=one", "two") == "dbname=two host=h"


async def test_a_connection_left_open_is_noticed(postgres_server: str) -> None:
    with pytest.raises(AssertionError, match="1 connections were left open"):
        async with fresh_database(postgres_server) as url:
            conn = await psycopg.AsyncConnection.connect(url)
    await conn.close()
