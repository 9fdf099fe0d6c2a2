"""Migrations: plain SQL files that only go forward, and the ledger of those applied.

A file is named ``NNNN_verb_object.sql`` and runs in a transaction of its own. One that PostgreSQL
refuses inside a transaction says ``-- wagateway: no-transaction`` in the comments at its top; it
holds exactly one statement, which can be repeated (``IF NOT EXISTS``).
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row

from wagateway.adapters.timescale._errors import translated_errors
from wagateway.adapters.timescale.arrange import arrange, look
from wagateway.adapters.timescale.storage import Storage, StoragePlan
from wagateway.domain.errors import Conflict, Defect, InvalidInput, Rejected, StoreUnavailable

OLDEST_SERVER = 15
"""The oldest major version of PostgreSQL that the migrations run on."""

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9]+(?:_[a-z0-9]+)*\.sql")
_NO_TRANSACTION = re.compile(r"--\s*wagateway:\s*no-transaction\s*")
_LOCK_KEY = int.from_bytes(hashlib.sha256(b"wagateway migrations").digest()[:8], signed=True)
_LOCK_POLL_S = 0.25
_CONNECT_S = 10
_AS_USUAL = StoragePlan()
_LIMITS = "SET lock_timeout = '10s'; SET statement_timeout = 0"

_CREATE_SCHEMA = "CREATE SCHEMA whatsapp_gateway"
_CREATE_LEDGER = """
CREATE TABLE whatsapp_gateway.schema_migrations (
    version integer CONSTRAINT schema_migrations_pk PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    elapsed_ms integer NOT NULL
);
COMMENT ON TABLE whatsapp_gateway.schema_migrations IS
    'Migrations applied to this database, one row each; checksum is SHA-256 of the file.'
"""
_WAY_IN = (
    "Check that the server runs, and host, port, user and password in WHATSAPP_DATABASE_URL; make "
    "the database, for instance by createdb, if it does not exist yet."
)
_HAS_SCHEMA = "SELECT to_regnamespace('whatsapp_gateway') IS NOT NULL"
_HAS_LEDGER = "SELECT to_regclass('whatsapp_gateway.schema_migrations') IS NOT NULL"
_READ_LEDGER = """
SELECT version, name, checksum, applied_at
FROM whatsapp_gateway.schema_migrations ORDER BY version
"""
_WRITE_LEDGER = """
INSERT INTO whatsapp_gateway.schema_migrations (version, name, checksum, elapsed_ms)
VALUES (%s, %s, %s, %s)
"""

_Connection = psycopg.AsyncConnection[tuple[object, ...]]


class NotLetIn(StoreUnavailable):
    """No connection could be had; the last line of the text is what to do.

    Attributes:
        reason: what the driver said, in one line.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"The database does not let us in: {reason}\n{_WAY_IN}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Migration:
    """One file.

    Attributes:
        version: its number, unique.
        name: the file's name without its ending, e.g. ``0001_create_messages``.
        sql: its text, lines ended by a line feed.
        checksum: SHA-256 of *sql*, in hexadecimal.
        in_transaction: whether it runs in a transaction.
    """

    version: int
    name: str
    sql: str
    checksum: str
    in_transaction: bool


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of the ledger; *applied_at* is aware."""

    version: int
    name: str
    checksum: str
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """What a database has, and what it lacks; both by ascending version."""

    applied: tuple[Applied, ...]
    pending: tuple[Migration, ...]


async def migrate(
    url: str,
    *,
    migrations: Sequence[Migration] | None = None,
    storage: StoragePlan = _AS_USUAL,
    wait_s: float = 120.0,
) -> list[Migration]:
    """Apply all pending migrations, one starter at a time however many there are.

    After those of the package, the tables are laid out: see `arrange`.

    Args:
        url: libpq URL of the database itself: behind a pooler the lock would not hold.
        migrations: by ascending version; those of the package when None.
        storage: how the tables shall be laid out.
        wait_s: how long to wait for another starter.

    Returns:
        The migrations applied now, none when another starter was faster.

    Raises:
        Conflict: the database does not fit the files (see `status`), or *url* is a pooler's.
        InvalidInput: *url* cannot be read.
        Rejected: the server is too old, or its role may not do what a migration does.
        StoreUnavailable: no connection (see `status`), or another starter or a lock was waited for
            too long;
            migrations before the failed one stay applied, the failed one does not.
        Defect: a migration is wrong; of it nothing is applied.
    """
    known = packaged_migrations() if migrations is None else tuple(migrations)
    async with connected(url, "Migrating") as conn:
        await _refuse_pooler(conn)
        await conn.execute(_LIMITS)
        await _lock(conn, wait_s)
        await _ensure_ledger(conn)
        pending = _compared(await _ledger(conn), known).pending
        for migration in pending:
            await _apply(conn, migration)
        if migrations is None:
            with _translated("Laying out the tables"):
                await arrange(conn, storage)
        return list(pending)


async def status(url: str, *, migrations: Sequence[Migration] | None = None) -> Status:
    """Compare a database with the migrations, those of the package when None; changes nothing.

    A database without our schema has simply nothing applied.

    Raises:
        Conflict: an applied file was changed or is missing, a new file comes before an applied
            one, or the database was migrated by a newer wagateway.
        InvalidInput: *url* cannot be read.
        Rejected: the server is too old.
        NotLetIn: no connection.
    """
    known = packaged_migrations() if migrations is None else tuple(migrations)
    async with connected(url, "Looking at the schema") as conn:
        return _compared(await _ledger(conn), known)


async def storage_of(url: str) -> Storage:
    """Return how a database keeps the archive; changes nothing.

    Raises:
        InvalidInput: *url* cannot be read.
        Rejected: the server is too old.
        NotLetIn: no connection.
    """
    async with connected(url, "Looking at the tables") as conn:
        return await look(conn)


def packaged_migrations() -> tuple[Migration, ...]:
    """Return the migrations that came with wagateway, by ascending version.

    Raises:
        Defect: the installation is incomplete.
    """
    # A wheel carries them beside this module; a source tree keeps them in its folder sql.
    installed = files("wagateway.adapters.timescale") / "migrations"
    if installed.is_dir():
        return migrations_in(installed)
    source = Path(__file__).parents[4] / "sql" / "migrations"
    if source.is_dir():
        return migrations_in(source)
    raise Defect("This installation of wagateway has no migrations: install it again.")


def migrations_in(folder: Traversable) -> tuple[Migration, ...]:
    """Read the ``.sql`` files in *folder*, by ascending version.

    Raises:
        Defect: a file's name is not ``NNNN_verb_object.sql``, or two share a number.
    """
    found: dict[int, Migration] = {}
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".sql"):
            continue
        migration = _read(file)
        if migration.version in found:
            other = found[migration.version].name
            raise Defect(f"Migrations {other} and {migration.name} share a number: renumber one.")
        found[migration.version] = migration
    return tuple(found.values())


def _read(file: Traversable) -> Migration:
    matched = _FILE_NAME.fullmatch(file.name)
    if matched is None:
        raise Defect(f"Migration file {file.name!r} must be named NNNN_verb_object.sql.")
    text = file.read_bytes().decode("utf-8-sig")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return Migration(
        version=int(matched[1]),
        name=file.name.removesuffix(".sql"),
        sql=text,
        checksum=hashlib.sha256(text.encode()).hexdigest(),
        in_transaction=not any(map(_NO_TRANSACTION.fullmatch, _header(text))),
    )


def _header(text: str) -> Iterator[str]:
    """Yield the comment lines before the first statement."""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("--"):
            return
        yield stripped


def _compared(applied: Sequence[Applied], known: Sequence[Migration]) -> Status:
    by_version = {migration.version: migration for migration in known}
    newest_known = max(by_version, default=0)
    newest_applied = max((row.version for row in applied), default=0)
    if newest_applied > newest_known:
        raise Conflict(
            f"The database was migrated by a newer wagateway (to {newest_applied:04}, this one "
            f"knows up to {newest_known:04}): upgrade wagateway, or use another database."
        )
    for row in applied:
        _refuse_drift(row, by_version.get(row.version))
    done = {row.version for row in applied}
    pending = tuple(m for m in known if m.version not in done)
    for migration in pending:
        if migration.version < newest_applied:
            raise Conflict(
                f"Migration {migration.name} is new, but {newest_applied:04} was applied before "
                "it: give it a number after the last one."
            )
    return Status(tuple(applied), tuple(sorted(pending, key=lambda m: m.version)))


def _refuse_drift(row: Applied, file: Migration | None) -> None:
    if file is None:
        raise Conflict(
            f"Migration {row.name} was applied to this database, and its file is missing: put the "
            "file back, or reinstall the wagateway that this database belongs to."
        )
    if (row.name, row.checksum) != (file.name, file.checksum):
        raise Conflict(
            f"Migration {row.name} was changed after it had been applied (now {file.name}): put "
            "the applied text back, and write the change as a new migration."
        )


@asynccontextmanager
async def connected(url: str, doing: str) -> AsyncIterator[_Connection]:
    """Yield a connection of its own to the database itself, autocommit; *doing* is for the errors.

    Raises:
        InvalidInput: *url* cannot be read.
        Rejected: the server is too old, lacks something, or the role may not do it.
        StoreUnavailable: it broke; NotLetIn: there was none.
        Defect: a statement is wrong.
    """
    with _translated(doing):
        async with await _let_in(url) as conn:
            _refuse_old_server(conn.info.server_version)
            yield conn


async def _let_in(url: str) -> _Connection:
    try:
        return await psycopg.AsyncConnection.connect(
            url,
            autocommit=True,
            prepare_threshold=None,
            client_encoding="utf8",
            connect_timeout=_CONNECT_S,
            application_name="wagateway migrate",
        )
    except psycopg.OperationalError as exc:
        # A wrong password, an absent database and a host that is down come without a SQLSTATE.
        raise NotLetIn(str(exc).split("\n", 1)[0]) from exc


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Translate what means something else here than in the archive, and the rest as there."""
    with translated_errors(doing):
        try:
            yield
        except errors.InsufficientPrivilege as exc:
            raise Rejected(
                f"{doing} needs more rights than the database role has ({exc}): connect as the "
                "owner of the database, or grant what is missing."
            ) from exc
        except (errors.FeatureNotSupported, errors.UndefinedFile) as exc:
            raise Rejected(
                f"{doing} needs what this server lacks ({exc}): install it on the server, where it "
                "is an extension usually by the package postgresql-contrib."
            ) from exc
        except errors.LockNotAvailable as exc:
            raise StoreUnavailable(
                f"{doing} waited too long for a lock that other work holds: try again when the "
                "database is less busy, or stop the gateway meanwhile."
            ) from exc
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except psycopg.Error as exc:
            if isinstance(exc, psycopg.ProgrammingError) and exc.sqlstate is None:
                raise InvalidInput(  # libpq could not read the URL; its text may quote a password
                    "The database URL cannot be read: write "
                    "postgresql://user:password@host:port/database, special characters as %XX."
                ) from None
            raise Defect(f"{doing} failed: {exc}") from exc


def _refuse_old_server(version: int) -> None:
    if version < OLDEST_SERVER * 10_000:
        raise Rejected(
            f"The database server is PostgreSQL {version // 10_000}; wagateway needs "
            f"{OLDEST_SERVER} or newer: upgrade the server."
        )


async def _refuse_pooler(conn: _Connection) -> None:
    # PgBouncer answers the handshake itself, with a process id that no server process has.
    if await _value(conn, "SELECT pg_backend_pid()") != conn.info.backend_pid:
        raise Conflict(
            "Migrations need a direct connection, and this URL leads to a connection pooler: "
            "give the host and port of the PostgreSQL server itself."
        )


async def _lock(conn: _Connection, wait_s: float) -> None:
    # Never the waiting form: its snapshot and CREATE INDEX CONCURRENTLY wait for each other.
    deadline = time.monotonic() + wait_s
    while not await _value(conn, f"SELECT pg_try_advisory_lock({_LOCK_KEY})"):
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                f"Another wagateway has been migrating this database for {wait_s:g} s: wait until "
                "it is done, then try again."
            )
        await asyncio.sleep(_LOCK_POLL_S)


async def _ensure_ledger(conn: _Connection) -> None:
    # Looked up first: IF NOT EXISTS asks for the right to create even where nothing is created.
    if not await _value(conn, _HAS_SCHEMA):
        await conn.execute(_CREATE_SCHEMA)
    if not await _value(conn, _HAS_LEDGER):
        await conn.execute(_CREATE_LEDGER)


async def _ledger(conn: _Connection) -> list[Applied]:
    if not await _value(conn, _HAS_LEDGER):
        return []
    async with conn.cursor(row_factory=class_row(Applied)) as cursor:
        await cursor.execute(_READ_LEDGER)
        return await cursor.fetchall()


async def _apply(conn: _Connection, migration: Migration) -> None:
    with _translated(f"Migration {migration.name}"):
        if migration.in_transaction:
            async with conn.transaction():
                await _run(conn, migration)
        else:
            await _run(conn, migration)


async def _run(conn: _Connection, migration: Migration) -> None:
    before = conn.info.transaction_status
    started = time.monotonic()
    # Without parameters it goes as one simple query, where % and $$ mean nothing to psycopg. The
    # binary form goes as an extended one, where PostgreSQL itself refuses a second statement.
    await conn.execute(migration.sql.encode(), binary=not migration.in_transaction)
    if conn.info.transaction_status is not before:
        raise Defect(
            f"Migration {migration.name} ends or begins a transaction itself: it must not; "
            f"the database may hold a part of it ({before.name} became "
            f"{TransactionStatus(conn.info.transaction_status).name})."
        )
    elapsed_ms = round((time.monotonic() - started) * 1000)
    values = (migration.version, migration.name, migration.checksum, elapsed_ms)
    await conn.execute(_WRITE_LEDGER, values)


async def _value(conn: _Connection, query: str) -> object:
    row = await (await conn.execute(query.encode())).fetchone()
    return row[0] if row else None
