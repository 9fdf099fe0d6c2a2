"""How many chunks each statement touches, and that none reads a table from end to end.

Plans are told by their structure, not by their cost: sequential scans are switched off, so one that
is left had no other way. On a server without TimescaleDB the whole table is one chunk.
"""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any, LiteralString

import msgspec
import pytest
from tests.contracts.archives import in_postgres
from tests.support.deliveries import ANA, BRUNO, NOON, SECOND, SESSION, delivery, seen
from tests.support.postgres import Servers, fresh_database

from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale.migrate import migrate, storage_of
from wagateway.adapters.timescale.pool import Connection, Pool, open_pool
from wagateway.adapters.timescale.storage import EVENT_LOG, MESSAGES, StoragePlan

pytestmark = pytest.mark.embedded

WEEK = timedelta(days=7)
CHUNKS = 20
SMALL = {"uptimes"}
"""Tables that are read as a whole."""
MIDDLE = NOON - 10 * WEEK
_MANY = (
    "FROM (VALUES (%s::int, %s, %s, %s::timestamptz)) AS v (a, b, c, d),"
    " generate_series(1, 4000) AS n"
)
CROWD: tuple[LiteralString, ...] = (
    "INSERT INTO whatsapp_gateway.messages (session_id, session, chat_id, stanza_id, author,"
    " sent_at, waha_id, from_me, kind, completeness, forwarded, forwarding_score, view_once)"
    " SELECT a, b, c, n, 'them', d + n * interval '1 s', '', false, 'text', 'a', false, 0, false "
    + _MANY,
    (
        "INSERT INTO whatsapp_gateway.message_state"
        " (session_id, chat_id, stanza_id, author, sent_at)"
        f" SELECT a, c, n, 'them', d + n * interval '1 s' {_MANY}"
    ),
    (
        "INSERT INTO whatsapp_gateway.message_search"
        " (session_id, chat_id, stanza_id, author, words)"
        f" SELECT a, c, n, 'them', to_tsvector('simple', 'dia' || n) {_MANY}"
    ),
    "ANALYZE",
)
"""Enough messages of one chat that the planner has to choose well."""
_ALL_OF = dict.fromkeys(("outcome", "session", "event", "since", "until"))


@pytest.fixture(scope="module")
async def pool(postgres_servers: Servers, postgres_server: str) -> AsyncIterator[Pool]:
    """Two chats of twenty weeks, in chunks of a week where there are chunks."""
    async with fresh_database(postgres_server) as url:
        await migrate(url, storage=StoragePlan(chunk_days=7))
        async with open_pool(url, max_size=2) as pool:
            told = [
                delivery(
                    seen(f"semana{n}", chat=chat, stanza=f"A{n}", sent_at=NOON - n * WEEK),
                    at=NOON - n * WEEK,
                )
                for n in range(CHUNKS)
                for chat in (ANA, BRUNO)
            ]
            await in_postgres(pool).record(*told)
            for table in (MESSAGES, EVENT_LOG):
                found = (await storage_of(url)).table(table)
                assert found is not None
                assert found.chunk is None or found.chunks >= CHUNKS
            async with pool.connection() as conn:
                await conn.execute("ANALYZE")
            yield pool


@pytest.fixture
async def conn(pool: Pool) -> AsyncIterator[Connection]:
    """A connection in a transaction that leaves nothing."""
    async with pool.connection() as conn, conn.transaction(force_rollback=True):
        await conn.execute("SET LOCAL enable_seqscan = off")
        yield conn


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes_of(inner)


async def touched(
    conn: Connection,
    statement: bytes,
    whole: frozenset[str] = frozenset(),
    /,
    **values: object,
) -> set[str]:
    """Run *statement*; return the chunks of messages and log that it looked into by an index.

    It may read the tables named in *whole* as such.
    """
    cursor = await conn.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement, values)
    row = await cursor.fetchone()
    assert row is not None
    [found] = row["QUERY PLAN"]
    scans = [
        node
        for node in nodes_of(found["Plan"])
        if "Relation Name" in node and node["Node Type"] != "ModifyTable"
    ]
    found_whole = {node["Relation Name"] for node in scans if node["Node Type"] == "Seq Scan"}
    assert found_whole <= SMALL | whole
    return {
        node["Relation Name"]
        for node in scans
        if node["Actual Loops"]
        and node["Node Type"] != "Custom Scan"  # which only begins those below it
        and re.fullmatch(f"{MESSAGES}|{EVENT_LOG}|_hyper_.*", node["Relation Name"])
    }


async def session_id(conn: Connection) -> int:
    cursor = await conn.execute("SELECT session_id FROM whatsapp_gateway.sessions")
    row = await cursor.fetchone()
    assert row is not None
    return int(row["session_id"])


def page(**values: object) -> dict[str, object]:
    return {"chat": ANA, "stanza": "A10", "author": "them", "sent_at": MIDDLE, "limit": 2} | values


@pytest.mark.parametrize("query", ["latest_messages", "older_messages", "newer_messages"])
async def test_a_page_ends_after_its_chunks(conn: Connection, query: str) -> None:
    values = page(session_id=await session_id(conn))
    assert len(await touched(conn, QUERIES[query], **values)) <= 3


@pytest.mark.parametrize("query", ["remove_facts", "move_facts"])
async def test_a_message_that_moves_or_goes_touches_its_chunk(conn: Connection, query: str) -> None:
    rows = [
        {
            "chat": ANA,
            "stanza": f"A{n}",
            "author": "them",
            "sent_at": NOON - n * WEEK,
            "new_chat": BRUNO,
            "new_author": "them",
        }
        for n in (5, 6)
    ]
    found = await touched(
        conn,
        QUERIES[query],
        session_id=await session_id(conn),
        rows=msgspec.json.encode(rows).decode(),
        chats=[ANA],
        first=NOON - 6 * WEEK,
        last=NOON - 5 * WEEK,
    )
    assert 1 <= len(found) <= 2


async def test_the_latest_activity_is_in_the_last_chunk(conn: Connection) -> None:
    values = {"session_id": await session_id(conn), "chats": [ANA]}
    assert len(await touched(conn, QUERIES["refresh_activity"], **values)) == 1


@pytest.mark.parametrize("query", ["event_page", "logged_bodies"])
async def test_a_span_of_the_log_is_read_in_its_chunks(conn: Connection, query: str) -> None:
    span = {"since": MIDDLE, "until": MIDDLE + WEEK - SECOND}
    place = {"before": 10**6, "after": 0, "limit": 50}
    assert 1 <= len(await touched(conn, QUERIES[query], **_ALL_OF | span | place)) <= 2


async def test_completeness_looks_at_both_ends_of_the_log(conn: Connection) -> None:
    values = {"session": SESSION, "chat_id": ANA, "session_id": await session_id(conn)}
    assert len(await touched(conn, QUERIES["completeness"], **values)) <= 2


async def test_the_log_is_purged_in_its_old_chunks(conn: Connection) -> None:
    values = {"session": SESSION, "before": NOON - 17 * WEEK, "limit": 100}
    assert len(await touched(conn, QUERIES["purge_log"], **values)) <= 4


async def test_who_watches_reads_no_table_from_end_to_end(conn: Connection) -> None:
    """But for one with a row for each session, and one that it reads up to a limit."""
    whole = frozenset({"sessions", "sync_state"})
    values = {
        "now": NOON,
        "since": NOON - WEEK,
        "most": 1000,
        "most_chats": 10,
        "most_sessions": 10,
        "late_s": 900.0,
        "statuses": ["pending", "failed"],
    }
    await touched(conn, QUERIES["archive_figures"], whole, **values)


async def test_a_message_is_found_by_its_state_s_time(conn: Connection) -> None:
    """The search of the README: an entry of an index for each hit, not all of its chat."""
    for statement in CROWD:
        values = [await session_id(conn), SESSION, ANA, NOON]
        await conn.execute(statement, values if "%s" in statement else None)
    cursor = await conn.execute(
        "EXPLAIN (FORMAT JSON) SELECT m.text FROM whatsapp_gateway.message_search AS s"
        " JOIN whatsapp_gateway.current_messages AS m"
        " USING (session_id, chat_id, stanza_id, author)"
        " WHERE s.words @@ 'semana3'::tsquery"
    )
    row = await cursor.fetchone()
    assert row is not None
    [found] = row["QUERY PLAN"]
    looks = [n for n in nodes_of(found["Plan"]) if "history_idx" in n.get("Index Name", "")]
    assert looks
    assert all("sent_at" in node["Index Cond"] for node in looks)
