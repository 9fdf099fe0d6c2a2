"""Take in what an engine delivers: read, group, commit, answer."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

from wagateway.domain.events import Outcome, Recorded, Source
from wagateway.ports.clock import Clock
from wagateway.ports.engine import EngineReader
from wagateway.usecases.group_commit import GroupCommit


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
            InvalidInput: not JSON, neither an object nor an array, or too many events.
            StoreUnavailable: nothing was acknowledged; repeating is safe.
        """
        deliveries = self.engine.read(body, received_at=self.clock(), source=source)
        return ingested(await self.commit.record(deliveries))
