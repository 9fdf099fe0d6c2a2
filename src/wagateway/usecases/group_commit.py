"""Deliveries share transactions: whatever arrives while one commits forms the next."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial

from msgspec import Struct

from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import Delivery, Recorded
from wagateway.domain.identity import SessionName
from wagateway.ports.archive import Archive
from wagateway.ports.tracing import UNTRACED, Tracing

_GROUP_BYTES = 16 * 2**20
"""Raw bytes of one transaction; a body that is larger goes alone."""

_DELIVERY_BYTES = 1000
"""What a delivery costs in memory besides its body, roughly."""

_LETTING_GO_S = 2.0
"""How long a write that is cancelled may take to end."""


class Commit(Struct, frozen=True, kw_only=True):
    """What became of a group.

    Attributes:
        deliveries: in their order.
        recorded: the outcome of each; None where nothing was written, or nobody knows.
        duration_s: of the transaction, 0 or more.
    """

    deliveries: Sequence[Delivery]
    recorded: Sequence[Recorded] | None
    duration_s: float


def _silent(_: Commit) -> None:
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """What one caller brought, and where it waits for the outcomes."""

    deliveries: Sequence[Delivery]
    sessions: frozenset[SessionName]
    size_bytes: int
    answer: asyncio.Future[list[Recorded]]


@dataclass(slots=True, eq=False)
class _Group:
    """Entries that are written in one transaction.

    Attributes:
        begun_at: by the event loop's clock.
        slow: whether it has been running so long that others need not wait for it.
    """

    entries: Sequence[_Entry]
    sessions: frozenset[SessionName]
    begun_at: float
    slow: bool = False

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.entries)

    @property
    def deliveries(self) -> list[Delivery]:
        return [delivery for entry in self.entries for delivery in entry.deliveries]

    def answer(self, recorded: Sequence[Recorded]) -> None:
        start = 0
        for entry in self.entries:
            end = start + len(entry.deliveries)
            if not entry.answer.done():
                entry.answer.set_result(list(recorded[start:end]))
            start = end

    def refuse(self, error: Exception) -> None:
        for entry in self.entries:
            if not entry.answer.done():
                entry.answer.set_exception(error)


class GroupCommit:
    """One transaction at a time; whatever arrives while it commits forms the next one.

    A delivery alone goes at once, without a timer. Every caller gets its answer after its commit,
    and a caller that is cancelled disturbs neither its own deliveries nor its neighbours'.

    Only a group that is slow, because of a lock or much work, is not waited for: deliveries of
    other sessions go in a further group beside it, those of its own sessions keep their order. No
    caller waits longer than its patience. What it brought is written even so, as soon as the
    database goes on, and a repetition is a duplicate then.
    """

    def __init__(  # noqa: PLR0913 - limits, each with its default
        self,
        archive: Archive,
        *,
        max_items: int = 500,
        max_waiting_bytes: int = 256 * 2**20,
        max_groups: int = 4,
        slow_after_s: float = 0.25,
        patience_s: float = 6.0,
        give_up_s: float = 600.0,
        told: Callable[[Commit], None] = _silent,
        tracing: Tracing = UNTRACED,
    ) -> None:
        """Group for *archive*.

        Args:
            archive: where the groups go.
            max_items: deliveries per transaction.
            max_waiting_bytes: how much may wait or be written; beyond that callers are turned away.
            max_groups: transactions at once; each holds a connection.
            slow_after_s: how long others wait for a group before they go beside it.
            patience_s: how long a caller waits; WAHA itself waits for 8 seconds.
            give_up_s: after that long a group's connection is taken for dead and cut.
            told: is told of each group after its callers; it never waits.
            tracing: measures each transaction.
        """
        self._archive = archive
        self._max_items = max_items
        self._max_waiting_bytes = max_waiting_bytes
        self._max_groups = max_groups
        self._slow_after_s = slow_after_s
        self._patience_s = patience_s
        self._give_up_s = give_up_s
        self._told = told
        self._tracing = tracing
        self._queue: deque[_Entry] = deque()
        self._waiting_bytes = 0
        self._running: dict[_Group, asyncio.Task[list[Recorded]]] = {}
        self._suspects: set[SessionName] = set()
        self._beginning: asyncio.Handle | None = None
        self._closing = False

    async def record(
        self, deliveries: Sequence[Delivery], *, patiently: bool = False
    ) -> list[Recorded]:
        """Record *deliveries* with their neighbours; return when they are durable.

        Args:
            deliveries: of one caller, in their order.
            patiently: wait however long it takes: whoever would bring the same again must not
                leave it in the queue.

        Raises:
            StoreUnavailable: the database is away or does not answer in time, or too much waits
                for it already; *deliveries* may or may not be written later.
        """
        if not deliveries:
            return []
        loop = asyncio.get_running_loop()
        entry = _Entry(
            deliveries,
            frozenset(delivery.session for delivery in deliveries),
            sum(len(delivery.body) + _DELIVERY_BYTES for delivery in deliveries),
            loop.create_future(),
        )
        self._require_prospects(entry)
        self._queue.append(entry)
        self._waiting_bytes += entry.size_bytes
        if self._beginning is None:  # at the end of this round, so that its arrivals go together
            # In a context of its own: a group belongs to none of the requests that brought it.
            self._beginning = loop.call_soon(self._begin, context=Context())
        try:
            async with asyncio.timeout(None if patiently else self._patience_s):
                return await entry.answer
        except TimeoutError as exc:
            raise StoreUnavailable("the database does not answer in time; repeat later") from exc

    async def aclose(self) -> None:
        """Write what was taken, as long as callers have patience; then let go of the rest."""
        self._closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                self._begin()
                while self._running:
                    await asyncio.wait(self._running.values())
        left, self._queue = self._queue, deque()
        _Group(left, frozenset(), 0).refuse(StoreUnavailable("the gateway stopped; repeat later"))
        for _ in range(2):  # a driver first asks the server to stop, and lets go the second time
            for task in self._running.values():
                task.cancel()
            if self._running:
                await asyncio.wait(self._running.values(), timeout=_LETTING_GO_S)

    def _require_prospects(self, entry: _Entry) -> None:
        """Turn *entry* away when it would wait in vain."""
        if self._closing:
            raise StoreUnavailable("the gateway is stopping; repeat later")
        if self._queue and self._waiting_bytes + entry.size_bytes > self._max_waiting_bytes:
            raise StoreUnavailable("too many deliveries wait for the database; repeat later")
        overdue = [group for group in self._running if self._is_overdue(group)]
        blocked = any(group.sessions & entry.sessions for group in overdue)
        if blocked or len(overdue) == self._max_groups:
            raise StoreUnavailable("the database does not answer; repeat later")

    def _is_overdue(self, group: _Group) -> bool:
        return asyncio.get_running_loop().time() - group.begun_at >= self._patience_s

    def _begin(self) -> None:
        """Begin the next group, unless one is running that is worth waiting for."""
        if self._beginning is not None:
            self._beginning.cancel()
            self._beginning = None
        if len(self._running) == self._max_groups or not all(g.slow for g in self._running):
            return
        if not (entries := self._next_entries()):
            return
        loop = asyncio.get_running_loop()
        sessions = frozenset[SessionName]().union(*(entry.sessions for entry in entries))
        group = _Group(entries, sessions, loop.time())
        timer = loop.call_later(self._slow_after_s, self._wait_no_longer, group)
        task = self._running[group] = asyncio.create_task(self._written(group))
        task.add_done_callback(partial(self._end, group, timer))

    def _next_entries(self) -> list[_Entry]:
        """Take the oldest entries that may go now, in their order, up to a group's limits."""
        taken: list[_Entry] = []
        passed: list[_Entry] = []
        busy = set[SessionName]().union(*(group.sessions for group in self._running))
        items = size_bytes = 0
        while self._queue:
            entry = self._queue[0]
            items += len(entry.deliveries)
            size_bytes += entry.size_bytes
            if entry.sessions & busy or (taken and not self._get_on(taken[0], entry)):
                busy |= entry.sessions
                passed.append(self._queue.popleft())
                items -= len(entry.deliveries)
                size_bytes -= entry.size_bytes
            elif taken and (items > self._max_items or size_bytes > _GROUP_BYTES):
                break
            else:
                taken.append(self._queue.popleft())
        self._queue.extendleft(reversed(passed))
        return taken

    def _get_on(self, first: _Entry, other: _Entry) -> bool:
        """Tell whether two may share a group; a session that failed or was late is alone."""
        suspects = self._suspects
        return (
            not suspects
            or first.sessions == other.sessions
            or suspects.isdisjoint(first.sessions | other.sessions)
        )

    async def _written(self, group: _Group) -> list[Recorded]:
        with self._tracing.span("group_commit", deliveries=len(group.deliveries)):
            async with asyncio.timeout(self._give_up_s):
                return await self._archive.record(group.deliveries)

    def _wait_no_longer(self, group: _Group) -> None:
        group.slow = True
        self._begin()

    def _end(
        self, group: _Group, timer: asyncio.TimerHandle, task: asyncio.Task[list[Recorded]]
    ) -> None:
        timer.cancel()
        del self._running[group]
        self._waiting_bytes -= group.size_bytes
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None or self._is_overdue(group):
            self._suspects |= group.sessions
        else:
            self._suspects -= group.sessions
        if error is None:
            group.answer(task.result())
        elif isinstance(error, Exception) and not isinstance(error, TimeoutError):
            group.refuse(error)
        else:
            group.refuse(StoreUnavailable("the write was broken off; repeat later"))
        self._begin()
        self._told(
            Commit(
                deliveries=group.deliveries,
                recorded=task.result() if error is None else None,
                duration_s=asyncio.get_running_loop().time() - group.begun_at,
            )
        )
