"""What only PostgreSQL does: its statements, its locks, and its absence."""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator
from typing import LiteralString, cast

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import AsyncNullConnectionPool
from tests.contracts.archives import in_memory
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BRUNO,
    GROUP,
    NOON,
    SECOND,
    SESSION,
    delivery,
    linked,
    reacted,
    ref,
    seen,
)
from tests.support.postgres import Servers, fresh_database

from wagateway.adapters.timescale._queries import LONGEST, QUERIES, doing, loading
from wagateway.adapters.timescale._rows import TABLES
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.pool import _configure, open_pool
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import (
    AckAdvanced,
    AnyObservation,
    Delivery,
    EventAnswered,
    Outcome,
    ReactionChanged,
)
from wagateway.domain.identity import SessionName
from wagateway.domain.messages import Ack, MediaOffer
from wagateway.ports.archive import LogFilter

pytestmark = pytest.mark.embedded


@pytest.fixture
async def url(postgres_servers: Servers) -> AsyncIterator[str]:
    """A migrated, empty database."""
    async with postgres_servers.migrated() as url:
        yield url


async def test_every_statement_fits_the_schema(url: str) -> None:
    unfit: dict[str, str] = {}
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        for name, statement in QUERIES.items():
            try:
                await tried(conn, name, statement)
            except psycopg.Error as exc:
                unfit[name] = str(exc)
    assert len(QUERIES) > 100
    assert unfit == {}


async def tried(conn: psycopg.AsyncConnection, name: str, statement: bytes) -> None:
    if name.startswith("copy_"):
        async with conn.cursor().copy(statement):
            pass
    elif name == "one_snapshot":  # nothing that can be prepared
        async with conn.transaction():
            await conn.execute(statement)
    else:
        await prepare(conn, statement)


SYNC_ALONE = {"enrol_chats", "other_digests", "save_digests"}
"""Statements of sync over rows, which are never joined with others."""


async def test_statements_fit_together(url: str) -> None:
    names = [
        name
        for name, statement in QUERIES.items()
        if b"%(rows)s" in statement and name not in SYNC_ALONE
    ]
    loads = tuple(name for name in names if name.startswith("load_"))
    others = tuple(name for name in names if name not in loads)
    assert {table.load for table in TABLES.values()} <= set(loads)
    assert {table.save for table in TABLES.values()} <= set(others)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await prepare(conn, loading(loads))
        for statement in doing(others):
            assert len(statement) <= LONGEST
            await prepare(conn, statement)


async def prepare(conn: psycopg.AsyncConnection, statement: bytes) -> None:
    names = itertools.count(1)
    text = statement.decode()
    for field in sorted(fields(text), key=len, reverse=True):
        text = text.replace(f"%({field})s", f"${next(names)}")
    await conn.execute(f"PREPARE q AS {text.replace('%%', '%')}".encode())
    await conn.execute("DEALLOCATE q")


def fields(statement: str) -> set[str]:
    return {part.split(")s", 1)[0] for part in statement.split("%(")[1:]}


def conversation(session: str, seed: int) -> list[Delivery]:
    """Return overlapping deliveries about few messages: what several processes fight over."""
    dice = random.Random(seed)
    told = []
    for n in range(120):
        stanza = f"A{dice.randrange(25)}"
        chat = dice.choice([ANA, ANA_LID, GROUP])
        by = dice.choice([ANA, BRUNO]) if chat == GROUP else None
        choices: list[AnyObservation] = [
            seen(f"texto {stanza} {by}", chat=chat, stanza=stanza, by=by),
            AckAdvanced(ref=ref(chat, stanza, from_me=True), ack=Ack.READ, at=NOON),
            ReactionChanged(
                ref=ref(chat, stanza), sender=by or chat, from_me=False, emoji="👍", at=NOON
            ),
            linked(),
        ]
        what = dice.choice(choices)
        told.append(delivery(what, at=NOON + n * SECOND, session=session))
    return told


async def test_two_processes_on_one_database_neither_deadlock_nor_twin(url: str) -> None:
    sessions = ["a", "b", "c"]
    told = [d for n, name in enumerate(sessions) for d in conversation(name, n)]
    async with open_pool(url, max_size=3) as one, open_pool(url, max_size=3) as other:
        archives = [TimescaleArchive(one), TimescaleArchive(other)]
        groups = []
        for seed in range(4):
            shuffled = random.Random(seed).sample(told, len(told))
            size = [7, 30, 60, 1][seed]
            cut = [shuffled[i : i + size] for i in range(0, 180 if size == 1 else 360, size)]
            groups += [(archives[(seed + i) % 2], group) for i, group in enumerate(cut)]
        random.Random(9).shuffle(groups)
        running = asyncio.Semaphore(6)

        async def record(archive: TimescaleArchive, group: list[Delivery]) -> None:
            async with running:
                outcomes = await archive.record(group)
                assert not [r for r in outcomes if r.outcome is Outcome.FAILED]

        await asyncio.gather(*(record(archive, group) for archive, group in groups))
        expected = in_memory()
        await expected.record(*told)
        reader = TimescaleReader(one)
        for name in sessions:
            for chat in (ANA, GROUP):
                mine = await reader.messages(SessionName(name), [chat], limit=500)
                theirs = await expected.reader.messages(SessionName(name), [chat], limit=500)
                assert mine.messages == theirs.messages


async def test_a_cut_connection_costs_no_acknowledged_delivery(url: str) -> None:
    acknowledged: list[str] = []
    async with open_pool(url, max_size=4, timeout_s=3) as pool:
        archive = TimescaleArchive(pool)

        async def deliver(number: int) -> None:
            stanza = f"S{number}"
            try:
                await archive.record([delivery(seen(stanza=stanza), session=f"s{number % 5}")])
            except StoreUnavailable:
                return
            acknowledged.append(stanza)

        async def cut() -> None:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
                for _ in range(8):
                    await asyncio.sleep(0.03)
                    await conn.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                        " AND backend_type = 'client backend'"
                    )

        await asyncio.gather(cut(), *(deliver(n) for n in range(150)))
        reader = TimescaleReader(pool)
        kept = [
            message.id
            for n in range(5)
            for message in (await reader.messages(SessionName(f"s{n}"), [ANA], limit=500)).messages
        ]
    assert len(acknowledged) > 50
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))


async def test_a_database_that_is_away_is_unavailable() -> None:
    async with open_pool("postgresql://nobody@127.0.0.1:9/none", timeout_s=0.3) as pool:
        with pytest.raises(StoreUnavailable):
            await TimescaleArchive(pool).record([delivery(seen())])
        with pytest.raises(StoreUnavailable):
            await TimescaleReader(pool).ping()


async def test_a_store_that_is_away_turns_callers_away_soon_and_works_when_it_is_back(
    url: str, postgres_server: str
) -> None:
    async with open_pool(url, timeout_s=0.3) as pool:
        archive, reader = TimescaleArchive(pool), TimescaleReader(pool)
        await archive.record([delivery(seen())])
        await allow_connections(postgres_server, url, allowed=False)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await archive.record([delivery(seen(stanza="A2"))])
        with pytest.raises(StoreUnavailable):
            await reader.messages(SESSION, [ANA])
        assert time.monotonic() - started < 5
        await allow_connections(postgres_server, url, allowed=True)
        async with asyncio.timeout(30):
            while not await recorded(archive, delivery(seen(stanza="A3"))):
                await asyncio.sleep(0.05)
        page = await reader.messages(SESSION, [ANA])
        assert {message.id for message in page.messages} == {"A1", "A3"}


async def test_a_database_is_found_again_in_seconds_however_long_it_was_away(
    url: str, postgres_server: str
) -> None:
    """Else the pauses between two tries, which double, would be as long as the outage was."""
    async with open_pool(url, timeout_s=0.3) as pool:
        archive = TimescaleArchive(pool)
        await archive.record([delivery(seen())])
        await allow_connections(postgres_server, url, allowed=False)
        away_until = time.monotonic() + 8.5  # doubled, the pause then would end 5 s later
        while time.monotonic() < away_until:
            assert not await recorded(archive, delivery(seen(stanza="A2")))
        await allow_connections(postgres_server, url, allowed=True)
        async with asyncio.timeout(4):
            while not await recorded(archive, delivery(seen(stanza="A2"))):
                await asyncio.sleep(0.05)


async def allow_connections(server_url: str, url: str, *, allowed: bool) -> None:
    """Open or close the database of *url*; closing it cuts those who are in."""
    name = str(conninfo_to_dict(url)["dbname"])
    async with await psycopg.AsyncConnection.connect(server_url, autocommit=True) as conn:
        change = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        await conn.execute(change.format(sql.Identifier(name), sql.Literal(allowed)))
        if not allowed:
            await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND backend_type = 'client backend'",
                [name],
            )


async def recorded(archive: TimescaleArchive, told: Delivery) -> bool:
    try:
        await archive.record([told])
    except StoreUnavailable:
        return False
    return True


async def test_an_unmigrated_database_says_what_to_do(postgres_server: str) -> None:
    async with fresh_database(postgres_server) as url, open_pool(url) as pool:
        with pytest.raises(StoreUnavailable, match="wagateway migrate"):
            await TimescaleReader(pool).sessions()


def answered(guests: int) -> EventAnswered:
    return EventAnswered(
        ref=ref(stanza="A0"),
        responder=ANA,
        from_me=False,
        response="going",
        at=NOON,
        extra_guests=guests,
    )


def noise(size: int) -> str:
    """Return text that no index can squeeze."""
    return random.Random(1).randbytes(size // 2).hex()


POISON: dict[str, tuple[AnyObservation, AnyObservation]] = {
    "U+0000 in a text": (seen("a\x00b", stanza="P"), seen("a b", stanza="P")),
    "U+0000 in an id": (seen(stanza="P\x00"), seen(stanza="P")),
    "a lone surrogate": (reacted("\ud800", stanza="A0"), reacted("👍", stanza="A0")),
    "a lone surrogate in JSON": (
        seen(stanza="P", offer=MediaOffer(offered_at=NOON, url="http://\ud800")),
        seen(stanza="P", offer=MediaOffer(offered_at=NOON, url="http://localhost:3000/")),
    ),
    "an integer out of range": (answered(2**31), answered(2**31 - 1)),
    "a number beyond any integer": (answered(10**40), answered(0)),
    "an id too long for an index": (seen(stanza=noise(9000)), seen(stanza="P")),
}
"""Values that the engine's adapter lets through never; each with what they should have been."""


@pytest.mark.parametrize(("poison", "mended"), POISON.values(), ids=POISON)
@pytest.mark.parametrize("size", [1, 40])
async def test_what_the_database_refuses_is_logged_and_its_neighbours_are_stored(
    url: str, poison: AnyObservation, mended: AnyObservation, size: int
) -> None:
    group = [delivery(seen(stanza=f"A{n}")) for n in range(size)]
    group.insert(size // 2, delivery(poison, body=b"the raw body"))
    async with open_pool(url) as pool:
        archive, reader = TimescaleArchive(pool), TimescaleReader(pool)
        recorded = await archive.record(group)
        assert recorded.pop(size // 2).outcome is Outcome.FAILED
        assert {one.outcome for one in recorded} == {Outcome.STORED}
        assert len((await reader.messages(SESSION, [ANA], limit=500)).messages) == size
        (failed,) = await archive.logged(LogFilter(outcome=Outcome.FAILED), after=0, limit=10)
        assert failed.body == b"the raw body"
        (event,) = (await reader.events(LogFilter(outcome=Outcome.FAILED))).events
        assert event.reason
        (still,) = await archive.reproject([(failed.id, delivery(poison))])
        assert still.outcome is Outcome.FAILED
        (again,) = await archive.reproject([(failed.id, delivery(mended))])
        assert again.outcome is Outcome.STORED
        assert (await reader.counts())[Outcome.FAILED] == 0


async def test_it_works_when_every_transaction_has_another_connection(url: str) -> None:
    """As behind PgBouncer in transaction mode: nothing may live on in a connection."""
    async with (
        open_pool(url) as usual,
        AsyncNullConnectionPool(
            url,
            connection_class=usual.connection_class,
            kwargs=usual.kwargs,
            configure=_configure,
        ) as pool,
    ):
        archive, reader = TimescaleArchive(pool), TimescaleReader(pool)
        expected = in_memory()
        told = conversation(SESSION, 1)
        for group in (told[:1], told[1:9], told[9:]):
            assert await archive.record(group) == await expected.record(*group)
        for chat in (ANA, GROUP):
            mine = await reader.messages(SESSION, [chat], limit=500)
            assert mine == await expected.reader.messages(SESSION, [chat], limit=500)
        assert await reader.chats(SESSION) == await expected.reader.chats(SESSION)


async def test_a_commit_is_on_disk_whatever_the_server_s_default_is(url: str) -> None:
    """G1: with synchronous_commit off, a crash would take back what was answered 200."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.reason := current_setting('synchronous_commit'); RETURN NEW; END $$"
        )
        await conn.execute(
            "CREATE TRIGGER note BEFORE INSERT ON whatsapp_gateway.event_log"
            " FOR EACH ROW EXECUTE FUNCTION note()"
        )
        name = sql.Identifier(str(conninfo_to_dict(url)["dbname"]))
        await conn.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
    async with open_pool(url, max_size=1) as pool:
        await TimescaleArchive(pool).record([delivery(seen())])
        await TimescaleArchive(pool).record([delivery(seen(stanza=f"B{n}")) for n in range(30)])
        log = (await TimescaleReader(pool).events(LogFilter())).events
    assert {row.reason for row in log} == {"on"}
    assert len(log) == 31


async def test_a_chat_of_thousands_moves_and_moves_back(url: str) -> None:
    many = 4000
    async with open_pool(url, max_size=1) as pool:
        archive, reader = TimescaleArchive(pool), TimescaleReader(pool)
        told = [
            delivery(seen(f"n{n}", chat=ANA_LID, stanza=f"S{n}", sent_at=NOON + n * SECOND))
            for n in range(many)
        ]
        for start in range(0, many, 500):
            await archive.record(told[start : start + 500])
        await archive.record([delivery(linked())])  # alone: in a pipeline
        moved = await reader.messages(SESSION, [ANA], limit=1)
        assert [(m.chat_id, m.text) for m in moved.messages] == [(ANA, f"n{many - 1}")]
        assert await archive.unlink(SESSION, ANA_LID, at=NOON) == many
        back = await reader.messages(SESSION, [ANA_LID], limit=1)
        assert [(m.chat_id, m.text) for m in back.messages] == [(ANA_LID, f"n{many - 1}")]


async def test_large_bodies_among_small_ones_are_stored(url: str) -> None:
    sizes = [10, 100_000, 2_000_000, 10]
    async with open_pool(url, max_size=1) as pool:
        archive = TimescaleArchive(pool)
        for number, size in enumerate(sizes):
            text = "x" * size
            told = delivery(seen(text, stanza=f"S{number}"), body=text.encode())
            assert [r.outcome for r in await archive.record([told])] == [Outcome.STORED]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (
            (
                "SELECT 1 FROM whatsapp_gateway.message_state WHERE session_id = 1"
                " AND author = '5511987650102@c.us' AND author LIKE '%@%'"
                " AND lids @> ARRAY['271000000000102@lid'] AND NOT by_phone"
            ),
            "message_state_seen_as_idx",
        ),
        (
            (
                "SELECT 1 FROM whatsapp_gateway.reactions WHERE session_id = 1"
                " AND author = '5511987650102@c.us' AND seen_as = '271000000000102@lid'"
            ),
            "reactions_seen_as_idx",
        ),
        (
            (
                "SELECT 1 FROM whatsapp_gateway.current_messages WHERE session = 'vendas'"
                " AND chat_id = '5511987650102@c.us' ORDER BY sent_at DESC LIMIT 20"
            ),
            "messages_history_idx",
        ),
    ],
)
async def test_what_is_asked_often_has_an_index(url: str, statement: str, index: str) -> None:
    async with open_pool(url, max_size=1) as pool:  # a hypertable without rows has no index
        await TimescaleArchive(pool).record([delivery(seen())])
    async with await psycopg.AsyncConnection.connect(url) as conn:
        await conn.execute("SET enable_seqscan = off")
        await conn.execute("SET enable_bitmapscan = off")
        cursor = await conn.execute(f"EXPLAIN {statement}".encode())
        plan = "\n".join(str(row[0]) for row in await cursor.fetchall())
    assert index in plan


async def test_a_right_that_is_missing_makes_nothing_fail_for_good(
    postgres_servers: Servers,
) -> None:
    async with postgres_servers.migrated("embedded") as url:  # whose role is no superuser
        await _rights_come_and_go(url)


async def _rights_come_and_go(url: str) -> None:
    told = [delivery(seen(stanza=f"A{n}")) for n in range(20)]
    async with open_pool(url) as pool:
        archive = TimescaleArchive(pool)
        await execute(url, "REVOKE INSERT ON whatsapp_gateway.event_log FROM CURRENT_USER")
        for group in (told, told[:1]):
            with pytest.raises(StoreUnavailable, match=r"event_log.* grant"):
                await archive.record(group)
        await execute(url, "GRANT INSERT ON whatsapp_gateway.event_log TO CURRENT_USER")
        assert {one.outcome for one in await archive.record(told)} == {Outcome.STORED}
        await execute(url, "ALTER TABLE whatsapp_gateway.message_edits RENAME COLUMN text TO words")
        with pytest.raises(StoreUnavailable, match="wagateway migrate"):
            await TimescaleReader(pool).messages(SESSION, [ANA])


async def execute(url: str, statement: LiteralString) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute(statement)


async def test_a_page_shows_one_instant(url: str) -> None:
    async with (
        open_pool(url) as pool,
        await psycopg.AsyncConnection.connect(url) as writer,
    ):
        reader = TimescaleReader(pool)
        await TimescaleArchive(pool).record([delivery(seen("before"))])
        before = await reader.messages(SESSION, [ANA])
        await writer.execute("LOCK TABLE whatsapp_gateway.message_edits")
        reading = asyncio.create_task(reader.messages(SESSION, [ANA]))
        while not await waiting(url):
            await asyncio.sleep(0.01)
        await writer.execute(
            "INSERT INTO whatsapp_gateway.message_edits"
            " SELECT session_id, chat_id, stanza_id, author, 'E1', sent_at, 'after'"
            " FROM whatsapp_gateway.message_state"
        )
        await writer.commit()
        assert await reading == before
        assert await reader.messages(SESSION, [ANA]) != before


async def waiting(url: str) -> bool:
    """Tell whether somebody waits for a lock."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        found = await conn.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
        return await found.fetchone() is not None


async def test_a_read_gives_up_on_a_lock_and_leaves_its_connection_as_it_was(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = QUERIES["limit_reading"].replace(b"'10s'", b"'10ms'")
    monkeypatch.setitem(cast("dict[str, bytes]", QUERIES), "limit_reading", limits)
    settings = (
        "SELECT current_setting('lock_timeout') AS a, current_setting('statement_timeout') AS b,"
        " current_setting('transaction_read_only') AS c, current_setting('transaction_isolation')"
    )
    async with (
        open_pool(url, max_size=1) as pool,
        await psycopg.AsyncConnection.connect(url) as writer,
    ):
        reader = TimescaleReader(pool)
        async with pool.connection() as conn:
            before = await (await conn.execute(settings)).fetchone()
        await TimescaleArchive(pool).record([delivery(seen())])
        await writer.execute("LOCK TABLE whatsapp_gateway.chats")
        with pytest.raises(StoreUnavailable, match="LockNotAvailable"):
            await reader.chats(SESSION)
        await writer.commit()
        await reader.chats(SESSION)
        async with pool.connection() as conn:
            assert await (await conn.execute(settings)).fetchone() == before


@pytest.mark.parametrize("query", ["event_page", "logged_bodies"])
async def test_what_failed_is_found_by_its_index(url: str, query: str) -> None:
    values = dict.fromkeys(("session", "event", "since", "until"))
    place = {"before": 10**6, "after": 0, "limit": 50}
    async with open_pool(url) as pool, pool.connection() as conn:
        await conn.execute(
            "INSERT INTO whatsapp_gateway.event_log (received_at, occurred_at, session,"
            " event, source, outcome, body) SELECT now(), now(), 'a', 'message', 'webhook',"
            " CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'stored' END::whatsapp_gateway.outcome, ''"
            " FROM generate_series(1, 20000) AS n"
        )
        await conn.execute("ANALYZE whatsapp_gateway.event_log")
        for outcome, is_used in ((Outcome.FAILED, True), (Outcome.STORED, False), (None, False)):
            found = await conn.execute(
                b"EXPLAIN " + QUERIES[query], {**values, **place, "outcome": outcome}
            )
            plan = str(await found.fetchall())
            assert ("event_log_noteworthy_idx" in plan) is is_used
