"""How many bytes a message takes, by part, after lifelike traffic: plain, and in TimescaleDB."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import psycopg
from psycopg import sql

from harness import Findings, Scale, beside, progress, scratch
from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.migrate import migrate, storage_of
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.timescale.storage import Edition, Storage, StoragePlan
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.events import Delivery, Source
from wagateway.simulator.traffic import Traffic

_GROUP = 500
_SIZES = """
WITH RECURSIVE family AS (
    SELECT oid AS root, oid FROM pg_class
    WHERE relnamespace = 'whatsapp_gateway'::regnamespace AND relkind = 'r'
    UNION ALL
    SELECT f.root, i.inhrelid FROM family AS f JOIN pg_inherits AS i ON i.inhparent = f.oid
)
SELECT c.relname, sum(pg_table_size(f.oid))::bigint, sum(pg_indexes_size(f.oid))::bigint
FROM family AS f
JOIN pg_class AS c ON c.oid = f.root
GROUP BY c.relname
ORDER BY sum(pg_total_relation_size(f.oid)) DESC
"""
_IN_CHUNKS = """
SELECT h.hypertable_name, sum(s.table_bytes + s.toast_bytes)::bigint, sum(s.index_bytes)::bigint
FROM timescaledb_information.hypertables AS h
CROSS JOIN LATERAL hypertable_detailed_size(
    format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass
) AS s
WHERE h.hypertable_schema = 'whatsapp_gateway'
GROUP BY h.hypertable_name
"""
_COMPRESS = """
SELECT count(compress_chunk(c, true)) FROM show_chunks('whatsapp_gateway.messages') AS c
"""
_PLAIN = StoragePlan(timescale=False)


@dataclass(frozen=True, slots=True)
class Table:
    """What a table takes."""

    name: str
    bytes_of_rows: int
    bytes_of_indexes: int
    rows: int

    @property
    def all_bytes(self) -> int:
        """With everything that belongs to it."""
        return self.bytes_of_rows + self.bytes_of_indexes


@dataclass(frozen=True, slots=True)
class Way:
    """A way to keep the archive, and what it takes."""

    name: str
    tables: Sequence[Table]

    @property
    def messages(self) -> int:
        """How many there are."""
        return next(table.rows for table in self.tables if table.name == "messages")

    def parts(self) -> Iterator[tuple[str, float]]:
        """Yield bytes per message, by part and all together."""
        search = [table for table in self.tables if table.name == "message_search"]
        others = [table for table in self.tables if table not in search]
        log = [table for table in others if table.name == "event_log"]
        rows = [table for table in others if table not in log]
        sums = {
            "rows": sum(table.bytes_of_rows for table in rows),
            "raw bodies": sum(table.bytes_of_rows for table in log),
            "indexes": sum(table.bytes_of_indexes for table in others),
            "search": sum(table.all_bytes for table in search),
        }
        for name, size in sums.items():
            yield name, size / self.messages
        yield "all", sum(sums.values()) / self.messages


async def run(scale: Scale) -> Findings:
    """Record lifelike traffic and weigh the tables."""
    count = 3_000 if scale.quick else 100_000
    with scratch() as folder:
        async with EmbeddedPostgres.running(folder / "data") as database:
            bodies = await recorded(database.url, count, _PLAIN)
            tables = await weighed(database.url)
    findings = findings_of(tables, bodies)
    ways = [Way("plain, embedded", tables)]
    if scale.timescale is not None:
        ways += [way async for way in _on_server(scale.timescale, count)]
    findings.table(
        ("bytes per message", *(way.name for way in ways)),
        [
            (named[0][0], *(f"{size:,.0f}" for _, size in named))
            for named in zip(*(way.parts() for way in ways), strict=True)
        ],
    )
    return findings


async def _on_server(url: str, count: int) -> AsyncIterator[Way]:
    """Yield the ways in which a server of the user's keeps the same traffic."""
    async with beside(url) as fresh:
        await recorded(fresh, count, _PLAIN)
        yield Way("plain, the server", await weighed(fresh))
    async with beside(url) as fresh:
        await recorded(fresh, count, StoragePlan())
        found = await storage_of(fresh)
        if found.edition is Edition.PLAIN:
            progress("sizes: the server has no TimescaleDB\n")
            return
        yield Way(f"in chunks ({_chunks(found)}), {found.edition}", await weighed(fresh))
        if found.edition is Edition.FULL:
            async with await psycopg.AsyncConnection.connect(fresh, autocommit=True) as conn:
                await conn.execute(_COMPRESS)
            yield Way("messages compressed", await weighed(fresh))


def _chunks(found: Storage) -> str:
    return ", ".join(f"{table.chunks} of {table.name}" for table in found.tables)


async def recorded(url: str, count: int, plan: StoragePlan) -> int:
    """Record *count* deliveries; return how many bytes their bodies had."""
    progress(f"sizes: recording {count:,} deliveries")
    await migrate(url, storage=plan)
    bodies = 0
    async with open_pool(url, max_size=1, prepare_threshold=5) as pool:
        archive = TimescaleArchive(pool)
        for group in groups(count):
            bodies += sum(len(delivery.body) for delivery in group)
            await archive.record(group)
    return bodies


async def weighed(url: str) -> list[Table]:
    """Return the tables, the largest first; those without a row are left out."""
    edition = (await storage_of(url)).edition
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute("VACUUM")
        found = []
        sizes = await (await conn.execute(_SIZES)).fetchall()
        chunked = await _in_chunks(conn) if edition is not Edition.PLAIN else {}
        for name, rows, indexes in sizes:
            count = sql.SQL("SELECT count(*) FROM whatsapp_gateway.{}").format(sql.Identifier(name))
            [row] = await (await conn.execute(count)).fetchall()
            if row[0]:
                found.append(Table(name, *chunked.get(name, (rows, indexes)), row[0]))
        return found


async def _in_chunks(
    conn: psycopg.AsyncConnection[tuple[object, ...]],
) -> dict[str, tuple[int, int]]:
    """Return what hypertables take, with what is compressed of them."""
    rows = await (await conn.execute(_IN_CHUNKS)).fetchall()
    return {str(name): (int(table), int(indexes)) for name, table, indexes in rows}  # type: ignore[call-overload]


def groups(count: int) -> Iterator[list[Delivery]]:
    """Return *count* deliveries of all engines, some hundred at a time."""
    reader = WahaReader()
    now = datetime(2026, 10, 3, 12, tzinfo=UTC)
    traffic = iter(Traffic(start=now, engine=None, history=timedelta(0)))
    for start in range(0, count, _GROUP):
        yield [
            delivery
            for sent in islice(traffic, min(_GROUP, count - start))
            for delivery in reader.read(sent.body, received_at=now, source=Source.WEBHOOK)
        ]


def findings_of(tables: list[Table], bodies: int) -> Findings:
    """Return the table: bytes per message of everything that is kept."""
    of = {table.name: table for table in tables}
    messages, events = of["messages"].rows, of["event_log"].rows
    total = sum(table.all_bytes for table in tables)
    log = of["event_log"].bytes_of_rows / bodies
    findings = Findings()
    findings.table(
        ("table", "rows", "bytes / row", "bytes of rows / message", "of indexes", "share"),
        [
            (
                *(f"`{table.name}`", f"{table.rows:,}", f"{table.all_bytes / table.rows:,.0f}"),
                f"{table.bytes_of_rows / messages:,.0f}",
                f"{table.bytes_of_indexes / messages:,.0f}",
                f"{table.all_bytes / total:.0%}",
            )
            for table in tables
        ],
    )
    findings.lines.append(
        f"All: {total / messages:,.0f} bytes a message. {events:,} deliveries of "
        f"{bodies / events:,.0f} bytes on average told {messages:,} messages; the log keeps each "
        f"body once, with all that is beside it in {log:.2f} times its size.\n"
    )
    return findings
