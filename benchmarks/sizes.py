"""How many bytes a message takes, by part, after lifelike traffic."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import psycopg
from psycopg import sql

from harness import Findings, Scale, progress, scratch
from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.events import Delivery, Source
from wagateway.simulator.traffic import Traffic

_GROUP = 500
_SIZES = """
SELECT relname, pg_table_size(oid), pg_indexes_size(oid)
FROM pg_class
WHERE relnamespace = 'whatsapp_gateway'::regnamespace AND relkind = 'r'
ORDER BY pg_total_relation_size(oid) DESC
"""


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


async def run(scale: Scale) -> Findings:
    """Record lifelike traffic and weigh the tables."""
    count = 3_000 if scale.quick else 100_000
    progress(f"sizes: recording {count:,} deliveries")
    bodies = 0
    with scratch() as folder:
        async with EmbeddedPostgres.running(folder / "data") as database:
            await migrate(database.url)
            async with open_pool(database.url, max_size=1, prepare_threshold=5) as pool:
                archive = TimescaleArchive(pool)
                for group in groups(count):
                    bodies += sum(len(delivery.body) for delivery in group)
                    await archive.record(group)
            tables = await weighed(database.url)
    return findings_of(tables, bodies)


async def weighed(url: str) -> list[Table]:
    """Return the tables, the largest first; those without a row are left out."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute("VACUUM")
        found = []
        for name, rows, indexes in await (await conn.execute(_SIZES)).fetchall():
            count = sql.SQL("SELECT count(*) FROM whatsapp_gateway.{}").format(sql.Identifier(name))
            [row] = await (await conn.execute(count)).fetchall()
            if row[0]:
                found.append(Table(name, rows, indexes, row[0]))
        return found


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
