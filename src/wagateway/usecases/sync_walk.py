"""Ask for the pages of a walk, and store each with the state that it leads to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from wagateway.domain.events import Outcome, Recorded
from wagateway.domain.purges import before_when
from wagateway.domain.spans import Spans
from wagateway.domain.sync import (
    SyncState,
    request,
    seen,
    turned,
    widened,
    without_purged,
    woken,
)
from wagateway.domain.walk import SETTLE, Page, Row, Walk
from wagateway.ports.clock import Clock
from wagateway.ports.engine import Engine, EngineSession, MessageRow
from wagateway.ports.sync import SyncStore, SyncTask
from wagateway.ports.tracing import UNTRACED, Tracing
from wagateway.usecases.sync_plan import SyncPlan
from wagateway.usecases.turn import Enough, Turn, with_state


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncWalk:
    """Go on with the walk of a claimed task."""

    engine: Engine
    store: SyncStore
    clock: Clock
    plan: SyncPlan
    tracing: Tracing = UNTRACED

    async def __call__(
        self,
        turn: Turn,
        told: EngineSession,
        enough: Enough,
        finish: Callable[[SyncState], SyncState] = lambda state: state,
    ) -> None:
        """Ask for pages; *finish* turns the state of a walk that ended into what is stored.

        What was purged is not read again: a walk ends there.
        """
        purged = before_when(await self.store.purged(turn.task.archive), turn.task.chat)
        while turn.task.state.walk is not None:
            with self.tracing.span(
                "sync_page",
                session=turn.task.archive.session,
                what="chat" if turn.task.chat else "session",
            ) as span:
                state = request(without_purged(turn.task.state, purged), self.clock())
                rows = await self._page(told, turn.task, state)
                turn.pages += 1
                after, proven = self._taken(state, rows)
                over = turn.pages >= self.plan.turn_pages or enough()
                if after.walk is None:
                    after, over = finish(after), True
                elif over:
                    after = turned(after)
                turn.task = with_state(turn.task, after)
                recorded = await self.store.save(
                    turn.task,
                    proven=proven,
                    deliveries=[row.delivery for row in rows],
                    keep_until=None if over else self.clock() + self.plan.lease,
                )
                self._count(turn, recorded)
                span.tell(messages=len(rows), last=over)
            if over:
                await self._look_further_back(turn, state, rows, recorded)
                turn.done = after.walk is None
                return
            turn.task = with_state(turn.task, self._widened(state, after, rows, recorded))

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
        await self.store.alter(turn.task, lambda state: woken(state, self.clock(), until=late))
