"""Laying out the tables as wanted: what is left to do is done, however often it is asked for."""

from collections.abc import Iterator
from typing import Any

import psycopg
import structlog
from psycopg import sql
from psycopg.rows import dict_row

from wagateway.adapters.timescale._queries import STORAGE_QUERIES
from wagateway.adapters.timescale._rows import Row
from wagateway.adapters.timescale.storage import (
    OLDEST_TIMESCALE,
    Act,
    Edition,
    Extension,
    Step,
    Storage,
    StoragePlan,
    Table,
    steps,
)

_FULL_LICENSE = "timescale"

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.storage")

_Connection = psycopg.AsyncConnection[Any]


async def look(conn: _Connection) -> Storage:
    """Return how the database keeps the archive."""
    (here,) = await _fetch(conn, "timescale_here")
    plain = {row["name"]: Table(**row) for row in await _fetch(conn, "plain_tables")}
    extension = _extension(here)
    if extension is not Extension.PRESENT:
        tables = tuple(plain.values())
        return Storage(extension=extension, version=here["installed"], tables=tables)
    made = {row["name"]: Table(**row) for row in await _fetch(conn, "hypertables")}
    (statistics,) = await _fetch(conn, "statistics_aggregate")
    return Storage(
        extension=extension,
        edition=Edition.FULL if here["license"] == _FULL_LICENSE else Edition.APACHE,
        version=here["installed"],
        tables=tuple((plain | made).values()),
        aggregate=statistics["aggregate"],
    )


def _extension(here: Row) -> Extension:
    if here["installed"] is not None:
        numbers = [int(part) for part in here["installed"].split("-")[0].split(".")[:2]]
        return Extension.PRESENT if tuple(numbers) >= OLDEST_TIMESCALE else Extension.TOO_OLD
    if not here["available"]:
        return Extension.ABSENT
    return Extension.NOT_CREATED if here["preloaded"] else Extension.NOT_PRELOADED


async def arrange(conn: _Connection, plan: StoragePlan) -> list[Step]:
    """Do what is left until the database keeps the archive as *plan* wants it.

    Each step is a transaction of its own. What only makes the archive smaller or quicker, and
    fails, is logged and left out: it works without. The same holds for all of it where a limit of
    rows is given, since then nobody asked for it.

    Args:
        conn: alone in this by a lock, autocommit, with a lock_timeout.
        plan: what is wanted.

    Returns:
        What was done.

    Raises:
        psycopg.Error: the tables could not be turned into hypertables, or the connection broke.
    """
    done: list[Step] = []
    left_out: set[Step] = set()
    while left := _left(steps(await look(conn), plan), left_out):
        try:
            if await _do(conn, left, plan):
                done.append(left)
            left_out.add(left)  # once is enough, whatever came of it
        except psycopg.Error as exc:
            if conn.broken or (left.act is Act.MAKE_HYPERTABLE and plan.most_rows is None):
                raise
            _log.warning(f"not done: {left.act}", table=left.table, reason=_why(exc))
            left_out.add(left)
    return done


def _left(found: Iterator[Step], left_out: set[Step]) -> Step | None:
    return next((step for step in found if step not in left_out), None)


def _why(exc: psycopg.Error) -> str:
    return exc.diag.message_primary or type(exc).__name__


async def _do(conn: _Connection, step: Step, plan: StoragePlan) -> bool:
    """Take one step; return False where it was left out because of the table's size."""
    if step.act is Act.CREATE_EXTENSION:
        await _run(conn, "create_timescale")
    elif step.act is Act.MAKE_HYPERTABLE:
        return await _make_hypertable(conn, step.table, plan)
    else:
        async with conn.transaction():
            await _run(conn, "find_timescale")
            await _change(conn, step, plan)
    _log.info(f"done: {step.act}", table=step.table)
    return True


async def _make_hypertable(conn: _Connection, table: str, plan: StoragePlan) -> bool:
    limit = None if plan.most_rows is None else plan.most_rows + 1
    [counted] = await _fetch(conn, f"count_{table}", limit=limit)
    rows = counted["rows"]
    if plan.most_rows is not None and rows > plan.most_rows:
        _log.warning(
            f"{table} stays a plain table until you run `wagateway migrate`: moving its rows into "
            "chunks locks it for long",
            more_than=plan.most_rows,
        )
        return False
    if rows:
        _log.warning(
            f"{table} becomes a hypertable: its rows move into chunks, and it is locked meanwhile",
            rows=rows,
        )
    async with conn.transaction():
        await _run(conn, "find_timescale")
        await _run(conn, f"make_{table}_hypertable", chunk=plan.chunk(table))
    if rows:
        await _run(conn, f"analyze_{table}")
    _log.info(f"{table} is a hypertable", rows=rows)
    return True


async def _change(conn: _Connection, step: Step, plan: StoragePlan) -> None:
    match step.act:
        case Act.SET_CHUNK:
            table = f"whatsapp_gateway.{step.table}"
            await _run(conn, "set_chunk", table=table, chunk=plan.chunk(step.table))
        case Act.ALLOW_COMPRESSION:
            await _run(conn, "allow_compression")
        case Act.SET_COMPRESSION:
            await _run(conn, "drop_compression_policy")
            if plan.compress_after:
                await _run(conn, "add_compression_policy", after=plan.compress_after)
        case Act.MAKE_AGGREGATE:
            await _make_aggregate(conn)


async def _make_aggregate(conn: _Connection) -> None:
    readers = [row["reader"] for row in await _fetch(conn, "statistics_readers")]
    for statement in ("drop_statistics", "create_statistics", "refresh_statistics"):
        await _run(conn, statement)
    for reader in readers:
        role = sql.Identifier(reader) if reader else sql.SQL("PUBLIC")
        grant = sql.SQL("GRANT SELECT ON whatsapp_gateway.messages_hourly_stats TO {}")
        await conn.execute(grant.format(role))


async def _fetch(conn: _Connection, query: str, **values: Any) -> list[Row]:  # noqa: ANN401 - SQL values
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(STORAGE_QUERIES[query], values or None)
        return list(await cursor.fetchall())


async def _run(conn: _Connection, query: str, **values: Any) -> None:  # noqa: ANN401 - SQL values
    await conn.execute(STORAGE_QUERIES[query], values or None)
