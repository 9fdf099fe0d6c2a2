"""Project what the event log holds again, after a fix or an upgrade."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from msgspec import Struct

from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import Delivery
from wagateway.ports.archive import Archive, LogFilter, LoggedBody
from wagateway.ports.engine import EngineReader
from wagateway.usecases.ingest import Ingested, ingested


class Replayed(Struct, frozen=True, kw_only=True):
    """What one step of a replay did.

    Attributes:
        rows: log rows read so far.
        last_id: the last row's id; a replay that stopped goes on after it.
        outcomes: of this step.
        unreadable: rows of this step that are no longer JSON to us; they stay as they were.
    """

    rows: int
    last_id: int
    outcomes: Ingested
    unreadable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayLog:
    """Read the log's bodies again and merge them; what is known already changes nothing."""

    engine: EngineReader
    archive: Archive
    batch: int = 500

    async def __call__(self, which: LogFilter, *, after: int = 0) -> AsyncIterator[Replayed]:
        """Replay the rows of *which*, oldest first, one transaction a step.

        Args:
            which: the rows that are meant.
            after: only rows with greater ids.

        Yields:
            One report per step.
        """
        rows = 0
        while bodies := await self.archive.logged(which, after=after, limit=self.batch):
            readable = [(body.id, d) for body in bodies if (d := self._read(body)) is not None]
            recorded = await self.archive.reproject(readable)
            rows += len(bodies)
            after = bodies[-1].id
            yield Replayed(
                rows=rows,
                last_id=after,
                outcomes=ingested(recorded),
                unreadable=len(bodies) - len(readable),
            )

    def _read(self, logged: LoggedBody) -> Delivery | None:
        try:
            found = self.engine.read(
                logged.body, received_at=logged.received_at, source=logged.source
            )
        except InvalidInput:
            return None
        return found[0] if len(found) == 1 else None
