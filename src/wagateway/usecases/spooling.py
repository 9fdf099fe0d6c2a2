"""Keep in the spool what the database cannot take now, and record it once it can."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from wagateway.domain.errors import InvalidInput, StoreUnavailable, Unavailable
from wagateway.domain.events import Delivery
from wagateway.domain.identity import SessionName
from wagateway.ports.engine import EngineReader
from wagateway.ports.spool import Spool, SpooledBody, SpoolEntry
from wagateway.usecases.group_commit import GroupCommit

_AT_ONCE = 20
"""Entries that are recorded together; each may hold several hundred bodies, and what comes now
waits for them."""
_MOST_REFUSALS = 5
"""After that many defects in a row an entry is set aside."""


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
            at_once: writes that are under way, so that a slow one makes not all others late.
        """
        self._spool = spool
        self._patience_s = patience_s
        self._max_bodies = max_bodies
        self._max_group_bytes = max_group_bytes
        self._at_once = at_once
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting_bytes = 0
        self._queue: deque[tuple[SpooledBody, asyncio.Future[None]]] = deque()
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
        kept = asyncio.get_running_loop().create_future()
        self._queue.append((body, kept))
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
        while self._queue:
            group = self._next_group()
            try:
                await self._spool.put([body for body, _ in group])
            except Exception as exc:  # noqa: BLE001 - whatever it is, its callers are told
                _settle(group, exc)
            else:
                _settle(group)
            finally:
                self._waiting_bytes -= sum(len(body.body) for body, _ in group)

    def _next_group(self) -> list[tuple[SpooledBody, asyncio.Future[None]]]:
        group = [self._queue.popleft()]
        size_bytes = len(group[0][0].body)
        while self._queue and len(group) < self._max_bodies:
            size_bytes += len(self._queue[0][0].body)
            if size_bytes > self._max_group_bytes:
                break
            group.append(self._queue.popleft())
        return group


def _settle(
    group: Sequence[tuple[SpooledBody, asyncio.Future[None]]], error: Exception | None = None
) -> None:
    for _, kept in group:
        if kept.done():  # its caller gave up
            continue
        if error is None:
            kept.set_result(None)
        else:
            kept.set_exception(error)


@dataclass(slots=True, kw_only=True)
class DrainSpool:
    """One process's share of recording what waits in the spool; any number may share one.

    Entries go in the order of their arrival, and through the same group commit as what comes now.

    Attributes:
        told: is told how many entries were recorded.
        troubled: is told why nothing can be done, once for each reason; None: it goes on.
        broke: is told what of ours broke on an entry.
        set_aside: is told the key of an entry that was set aside, and why.
        poll_s: between two looks.
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
    _problem: str | None = None
    _refusals: dict[str, int] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop* is set; then end the round that is under way."""
        while not stop.is_set():
            try:
                recorded = await self()
            except Unavailable as exc:
                self._trouble(str(exc))
                recorded = 0
            if recorded:
                self.told(recorded)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.poll_s)

    async def __call__(self) -> int:
        """Record the oldest entries, as many as go together.

        Returns:
            How many are recorded; 0: nothing waits, or another process is at it.

        Raises:
            StoreUnavailable: the spool is away, or the database took none of them.
        """
        found = await self.spool.oldest(limit=_AT_ONCE)
        for entry in found:
            if entry.problem is not None:
                await self._set_aside(entry, entry.problem)
        entries = [entry for entry in found if entry.problem is None]
        outcomes = await asyncio.gather(
            *(self._record(entry) for entry in entries), return_exceptions=True
        )
        done = [entry.key for entry, each in zip(entries, outcomes, strict=True) if each is None]
        errors = [each for each in outcomes if each is not None]
        if done:
            await self.spool.let_go(done)
        for entry, error in zip(entries, outcomes, strict=True):
            if error is not None and not isinstance(error, Unavailable):
                await self._refused(entry, error, others_are_taken=bool(done))
        self._refusals = {key: n for key, n in self._refusals.items() if key not in done}
        if errors and not done:
            await self.spool.release()  # another process may be better off
        away = next((each for each in errors if isinstance(each, Unavailable)), None)
        if away is not None and not done:
            raise away
        self._trouble(None)
        return len(done)

    async def _record(self, entry: SpoolEntry) -> None:
        deliveries: list[Delivery] = []
        for each in entry.bodies:
            deliveries += self.engine.read(
                each.body, received_at=each.received_at, source=each.source
            )
        sessions = {delivery.session for delivery in deliveries}
        await self.commit.record(deliveries, patiently=True)
        self.away.answered(sessions)

    async def _refused(
        self, entry: SpoolEntry, error: BaseException, *, others_are_taken: bool
    ) -> None:
        """Set an entry aside that will never be recorded.

        A defect may have been a neighbour's, and where nothing is taken it is not the entry's.
        """
        if not isinstance(error, Exception):
            raise error
        self.broke(error)
        if not others_are_taken and not isinstance(error, InvalidInput):
            return
        refusals = self._refusals[entry.key] = self._refusals.get(entry.key, 0) + 1
        if isinstance(error, InvalidInput) or refusals >= _MOST_REFUSALS:
            await self._set_aside(entry, type(error).__name__)
            del self._refusals[entry.key]

    async def _set_aside(self, entry: SpoolEntry, why: str) -> None:
        await self.spool.set_aside(entry.key)
        self.set_aside(entry.key, why)

    def _trouble(self, problem: str | None) -> None:
        if problem != self._problem:
            self._problem = problem
            self.troubled(problem)
