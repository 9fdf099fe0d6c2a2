"""G5 with real processes: a purge is killed in the middle, and all goes on around it."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psycopg
import pytest
from tests.journeys.program import free_port, run, running
from tests.support.deliveries import ANA, BAKERY, BRUNO, SESSION, delivery, edited, reacted, seen
from tests.support.postgres import Servers

from wagateway import Gateway, Settings
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.feed import TimescaleChangeFeed
from wagateway.adapters.timescale.pool import open_pool
from wagateway.domain.events import Delivery
from wagateway.domain.identity import Jid

pytestmark = [pytest.mark.slow, pytest.mark.embedded]

OLD = 12_000
YOUNG = 400
"""Messages of before the purge's instant, and of after it, in each session."""
ENOUGH = 50
"""Old messages that come again, on however slow a machine."""
OTHER = "suporte"
SECRET = "segredo"
"""What only old messages say."""
API_TOKEN = "api-token-of-the-purge-journey"
TOKEN = "webhook-token-of-the-purge-journey"
SECOND = timedelta(seconds=1)


class World:
    """The archive before the purge, and what WAHA goes on to deliver.

    Attributes:
        before: the purge's instant.
        answered: new messages that were answered 200.
        again: old ones that came again, and were answered 200.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        now = datetime.now(UTC).replace(microsecond=0)
        self.before = now - timedelta(days=2)
        self.answered: set[str] = set()
        self.again: set[str] = set()
        self._dice = random.Random(7)

    def _sent_at(self, number: int) -> datetime:
        """Return when a message was sent: numbers below 0 are of before the purge's instant."""
        return self.before + number * SECOND

    @staticmethod
    def _chat(number: int) -> Jid:
        return ANA if number % 3 else BRUNO

    def _told(self, number: int, session: str) -> list[Delivery]:
        at, chat, stanza = self._sent_at(number), self._chat(number), f"S{number}"
        text = f"{SECRET} {number}" if number < 0 else f"mensagem {number}"
        told = [delivery(seen(text, chat=chat, stanza=stanza, sent_at=at), at=at, session=session)]
        if number % 10 == 0:
            marks = (
                reacted("👍", chat=chat, stanza=stanza, by=chat, at=at),
                edited(f"{text} afinal", chat=chat, stanza=stanza, at=at),
            )
            told.append(delivery(*marks, at=at, session=session))
        return told

    async def fill(self) -> str:
        """Archive what was before; return the place in the feed after that."""
        async with open_pool(self.url, max_size=1) as pool:
            archive = TimescaleArchive(pool)
            for session in (SESSION, OTHER):
                numbers = range(-OLD if session == SESSION else -YOUNG, YOUNG)
                told = [each for n in numbers for each in self._told(n, session)]
                for start in range(0, len(told), 1000):
                    await archive.record(told[start : start + 1000])
            return (await TimescaleChangeFeed(pool).position()).id

    def body(self, number: int) -> bytes:
        """Return a message of the purged session as WAHA delivers it."""
        chat = self._chat(number)
        payload = {
            "id": f"false_{chat}_S{number}",
            "timestamp": int(self._sent_at(number).timestamp()),
            "from": chat,
            "fromMe": False,
            "body": f"{SECRET} {number}" if number < 0 else f"mensagem {number}",
        }
        event = {"event": "message.any", "session": SESSION, "me": {"id": BAKERY.phone}}
        return json.dumps({**event, "payload": payload, "engine": "NOWEB"}).encode()

    async def deliver(self, client: httpx.AsyncClient, stop: asyncio.Event) -> None:
        """Deliver new messages, and old ones again, in turns, until *stop*."""
        number = YOUNG
        while not stop.is_set():
            old = -self._dice.randint(1, OLD)
            for each in (number, old):
                answer = await client.post("/webhooks/messages", content=self.body(each))
                assert answer.status_code == 200, answer.text
                told = answer.json()
                assert not told.get("spooled"), "the database was away"
                assert not told["failed"]
            self.answered.add(f"S{number}")
            self.again.add(f"S{old}")
            number += 1

    async def rows(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as conn:
            return await (await conn.execute(query, values)).fetchall()

    async def left(self) -> set[str]:
        """Return the old messages that are still there."""
        found = await self.rows(
            "SELECT stanza_id FROM whatsapp_gateway.messages WHERE session = %s AND sent_at < %s",
            SESSION,
            self.before,
        )
        return {stanza for (stanza,) in found}


@asynccontextmanager
async def api(home: Path, url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run `wagateway api`; yield a client with both tokens, once it answers."""
    port = free_port()
    tokens = {"WHATSAPP_GATEWAY_API_TOKEN": API_TOKEN, "WHATSAPP_WEBHOOK_TOKEN": TOKEN}
    env = tokens | {"WHATSAPP_DATABASE_URL": url, "WHATSAPP_DATA_DIR": str(home / "api")}
    headers = {"X-Whatsapp-Token": TOKEN, "Content-Type": "application/json"}
    async with (
        running("api", "--port", str(port), home=home, data_dir=home / "api", port=port, env=env),
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=30
        ) as client,
    ):
        async with asyncio.timeout(30):
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get("/health")).status_code == httpx.codes.OK:
                        break
                await asyncio.sleep(0.05)
        yield client


async def killed_in_the_middle(home: Path, world: World) -> None:
    """Purge by hand, and kill that with SIGKILL once a part is gone."""
    words = ("purge", SESSION, "--before", world.before.isoformat(), "--yes", "--reason", "teste")
    where = ("--database-url", world.url)
    async with (
        asyncio.timeout(60),
        running(*words, *where, home=home, data_dir=home / "purge", port=0) as purging,
    ):
        while len(await world.left()) == OLD:
            assert purging.process.returncode is None
            await asyncio.sleep(0.005)
        purging.process.kill()
        assert await purging.process.wait() < 0


async def ended_by_a_worker(home: Path, world: World) -> None:
    """Run a worker that knows no WAHA until no purge is left to be ended."""
    words = ("worker", "--database-url", world.url, "--data-dir", str(home / "worker"))
    env = {"WHATSAPP_DATABASE_URL": world.url, "WHATSAPP_SPOOL": "filesystem"}
    async with (
        asyncio.timeout(90),
        running(*words, home=home, data_dir=home / "worker", port=0, env=env) as worker,
    ):
        unfinished: LiteralString = "SELECT FROM whatsapp_gateway.purges WHERE finished_at IS NULL"
        while await world.rows(unfinished):
            assert worker.process.returncode is None
            await asyncio.sleep(0.1)
        assert await worker.stop() == 0


async def test_a_purge_that_is_killed_is_ended_and_takes_nothing_else(
    postgres_servers: Servers, tmp_path: Path
) -> None:
    async with postgres_servers.migrated() as url:
        world, stop = World(url), asyncio.Event()
        place = await world.fill()
        begun = (await world.rows("SELECT count(*) FROM whatsapp_gateway.messages"))[0][0]
        async with Gateway.open(Settings(database_url=url, auto_migrate=False)) as gateway:
            async with api(tmp_path, url) as client, asyncio.TaskGroup() as group:
                group.create_task(world.deliver(client, stop))
                await killed_in_the_middle(tmp_path, world)
                left = await world.left()
                assert 0 < len(left) < OLD
                await asyncio.sleep(1)  # while deliveries of what went go on
                assert left - await world.left() <= world.again  # gone at once when told again
                assert await world.left() <= left
                await ended_by_a_worker(tmp_path, world)
                assert await world.left() == set()
                while len(world.again) < ENOUGH:
                    await asyncio.sleep(0.05)
                stop.set()
            await nothing_is_back(tmp_path, world)
            await nothing_else_is_gone(world, begun)
            await it_was_told_once(gateway, world, place)
    log = (tmp_path / "stderr.log").read_text()
    assert "WHATSAPP_CORE_URL is not set" in log


async def nothing_is_back(home: Path, world: World) -> None:
    """Nothing of what was purged is left but that it was there."""
    assert await world.left() == set()
    [(kept, bare)] = await world.rows(
        "SELECT count(*), count(*) FILTER (WHERE facts_key IS NULL AND text IS NULL)"
        " FROM whatsapp_gateway.message_state AS t"
        " JOIN whatsapp_gateway.sessions AS s USING (session_id)"
        " WHERE s.session = %s AND t.sent_at < %s",
        SESSION,
        world.before,
    )
    assert (kept, bare) == (OLD, OLD)
    for table in ("message_edits", "reactions", "message_search"):
        query: LiteralString = f"""
            SELECT count(*) FROM whatsapp_gateway.{table} AS t
            JOIN whatsapp_gateway.sessions AS s USING (session_id)
            WHERE s.session = %s AND t.stanza_id LIKE 'S-%%'
        """
        assert await world.rows(query, SESSION) == [(0,)], table
    # What came after the instant and before the purge was said is in the log until a replay.
    bodies: LiteralString = (
        "SELECT count(*) FROM whatsapp_gateway.event_log WHERE session = %s"
        " AND position(%s::bytea IN body) > 0 AND (received_at < %s"
        " OR received_at > (SELECT min(purged_at) FROM whatsapp_gateway.purges) + interval '1 s')"
    )
    assert await world.rows(bodies, SESSION, SECRET.encode(), world.before) == [(0,)]
    replayed = await run("replay", "--session", SESSION, "--database-url", world.url, home=home)
    assert replayed.code == 0, replayed.err
    assert await world.left() == set()
    everything: LiteralString = (
        "SELECT count(*) FROM whatsapp_gateway.event_log WHERE session = %s"
        " AND position(%s::bytea IN body) > 0"
    )
    assert await world.rows(everything, SESSION, SECRET.encode()) == [(0,)]


async def nothing_else_is_gone(world: World, begun: int) -> None:
    """Every other message is there once, with what is about it."""
    found = await world.rows(
        "SELECT session, stanza_id FROM whatsapp_gateway.current_messages ORDER BY 1, 2"
    )
    expected = [(OTHER, f"S{n}") for n in range(-YOUNG, YOUNG)]
    expected += [(SESSION, f"S{n}") for n in range(YOUNG)]
    expected += [(SESSION, stanza) for stanza in world.answered]
    assert len(expected) == begun - OLD + len(world.answered)
    assert sorted(found) == sorted(expected)
    marks = {(YOUNG // 10) * 3}  # of the other session's old and young ones, and of the young here
    for table in ("message_edits", "reactions"):
        query: LiteralString = f"SELECT count(*) FROM whatsapp_gateway.{table}"
        assert {count for (count,) in await world.rows(query)} == marks


async def it_was_told_once(gateway: Gateway, world: World, place: str) -> None:
    """Who follows the archive was told of one purge."""
    found = []
    with suppress(TimeoutError):
        async with asyncio.timeout(3):
            async for change in gateway.changes(kinds=["purge"], after=place):
                found += [change]
    assert [(c.session, c.chat_id, c.before) for c in found] == [(SESSION, None, world.before)]
