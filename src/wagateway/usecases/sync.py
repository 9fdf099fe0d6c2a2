"""Sync one task for one turn: a chat's pages, or what all chats of a session need at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from wagateway.domain.coverage import Evidence, working_since
from wagateway.domain.errors import (
    EngineUnavailable,
    LeaseLost,
    NotFound,
    NotSupported,
    RateLimited,
    Rejected,
    SessionNotReady,
    StoreUnavailable,
    Unavailable,
)
from wagateway.domain.events import Outcome, Recorded, SessionStatus
from wagateway.domain.identity import Jid
from wagateway.domain.patience import Patience
from wagateway.domain.spans import Spans
from wagateway.domain.sync import (
    SyncState,
    SyncStatus,
    failed,
    fresh,
    put_off,
    request,
    seen,
    turned,
    unknown_to_engine,
    widened,
    woken,
)
from wagateway.domain.walk import SETTLE, Page, Row, Walk
from wagateway.ports.clock import Clock
from wagateway.ports.engine import Engine, EngineSession, MessageRow
from wagateway.ports.sync import Archived, SyncStore, SyncTask
from wagateway.usecases.sync_people import SyncPeople

WAITING = "the session cannot be asked now"
"""The problem of chats that wait for their session."""

_LOST = "another worker goes on, or the chat joined another"
_CHATS_AT_ONCE = 500
_MOST_LISTS = 1000
"""Requests for the list of chats at one look, whatever the engine shows."""
_PROBLEM_CHARS = 500
_RECENT = timedelta(seconds=30)
"""So long a session may be away unnoticed; less than SETTLE, so that no proof is wrong by that."""


class SyncPlan(Struct, frozen=True, kw_only=True):
    """How sync goes about it.

    Attributes:
        interval: between two looks at all chats of a session.
        batch: messages that are asked for at once, 20 to 1000.
        lookback: how far the first look goes back, and a regular one every *people_every*.
        depth: how far back the history of each chat is read; None: as far as the engine's goes.
        patience: how failures are answered.
        concurrent: tasks of one worker at the same time.
        turn_pages: pages of a chat before others have their turn.
        lease: how long a task stays with a worker that stores no page.
        overlap: how far a look goes back behind the last one.
        settle: how long a session must have been working before what it says is a proof.
        silent_after: without any webhook for so long, all since the last one is looked at.
        people_every: between two readings of contacts, groups and links.
        unknown_after: how long a chat is left alone that the engine does not know.
    """

    interval: timedelta = timedelta(minutes=5)
    batch: int = 100
    lookback: timedelta = timedelta(days=7)
    depth: timedelta | None = None
    patience: Patience = Patience()
    concurrent: int = 5
    turn_pages: int = 20
    lease: timedelta = timedelta(minutes=3)
    overlap: timedelta = timedelta(minutes=10)
    settle: timedelta = SETTLE
    silent_after: timedelta = timedelta(minutes=15)
    people_every: timedelta = timedelta(hours=6)
    unknown_after: timedelta = timedelta(days=1)

    def begin(self, now: datetime) -> SyncState:
        """Return the state in which a chat begins."""
        return fresh(now, since=now - self.depth if self.depth else None)


class Turn(Struct, kw_only=True):
    """What a turn did.

    Attributes:
        task: as it was claimed.
        pages: asked for.
        messages: read.
        stored: of these, what was news.
        done: nothing is left to do for now.
        problem: why it ended early.
        defect: what of ours broke; None where nothing did.
    """

    task: SyncTask
    pages: int = 0
    messages: int = 0
    stored: int = 0
    done: bool = False
    problem: str | None = None
    defect: Exception | None = None


def broken(task: SyncTask, exc: Exception) -> Turn:
    """Return the turn of a task that could not even be given back."""
    return Turn(task=task, problem=_defect(exc), defect=exc)


def _defect(exc: Exception) -> str:
    """Name a defect of ours; its text may quote a message, so the type must do."""
    return f"a defect of wagateway: {type(exc).__name__}"


Enough = Callable[[], bool]
"""Tells whether the worker is to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTurn:
    """Give a claimed task its turn."""

    engine: Engine
    store: SyncStore
    people: SyncPeople
    clock: Clock
    plan: SyncPlan
    _recent: dict[int, tuple[datetime, EngineSession]] = field(default_factory=dict)

    async def __call__(self, task: SyncTask, *, enough: Enough = lambda: False) -> Turn:
        """Go on with *task* until it is done, its turn is over, or *enough*.

        Whatever the engine does or breaks, the task is given back with what is to happen next.

        Raises:
            StoreUnavailable: the task stays claimed until its lease ends.
        """
        turn = Turn(task=task)
        try:
            await self._go_on(turn, enough)
        except LeaseLost:
            turn.problem = _LOST
        except NotFound:
            await self._not_found(turn)
        except SessionNotReady as exc:
            await self._wait_for_session(turn, str(exc))
        except RateLimited as exc:
            wait = timedelta(seconds=exc.wait_s) if exc.wait_s else self.plan.patience.first
            await self._give_back(turn, put_off(turn.task.state, self.clock() + wait, str(exc)))
        except (EngineUnavailable, Rejected) as exc:
            await self._fail(turn, _words(exc))
        except Unavailable:
            raise
        except Exception as exc:  # noqa: BLE001 - a defect of ours: the chat waits, the others go on
            turn.defect = exc
            await self._fail(turn, _defect(exc))
        return turn

    async def _not_found(self, turn: Turn) -> None:
        """Leave a chat alone for long, unless it is the session that the engine lost meanwhile."""
        archive = turn.task.archive
        try:
            await self._asked(archive, await self.store.evidence(archive, None))
        except SessionNotReady as exc:
            await self._wait_for_session(turn, str(exc))
        except (EngineUnavailable, RateLimited, Rejected) as exc:
            await self._fail(turn, _words(exc))
        else:
            again = self.clock() + self.plan.unknown_after
            await self._give_back(turn, unknown_to_engine(turn.task.state, again))

    async def _fail(self, turn: Turn, problem: str) -> None:
        patience = self.plan.patience
        if turn.task.chat is None:  # the look that sees that the engine is back
            soon = min(patience.failed, self.plan.interval)
            patience = msgspec.structs.replace(patience, failed=soon)
        state = failed(turn.task.state, self.clock(), problem, patience)
        await self._give_back(turn, state)

    async def _go_on(self, turn: Turn, enough: Enough) -> None:
        archive, chat = turn.task.archive, turn.task.chat
        if chat is not None:
            await self._walk(turn, await self._session(archive), enough)
            return
        known = await self.store.evidence(archive, None)
        told = await self._asked(archive, known)
        await self.store.go_on(archive, now=self.clock(), problem=WAITING)
        await self._look_at_all(turn, told, known, enough)

    async def _session(self, archive: Archived) -> EngineSession:
        """Return what the engine told of the session, which may be some seconds old."""
        recent = self._recent.get(archive.id)
        if recent is not None and self.clock() - recent[0] < _RECENT:
            return recent[1]
        return await self._asked(archive, await self.store.evidence(archive, None))

    async def _asked(self, archive: Archived, known: Evidence) -> EngineSession:
        self._recent.pop(archive.id, None)
        try:
            told = await self.engine.session(archive.session)
        except NotFound as exc:  # while it is away, or a proxy answers for the engine
            raise SessionNotReady("the engine does not know the session") from exc
        self._require_proof_worthy(told, archive, known)
        self._recent[archive.id] = (self.clock(), told)
        return told

    def _require_proof_worthy(
        self, told: EngineSession, archive: Archived, known: Evidence
    ) -> None:
        """Refuse a session of which the list of messages may still be filling."""
        if told.account is None or told.account.phone != archive.account:
            raise SessionNotReady("the session has another account now, or none")
        if told.status is not SessionStatus.WORKING:
            raise SessionNotReady(f"the session is {told.status}")
        since = working_since(known.statuses, self.clock())
        if since is not None and self.clock() < since + self.plan.settle:
            raise SessionNotReady("the session began to work a moment ago")

    # Pages

    async def _walk(
        self,
        turn: Turn,
        told: EngineSession,
        enough: Enough,
        finish: Callable[[SyncState], SyncState] = lambda state: state,
    ) -> None:
        """Ask for pages; *finish* turns the state of a walk that ended into what is stored."""
        while turn.task.state.walk is not None:
            state = request(turn.task.state, self.clock())
            rows = await self._page(told, turn.task, state)
            turn.pages += 1
            after, proven = self._taken(state, rows)
            over = turn.pages >= self.plan.turn_pages or enough()
            if after.walk is None:
                after, over = finish(after), True
            elif over:
                after = turned(after)
            turn.task = _with(turn.task, after)
            recorded = await self.store.save(
                turn.task,
                proven=proven,
                deliveries=[row.delivery for row in rows],
                keep_until=None if over else self.clock() + self.plan.lease,
            )
            self._count(turn, recorded)
            if over:
                await self._look_further_back(turn, state, rows, recorded)
                turn.done = after.walk is None
                return
            turn.task = _with(turn.task, self._widened(state, after, rows, recorded))

    async def _page(
        self, told: EngineSession, task: SyncTask, state: SyncState
    ) -> Sequence[MessageRow]:
        walk = state.walk or Walk()
        return await self.engine.messages(
            told, task.chat, limit=self.plan.batch, offset=walk.offset
        )

    def _taken(self, state: SyncState, rows: Sequence[MessageRow]) -> tuple[SyncState, Spans]:
        walk = state.walk or Walk()
        page = Page(
            offset=walk.offset,
            limit=self.plan.batch,
            rows=tuple(Row(row.stanza, row.sent_at) for row in rows),
        )
        done = seen(state, page, self.clock())
        return done.state, done.proven

    @staticmethod
    def _count(turn: Turn, recorded: Sequence[Recorded]) -> None:
        turn.messages += len(recorded)
        turn.stored += sum(each.outcome is Outcome.STORED for each in recorded)

    # What came late: rows that are news although everything up to then was proven

    def _late(
        self, state: SyncState, rows: Sequence[MessageRow], recorded: Sequence[Recorded]
    ) -> datetime | None:
        if state.caught_up_at is None or state.forward is None:
            return None
        known_until = state.caught_up_at - SETTLE
        news = [
            row.sent_at
            for row, each in zip(rows, recorded, strict=True)
            if each.outcome is Outcome.STORED and row.sent_at and row.sent_at < known_until
        ]
        if not news:
            return None
        return max(min(news) - self.plan.overlap, self.clock() - self.plan.lookback)

    def _widened(
        self,
        state: SyncState,
        after: SyncState,
        rows: Sequence[MessageRow],
        recorded: Sequence[Recorded],
    ) -> SyncState:
        late = self._late(state, rows, recorded)
        return after if late is None else widened(after, late)

    async def _look_further_back(
        self,
        turn: Turn,
        state: SyncState,
        rows: Sequence[MessageRow],
        recorded: Sequence[Recorded],
    ) -> None:
        """Begin another walk where one ended among what came late."""
        late = self._late(state, rows, recorded)
        walk = state.forward
        if late is None or walk is None or walk.until is None or walk.until <= late:
            return
        again = woken(turn.task.state, self.clock(), until=late)
        await self.store.change(_with(turn.task, again))

    # All chats of a session

    async def _look_at_all(
        self, turn: Turn, told: EngineSession, known: Evidence, enough: Enough
    ) -> None:
        task, begun = turn.task, self.clock()
        people_due, asked = self._people_are_due(task.state), task.state.forward
        walk = asked or Walk(until=self._until(task.state, known, full=people_due))
        if walk.began_at is None:
            await self._enrol_chats(task, told, walk.until)
        turn.task = _with(task, msgspec.structs.replace(task.state, forward=walk))
        try:
            await self._walk(turn, told, enough, self._next_look)
        except NotSupported:
            if walk.began_at is not None:  # with an engine that could list all
                await self._enrol_chats(task, told, walk.until)
            await self._look_by_chat(turn, begun, walk.until if asked or people_due else None)
        if turn.done and people_due:
            await self._read_people(turn, told)

    def _people_are_due(self, state: SyncState) -> bool:
        return state.people_at is None or self.clock() >= state.people_at + self.plan.people_every

    def _until(self, state: SyncState, known: Evidence, *, full: bool) -> datetime:
        """Return how far back to look: behind the last look, a silence, or all the lookback."""
        now = self.clock()
        if state.caught_up_at is None or full:
            return now - self.plan.lookback
        at = state.caught_up_at - SETTLE
        heard = known.last_heard_at
        if heard is not None and now - heard > self.plan.silent_after:
            at = min(at, heard)
        return at - self.plan.overlap

    async def _enrol_chats(
        self, task: SyncTask, told: EngineSession, until: datetime | None
    ) -> None:
        """Begin the chats that the engine lists; after the first time only what was active."""
        state = self.plan.begin(self.clock())
        everything = task.state.caught_up_at is None
        offset, shown = 0, set[Jid]()
        for _ in range(_MOST_LISTS):
            chats = await self.engine.chats(told, limit=_CHATS_AT_ONCE, offset=offset)
            if shown.issuperset(each.chat for each in chats):  # the end, or no offset is heeded
                break
            await self.store.enrol(task.archive, chats, state=state)
            await self.store.save(task, keep_until=self.clock() + self.plan.lease)
            shown.update(each.chat for each in chats)
            offset += len(chats)
            times = [each.active_at for each in chats if each.active_at]
            ordered = times == sorted(times, reverse=True)  # else active ones may follow
            if not everything and until and times and ordered and times[-1] < until:
                break
        await self.store.enrol_heard(task.archive, state=state, limit=_CHATS_AT_ONCE)

    def _next_look(self, state: SyncState) -> SyncState:
        now, people_at = self.clock(), state.people_at
        if self._people_are_due(state):  # after this look; if that fails, again after a while
            people_at = now - self.plan.people_every + self.plan.patience.failed
        return msgspec.structs.replace(
            state,
            status=SyncStatus.PENDING,
            due_at=now + self.plan.interval,
            people_at=people_at,
        )

    async def _look_by_chat(self, turn: Turn, begun: datetime, back_to: datetime | None) -> None:
        """Wake the active chats, where the engine cannot list all messages at once.

        In the others nothing happened since the last look, so what was complete there stays so.
        Where *back_to* is given, all that were active since then are read back to it.
        """
        task = turn.task
        before = task.state.caught_up_at
        active = set()
        for each in await self.store.tasks(task.archive):
            if each.chat is None:
                continue
            if before is None or each.active_at is None or each.active_at >= before - SETTLE:
                active.add(each.chat)
            until = self._unread_since(each, begun, back_to)
            if until is not None:
                await self.store.change(_with(each, woken(each.state, self.clock(), until=until)))
        if before is not None:
            await self.store.extend_quiet(
                task.archive, since=before - SETTLE, until=begun - SETTLE, active=active
            )
        after = msgspec.structs.replace(
            task.state, forward=None, caught_up_at=begun, attempts=0, problem=None
        )
        await self._give_back(turn, self._next_look(after))
        turn.done = True

    def _unread_since(
        self, task: SyncTask, now: datetime, back_to: datetime | None
    ) -> datetime | None:
        """Return how far back to look in an idle chat, None where nothing happened in it."""
        state, active_at = task.state, task.active_at
        idle = state.status is SyncStatus.IDLE and state.forward is None and state.problem is None
        if not idle or active_at is None:
            return None
        wanted = []
        if back_to is not None and active_at >= back_to:
            wanted.append(back_to)
        if state.caught_up_at is None:  # its history did not hold together
            wanted.append(now - self.plan.lookback)
        elif active_at >= state.caught_up_at - SETTLE:
            wanted.append(state.caught_up_at - SETTLE - self.plan.overlap)
        return min(wanted, default=None)

    async def _read_people(self, turn: Turn, told: EngineSession) -> None:
        try:
            await self.people(told, turn.task.archive)
        except StoreUnavailable:
            raise
        except (Unavailable, Rejected) as exc:
            turn.problem = _words(exc)
            return
        [task] = [t for t in await self.store.tasks(turn.task.archive) if t.chat is None]
        if task.lease is None:
            state = msgspec.structs.replace(task.state, people_at=self.clock())
            await self.store.change(_with(task, state))

    # Giving back

    async def _wait_for_session(self, turn: Turn, problem: str) -> None:
        until = self.clock() + min(self.plan.interval, self.plan.settle)
        state = put_off(turn.task.state, until, WAITING if turn.task.chat else problem)
        await self._give_back(turn, state)
        await self.store.put_off(
            turn.task.archive, until=self.clock() + self.plan.interval, problem=WAITING
        )

    async def _give_back(self, turn: Turn, state: SyncState) -> None:
        turn.task = _with(turn.task, state)
        turn.problem = state.problem
        try:
            await self.store.save(turn.task)
        except LeaseLost:
            turn.problem = _LOST


def _words(exc: Exception) -> str:
    return str(exc)[:_PROBLEM_CHARS]


def _with(task: SyncTask, state: SyncState) -> SyncTask:
    return msgspec.structs.replace(task, state=state)
