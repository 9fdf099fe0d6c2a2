"""A world in which sync works: an engine, an archive, and a clock that tests move."""

from datetime import datetime, timedelta

from tests.support.deliveries import NOON, SESSION
from tests.support.engine import FakeEngine

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.sync import InMemorySyncStore
from wagateway.domain.coverage import Coverage, coverage
from wagateway.domain.identity import Jid
from wagateway.domain.records import MessageRecord
from wagateway.ports.archive import LogFilter
from wagateway.ports.sync import Archived, SyncTask
from wagateway.usecases.find_sessions import FindSessions
from wagateway.usecases.sync import SyncTurn
from wagateway.usecases.sync_people import SyncPeople
from wagateway.usecases.sync_plan import SyncPlan
from wagateway.usecases.turn import Turn

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PLAN = SyncPlan(batch=20, turn_pages=4)


class World:
    """An engine, an archive, and a clock that stands still unless it is moved."""

    def __init__(self, *, lists_all: bool = True, plan: SyncPlan = PLAN) -> None:
        self.engine = FakeEngine(lists_all=lists_all)
        self.archive = InMemoryArchive()
        self.store = InMemorySyncStore(self.archive)
        self.now = NOON
        self.plan = plan
        people = SyncPeople(engine=self.engine, archive=self.archive, store=self.store)
        self.turn = SyncTurn(
            engine=self.engine, store=self.store, people=people, clock=self.clock, plan=plan
        )
        self.find = FindSessions(
            engine=self.engine,
            archive=self.archive,
            reader=self.archive,
            store=self.store,
            clock=self.clock,
        )

    def clock(self) -> datetime:
        return self.now

    def fill(self, chat: Jid, count: int, *, newest: datetime | None = None) -> None:
        for n in range(count):
            at = (newest or self.now - HOUR) - n * MINUTE
            self.engine.add(chat, f"{chat[:6]}-{at.timestamp():.0f}-{n}", at)

    async def settle(self, *, most: int = 200) -> list[Turn]:
        """Give every due task its turns until none is due; return them."""
        self.engine.at = self.now
        await self.find()
        turns: list[Turn] = []
        for _ in range(most):
            tasks = await self.store.claim(self.now, lease=self.plan.lease, limit=1)
            if not tasks:
                return turns
            turns.append(await self.turn(tasks[0]))
        raise AssertionError("sync does not come to rest")

    async def archived(self) -> Archived:
        [found] = await self.store.archives()
        return found

    async def task(self, chat: Jid | None) -> SyncTask:
        tasks = await self.store.tasks(await self.archived())
        [found] = [task for task in tasks if task.chat == chat]
        return found

    def stanzas(self, chat: Jid) -> set[str]:
        """Return the messages of *chat* that are archived."""
        records = self.archive.records(SESSION)
        return {r.stanza for r in records if isinstance(r, MessageRecord) if r.chat == chat}

    async def stored(self, chat: Jid) -> int:
        return len(self.stanzas(chat))

    async def logged(self) -> int:
        return len((await self.archive.events(LogFilter(), limit=500)).events)

    async def coverage(self, chat: Jid) -> Coverage:
        return coverage(await self.store.evidence(await self.archived(), chat), self.now)
