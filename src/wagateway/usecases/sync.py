"""Sync one task for one turn: a chat's pages, or what all chats of a session need at once."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from wagateway.domain.coverage import Evidence, working_since
from wagateway.domain.errors import (
    EngineResting,
    EngineUnavailable,
    LeaseLost,
    NotFound,
    RateLimited,
    Rejected,
    SessionNotReady,
    Unavailable,
)
from wagateway.domain.events import SessionStatus
from wagateway.domain.sync import begun, failed, put_off, unknown_to_engine
from wagateway.ports.clock import Clock
from wagateway.ports.engine import Engine, EngineSession
from wagateway.ports.sync import Archived, SyncStore, SyncTask
from wagateway.ports.tracing import UNTRACED, Tracing
from wagateway.usecases.sync_look import SyncLook
from wagateway.usecases.sync_people import SyncPeople
from wagateway.usecases.sync_plan import SyncPlan
from wagateway.usecases.sync_walk import SyncWalk
from wagateway.usecases.turn import LOST, Enough, Turn, defect, give_back, with_state, words

WAITING = "the session cannot be asked now"
"""The problem of chats that wait for their session."""

_RECENT = timedelta(seconds=30)
"""So long a session may be away unnoticed; less than SETTLE, so that no proof is wrong by that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTurn:
    """Give a claimed task its turn."""

    engine: Engine
    store: SyncStore
    people: SyncPeople
    clock: Clock
    plan: SyncPlan
    tracing: Tracing = UNTRACED
    _recent: dict[int, tuple[datetime, EngineSession]] = field(default_factory=dict)

    async def __call__(self, task: SyncTask, *, enough: Enough = lambda: False) -> Turn:
        """Go on with *task* until it is done, its turn is over, or *enough*.

        Whatever the engine does or breaks, the task is given back with what is to happen next.

        Raises:
            StoreUnavailable: the task stays claimed until its lease ends.
        """
        turn = Turn(task=task)
        try:
            try:
                await self._go_on(turn, enough)
            except NotFound:
                await self._not_found(turn)
        except LeaseLost:
            turn.problem = LOST
        except SessionNotReady as exc:
            await self._wait_for_session(turn, str(exc))
        except (RateLimited, EngineResting) as exc:
            await self._wait(turn, exc)
        except (EngineUnavailable, Rejected) as exc:
            await self._fail(turn, words(exc))
        except Unavailable:
            raise
        except Exception as exc:  # noqa: BLE001 - a defect of ours: the chat waits, the others go on
            turn.defect = exc
            await self._fail(turn, defect(exc))
        return turn

    async def _not_found(self, turn: Turn) -> None:
        """Leave a chat alone for long, unless it is the session that the engine lost meanwhile.

        Raises:
            SessionNotReady: it is; or what else comes of asking for the session.
        """
        archive = turn.task.archive
        await self._asked(archive, await self.store.evidence(archive, None))
        again = self.clock() + self.plan.unknown_after
        await give_back(self.store, turn, unknown_to_engine(turn.task.state, again))

    async def _wait(self, turn: Turn, asked: RateLimited | EngineResting) -> None:
        """Wait as long as is asked, which is no failure of this task."""
        wait = timedelta(seconds=asked.wait_s) if asked.wait_s else self.plan.patience.first
        state = put_off(turn.task.state, self.clock() + wait, words(asked))
        await give_back(self.store, turn, state)

    async def _fail(self, turn: Turn, problem: str) -> None:
        patience = self.plan.patience
        if turn.task.chat is None:  # the look that sees that the engine is back
            soon = min(patience.failed, self.plan.interval)
            patience = msgspec.structs.replace(patience, failed=soon)
        state = failed(turn.task.state, self.clock(), problem, patience)
        await give_back(self.store, turn, state)

    async def _go_on(self, turn: Turn, enough: Enough) -> None:
        archive, chat = turn.task.archive, turn.task.chat
        if chat is not None:
            turn.task = with_state(turn.task, begun(turn.task.state))
            await self._walk(turn, await self._session(archive), enough)
            return
        known = await self.store.evidence(archive, None)
        told = await self._asked(archive, known)
        await self.store.go_on(archive, now=self.clock(), problem=WAITING)
        look = SyncLook(
            engine=self.engine,
            store=self.store,
            people=self.people,
            clock=self.clock,
            plan=self.plan,
            walk=self._walk,
        )
        await look(turn, told, known, enough)

    @property
    def _walk(self) -> SyncWalk:
        return SyncWalk(
            engine=self.engine,
            store=self.store,
            clock=self.clock,
            plan=self.plan,
            tracing=self.tracing,
        )

    async def _session(self, archive: Archived) -> EngineSession:
        """Return what the engine told of the session, which may be some seconds old."""
        recent = self._recent.get(archive.id)
        if recent is not None and timedelta() <= self.clock() - recent[0] < _RECENT:
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

    async def _wait_for_session(self, turn: Turn, problem: str) -> None:
        until = self.clock() + min(self.plan.interval, self.plan.settle)
        state = put_off(turn.task.state, until, WAITING if turn.task.chat else problem)
        await give_back(self.store, turn, state)
        await self.store.put_off(
            turn.task.archive, until=self.clock() + self.plan.interval, problem=WAITING
        )
