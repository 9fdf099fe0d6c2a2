"""The archive's tables copied out of a database, and into another one.

The rows go by COPY in the text format, which every PostgreSQL from 15 to 18 reads and writes alike,
with settings that leave nothing to the server. The binary format is a little quicker, but depends
on the types' inner form, and nobody can look into it; pg_dump is often absent or older than the
server, and its dump of hypertables wants the same version of TimescaleDB. Here hypertables are read
and written through their parent, so it does not matter on which side there are chunks.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row
from typing_extensions import override

from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale._rows import from_rows
from wagateway.adapters.timescale.migrate import connected, migrate, packaged_migrations, status
from wagateway.adapters.timescale.storage import StoragePlan
from wagateway.domain.backups import Counter, SchemaStep, Source, TableCopy
from wagateway.domain.errors import Conflict, Rejected
from wagateway.ports.tables import (
    StoredObject,
    Table,
    TableLoad,
    TableSnapshot,
    TableSource,
    TableTarget,
)

COPIED = frozenset(
    {
        *("chats", "contacts", "coverage", "event_answers", "event_log", "group_members"),
        *("identities", "media_downloads", "media_objects", "message_edits"),
        *("message_revocations", "message_state", "messages", "poll_votes", "purges", "reactions"),
        *("receipts", "session_statuses", "sessions", "sync_digests", "sync_state", "uptimes"),
    }
)
"""The tables of a backup."""

MADE_ANEW = frozenset(
    {"changes", "changes_removed", "message_search", "schema_migrations", "upkeep"}
)
"""What no backup needs: the feed, whose places are one server's alone; the words of search, which
depend on the server and are made from the texts; the ledger of migrations; and what workers do now
and then, which is due on the restored archive at once."""

_SCHEMA = "whatsapp_gateway"
_BEGIN = """
SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL lock_timeout = '10s'; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'postgres'; SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1
"""
"""A long transaction whose values are written alike by every server. None of it is a query, which
would take the snapshot."""
_HAS_TRANSACTION_TIMEOUT = 170_000
_PIECE = 256 * 1024
_OBJECTS_AT_ONCE = 1000

_Connection = psycopg.AsyncConnection[Any]


class TimescaleTables(TableSource, TableTarget):
    """The tables of one database, over connections of their own."""

    def __init__(self, url: str, storage: StoragePlan | None = None) -> None:
        """Use the database at *url*, directly where something is put back into *storage*."""
        self._url = url
        self._storage = storage or StoragePlan()

    @override
    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[TableSnapshot]:
        pending = (await status(self._url)).pending
        if pending:
            raise Conflict(
                f"The database lacks {', '.join(migration.name for migration in pending)}: "
                "run `wagateway migrate` first."
            )
        async with connected(self._url, "The backup") as conn:
            await conn.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await conn.set_read_only(True)  # so that it gets no number, and holds no reader up
            async with conn.transaction():
                await _begin(conn)
                yield await _snapshot(conn)

    @override
    async def prepare(self, schema: Sequence[SchemaStep]) -> None:
        known = packaged_migrations()
        wanted = known[: len(schema)]
        steps = [SchemaStep(version=m.version, name=m.name, checksum=m.checksum) for m in wanted]
        if not schema or max(step.version for step in schema) > known[-1].version:
            raise Conflict(
                "This backup was made by a newer wagateway, or its schema is none of ours: upgrade "
                "wagateway, then restore it."
            )
        if steps != list(schema):
            raise Conflict(
                "This backup's schema was made by other migrations than those of this wagateway: "
                "restore it with the version that made it, which its manifest names."
            )
        applied = len((await status(self._url)).applied)
        if applied not in {0, len(wanted)}:
            raise Conflict(
                f"The database has the schema {applied:04}, and the backup is of {len(wanted):04}: "
                "restore it into a database without the schema whatsapp_gateway, a new one for "
                "instance; it is brought up to date then."
            )
        if wanted == known:
            await migrate(self._url, storage=self._storage)
        else:
            await migrate(self._url, migrations=wanted)

    @override
    async def require_empty(self, tables: Sequence[TableCopy]) -> None:
        async with self.loading(tables):
            pass

    @override
    @asynccontextmanager
    async def loading(self, tables: Sequence[TableCopy]) -> AsyncIterator[TableLoad]:
        async with connected(self._url, "The restore") as conn, conn.transaction():
            await _begin(conn)
            here = await _all_tables(conn)
            await _lock(conn, [table.name for table in here], "EXCLUSIVE")
            _compare(here, tables)
            await conn.execute(QUERIES["forget_uptimes"])
            for table in tables:
                await _refuse_rows(conn, table.name)
            yield _Load(conn)

    @override
    async def finish(self) -> None:
        await migrate(self._url, storage=self._storage)
        async with connected(self._url, "Counting what was restored") as conn:
            for table in await _all_tables(conn):
                await conn.execute(sql.SQL("ANALYZE {}").format(_name(table.name)))


class _Reading:
    """Reads tables over one connection."""

    def __init__(self, conn: _Connection) -> None:
        self._conn = conn

    async def read(self, table: Table) -> AsyncIterator[bytes]:
        statement = sql.SQL(
            "COPY (SELECT {} FROM {}) TO STDOUT (FORMAT text, ENCODING 'UTF8')"
        ).format(_columns(table.columns), _name(table.name))
        pieces: list[bytes] = []
        size = 0
        async with self._conn.cursor() as cursor, cursor.copy(statement) as copy:
            async for row in copy:
                pieces.append(bytes(row))
                size += len(row)
                if size >= _PIECE:
                    yield b"".join(pieces)
                    pieces, size = [], 0
        if pieces:
            yield b"".join(pieces)


class _Snapshot(_Reading, TableSnapshot):
    def __init__(
        self,
        conn: _Connection,
        source: Source,
        tables: tuple[Table, ...],
        counters: tuple[Counter, ...],
    ) -> None:
        super().__init__(conn)
        self.source = source
        self.tables = tables
        self.counters = counters

    @override
    async def stored(self) -> AsyncIterator[StoredObject]:
        # Declared by its name on the server, so that any number of files fits into memory.
        async with self._conn.cursor(name="wagateway_files", row_factory=dict_row) as cursor:
            cursor.itersize = _OBJECTS_AT_ONCE
            await cursor.execute(QUERIES["copied_objects"])
            async for row in cursor:
                yield StoredObject(**row)


class _Load(_Reading, TableLoad):
    @override
    async def load(self, table: TableCopy, rows: AsyncIterator[bytes]) -> int:
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT text, ENCODING 'UTF8')").format(
            _name(table.name), _columns(table.columns)
        )
        try:
            async with self._conn.cursor() as cursor:
                async with cursor.copy(statement) as copy:
                    async for piece in rows:
                        await copy.write(piece)
                return cursor.rowcount
        except (errors.DataError, errors.IntegrityError) as exc:  # their text quotes messages
            raise Rejected(
                f"the rows of the table {table.name} are none that this database takes "
                f"({type(exc).__name__}): the backup was changed"
            ) from exc

    @override
    async def settle(self, counters: Sequence[Counter]) -> None:
        await self._conn.execute(QUERIES["search_restored"])
        last = {(counter.table, counter.column): counter.last for counter in counters}
        for row in await _fetch(self._conn, "copied_counters"):
            if row["table"] in COPIED:
                place = (row["table"], row["column"])
                await self._conn.execute(_going_on(*place, last.get(place)))


def _going_on(table: str, column: str, last: int | None) -> sql.Composed:
    """Return what lets an identity column go on behind *last* and all numbers that are there."""
    return sql.SQL(
        "SELECT setval(pg_get_serial_sequence({}, {}), t.last)"
        " FROM (SELECT greatest({}, max({})) AS last FROM {}) AS t WHERE t.last IS NOT NULL"
    ).format(
        sql.Literal(f"{_SCHEMA}.{table}"),
        sql.Literal(column),
        sql.Literal(last),
        sql.Identifier(column),
        _name(table),
    )


async def _snapshot(conn: _Connection) -> _Snapshot:
    # Locked before the snapshot is taken, which the first query does: no table changes its form
    # under it. Every reader takes this lock.
    await _lock(conn, sorted(COPIED), "ACCESS SHARE")
    (here,) = await _fetch(conn, "copied_source")
    schema = tuple(SchemaStep(**row) for row in await _fetch(conn, "copied_schema"))
    tables = tuple(table for table in await _all_tables(conn) if table.name in COPIED)
    counters = tuple(
        Counter(**row)
        for row in await _fetch(conn, "copied_counters")
        if row["table"] in COPIED and row["last"] is not None
    )
    return _Snapshot(conn, Source(schema=schema, **here), tables, counters)


async def _begin(conn: _Connection) -> None:
    await conn.execute(_BEGIN)
    if conn.info.server_version >= _HAS_TRANSACTION_TIMEOUT:
        await conn.execute("SET LOCAL transaction_timeout = 0")


async def _all_tables(conn: _Connection) -> list[Table]:
    return from_rows(Table, await _fetch(conn, "copied_tables"))


def _compare(here: Sequence[Table], tables: Sequence[TableCopy]) -> None:
    """Return when the tables of a backup are those of the database.

    Raises:
        Conflict: they are not.
    """
    columns = {table.name: table.columns for table in here if table.name not in MADE_ANEW}
    if columns != {table.name: table.columns for table in tables}:
        raise Conflict(
            "The tables of this backup are not those of its schema: the backup was changed, or "
            "the schema whatsapp_gateway of the database holds tables of others."
        )


async def _refuse_rows(conn: _Connection, table: str) -> None:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(_name(table))
    row = await (await conn.execute(query)).fetchone()
    if row and row[0]:
        raise Conflict(
            f"The database holds an archive already ({table} has rows), and nothing was changed: "
            "restore into an empty one, such as a new database or another data folder."
        )


async def _lock(conn: _Connection, tables: Sequence[str], mode: LiteralString) -> None:
    names = sql.SQL(", ").join(_name(table) for table in tables)
    await conn.execute(sql.SQL("LOCK TABLE {} IN " + mode + " MODE").format(names))


async def _fetch(conn: _Connection, query: str) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES[query])
        return await cursor.fetchall()


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(_SCHEMA, table)


def _columns(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


async def require_unused(url: str) -> None:
    """Return when the database at *url* has no schema of ours.

    Raises:
        Conflict: it has one.
    """
    async with connected(url, "Looking at the database") as conn:
        row = await (await conn.execute(QUERIES["schema_there"])).fetchone()
        if row and row[0]:
            raise Conflict(
                "This database has the schema whatsapp_gateway, so it is not one to try a backup "
                "in: name an empty one."
            )


async def drop_scratch(url: str) -> None:
    """Remove our schema from a database that was used to try something."""
    async with connected(url, "Clearing the database") as conn:
        await conn.execute("DROP SCHEMA IF EXISTS whatsapp_gateway CASCADE")
