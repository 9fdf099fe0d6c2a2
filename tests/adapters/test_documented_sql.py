"""The SQL of the documentation runs on the migrated schema as it is printed."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale.migrate import migrate
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.settings import Settings
from wagateway.simulator.traffic import Traffic

pytestmark = pytest.mark.embedded

ROOT = Path(__file__).resolve().parents[2]
SQL = (ROOT / "docs" / "SQL.md").read_text("utf-8")
_BLOCK = re.compile(r"```sql\n(.*?)```", re.DOTALL)
_ROW = re.compile(r"^\| `(\w+)` \| .*? \| `([\w, ]+)`[^|]* \| .* \|$", re.MULTILINE)
ANA = "5511987650102@c.us"
FILLING: tuple[LiteralString, ...] = (
    # What only workers do: files that were fetched or not, spans that were proven, work to do.
    "UPDATE whatsapp_gateway.media_downloads SET download_status = 'failed', problem = 'away'",
    (
        "INSERT INTO whatsapp_gateway.media_objects (sha256, size_bytes, mimetype, stored_at, uses)"
        " VALUES (repeat('ab', 32), 48213, 'image/jpeg', now(), 1)"
    ),
    (
        "UPDATE whatsapp_gateway.media_downloads SET download_status = 'completed',"
        " sha256 = repeat('ab', 32), problem = NULL WHERE (session_id, chat_id, stanza_id, author)"
        " = (SELECT session_id, chat_id, stanza_id, author FROM whatsapp_gateway.media_downloads"
        " LIMIT 1)"
    ),
    (
        "INSERT INTO whatsapp_gateway.coverage (session_id, chat_id, spans) SELECT session_id, '',"
        " tstzmultirange(tstzrange(NULL, now() - interval '1 day')) FROM whatsapp_gateway.sessions"
    ),
    (
        "INSERT INTO whatsapp_gateway.session_statuses (session, at, status)"
        " SELECT session, now() + interval '1 day', 'WORKING' FROM whatsapp_gateway.sessions"
        " ON CONFLICT DO NOTHING"
    ),
    (
        "INSERT INTO whatsapp_gateway.sync_state (session_id, session, chat_id, status, due_at)"
        " SELECT session_id, session, '', 'pending', now() FROM whatsapp_gateway.sessions"
    ),
)
WITH_NUL = rb"""{"event": "message.any", "session": "default", "engine": "GOWS",
"me": {"id": "5511912340001@c.us"}, "payload": {"id": "false_5511987650103@c.us_A1", "timestamp":
1791028800, "from": "5511987650103@c.us", "fromMe": false, "body": "a\u0000b"}}"""
"""What the type json does not read."""
BUSIEST: LiteralString = (
    "SELECT chat_id FROM whatsapp_gateway.messages WHERE chat_id LIKE '%@c.us'"
    " GROUP BY chat_id ORDER BY count(*) DESC LIMIT 1"
)
RELATIONS: LiteralString = (
    "SELECT c.relname, string_agg(a.attname, ', ' ORDER BY array_position(i.indkey, a.attnum))"
    " FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary"
    " LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)"
    " WHERE c.relnamespace = 'whatsapp_gateway'::regnamespace AND c.relkind IN ('r', 'v', 'p')"
    " GROUP BY c.relname"
)

Connection = psycopg.AsyncConnection[tuple[object, ...]]


@pytest.fixture(scope="module")
async def filled(embedded_server: str) -> AsyncIterator[str]:
    """An archive of a lively account; on the embedded server, since its superuser is known."""
    async with fresh_database(embedded_server) as url:
        traffic = Traffic(start=datetime.now(UTC), rate=20.0, history=timedelta(days=3))
        async with open_services(Settings(database_url=url, spool="off")) as services:
            deliveries = islice(traffic, 2000)
            while some := list(islice(deliveries, 100)):  # at once, so that they share commits
                await asyncio.gather(*(services.ingest(each.body) for each in some))
            await services.ingest(WITH_NUL)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            for statement in FILLING:
                await conn.execute(statement)
        yield url


def statements_in(text: str) -> Iterator[str]:
    for block in _BLOCK.findall(text):
        yield from (part.strip() for part in block.split(";") if part.strip())


@pytest.mark.parametrize(
    ("page", "least"),
    [("README.md", 5), ("docs/MEDIA.md", 3), ("docs/OPERATING.md", 1), ("docs/COMPLETENESS.md", 1)],
)
async def test_every_query_that_is_shown_runs(postgres_server: str, page: str, least: int) -> None:
    statements = list(statements_in((ROOT / page).read_text()))
    assert len(statements) >= least
    async with fresh_database(postgres_server) as url:
        await migrate(url)
        async with await psycopg.AsyncConnection.connect(url) as conn:
            for statement in statements:
                await conn.execute(statement)


QUERIES = [each for each in statements_in(SQL) if each.startswith(("SELECT", "WITH", "COPY"))]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
async def test_every_query_of_the_page_of_sql_finds_something(filled: str, query: str) -> None:
    async with await psycopg.AsyncConnection.connect(filled) as conn:
        (busiest,) = await one(conn, BUSIEST)
        asked = query.replace(ANA, str(busiest))
        if query.startswith("COPY"):
            async with conn.cursor().copy(asked) as copy:
                lines = [bytes(line) async for line in copy]
            assert len(lines) > 1  # below the head
        else:
            assert await (await conn.execute(asked)).fetchall()


async def one(conn: Connection, query: LiteralString) -> tuple[object, ...]:
    row = await (await conn.execute(query)).fetchone()
    assert row is not None
    return row


def test_every_statement_is_a_query_or_makes_a_role() -> None:
    others = [each for each in statements_in(SQL) if each not in QUERIES]
    assert len(QUERIES) >= 30
    assert {each.split()[0] for each in others} == {"CREATE", "ALTER", "GRANT"}


async def test_the_roles_that_are_made_can_read_what_they_may_and_write_nothing(
    filled: str,
) -> None:
    parts = urlsplit(filled)
    boss = parts._replace(netloc=parts.netloc.replace("wagateway:", "postgres:")).geturl()
    async with (
        await psycopg.AsyncConnection.connect(boss) as conn,
        conn.transaction(force_rollback=True),  # roles are the whole server's
    ):
        for statement in statements_in(SQL):
            if statement not in QUERIES:
                await conn.execute(statement)
        await conn.execute("CREATE TABLE whatsapp_gateway.later ()")
        await conn.execute("SET LOCAL ROLE analyst")
        for query in QUERIES:
            if not query.startswith("COPY"):
                await conn.execute(query)
        await conn.execute("SELECT FROM whatsapp_gateway.later")
        await refused(conn, "DELETE FROM whatsapp_gateway.messages")
        await conn.execute("SET LOCAL ROLE statistics")
        await one(conn, "SELECT * FROM whatsapp_gateway.messages_hourly_stats")
        await one(conn, "SELECT * FROM whatsapp_gateway.active_sessions")
        await refused(conn, "SELECT text FROM whatsapp_gateway.messages")


async def refused(conn: Connection, statement: LiteralString) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        async with conn.transaction():
            await conn.execute(statement)


async def test_the_page_of_sql_has_all_tables_and_views_and_their_keys(filled: str) -> None:
    async with await psycopg.AsyncConnection.connect(filled) as conn:
        found: dict[object, object] = dict(await (await conn.execute(RELATIONS)).fetchall())
    assert [name for name in found if f"`{name}`" not in SQL] == []
    told = dict(_ROW.findall(SQL))
    assert len(told) >= 20
    found["messages"] = found["message_state"]  # which keeps it unique
    assert told == {name: found[name] for name in told}
