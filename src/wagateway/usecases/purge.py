"""Let messages go for good: because a person says so, or because of their age."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct

from wagateway.domain.errors import InvalidInput
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.purges import BY_RETENTION, Purge, PurgeCounts
from wagateway.ports.clock import Clock
from wagateway.ports.purges import PurgeStore, PurgeTask

BATCH = 1000
"""Messages, or rows of the log, of one transaction: other writers of the session wait for it."""


async def carried_out(
    store: PurgeStore, task: PurgeTask, clock: Clock, batch: int = BATCH
) -> AsyncIterator[PurgeCounts]:
    """Remove what *task* is about and yield what each step did; repeating it does no harm."""
    target, purge = task.target, task.purge
    while gone := await store.step(target, purge.before, limit=batch, at=clock()):
        yield gone
    if purge.with_log:
        async for rows in _log_rows(store, target.session, purge.before, batch):
            yield PurgeCounts(log_rows=rows)
    await store.finish(target, purge)


async def _log_rows(
    store: PurgeStore, session: SessionName | None, before: datetime, batch: int
) -> AsyncIterator[int]:
    while rows := await store.step_log(session, before, limit=batch):
        yield rows


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeMessages:
    """Purge a session, or a chat of it, as a person says."""

    store: PurgeStore
    clock: Clock
    batch: int = BATCH

    async def preview(
        self,
        session: SessionName,
        chat: Sequence[Jid] | None = None,
        *,
        account: Jid | None = None,
        before: datetime | None = None,
    ) -> PurgeCounts:
        """Return what would go; arguments and errors are those of the call."""
        before = self._instant(before)
        gone, logged = PurgeCounts(), False
        for target in await self.store.targets(session, account=account, chat=chat):
            with_log = chat is None and account is None and not logged
            gone += await self.store.count(target, before, with_log=with_log)
            logged = logged or with_log  # all archives of a session share one log
        return gone

    async def __call__(
        self,
        session: SessionName,
        chat: Sequence[Jid] | None = None,
        *,
        by: str,
        account: Jid | None = None,
        before: datetime | None = None,
        reason: str | None = None,
    ) -> AsyncIterator[PurgeCounts]:
        """Purge, a transaction a step; one that is broken off is ended by a worker, or by another.

        Args:
            session: which.
            chat: the JIDs that may be meant, likeliest first; None: all chats, and the rows of the
                log that were received before *before*.
            by: who says so.
            account: only the archive of this account, and no rows of the log, which do not tell
                whose they are; None: all archives of the session.
            before: aware UTC, exclusive; None: now.
            reason: why, for whoever looks at it later.

        Yields:
            What each step removed.

        Raises:
            InvalidInput: *before* is yet to come.
            NotFound: no such session, archive or chat.
        """
        at = self._instant(before)
        tasks = []
        for target in await self.store.targets(session, account=account, chat=chat):
            purge = Purge(
                chat=target.chat,
                before=at,
                purged_at=self.clock(),
                purged_by=by,
                reason=reason,
                with_log=chat is None and account is None,
            )
            await self.store.remember(target, purge)
            tasks.append(PurgeTask(target=target, purge=purge))
        for task in tasks:
            async for gone in carried_out(self.store, task, self.clock, self.batch):
                yield gone

    def _instant(self, before: datetime | None) -> datetime:
        now = self.clock()
        if before is not None and before > now:
            raise InvalidInput(
                f"before must not be later than now: {before.isoformat()} is yet to come"
            )
        return before or now


class Retention(Struct, frozen=True, kw_only=True):
    """How long things are kept; None: for ever.

    Attributes:
        messages: since they were sent; no longer also the rows of the log.
        log: rows of the log, since they were received.
    """

    messages: timedelta | None = None
    log: timedelta | None = None

    @property
    def of_log(self) -> timedelta | None:
        """How long a row of the log is kept: no longer than the messages that it tells of."""
        return min((age for age in (self.messages, self.log) if age is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """Purge what is older than it is kept, and end purges that were broken off, once for all.

    Attributes:
        every: between two times.
        lease: of whoever does it, beyond the latest step.
    """

    store: PurgeStore
    clock: Clock
    retention: Retention
    every: timedelta = timedelta(hours=1)
    lease: timedelta = timedelta(minutes=5)
    batch: int = BATCH

    async def __call__(self, enough: Callable[[], bool] = lambda: False) -> PurgeCounts | None:
        """Do it where it is due, until *enough*.

        Returns:
            What went; None where it is not due, or another worker does it.
        """
        now = self.clock()
        if not await self.store.claim_upkeep(now, until=now + self.lease):
            return None
        gone = PurgeCounts()
        async for step in self._steps(now):
            gone += step
            if enough():  # whoever comes next goes on at once
                await self.store.put_off_upkeep(self.clock())
                return gone
            await self.store.put_off_upkeep(self.clock() + self.lease)
        await self.store.put_off_upkeep(now + self.every)
        return gone

    async def _steps(self, now: datetime) -> AsyncIterator[PurgeCounts]:
        if self.retention.messages is not None:
            old = Purge(before=now - self.retention.messages, purged_at=now, purged_by=BY_RETENTION)
            for target in await self.store.archives():
                await self.store.remember(target, old)
        for task in await self.store.unfinished():
            async for gone in carried_out(self.store, task, self.clock, self.batch):
                yield gone
        if self.retention.of_log is not None:
            before = now - self.retention.of_log
            while (rows := await self.store.sweep_log(before)) is not None:
                yield PurgeCounts(log_rows=rows)
            async for rows in _log_rows(self.store, None, before, self.batch):
                yield PurgeCounts(log_rows=rows)
        await self.store.give_back()
