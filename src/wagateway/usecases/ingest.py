"""Take in what an engine delivers: read, group, commit, answer."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from msgspec import Struct

from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import Delivery, Outcome, Recorded, Source
from wagateway.ports.archive import Archive
from wagateway.ports.clock import Clock
from wagateway.ports.engine import EngineReader

_Entry = tuple[Sequence[Delivery], asyncio.Future[list[Recorded]]]


class Ingested(Struct, frozen=True, kw_only=True):
    """How many of a body's events had which outcome."""

    stored: int
    duplicates: int
    ignored: int
    failed: int


def ingested(recorded: Sequence[Recorded]) -> Ingested:
    """Count outcomes."""
    counts = Counter(r.outcome for r in recorded)
    return Ingested(
        stored=counts[Outcome.STORED],
        duplicates=counts[Outcome.DUPLICATE],
        ignored=counts[Outcome.IGNORED],
        failed=counts[Outcome.FAILED],
    )


class GroupCommit:
    """One transaction at a time; whatever arrives while it commits forms the next one.

    A delivery alone goes at once, without a timer. Every caller gets its answer after its commit,
    and a caller that is cancelled disturbs neither its own deliveries nor its neighbours'.
    """

    def __init__(
        self, archive: Archive, *, max_items: int = 500, max_queued_bytes: int = 256 * 2**20
    ) -> None:
        """Group for *archive*.

        Args:
            archive: where the groups go.
            max_items: deliveries per transaction.
            max_queued_bytes: raw bytes that may wait; beyond that callers are turned away.
        """
        self._archive = archive
        self._max_items = max_items
        self._max_queued_bytes = max_queued_bytes
        self._queued_bytes = 0
        self._queue: deque[_Entry] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        """Record *deliveries* with their neighbours; return when they are durable.

        Raises:
            StoreUnavailable: the database is away, or too much waits for it already.
        """
        if not deliveries:
            return []
        size = sum(len(d.body) for d in deliveries)
        if self._queue and self._queued_bytes + size > self._max_queued_bytes:
            raise StoreUnavailable("too many deliveries wait for the database; repeat later")
        answer: asyncio.Future[list[Recorded]] = asyncio.get_running_loop().create_future()
        self._queue.append((deliveries, answer))
        self._queued_bytes += size
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_groups())
        return await answer

    async def aclose(self) -> None:
        """Wait until everything that was taken is written."""
        if self._writer is not None:
            with suppress(Exception):
                await asyncio.shield(self._writer)

    async def _write_groups(self) -> None:
        try:
            while self._queue:
                await self._write(self._next_group())
        finally:
            self._writer = None

    def _next_group(self) -> list[_Entry]:
        group: list[_Entry] = []
        items = 0
        while self._queue and (not group or items + len(self._queue[0][0]) <= self._max_items):
            entry = self._queue.popleft()
            items += len(entry[0])
            self._queued_bytes -= sum(len(d.body) for d in entry[0])
            group.append(entry)
        return group

    async def _write(self, group: list[_Entry]) -> None:
        try:
            recorded = await self._archive.record([d for entry, _ in group for d in entry])
        except Exception as exc:  # noqa: BLE001 - whatever it is, the callers must hear it
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(exc)
            return
        start = 0
        for entry, answer in group:
            if not answer.done():
                answer.set_result(recorded[start : start + len(entry)])
            start += len(entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestBody:
    """Record one body, however often the engine repeats it."""

    engine: EngineReader
    commit: GroupCommit
    clock: Clock

    async def __call__(self, body: bytes, *, source: Source = Source.WEBHOOK) -> Ingested:
        """Read *body* and return when its events are durable.

        Args:
            body: one envelope, or a JSON array of envelopes, as received.
            source: which way it came.

        Raises:
            InvalidInput: not JSON, or neither an object nor an array.
            StoreUnavailable: nothing was acknowledged; repeating is safe.
        """
        deliveries = self.engine.read(body, received_at=self.clock(), source=source)
        return ingested(await self.commit.record(deliveries))
