"""Take in what an engine delivers: read, group, commit, answer."""

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import Delivery, Outcome, Recorded, Source
from wagateway.domain.identity import SessionName
from wagateway.ports.clock import Clock
from wagateway.ports.engine import EngineReader
from wagateway.ports.spool import SpooledBody
from wagateway.ports.tracing import UNTRACED, Tracing
from wagateway.usecases.group_commit import GroupCommit
from wagateway.usecases.spooling import Away, SpoolBodies


class Ingested(Struct, frozen=True, kw_only=True):
    """How many of a body's events had which outcome.

    Attributes:
        spooled: events that are durable and wait until the database takes them.
    """

    stored: int
    duplicates: int
    ignored: int
    failed: int
    spooled: int = 0


def ingested(recorded: Sequence[Recorded]) -> Ingested:
    """Count outcomes."""
    counts = Counter(r.outcome for r in recorded)
    return Ingested(
        stored=counts[Outcome.STORED],
        duplicates=counts[Outcome.DUPLICATE],
        ignored=counts[Outcome.IGNORED],
        failed=counts[Outcome.FAILED],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestBody:
    """Record one body, however often the engine repeats it.

    Attributes:
        spool: keeps what the database cannot take now; None: whoever brought it is turned away.
    """

    engine: EngineReader
    commit: GroupCommit
    clock: Clock
    spool: SpoolBodies | None = None
    away: Away = field(default_factory=Away)
    tracing: Tracing = UNTRACED

    async def __call__(self, body: bytes, *, source: Source = Source.WEBHOOK) -> Ingested:
        """Read *body* and return when its events are durable.

        Args:
            body: one envelope, or a JSON array of envelopes, as received.
            source: which way it came.

        Raises:
            InvalidInput: not JSON, neither an object nor an array, or too many events.
            StoreUnavailable: neither database nor spool took it; repeating is safe.
        """
        with self.tracing.span("delivery", size_bytes=len(body), source=source.value) as span:
            received_at = self.clock()
            deliveries = self.engine.read(body, received_at=received_at, source=source)
            spooled = SpooledBody(body=body, received_at=received_at, source=source)
            counted = await self._kept(deliveries, spooled)
            span.tell(**msgspec.structs.asdict(counted))
            return counted

    async def _kept(self, deliveries: Sequence[Delivery], body: SpooledBody) -> Ingested:
        """Record *deliveries*, or keep the *body* that told them until that can be done."""
        if self.spool is None:
            return ingested(await self.commit.record(deliveries))
        sessions = {delivery.session for delivery in deliveries}
        asked = self.away.is_worth_asking(sessions)
        if asked:
            with suppress(StoreUnavailable):
                return await self._recorded(deliveries, sessions)
        try:
            await self.spool(body)
        except StoreUnavailable:
            if asked:
                raise
            return await self._recorded(deliveries, sessions)  # the last that is left to try
        return Ingested(stored=0, duplicates=0, ignored=0, failed=0, spooled=len(deliveries))

    async def _recorded(
        self, deliveries: Sequence[Delivery], sessions: Collection[SessionName]
    ) -> Ingested:
        try:
            recorded = await self.commit.record(deliveries)
        except StoreUnavailable:
            self.away.was_away(sessions)
            raise
        self.away.answered(sessions)
        return ingested(recorded)
