"""Completeness and sync over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
from tests.support.deliveries import ANA, BRUNO, NOON, SESSION, delivery, seen
from tests.unit.entrypoints.http.world import API_TOKEN, application, client_of

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.feed import InProcessWakeUp
from wagateway.adapters.memory.sync import InMemorySyncStore
from wagateway.domain.spans import Span
from wagateway.domain.sync import SyncState, SyncStatus, fresh
from wagateway.ports.engine import EngineChat
from wagateway.usecases.sync_control import SyncControl

AUTH = {b"X-Api-Token": API_TOKEN.encode()}
HOUR = timedelta(hours=1)
MORNING = Span(NOON - 3 * HOUR, NOON - HOUR)


class World:
    def __init__(self) -> None:
        self.archive = InMemoryArchive()
        self.store = InMemorySyncStore(self.archive)
        self.wake_up = InProcessWakeUp()
        self.control = SyncControl(
            store=self.store, reader=self.archive, clock=lambda: NOON, wake_up=self.wake_up
        )

    async def begin(self) -> None:
        await self.archive.record([delivery(seen(stanza="A", chat=ANA))])
        [archived] = await self.store.archives()
        chats = [EngineChat(chat=ANA, active_at=NOON), EngineChat(chat=BRUNO)]
        await self.store.enrol(archived, chats, state=fresh(NOON))
        await self.store.enrol_session(archived, state=SyncState(due_at=NOON))
        for task in await self.store.claim(NOON, lease=HOUR, limit=9):
            idle = msgspec.structs.replace(
                task.state, status=SyncStatus.IDLE, due_at=None, backward=None
            )
            proven = (MORNING,) if task.chat == ANA else ()
            await self.store.save(msgspec.structs.replace(task, state=idle), proven=proven)


@pytest.fixture
async def world() -> World:
    made = World()
    await made.begin()
    return made


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = application(reader=world.archive, sync=world.control)
    async with client_of(app) as opened:
        opened.headers.update(AUTH)
        yield opened


class TestCoverage:
    async def test_says_what_of_each_chat_is_complete(self, client: httpx.AsyncClient) -> None:
        told = (await client.get(f"/api/coverage/{SESSION}")).json()
        assert [chat["chat_id"] for chat in told["chats"]] == [ANA, BRUNO]
        [span] = told["chats"][0]["complete"]
        assert datetime.fromisoformat(span["begin"]) == MORNING.begin
        assert told["chats"][0]["next"] == "next-look"
        assert (await client.get(f"/api/coverage/{SESSION}/{ANA}")).json()["next"] == "next-look"
        await client.post(f"/api/sync/{SESSION}/pause")
        await client.post(f"/api/sync/{SESSION}/{ANA}/resume")
        assert (await client.get(f"/api/coverage/{SESSION}/{ANA}")).json()["next"] == "nothing"

    async def test_fills_the_rest_with_gaps_and_reasons(self, client: httpx.AsyncClient) -> None:
        told = (await client.get(f"/api/coverage/{SESSION}/{ANA}")).json()
        assert {gap["reason"] for gap in told["gaps"]} <= {"before-pairing", "gateway-away"}
        assert told["gaps"][0]["begin"] is None

    @pytest.mark.parametrize("path", ["nobody", f"{SESSION}/5511999990000"])
    async def test_knows_nobody_else(self, client: httpx.AsyncClient, path: str) -> None:
        answer = await client.get(f"/api/coverage/{path}")
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("application/problem+json")

    async def test_names_the_sessions_to_those_who_have_the_token(
        self, client: httpx.AsyncClient
    ) -> None:
        answers = [await client.get(f"/api/{which}/nobody") for which in ("coverage", "chats")]
        assert {a.json()["detail"] for a in answers} == {
            f"there is no session 'nobody', only {SESSION!r}"
        }
        del client.headers["X-Api-Token"]
        assert str(SESSION) not in (await client.get("/api/chats/nobody")).text

    async def test_wants_the_token(self, client: httpx.AsyncClient) -> None:
        del client.headers["X-Api-Token"]
        for path in (f"coverage/{SESSION}", f"coverage/{SESSION}/{ANA}", f"sync/{SESSION}"):
            assert (await client.get(f"/api/{path}")).status_code == 401
        assert (await client.post(f"/api/sync/{SESSION}")).status_code == 401


class TestSync:
    async def test_reports(self, client: httpx.AsyncClient) -> None:
        told = (await client.get(f"/api/sync/{SESSION}")).json()
        assert told["counts"]["idle"] == 2
        assert told["health"]["level"] == "unknown"
        assert told["chats"] == []

    async def test_wakes_a_chat(self, client: httpx.AsyncClient, world: World) -> None:
        answer = await client.post(f"/api/sync/{SESSION}/+5511987650102?mode=full")
        assert (answer.status_code, answer.json()) == (202, {"tasks": 1})
        [task] = await world.store.claim(NOON, lease=HOUR, limit=9)
        assert task.chat == ANA
        assert task.state.backward is not None

    async def test_wakes_the_worker(self, client: httpx.AsyncClient, world: World) -> None:
        waiting = asyncio.create_task(world.wake_up.wait(60.0))
        await client.get(f"/api/sync/{SESSION}")
        assert not waiting.done()
        await client.post(f"/api/sync/{SESSION}")
        async with asyncio.timeout(5.0):
            await waiting

    async def test_wakes_a_whole_session(self, client: httpx.AsyncClient, world: World) -> None:
        assert (await client.post(f"/api/sync/{SESSION}")).json() == {"tasks": 1}
        assert [t.chat for t in await world.store.claim(NOON, lease=HOUR, limit=9)] == [None]
        assert (await client.post(f"/api/sync/{SESSION}?mode=full")).json() == {"tasks": 3}

    async def test_reads_back_to_an_instant(self, client: httpx.AsyncClient, world: World) -> None:
        since = "2026-09-01T00:00:00Z"
        await client.post(f"/api/sync/{SESSION}/{ANA}", params={"mode": "full", "since": since})
        [task] = await world.store.claim(NOON, lease=HOUR, limit=9)
        assert task.state.since == datetime(2026, 9, 1, tzinfo=UTC)

    async def test_pauses_and_resumes(self, client: httpx.AsyncClient, world: World) -> None:
        assert (await client.post(f"/api/sync/{SESSION}/pause")).json() == {"tasks": 3}
        await client.post(f"/api/sync/{SESSION}/{ANA}?mode=full")
        told = (await client.get(f"/api/sync/{SESSION}")).json()
        assert told["counts"]["paused"] == 1
        assert (await client.post(f"/api/sync/{SESSION}/{BRUNO}/pause")).json() == {"tasks": 1}
        assert (await client.post(f"/api/sync/{SESSION}/resume")).json() == {"tasks": 3}
        told = (await client.get(f"/api/sync/{SESSION}")).json()
        assert told["counts"]["paused"] == 0

    @pytest.mark.parametrize(
        "query", ["mode=everything", "since=yesterday", "since=2026-10-03T12:00:01Z"]
    )
    async def test_refuses_what_it_does_not_understand(
        self, client: httpx.AsyncClient, query: str
    ) -> None:
        answer = await client.post(f"/api/sync/{SESSION}?{query}")
        assert answer.status_code == 400
        assert query.split("=", maxsplit=1)[0] in answer.json()["detail"]
