"""The feed while several write at once, whose commits come in another order than their numbers."""

import asyncio
import itertools
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from tests.support.deliveries import delivery, seen
from tests.support.depth import examples
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.feed import TimescaleChangeFeed
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import Connection, Pool, open_pool
from wagateway.domain.feed import ChangeKind, Item, Position, Told, position_of
from wagateway.domain.identity import StanzaId

pytestmark = pytest.mark.embedded

SESSIONS = ("a", "b", "c")


@pytest.fixture(scope="module")
async def url(postgres_server: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_server) as url:
        await migrate(url)
        yield url


@pytest.fixture(scope="module")
async def pool(url: str) -> AsyncIterator[Pool]:
    async with open_pool(url, max_size=8) as pool:
        await TimescaleArchive(pool).record([delivery(session=name) for name in SESSIONS])
        yield pool


_numbers = itertools.count(1)


def stanza() -> StanzaId:
    """Return an id that no other message of this run has."""
    return StanzaId(f"S{next(_numbers)}")


@dataclass
class Writer:
    """A transaction that writes as the archive does, and stays open until it is told to end."""

    conn: Connection
    session: str
    told: list[StanzaId]

    @classmethod
    async def begun(cls, stack: AsyncExitStack, url: str, session: str, items: int) -> "Writer":
        conn = await stack.enter_async_context(
            await psycopg.AsyncConnection[dict[str, Any]].connect(url, row_factory=dict_row)
        )
        keys = [zlib.crc32(session.encode()) - 2**31]
        await conn.execute(QUERIES["begin_writing"], {"space": 0x57414757, "keys": keys})
        told = [stanza() for _ in range(items)]
        await conn.execute(
            "INSERT INTO whatsapp_gateway.changes (session_id, items)"
            " SELECT session_id, %s::jsonb FROM whatsapp_gateway.sessions WHERE session = %s",
            [
                msgspec.json.encode(
                    [Item(kind=ChangeKind.MESSAGE, stanza=s) for s in told]
                ).decode(),
                session,
            ],
        )
        return cls(conn, session, told)


@dataclass
class Reader:
    """Somebody who follows the feed, and loses what was not handled when the line breaks."""

    feed: TimescaleChangeFeed
    place: Position
    handled: list[Told] = field(default_factory=list)

    async def read(self, limit: int, keep: int | None = None) -> bool:
        """Read a page and handle the first *keep* of it, then go on from the last one's id."""
        page = await self.feed.read(self.place, limit=limit)
        assert not page.reset
        assert page.told or not page.more
        mine = page.told if keep is None else page.told[:keep]
        self.handled += mine
        broke_off = len(mine) < len(page.told)
        if not broke_off:
            self.place = page.until
        elif mine:
            self.place = position_of(mine[-1].position.id)
        return page.more or broke_off

    def of_each(self) -> dict[str, list[StanzaId | None]]:
        found: dict[str, list[StanzaId | None]] = defaultdict(list)
        for one in self.handled:
            found[one.session].append(one.item.stanza)
        return found


async def test_nothing_behind_an_open_transaction_is_told_before_it(url: str, pool: Pool) -> None:
    feed, before = TimescaleChangeFeed(pool), datetime.now(UTC)
    reader = Reader(feed, await feed.position())
    async with AsyncExitStack() as stack:
        first = await Writer.begun(stack, url, "a", 1)
        second = await Writer.begun(stack, url, "b", 1)
        await second.conn.commit()
        await reader.read(10)
        assert reader.handled == []
        held = await feed.held_since()
        assert held is not None
        assert before <= held <= datetime.now(UTC)
        await first.conn.commit()
    await reader.read(10)
    assert [one.item.stanza for one in reader.handled] == [*first.told, *second.told]
    assert await feed.held_since() is None


async def test_numbers_are_not_the_order_of_commits(url: str, pool: Pool) -> None:
    """What the feed is for: by the number alone, one of two changes would be passed over."""
    feed = TimescaleChangeFeed(pool)
    reader = Reader(feed, await feed.position())
    async with AsyncExitStack() as stack:
        early = await stack.enter_async_context(await psycopg.AsyncConnection.connect(url))
        await early.execute("SELECT pg_current_xact_id()")  # older, but its row gets a later number
        late = await Writer.begun(stack, url, "b", 1)
        await late.conn.commit()
        await early.execute(
            "INSERT INTO whatsapp_gateway.changes (session_id, items)"
            ' SELECT min(session_id), \'[{"kind": "sync"}]\' FROM whatsapp_gateway.sessions'
        )
        await reader.read(10)
        assert reader.handled == []
        await early.commit()
    await reader.read(10)
    first, second = reader.handled
    assert first.item.kind is ChangeKind.SYNC
    assert first.position.change > second.position.change


async def test_a_transaction_that_is_undone_holds_nothing_up_for_good(url: str, pool: Pool) -> None:
    feed = TimescaleChangeFeed(pool)
    reader = Reader(feed, await feed.position())
    async with AsyncExitStack() as stack:
        undone = await Writer.begun(stack, url, "a", 2)
        kept = await Writer.begun(stack, url, "b", 2)
        await kept.conn.commit()
        await undone.conn.rollback()
    await reader.read(10)
    assert [one.item.stanza for one in reader.handled] == kept.told


_sessions = st.sampled_from(SESSIONS)
_readers = st.integers(0, 2)
_steps = st.one_of(
    st.tuples(st.just("begin"), _sessions, st.integers(1, 3)),
    st.tuples(st.just("commit"), _sessions, st.just(0)),
    st.tuples(st.just("undo"), _sessions, st.just(0)),
    st.tuples(st.just("record"), _sessions, st.integers(1, 3)),
    st.tuples(st.just("read"), _readers, st.integers(1, 3)),
    st.tuples(st.just("break off"), _readers, st.integers(0, 2)),
)


@given(steps=st.lists(_steps, min_size=5, max_size=40))
@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.timeout(600)
async def test_each_commit_is_told_once_and_in_order_whoever_writes_and_breaks_off(  # noqa: C901 - a branch for each step
    url: str, pool: Pool, steps: list[tuple[str, Any, int]]
) -> None:
    feed, archive = TimescaleChangeFeed(pool), TimescaleArchive(pool)
    now = await feed.position()
    readers = [Reader(feed, now) for _ in range(3)]
    committed: dict[str, list[StanzaId | None]] = defaultdict(list)
    open_: dict[str, Writer] = {}

    async with AsyncExitStack() as stack:
        for what, which, number in steps:
            if what == "begin" and which not in open_:
                open_[which] = await Writer.begun(stack, url, which, number)
            elif what == "commit" and which in open_:
                writer = open_.pop(which)
                await writer.conn.commit()
                committed[which] += writer.told
            elif what == "undo" and which in open_:
                await open_.pop(which).conn.rollback()
            elif what == "record" and which not in open_:
                told = [stanza() for _ in range(number)]
                await archive.record([delivery(seen(stanza=s), session=which) for s in told])
                committed[which] += told
            elif what == "read":
                await readers[which].read(number)
            elif what == "break off":
                await readers[which].read(3, keep=number)
        for which, writer in open_.items():
            await writer.conn.commit()
            committed[which] += writer.told
    for reader in readers:
        while await reader.read(2):
            pass
        assert reader.of_each() == committed


@pytest.mark.timeout(300)
@given(seed=st.integers(0, 2**32), limit=st.integers(1, 5))
@settings(
    max_examples=examples(5),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_writers_and_readers_at_once(pool: Pool, seed: int, limit: int) -> None:
    feed, archive = TimescaleChangeFeed(pool), TimescaleArchive(pool)
    now = await feed.position()
    readers = [Reader(feed, now) for _ in range(3)]
    committed: dict[str, list[StanzaId | None]] = defaultdict(list)
    writing = True

    async def write(session: str, salt: int) -> None:
        for step in range(12):
            told = [stanza() for _ in range(1 + (seed + salt * step) % 30)]
            await archive.record([delivery(seen(stanza=s), session=session) for s in told])
            committed[session] += told

    async def follow(reader: Reader, salt: int) -> None:
        step = 0
        more = True
        while writing or more:
            step += 1
            keep = None if (seed + salt + step) % 3 else step % 4
            more = await reader.read(limit, keep)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as readings:
        for number, reader in enumerate(readers):
            readings.create_task(follow(reader, number))
        async with asyncio.TaskGroup() as writings:
            for number, session in enumerate(SESSIONS):
                writings.create_task(write(session, number + 1))
        writing = False
    for reader in readers:
        while await reader.read(limit):
            pass
        assert reader.of_each() == committed


async def test_rows_of_another_server_are_removed_and_do_not_count(url: str, pool: Pool) -> None:
    feed = TimescaleChangeFeed(pool)
    before = await feed.position()
    async with pool.connection() as conn:
        await conn.execute(
            "INSERT INTO whatsapp_gateway.changes (xid, session_id, items)"
            " SELECT '1000000000000', min(session_id), '[{\"kind\": \"sync\"}]'"
            " FROM whatsapp_gateway.sessions"
        )
    assert (await feed.read(before, limit=10)).told == []
    await feed.forget(older_than=timedelta(days=1), limit=10)
    async with pool.connection() as conn:
        cursor = await conn.execute(
            "SELECT count(*) AS rows FROM whatsapp_gateway.changes WHERE xid >= '1000000000000'"
        )
        assert await cursor.fetchall() == [{"rows": 0}]
    assert not (await feed.read(before, limit=10)).reset


async def test_a_page_walks_the_index(pool: Pool) -> None:
    async with pool.connection() as conn, conn.transaction(force_rollback=True):
        await conn.execute(
            "INSERT INTO whatsapp_gateway.changes (xid, session_id, items)"
            " SELECT n::text::xid8, 1, '[]' FROM generate_series(1, 20000) AS n"
        )
        await conn.execute("ANALYZE whatsapp_gateway.changes")
        values = {"xid": "19000", "change": 0, "item": 0, "limit": 10}
        plan = await (await conn.execute(b"EXPLAIN " + QUERIES["feed_page"], values)).fetchall()
    text = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "Index Scan using changes_pkey" in text
    assert "Seq Scan on changes t" not in text
