"""How far a demo is: what was sent, what the gateway answered, what the archive holds."""

import time
from collections.abc import Awaitable, Callable

import psycopg
from msgspec import Struct

from wagateway.simulator.post import Counts
from wagateway.usecases.ingest import Ingested

_HELD = """
SELECT
    (SELECT count(*) FROM whatsapp_gateway.messages),
    (SELECT count(*) FROM whatsapp_gateway.chats)
"""


class Figures(Struct, frozen=True, kw_only=True):
    """One look at a running demo.

    Attributes:
        delivered: deliveries that were answered with 200 in this run.
        per_second: of them, lately.
        repeats: requests beyond each delivery's first.
        answered: what the gateway said of the events in them.
        messages: in the archive, earlier runs' included.
        chats: likewise.
    """

    delivered: int
    per_second: float
    repeats: int
    answered: Ingested
    messages: int
    chats: int


class Tally:
    """Adds up what an ingest answers."""

    def __init__(self, ingest: Callable[[bytes], Awaitable[Ingested]]) -> None:
        self._ingest = ingest
        self.total = Ingested(stored=0, duplicates=0, ignored=0, failed=0)

    async def __call__(self, body: bytes) -> Ingested:
        """Ingest *body*."""
        answer = await self._ingest(body)
        self.total = Ingested(
            stored=self.total.stored + answer.stored,
            duplicates=self.total.duplicates + answer.duplicates,
            ignored=self.total.ignored + answer.ignored,
            failed=self.total.failed + answer.failed,
            spooled=self.total.spooled + answer.spooled,
        )
        return answer


class Watch:
    """Takes figures, and keeps what is needed to tell the speed."""

    def __init__(self, counts: Counts, tally: Tally, database_url: str) -> None:
        self._counts = counts
        self._tally = tally
        self._url = database_url
        self._last = (time.monotonic(), 0)

    async def look(self) -> Figures:
        """Return the figures of now.

        Raises:
            psycopg.Error: the database is away.
        """
        messages, chats = await self._held()
        now, before = (time.monotonic(), self._counts.accepted), self._last
        self._last = now
        return Figures(
            delivered=now[1],
            per_second=(now[1] - before[1]) / max(now[0] - before[0], 0.001),
            repeats=self._counts.retried,
            answered=self._tally.total,
            messages=messages,
            chats=chats,
        )

    async def _held(self) -> tuple[int, int]:
        async with await psycopg.AsyncConnection.connect(self._url) as conn:
            row = await (await conn.execute(_HELD)).fetchone()
        return row or (0, 0)
