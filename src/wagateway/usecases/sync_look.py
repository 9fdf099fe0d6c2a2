"""Look at all chats of a session at once, and wake those in which something happened."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from wagateway.domain.coverage import Evidence
from wagateway.domain.errors import NotSupported, Rejected, StoreUnavailable, Unavailable
from wagateway.domain.identity import Jid
from wagateway.domain.sync import SyncState, SyncStatus, woken
from wagateway.domain.walk import SETTLE, Walk
from wagateway.ports.clock import Clock
from wagateway.ports.engine import Engine, EngineSession
from wagateway.ports.sync import SyncStore, SyncTask
from wagateway.usecases.sync_people import SyncPeople
from wagateway.usecases.sync_plan import SyncPlan
from wagateway.usecases.sync_walk import SyncWalk
from wagateway.usecases.turn import Enough, Turn, give_back, with_state, words

_CHATS_AT_ONCE = 500
_MOST_LISTS = 1000
"""Requests for the list of chats at one look, whatever the engine shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncLook:
    """Go on with the task of a session as a whole."""

    engine: Engine
    store: SyncStore
    people: SyncPeople
    clock: Clock
    plan: SyncPlan
    walk: SyncWalk

    async def __call__(
        self, turn: Turn, told: EngineSession, known: Evidence, enough: Enough
    ) -> None:
        """Read what is new in any chat, and now and then what the engine tells of people."""
        task, begun = turn.task, self.clock()
        people_due, asked = self._people_are_due(task.state), task.state.forward
        walk = asked or Walk(until=self._until(task.state, known, full=people_due))
        if walk.began_at is None:
            await self._enrol_chats(task, told, walk.until)
        turn.task = with_state(task, msgspec.structs.replace(task.state, forward=walk))
        try:
            await self.walk(turn, told, enough, self._next_look)
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
            reread_at=None,
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
            await self._wake(each, begun, back_to)
        if before is not None:
            await self.store.extend_quiet(
                task.archive, since=before - SETTLE, until=begun - SETTLE, active=active
            )
        after = msgspec.structs.replace(
            task.state, forward=None, caught_up_at=begun, attempts=0, problem=None
        )
        await give_back(self.store, turn, self._next_look(after))
        turn.done = True

    async def _wake(self, task: SyncTask, now: datetime, back_to: datetime | None) -> None:
        """Have a chat read that rests, where something may have happened in it."""

        def act(state: SyncState) -> SyncState:
            until = self._unread_since(state, task.active_at, now, back_to)
            return state if until is None else woken(state, now, until=until)

        await self.store.alter(task, act)

    def _unread_since(
        self,
        state: SyncState,
        active_at: datetime | None,
        now: datetime,
        back_to: datetime | None,
    ) -> datetime | None:
        """Return how far back to look in a chat, None where it is at work or nothing happened."""
        was_read = state.caught_up_at is not None  # and perhaps is read again, or fails at that
        rests = state.problem is None and (
            state.status is SyncStatus.IDLE or (state.status is SyncStatus.PENDING and was_read)
        )
        rests = rests or (state.status is SyncStatus.FAILED and was_read)
        if not rests or state.forward or active_at is None:
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
            turn.problem = words(exc)
            return
        task = await self.store.task(turn.task.archive, None)
        if task is not None and task.lease is None:
            state = msgspec.structs.replace(task.state, people_at=self.clock())
            await self.store.change(with_state(task, state))
