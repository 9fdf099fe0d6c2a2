"""Whole chunks that are dropped, where a DELETE would go row by row and leave their room behind.

A drop takes what a chunk holds from everybody at once, also from a transaction that began before.
So a chunk of the log goes with its rows, which nothing else refers to; one of messages only once
VACUUM found that nobody can see a row of it, since a message without its facts would be half a
message. For an instant nobody else may read the chunk: where that is not to be had at once, all
goes on without.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString

import structlog
from msgspec import Struct
from psycopg import errors, sql
from psycopg.rows import dict_row

from wagateway.adapters.timescale._queries import STORAGE_QUERIES
from wagateway.adapters.timescale._rows import from_rows
from wagateway.adapters.timescale.pool import Connection, Pool
from wagateway.domain.errors import Defect

_PAUSES_S = (0.1, 0.5, 2.0, 0.0)
"""After each try; readers wait for a fifth of a second in each at most."""

_NOT_OURS = (
    errors.DeadlockDetected,
    errors.QueryCanceled,
    errors.InsufficientPrivilege,  # whoever may delete rows need not own the table
    errors.UndefinedTable,  # somebody else dropped it
    errors.FeatureNotSupported,
)

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.storage")


class Chunk(Struct, frozen=True, kw_only=True):
    """A chunk of one of our hypertables.

    Attributes:
        table: the hypertable's name.
        schema: of the chunk, like *name*.
        range_start: of the time that it covers, up to *range_end*, exclusive.
        is_void: whether nobody can see a row in it, whichever snapshot they read by.
    """

    table: str
    schema: str
    name: str
    range_start: datetime
    range_end: datetime
    is_void: bool

    @property
    def identifier(self) -> sql.Identifier:
        """Its name in a statement."""
        return sql.Identifier(self.schema, self.name)

    @property
    def span(self) -> dict[str, object]:
        """The time that it covers, as values of a statement."""
        return {"start": self.range_start, "end": self.range_end}


async def chunks_before(conn: Connection, table: str, before: datetime) -> list[Chunk]:
    """Return the chunks of *table* that end before an instant, the oldest first."""
    cursor = await conn.execute(STORAGE_QUERIES["chunks_known"])
    known = await cursor.fetchone()
    if known is None or not known["known"]:
        return []
    values = {"table": table, "before": before}
    return from_rows(Chunk, await _fetch(conn, "chunks_before", values))


async def drop_with_rows(pool: Pool, chunk: Chunk) -> int | None:
    """Drop *chunk*, of the log; return how many rows were in it, None where it cannot be had."""
    for pause_s in _PAUSES_S:
        try:
            async with pool.connection() as conn, conn.transaction():
                await conn.execute(STORAGE_QUERIES["hurry"])
                # Against writers while its rows are counted, against readers only for the drop.
                await _lock(conn, chunk, "SHARE")
                [counted] = await _fetch(conn, "count_log_between", chunk.span)
                await _lock(conn, chunk, "ACCESS EXCLUSIVE")
                await _drop(conn, chunk)
        except errors.LockNotAvailable:
            await asyncio.sleep(pause_s)
        except _NOT_OURS as exc:
            _log.debug("a chunk is not dropped", chunk=chunk.name, reason=type(exc).__name__)
            break
        else:
            rows = int(counted["rows"])
            _log.info("a chunk is dropped", table=chunk.table, chunk=chunk.name, rows=rows)
            return rows
    return None


async def drop_void(pool: Pool, chunk: Chunk) -> bool:
    """Drop *chunk* unless a row came into it meanwhile; return whether it is gone."""
    try:
        async with pool.connection() as conn, conn.transaction():
            await conn.execute(STORAGE_QUERIES["hurry"])
            await _lock(conn, chunk, "ACCESS EXCLUSIVE")
            now = await chunks_before(conn, chunk.table, chunk.range_end)
            if chunk not in now:
                return False
            await _drop(conn, chunk)
    except (errors.LockNotAvailable, *_NOT_OURS) as exc:
        _log.debug("a chunk is not dropped", chunk=chunk.name, reason=type(exc).__name__)
        return False
    _log.info("an empty chunk is dropped", table=chunk.table, chunk=chunk.name)
    return True


async def _lock(conn: Connection, chunk: Chunk, mode: LiteralString) -> None:
    await conn.execute(sql.SQL("LOCK TABLE ONLY {} IN " + mode + " MODE").format(chunk.identifier))


async def _drop(conn: Connection, chunk: Chunk) -> None:
    await conn.execute(STORAGE_QUERIES["find_timescale"])
    values = {"table": f"whatsapp_gateway.{chunk.table}"} | chunk.span
    dropped = await _fetch(conn, "drop_chunk", values)
    if len(dropped) != 1:
        raise Defect(f"{len(dropped)} chunks would go where one is meant")


async def _fetch(
    conn: Connection, query: str, values: Mapping[str, object]
) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(STORAGE_QUERIES[query], values)
        return list(await cursor.fetchall())
