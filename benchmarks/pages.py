"""Storing batches of messages, beside a bare COPY of the same rows into the same tables."""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from harness import Findings, Goal, Scale, middle, progress, scratch
from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.events import Delivery, MessageSeen, Outcome, Source
from wagateway.simulator.traffic import Traffic

_SIZES = (100, 1000)
_AIM = 0.5
_COPIED = ("message_state", "messages", "event_log")

_ARRAYS = {"_text": "text[]"}
_WORDS_KEYS = ("session_id", "chat_id", "stanza_id", "author", "text")

# A search vector cannot be sent by COPY without being made first: it is made as the archive does.
_WORDS = """
INSERT INTO whatsapp_gateway.message_search (session_id, chat_id, stanza_id, author, words)
SELECT r.session_id, r.chat_id, r.stanza_id, r.author,
    to_tsvector('whatsapp_gateway.message_text', r.text)
FROM json_to_recordset(%s::json)
    AS r (session_id int, chat_id text, stanza_id text, author text, text text)
"""


async def run(scale: Scale) -> Findings:
    """Store the same messages both ways, in turns."""
    count = 1_000 if scale.quick else 20_000
    progress("pages: inventing messages")
    deliveries = await messages(count)
    found: dict[tuple[int, str], list[float]] = {}
    with scratch() as folder:
        async with EmbeddedPostgres.running(folder / "data") as database:
            for number in range(scale.rounds):
                for size in _SIZES:
                    progress(f"pages, round {number + 1}: batches of {size}")
                    async with empty_database(database.url, "recorded") as url:
                        took = await record(url, list(batches(deliveries, size)))
                        rows = await stored(url, size)
                    async with empty_database(database.url, "copied") as url:
                        bare = await copy(url, rows)
                    found.setdefault((size, "record"), []).append(count / took)
                    found.setdefault((size, "COPY"), []).append(count / bare)
    findings = Findings([f"{count:,} messages of all engines, over one connection.", ""])
    table = []
    for size in _SIZES:
        recorded, copied = (middle(found[size, way], float) for way in ("record", "COPY"))
        ratio = recorded / copied
        table.append((f"{size:,}", f"{recorded:,.0f}", f"{copied:,.0f}", f"{ratio:.2f}"))
        findings.goals.append(
            Goal.at_least(f"record() / bare COPY, batches of {size}", _AIM, ratio)
        )
    findings.table(("batch", "record(), messages/s", "bare COPY, messages/s", "ratio"), table)
    return findings


async def messages(count: int) -> list[Delivery]:
    """Return deliveries of *count* messages, each of which is another one."""
    reader, known = WahaReader(), InMemoryArchive()
    found: list[Delivery] = []
    now = datetime(2026, 10, 3, 12, tzinfo=UTC)
    for body in Traffic(start=now, engine=None, history=timedelta(0)):
        for delivery in reader.read(body.body, received_at=now, source=Source.SYNC):
            [outcome] = await known.record([delivery])
            seen = any(isinstance(what, MessageSeen) for what in delivery.observations)
            if seen and outcome.outcome is Outcome.STORED:
                found.append(delivery)
        if len(found) >= count:
            break
    return found[:count]


def batches(deliveries: Sequence[Delivery], size: int) -> Iterator[Sequence[Delivery]]:
    """Cut into pages."""
    for start in range(0, len(deliveries), size):
        yield deliveries[start : start + size]


@asynccontextmanager
async def empty_database(server: str, name: str) -> AsyncIterator[str]:
    """Yield the URL of a migrated database of that name, which is new and goes afterwards."""
    url = server.replace("/wagateway?", f"/{name}?")
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as conn:
        await conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            await migrate(url)
            yield url
        finally:
            await conn.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


async def record(url: str, pages: Sequence[Sequence[Delivery]]) -> float:
    """Return the seconds that the archive takes for *pages*."""
    async with open_pool(url, max_size=1, prepare_threshold=5) as pool:
        archive = TimescaleArchive(pool)
        began = time.perf_counter()
        for page in pages:
            await archive.record(page)
        return time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class Table:
    """Where rows go: the columns that are not numbered by the database, and their types."""

    name: str
    columns: str
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """What one transaction of the bare COPY sends: rows of each table, texts for the search."""

    rows: Sequence[tuple[Table, Sequence[tuple[Any, ...]]]]
    texts: str


async def stored(url: str, size: int) -> list[Page]:
    """Return the rows that were recorded, cut into pages."""
    async with open_pool(url, max_size=1) as pool, pool.connection() as conn:
        cursor = conn.cursor(row_factory=tuple_row)
        rows = []
        for name in _COPIED:
            table = await _table(cursor, name)
            query = f"SELECT {table.columns} FROM whatsapp_gateway.{name} ORDER BY ctid"
            await cursor.execute(query.encode())
            rows.append((table, await cursor.fetchall()))
        await cursor.execute(
            "SELECT session_id, chat_id, stanza_id, author, coalesce(text, '') "
            "FROM whatsapp_gateway.messages ORDER BY ctid"
        )
        texts = [dict(zip(_WORDS_KEYS, row, strict=True)) for row in await cursor.fetchall()]
    most = max(len(found) for _, found in rows)
    return [
        Page(
            [(table, found[start : start + size]) for table, found in rows],
            msgspec.json.encode(texts[start : start + size]).decode(),
        )
        for start in range(0, most, size)
    ]


async def _table(cursor: psycopg.AsyncCursor[tuple[Any, ...]], name: str) -> Table:
    await cursor.execute(
        "SELECT a.attname, CASE t.typtype WHEN 'e' THEN 'text' ELSE t.typname END "
        "FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid "
        "WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND a.attidentity = '' ORDER BY a.attnum",
        [f"whatsapp_gateway.{name}"],
    )
    columns, types = zip(*await cursor.fetchall(), strict=True)
    return Table(name, ", ".join(columns), tuple(_ARRAYS.get(type_, type_) for type_ in types))


async def copy(url: str, pages: Sequence[Page]) -> float:
    """Return the seconds that bare COPYs of *pages* take, a transaction each."""
    async with open_pool(url, max_size=1) as pool, pool.connection() as conn:
        began = time.perf_counter()
        for page in pages:
            async with conn.transaction():
                for table, rows in page.rows:
                    query = (
                        f"COPY whatsapp_gateway.{table.name} ({table.columns}) "
                        "FROM STDIN (FORMAT BINARY)"
                    )
                    async with conn.cursor() as cursor, cursor.copy(query.encode()) as stream:
                        stream.set_types(table.types)
                        for row in rows:
                            await stream.write_row(row)
                await conn.execute(_WORDS, [page.texts])
        return time.perf_counter() - began
