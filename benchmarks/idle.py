"""What a session that is in sync costs WAHA: the requests of an interval in which nothing happens.

The real client asks the simulator's REST API, in this process, by a clock that is set forward.
"""

from collections import Counter
from datetime import datetime, timedelta

import httpx

from harness import Findings, Goal, Scale, progress
from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.sync import InMemorySyncStore
from wagateway.adapters.waha.client import WahaEngine, open_engine
from wagateway.adapters.waha.transport import Manners
from wagateway.domain.sync import SyncStatus
from wagateway.ports.sync import SyncTask
from wagateway.simulator.asgi import App, Message, Receive, Send
from wagateway.simulator.engine import EngineName
from wagateway.simulator.faults import Faults
from wagateway.simulator.rest import create_app
from wagateway.simulator.simulation import Scenario
from wagateway.simulator.waha_server import WahaServer
from wagateway.usecases.find_sessions import FindSessions
from wagateway.usecases.sync import SyncTurn
from wagateway.usecases.sync_people import SyncPeople
from wagateway.usecases.sync_plan import SyncPlan

_HANDFUL = 5
_UNHURRIED = Manners(per_second=1_000_000, first_wait_s=0.001)
_PLAN = SyncPlan()


class Counted:
    """The simulated REST API, and what was asked of it."""

    def __init__(self, app: App) -> None:
        self.asked: Counter[str] = Counter()
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Count a request and answer it."""
        parts = scope["path"].removeprefix("/api/").split("/")
        self.asked[" ".join(p for p in parts if p in _WORDS) or scope["path"]] += 1
        await self._app(scope, receive, send)


_WORDS = {"sessions", "chats", "overview", "messages", "contacts", "groups", "lids", "all"}


class Idle:
    """A session in sync, and a clock."""

    def __init__(self, engine: WahaEngine, now: datetime) -> None:
        self.now = now
        archive = InMemoryArchive()
        self.store = InMemorySyncStore(archive)
        people = SyncPeople(engine=engine, archive=archive, store=self.store)
        self._turn = SyncTurn(
            engine=engine, store=self.store, people=people, clock=self.clock, plan=_PLAN
        )
        self._find = FindSessions(
            engine=engine, archive=archive, reader=archive, store=self.store, clock=self.clock
        )

    def clock(self) -> datetime:
        """Return the present."""
        return self.now

    async def interval(self) -> None:
        """Do all that is due until the next interval begins."""
        await self._find()
        while tasks := await self._claim():
            for task in tasks:
                await self._turn(task)

    async def chats(self) -> int:
        """Return how many chats are read to their end.

        Raises:
            RuntimeError: some are not.
        """
        [archive] = await self.store.archives()
        tasks = [each for each in await self.store.tasks(archive) if each.chat is not None]
        if any(each.state.status is not SyncStatus.IDLE for each in tasks):
            raise RuntimeError("sync did not come to rest")
        return len(tasks)

    async def _claim(self) -> list[SyncTask]:
        return list(await self.store.claim(self.now, lease=_PLAN.lease, limit=50))


async def run(scale: Scale) -> Findings:
    """Count the requests of each engine."""
    wanted = 200 if scale.quick else 2_000
    findings = Findings(["One session; requests of one interval of five minutes.", ""])
    rows: list[tuple[str, str, str, str]] = []
    for engine in EngineName:
        progress(f"idle: {engine}")
        chats, asked = await requests(engine, wanted)
        what = ", ".join(f"{count} {name}" for name, count in sorted(asked.items()))
        rows.append((engine, f"{chats:,}", f"{asked.total()}", what))
        findings.goals.append(
            Goal.at_most(f"requests an interval, {engine}", _HANDFUL, asked.total())
        )
    findings.table(("engine", "chats", "requests", "which"), rows)
    return findings


async def requests(engine: EngineName, wanted: int) -> tuple[int, Counter[str]]:
    """Return how many chats are in sync, and what the third quiet interval asks for."""
    scenario = Scenario(
        engine=engine, chats=wanted, served=True, past=5 * wanted, faults=Faults.parse("none")
    )
    counted = Counted(create_app(WahaServer.of(scenario)))
    transport = httpx.ASGITransport(counted)
    # An hour after the last message, so that none is too fresh to be a proof.
    begin = scenario.start + timedelta(hours=1)
    async with open_engine(
        "http://waha", None, clock=lambda: idle.now, manners=_UNHURRIED, transport=transport
    ) as client:
        idle = Idle(client, begin)
        for _ in range(3):
            await idle.interval()
            idle.now += _PLAN.interval
        counted.asked.clear()
        await idle.interval()
        return await idle.chats(), counted.asked
