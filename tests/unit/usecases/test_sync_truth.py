"""Sync against a simulated WAHA under every fault: the archive equals the truth, no claim is false.

The real client reads the simulated REST API on a clock that the traffic moves.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.waha.client import open_engine
from wagateway.adapters.waha.transport import Manners
from wagateway.domain.errors import Unavailable
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.records import MessageRecord
from wagateway.domain.spans import Spans, difference, union
from wagateway.domain.sync import SyncStatus
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.http.app import create_app as create_gateway
from wagateway.entrypoints.http.auth import HttpSecurity
from wagateway.entrypoints.http.health import store_health
from wagateway.entrypoints.settings import Settings
from wagateway.simulator.check import Report, compare
from wagateway.simulator.engine import EngineName
from wagateway.simulator.faults import Faults
from wagateway.simulator.happenings import Direct
from wagateway.simulator.post import limited
from wagateway.simulator.rest import create_app
from wagateway.simulator.rest_rows import is_tombstone
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.store import Kept
from wagateway.simulator.truth import Truth
from wagateway.simulator.wagateway_api import WagatewayApi
from wagateway.simulator.waha_server import WahaServer
from wagateway.usecases.find_sessions import FindSessions
from wagateway.usecases.sync import SyncTurn
from wagateway.usecases.sync_people import SyncPeople
from wagateway.usecases.sync_plan import SyncPlan

TOKEN = "t0ken-of-a-test-0123456789"
SESSION = SessionName("default")
STORMY = "all,loss=0.4,silent=0.1,stopped=0.1,account-change=0,rest-hang=0,rest-slow=0"
HASTY = Manners(
    attempts=3, first_wait_s=0.0001, per_second=100_000, failures=1_000_000, largest_bytes=2**24
)
PLAN = SyncPlan(batch=30, turn_pages=5)
MINUTE = timedelta(minutes=1)


class World:
    """A simulated WAHA, an archive in memory, and sync between them."""

    def __init__(
        self, services: Services, server: WahaServer, turn: SyncTurn, find: FindSessions
    ) -> None:
        self.services = services
        self.server = server
        self.turn = turn
        self.find = find
        self._claimed: dict[Jid, Spans] = {}

    def move(self, to: datetime) -> None:
        CLOCK[0] = max(CLOCK[0], to)

    async def sync(self, *, rounds: int) -> None:
        """Give what is due its turn; where nothing is, let time pass."""
        for _ in range(rounds):
            listed = list(self.server.sessions["default"].store.rows())
            try:
                await self.find()
            except Unavailable:
                continue
            tasks = await self.services.sync_store.claim(CLOCK[0], lease=PLAN.lease, limit=5)
            for task in tasks:
                await self.turn(task)
            if tasks:
                await self.require_claims_to_hold(listed)
            else:
                self.move(CLOCK[0] + MINUTE)

    async def rest(self) -> None:
        """Sync until there is nothing left to do."""
        for _ in range(40):
            await self.sync(rounds=20)
            if await self._is_at_rest():
                return
        raise AssertionError("sync does not come to rest")

    async def _is_at_rest(self) -> bool:
        [archive] = await self.services.sync_store.archives()
        tasks = await self.services.sync_store.tasks(archive)
        whole = [task for task in tasks if task.chat is None]
        chats = [task for task in tasks if task.chat is not None]
        return (
            bool(chats)
            and all(task.state.status is SyncStatus.IDLE for task in chats)
            and all(task.state.forward is None and not task.state.problem for task in whole)
        )

    async def spans(self) -> dict[Jid, Spans]:
        """Return what is claimed of each chat."""
        store, found = self.services.sync_store, dict[Jid, Spans]()
        for archive in await store.archives():
            of_all, proven = (
                (await store.evidence(archive, None)).proven,
                await store.proven(archive),
            )
            for task in await store.tasks(archive):
                if task.chat is not None:
                    found[task.chat] = union(of_all, proven.get(task.chat, ()))
        return found

    async def require_claims_to_hold(self, listed: list[Kept], *, old: bool = False) -> None:
        """Everything listed in a span that is claimed since the last look, or ever, is archived.

        What reaches the list later than that with an old time is found by later looks. Of what was
        deleted before it was read only the tombstone is archived.
        """
        archive = self.services.archive
        assert isinstance(archive, InMemoryArchive)
        kept = {r.stanza for r in archive.records(SESSION) if isinstance(r, MessageRecord)}
        before, self._claimed = self._claimed, await self.spans()
        new = {
            chat: spans if old else difference(spans, before.get(chat, ()))
            for chat, spans in self._claimed.items()
        }
        engine = self.server.sessions[SESSION].engine
        for each in listed:
            if is_tombstone(engine, each):
                continue
            chat, at = each.shown.chat, datetime.fromtimestamp(each.shown.at_ms // 1000, UTC)
            name = Jid(each.shown.chat_jid)
            if name not in new and isinstance(chat, Direct):  # its hidden id is linked by now
                name = Jid(chat.person.phone_jid)
            claimed = any(at in span for span in new.get(name, ()))
            assert not claimed or each.shown.stanza in kept, (each.shown.stanza, at, name)


CLOCK = [datetime(2026, 1, 1, tzinfo=UTC)]


@asynccontextmanager
async def world_of(server: WahaServer, start: datetime) -> AsyncIterator[World]:
    CLOCK[0] = start

    def clock() -> datetime:
        return CLOCK[0]

    transport = httpx.ASGITransport(create_app(server), raise_app_exceptions=False)
    async with (
        open_services(Settings.in_memory()) as services,
        open_engine("http://waha", None, clock=clock, manners=HASTY, transport=transport) as engine,
    ):
        people = SyncPeople(engine=engine, archive=services.archive, store=services.sync_store)
        yield World(
            services,
            server,
            SyncTurn(
                engine=engine, store=services.sync_store, people=people, clock=clock, plan=PLAN
            ),
            FindSessions(
                engine=engine,
                archive=services.archive,
                reader=services.reader,
                store=services.sync_store,
                clock=clock,
            ),
        )


async def judged(services: Services, truth: Truth) -> Report:
    gateway = create_gateway(
        ingest=services.ingest,
        reader=services.reader,
        sync=services.sync,
        library=services.library,
        live=services.live,
        health=store_health(services.reader),
        security=HttpSecurity(api_token=TOKEN, webhook_token=TOKEN),
    )
    transport = httpx.ASGITransport(gateway)  # type: ignore[arg-type] # Litestar's stricter types
    api = WagatewayApi("http://gateway", TOKEN, transport=transport)
    return compare(truth.lines(), [line async for line in api.lines([SESSION])])


@pytest.mark.parametrize("engine", EngineName)
async def test_sync_makes_the_archive_equal_the_truth_and_claims_nothing_false(
    engine: EngineName,
) -> None:
    faults = Faults.parse(STORMY, served=True)
    scenario = Scenario(seed=12, engine=engine, served=True, past=400, faults=faults)
    server, truth = WahaServer.of(scenario), Truth()
    async with world_of(server, scenario.start - timedelta(days=4)) as world:
        for number, delivery in enumerate(server.watch(limited(simulate(scenario), 1200))):
            world.move(datetime.fromtimestamp(delivery.due_ms / 1000, UTC))
            if not delivery.lost:
                await world.services.ingest(delivery.body)
                if delivery.fact:
                    truth.tell(delivery.fact)
            if number % 100 == 99:
                await world.sync(rounds=12)
        server.settle()
        for _ in range(3):  # the last looks go back as far as a phone may be late
            world.move(CLOCK[0] + PLAN.people_every + MINUTE)
            await world.rest()
        listed = list(server.sessions[SESSION].store.rows())
        await world.require_claims_to_hold(listed, old=True)
        told = sum(1 for line in truth.lines() if line["type"] == "message")
        server.witness(truth)
        report = await judged(world.services, truth)
        spans = await world.spans()
    assert report.perfect, report.examples
    assert report.expected > told + 100
    assert sum(map(bool, spans.values())) > 10
