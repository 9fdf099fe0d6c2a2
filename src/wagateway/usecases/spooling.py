"""Keep in the spool what the database cannot take now, and record it once it can."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from wagateway.domain.errors import InvalidInput, StoreUnavailable, Unavailable
from wagateway.domain.identity import SessionName
from wagateway.ports.engine import EngineReader
from wagateway.ports.spool import Spool, SpooledBody, SpoolEntry
from wagateway.usecases.group_commit import GroupCommit

_ALWAYS_TRIED = 1 / 3
"""Of a caller's patience: who waited for less is given a try, however slow the last write was. Else
nobody would find out, after one that was very slow, that the disk is well again; and two thirds are
left for the write."""
_AT_ONCE = 20
"""Entries that are recorded together; each may hold several hundred bodies, and what comes now
waits for them."""
_MOST_REFUSALS = 5
"""An entry that broke so often, others having been recorded in between each time, is set aside."""
_MOST_VAIN = 10_000
"""After so many that failed it begins from the first again."""
_ENDING_S = 5.0
"""How long a round may go on that is under way when the process stops."""


class Away:
    """For which sessions the database was away when last asked.

    Whoever brings something of theirs does not ask it again and wait in vain, but for one now and
    then, which finds out.
    """

    def __init__(self, *, ask_again_s: float = 15.0) -> None:
        """Ask for a session again after *ask_again_s* at the latest."""
        self._ask_again_s = ask_again_s
        self._ask_at: dict[SessionName, float] = {}

    def is_worth_asking(self, sessions: Collection[SessionName]) -> bool:
        """Tell whether to ask; who is told so for a session that is away finds out for others."""
        if not self._ask_at:
            return True
        now = asyncio.get_running_loop().time()
        waiting = [at for each in sessions if (at := self._ask_at.get(each)) is not None]
        if any(at > now for at in waiting):
            return False
        self.was_away([each for each in sessions if each in self._ask_at])
        return True

    def was_away(self, sessions: Collection[SessionName]) -> None:
        """Remember that the database did not take what concerned *sessions*."""
        ask_at = asyncio.get_running_loop().time() + self._ask_again_s
        self._ask_at |= dict.fromkeys(sessions, ask_at)

    def answered(self, sessions: Collection[SessionName]) -> None:
        """Remember that it took what concerned *sessions*."""
        if self._ask_at:
            for each in sessions:
                self._ask_at.pop(each, None)


class SpoolBodies:
    """Bodies share writes: whatever arrives while some are under way forms the next."""

    def __init__(
        self,
        spool: Spool,
        *,
        patience_s: float = 1.5,
        max_bodies: int = 500,
        max_group_bytes: int = 4 * 2**20,
        max_waiting_bytes: int = 64 * 2**20,
        at_once: int = 3,
    ) -> None:
        """Write to *spool*.

        Args:
            spool: where they are kept.
            patience_s: how long a caller waits; the database had its time before.
            max_bodies: of one write.
            max_group_bytes: of one write, or one body that is larger.
            max_waiting_bytes: how much may wait or be written; beyond that callers are turned away.
            at_once: writes that are under way, so that a slow one does not make all others late.
        """
        self._spool = spool
        self._patience_s = patience_s
        self._max_bodies = max_bodies
        self._max_group_bytes = max_group_bytes
        self._at_once = at_once
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting_bytes = 0
        self._queue: deque[_Waiting] = deque()
        self._takes_s = 0.0  # as the last write did
        self._writing: set[asyncio.Task[None]] = set()
        self._begins = False

    async def __call__(self, body: SpooledBody) -> None:
        """Keep *body* with its neighbours; return when it is durable.

        Raises:
            StoreUnavailable: the spool is away, full, or does not answer in time; it may have
                kept *body* even so.
        """
        if self._queue and self._waiting_bytes + len(body.body) > self._max_waiting_bytes:
            raise StoreUnavailable("too many deliveries wait for the spool; repeat later")
        loop = asyncio.get_running_loop()
        kept = loop.create_future()
        self._queue.append(_Waiting(body, kept, loop.time()))
        self._waiting_bytes += len(body.body)
        if not self._begins and len(self._writing) < self._at_once:
            self._begins = True
            writing = asyncio.create_task(self._write())
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)
        try:
            async with asyncio.timeout(self._patience_s):
                await kept
        except TimeoutError as exc:
            raise StoreUnavailable("the spool does not answer in time; repeat later") from exc

    async def aclose(self) -> None:
        """Write what was taken, as long as callers have patience."""
        if self._writing:
            _, late = await asyncio.wait(set(self._writing), timeout=self._patience_s)
            for writing in late:
                writing.cancel()

    async def _write(self) -> None:
        await asyncio.sleep(0)  # so that the arrivals of this round go together
        self._begins = False
        loop = asyncio.get_running_loop()
        while group := self._next_group(loop.time()):
            began = loop.time()
            try:
                await self._spool.put([each.body for each in group])
            except Exception as exc:  # noqa: BLE001 - whatever it is, its callers are told
                self._settle(group, exc)
            else:
                self._settle(group)
            finally:
                self._takes_s = loop.time() - began

    def _next_group(self, now: float) -> list["_Waiting"]:
        """Take what goes together; who would be answered too late is told so at once.

        Else a disk that is too slow would be busy with what its callers gave up, and bring again.
        It is taken to be as slow as the last time.
        """
        group: list[_Waiting] = []
        late: list[_Waiting] = []
        size_bytes = 0
        in_time_s = max(self._patience_s - self._takes_s, self._patience_s * _ALWAYS_TRIED)
        while self._queue and len(group) < self._max_bodies:
            first = self._queue[0]
            if now - first.since > in_time_s:
                late.append(self._queue.popleft())
                continue
            size_bytes += len(first.body.body)
            if group and size_bytes > self._max_group_bytes:
                break
            group.append(self._queue.popleft())
        if late:
            self._settle(late, StoreUnavailable("the spool is too slow; repeat later"))
        return group

    def _settle(self, group: Sequence["_Waiting"], error: Exception | None = None) -> None:
        self._waiting_bytes -= sum(len(each.body.body) for each in group)
        for each in group:
            if each.kept.done():  # its caller gave up
                continue
            if error is None:
                each.kept.set_result(None)
            else:
                each.kept.set_exception(error)


class _Waiting(NamedTuple):
    """A body that waits to be written, and whoever brought it."""

    body: SpooledBody
    kept: asyncio.Future[None]
    since: float


@dataclass(slots=True, kw_only=True)
class DrainSpool:
    """One process's share of recording what waits in the spool; any number may share one.

    Entries go in the order of their arrival, and through the same group commit as what comes now.
    Those that cannot be recorded now stop no others: they are passed over for a while.

    Attributes:
        told: is told how many entries were recorded.
        troubled: is told what keeps it from its work, in part or whole, once for each reason; None:
            it goes on.
        broke: is told what of ours broke on an entry.
        set_aside: is told the key of an entry that was set aside, and why.
        poll_s: between two looks.
        passed_s: how long an entry that failed is left out, where another was recorded.
    """

    spool: Spool
    engine: EngineReader
    commit: GroupCommit
    away: Away
    told: Callable[[int], None]
    troubled: Callable[[str | None], None]
    broke: Callable[[Exception], None]
    set_aside: Callable[[str, str], None]
    poll_s: float = 1.0
    passed_s: float = 10.0
    _problem: str | None = None
    _recorded_count: int = 0
    """How many entries were recorded."""
    _refusals: dict[str, tuple[int, int]] = field(default_factory=dict)
    """How often entries broke since others were recorded, and how many those were the last time."""
    _to_let_go: set[str] = field(default_factory=set)
    """Keys of entries that are recorded, and could not be let go yet."""
    _stuck: dict[str, float] = field(default_factory=dict)
    """Keys of entries that failed where others did not, and until when they are passed over."""
    _in_vain: set[str] = field(default_factory=set)
    """Keys of entries that failed since any was recorded: behind them may be those that do not."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop* is set; then end the round that is under way, if it ends soon.

        Who is cancelled breaks off that round, too, and leaves nothing running.
        """
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                recorded = await self._round(stopped)
                if recorded:
                    self.told(recorded)
                else:
                    await asyncio.wait({stopped}, timeout=self.poll_s)
        finally:
            stopped.cancel()

    async def _round(self, stopped: asyncio.Task[bool]) -> int:
        """Return how many were recorded; what cannot be done is told."""
        working = asyncio.create_task(self())
        try:
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({working}, timeout=_ENDING_S)
        finally:
            working.cancel()  # what it still had in hand stays in the spool
            await asyncio.wait({working})
        try:
            return 0 if working.cancelled() else working.result()
        except Unavailable as exc:
            self._trouble(str(exc))
            return 0

    async def __call__(self) -> int:
        """Record the oldest entries, as many as go together.

        Returns:
            How many are recorded; 0: nothing waits, another process is at it, or all of them broke.

        Raises:
            Unavailable: the spool is away, or the database took none of them.
        """
        await self._let_go()
        found = await self._found()
        outcomes = await self._outcomes([entry for entry in found if entry.problem is None])
        done = [entry.key for entry, error in outcomes if error is None]
        failed = [entry.key for entry, error in outcomes if error is not None]
        self._to_let_go.update(done)
        self._recorded_count += len(done)
        self._refusals = {key: n for key, n in self._refusals.items() if key not in done}
        self._remember(done, failed)
        problem = await self._let_go()
        problem = await self._set_aside_all(found, outcomes) or problem
        if failed and not done:
            await self.spool.release()  # another process may be better off
            for _, error in outcomes:
                if isinstance(error, Unavailable):
                    raise error
        if problem is not None:
            self._trouble(str(problem))
        elif found or not (self._to_let_go or self._stuck):  # else what was told still holds
            self._trouble(None)
        return len(done)

    def _remember(self, done: Sequence[str], failed: Sequence[str]) -> None:
        """Remember what is to be left out, and until when."""
        if done:
            self._stuck |= dict.fromkeys([*failed, *self._in_vain], _now() + self.passed_s)
            self._in_vain.clear()
        elif len(self._in_vain) > _MOST_VAIN:
            self._in_vain.clear()
        else:
            self._in_vain.update(failed)

    async def _set_aside_all(
        self, found: Sequence[SpoolEntry], outcomes: Sequence["_Outcome"]
    ) -> Unavailable | None:
        """Set aside what will never be recorded; return why some of it cannot be set aside."""
        problem = None
        for entry in found:
            if entry.problem is not None:
                problem = await self._set_aside(entry, entry.problem) or problem
        for entry, error in outcomes:
            if error is not None and not isinstance(error, Unavailable):
                problem = await self._broke_on(entry, error) or problem
        return problem

    async def _found(self) -> Sequence[SpoolEntry]:
        """Return the oldest entries of which it is not known that they cannot be recorded now."""
        now = _now()
        self._stuck = {key: until for key, until in self._stuck.items() if until > now}
        passed = self._to_let_go | self._stuck.keys()
        if self._in_vain:
            with suppress(Unavailable):  # it may be that nothing behind them can be read
                found = await self.spool.oldest(limit=_AT_ONCE, without=passed | self._in_vain)
                if found:
                    return found
            self._in_vain.clear()  # from the first again
        return await self.spool.oldest(limit=_AT_ONCE, without=passed)

    async def _outcomes(self, entries: Sequence[SpoolEntry]) -> list["_Outcome"]:
        """Record *entries*, and tell for each why it is not."""
        errors = await asyncio.gather(*map(self._record, entries))
        broken = [error for error in errors if error and not isinstance(error, Unavailable)]
        if len(entries) > 1 and len(broken) == len(entries):
            # A defect may be a neighbour's, with which they shared a transaction.
            errors = [await self._record(entry) for entry in entries]
        return [_Outcome(entry, error) for entry, error in zip(entries, errors, strict=True)]

    async def _record(self, entry: SpoolEntry) -> Exception | None:
        """Record the bodies of an entry, each for itself; return why one of them is not."""
        kept = await asyncio.gather(*map(self._record_body, entry.bodies), return_exceptions=True)
        for error in kept:
            if error is not None and not isinstance(error, Exception):
                raise error
        errors = [error for error in kept if isinstance(error, Exception)]
        return min(errors, key=lambda error: not isinstance(error, Unavailable), default=None)

    async def _record_body(self, body: SpooledBody) -> None:
        deliveries = self.engine.read(body.body, received_at=body.received_at, source=body.source)
        await self.commit.record(deliveries, patiently=True)
        self.away.answered({delivery.session for delivery in deliveries})

    async def _let_go(self) -> Unavailable | None:
        """Let go of what is recorded; return why that cannot be: then it is tried again."""
        keys = list(islice(self._to_let_go, _AT_ONCE * 5))
        try:
            if keys:
                await self.spool.let_go(keys)
        except Unavailable as exc:
            return exc
        self._to_let_go.difference_update(keys)
        return None

    async def _broke_on(self, entry: SpoolEntry, error: Exception) -> Unavailable | None:
        """Tell what broke on *entry*, and set it aside where that is its own fault.

        As long as nothing else is recorded it may not be.

        Returns:
            Why it cannot be set aside; None: it is, or it is tried again.
        """
        self.broke(error)
        if not isinstance(error, InvalidInput):
            refusals, recorded = self._refusals.get(entry.key, (0, 0))
            if self._recorded_count > recorded:
                refusals += 1
            self._refusals[entry.key] = refusals, self._recorded_count
            if refusals < _MOST_REFUSALS:
                return None
        return await self._set_aside(entry, type(error).__name__)

    async def _set_aside(self, entry: SpoolEntry, why: str) -> Unavailable | None:
        try:
            await self.spool.set_aside(entry.key)
        except Unavailable as exc:
            self._stuck[entry.key] = _now() + self.passed_s
            return exc
        self._forget(entry.key)
        self.set_aside(entry.key, why)
        return None

    def _forget(self, key: str) -> None:
        """Remember nothing of what was set aside: when it is put back, it is tried at once."""
        self._refusals.pop(key, None)
        self._stuck.pop(key, None)
        self._in_vain.discard(key)

    def _trouble(self, problem: str | None) -> None:
        if problem != self._problem:
            self._problem = problem
            self.troubled(problem)


class _Outcome(NamedTuple):
    """Why an entry is not recorded; None: it is."""

    entry: SpoolEntry
    error: Exception | None


def _now() -> float:
    return asyncio.get_running_loop().time()
