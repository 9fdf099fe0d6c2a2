"""What only PostgreSQL does: its statements, its locks, and its absence."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator

import msgspec
import psycopg
import pytest
from tests.contracts.archives import in_memory
from tests.support.deliveries import (
    ANA,
    ANA_LID,
    BRUNO,
    GROUP,
    NOON,
    SECOND,
    delivery,
    linked,
    ref,
    seen,
)
from tests.support.postgres import fresh_database

from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import AckAdvanced, AnyObservation, Delivery, Outcome, ReactionChanged
from wagateway.domain.identity import SessionName
from wagateway.domain.messages import Ack
from wagateway.ports.archive import LogFilter

pytestmark = pytest.mark.embedded


@pytest.fixture
async def url(postgres_server: str) -> AsyncIterator[str]:
    """A migrated, empty database."""
    async with fresh_database(postgres_server) as url:
        await migrate(url)
        yield url


async def test_every_statement_fits_the_schema(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        for name, statement in QUERIES.items():
            if name.startswith("copy_"):
                async with conn.cursor().copy(statement):
                    pass
                continue
            names = itertools.count(1)
            text = statement.decode()
            for field in sorted(_fields(text), key=len, reverse=True):
                text = text.replace(f"%({field})s", f"${next(names)}")
            await conn.execute(f"PREPARE q AS {text.replace('%%', '%')}".encode())
            await conn.execute("DEALLOCATE q")


def _fields(statement: str) -> set[str]:
    return {part.split(")s", 1)[0] for part in statement.split("%(")[1:]}


def _conversation(session: str, seed: int) -> list[Delivery]:
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
    told = [d for n, name in enumerate(sessions) for d in _conversation(name, n)]
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


async def test_an_unmigrated_database_says_what_to_do(postgres_server: str) -> None:
    async with fresh_database(postgres_server) as url, open_pool(url) as pool:
        with pytest.raises(StoreUnavailable, match="wagateway migrate"):
            await TimescaleReader(pool).sessions()


@pytest.mark.parametrize("size", [1, 5, 40])
async def test_what_the_database_refuses_is_logged_and_its_neighbours_are_stored(
    url: str, size: int
) -> None:
    poison = delivery(seen("a\x00b", stanza="POISON"), body=b"the raw body")
    group = [delivery(seen(stanza=f"A{n}")) for n in range(size)]
    group.insert(size // 2, poison)
    async with open_pool(url) as pool:
        archive, reader = TimescaleArchive(pool), TimescaleReader(pool)
        recorded = await archive.record(group)
        assert [r.outcome for r in recorded].count(Outcome.STORED) == size
        assert recorded[size // 2].outcome is Outcome.FAILED
        assert (
            len((await reader.messages(SessionName("vendas"), [ANA], limit=500)).messages) == size
        )
        (failed,) = await archive.logged(LogFilter(outcome=Outcome.FAILED), after=0, limit=10)
        assert failed.body == b"the raw body"
        mended = msgspec.structs.replace(poison, observations=(seen("a b", stanza="POISON"),))
        (again,) = await archive.reproject([(failed.id, mended)])
        assert again.outcome is Outcome.STORED
        assert (await reader.counts())[Outcome.FAILED] == 0


async def test_search_words_follow_the_current_text_and_fold_accents(url: str) -> None:
    found = (
        "SELECT count(*) FROM whatsapp_gateway.message_search"
        " WHERE words @@ websearch_to_tsquery('whatsapp_gateway.message_text', %s)"
    )
    async with open_pool(url) as pool, pool.connection() as conn:
        await TimescaleArchive(pool).record([delivery(seen("Uma ação de graças"))])
        for word, count in (("acao", 1), ("ação", 1), ("gracas", 1), ("pedido", 0)):
            row = await (await conn.execute(found, [word])).fetchone()
            assert row == {"count": count}


async def test_the_views_show_the_present(url: str) -> None:
    async with open_pool(url) as pool, pool.connection() as conn:
        await TimescaleArchive(pool).record([delivery(seen("oi", ack=Ack.READ))])
        cursor = await conn.execute(
            "SELECT session, chat_id, text, ack::text FROM whatsapp_gateway.current_messages"
        )
        assert await cursor.fetchall() == [
            {"session": "vendas", "chat_id": ANA, "text": "oi", "ack": "read"}
        ]
        cursor = await conn.execute("SELECT session, account FROM whatsapp_gateway.active_sessions")
        assert await cursor.fetchall() == [{"session": "vendas", "account": "5511912340001@c.us"}]
        cursor = await conn.execute(
            "SELECT hour, messages, received FROM whatsapp_gateway.messages_hourly_stats"
        )
        assert await cursor.fetchall() == [{"hour": NOON, "messages": 1, "received": 1}]
