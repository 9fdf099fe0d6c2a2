"""Letting the raw log go by its age: row by row, and in TimescaleDB's chunks."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from typing_extensions import override

from harness import Findings, Scale, beside, progress, scratch
from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.migrate import migrate, storage_of
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.timescale.purges import TimescalePurgeStore
from wagateway.adapters.timescale.storage import Edition, StoragePlan
from wagateway.usecases.purge import Retention, Upkeep

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
KEPT = timedelta(days=30)
_FILL = """
INSERT INTO whatsapp_gateway.event_log
    (received_at, occurred_at, session, event, source, outcome, body)
SELECT %(now)s - (%(rows)s - i) * %(step)s, %(now)s, 'filled', 'message', 'webhook', 'stored',
    convert_to(
        repeat('{"payload":"abcdefghij"}', 35)
        || (SELECT string_agg(md5((i * 30 + k)::text), '') FROM generate_series(1, 25) AS k),
        'utf8'
    )
FROM generate_series(1, %(rows)s::int) AS i
"""
_SIZE = """
SELECT sum(pg_total_relation_size(oid))::bigint FROM (
    SELECT 'whatsapp_gateway.event_log'::regclass::oid AS oid
    UNION ALL
    SELECT inhrelid FROM pg_inherits WHERE inhparent = 'whatsapp_gateway.event_log'::regclass
) AS t
"""
_READ = """
SELECT event_id, received_at FROM whatsapp_gateway.event_log ORDER BY event_id DESC LIMIT 50
"""

_Connection = psycopg.AsyncConnection[tuple[object, ...]]


class ByRows(TimescalePurgeStore):
    """A store that knows of no chunks."""

    @override
    async def sweep_log(self, before: datetime) -> int | None:
        return None

    @override
    async def give_back(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Run:
    """What letting the log go took.

    Attributes:
        sizes: in bytes: of the log before, after, and after VACUUM.
        longest_s: of the reads meanwhile.
    """

    way: str
    rows: int
    seconds: float
    wal: int
    sizes: tuple[int, int, int]
    longest_s: float


async def run(scale: Scale) -> Findings:
    """Let eleven months of twelve go in every way."""
    found = []
    with scratch() as folder:
        async with EmbeddedPostgres.running(folder / "data") as database:
            found.append(await _plain(database.url, scale.messages))
    if scale.timescale is not None:
        async with beside(scale.timescale) as url:
            found.append(await _plain(url, scale.messages, "the server"))
        for store in (ByRows, TimescalePurgeStore):
            async with beside(scale.timescale) as url:
                await migrate(url)
                if (await storage_of(url)).edition is not Edition.PLAIN:
                    way = "in chunks, by rows" if store is ByRows else "in chunks, whole"
                    found.append(await _measured(url, scale.messages, way, store))
    findings = Findings()
    findings.table(
        (
            *("log", "rows that went", "seconds", "WAL, MB", "MB before"),
            *("after", "after VACUUM", "longest read, ms"),
        ),
        [_row(each) for each in found],
    )
    return findings


def _row(each: Run) -> tuple[str, ...]:
    sizes = (f"{size / 1e6:,.0f}" for size in (each.wal, *each.sizes))
    return each.way, f"{each.rows:,}", f"{each.seconds:.1f}", *sizes, f"{each.longest_s * 1e3:.0f}"


async def _plain(url: str, rows: int, where: str = "embedded") -> Run:
    await migrate(url, storage=StoragePlan(timescale=False))
    return await _measured(url, rows, f"plain, {where}", ByRows)


async def _measured(url: str, rows: int, way: str, store: type[TimescalePurgeStore]) -> Run:
    progress(f"retention: {way}")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        step = timedelta(days=360) / rows
        await conn.execute(_FILL, {"rows": rows, "now": NOW, "step": step})
        await conn.execute("VACUUM ANALYZE")
        before, wal = await _size(conn), await _wal(conn)
        async with open_pool(url, max_size=2) as pool, _reading(url) as reads:
            upkeep = Upkeep(
                store=store(pool, TimescaleArchive(pool)),
                clock=lambda: NOW,
                retention=Retention(log=KEPT),
            )
            began = time.perf_counter()
            gone = await upkeep()
            seconds = time.perf_counter() - began
        wal, after = await _wal(conn) - wal, await _size(conn)
        await conn.execute("VACUUM whatsapp_gateway.event_log")
        sizes = before, after, await _size(conn)
    return Run(way, gone.log_rows if gone else 0, seconds, wal, sizes, max(reads))


@asynccontextmanager
async def _reading(url: str) -> AsyncIterator[list[float]]:
    """Read the log's latest rows over and over; yield how long each took, in seconds."""
    reads = [0.0]

    async def read() -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            while True:
                began = time.perf_counter()
                await (await conn.execute(_READ)).fetchall()
                reads.append(time.perf_counter() - began)
                await asyncio.sleep(0.002)

    task = asyncio.create_task(read())
    try:
        yield reads
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _size(conn: _Connection) -> int:
    return await _number(conn, _SIZE)


async def _wal(conn: _Connection) -> int:
    return await _number(conn, "SELECT (pg_current_wal_lsn() - '0/0')::bigint")


async def _number(conn: _Connection, query: str) -> int:
    [row] = await (await conn.execute(query)).fetchall()
    return int(str(row[0]))
