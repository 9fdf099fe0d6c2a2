"""The feed in PostgreSQL: rows of transactions that have all ended, by transaction."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from typing_extensions import override

from wagateway.adapters.timescale._errors import translated_errors
from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale._rows import from_json
from wagateway.adapters.timescale.pool import Pool
from wagateway.domain.feed import Entry, FeedPage, Position, told_after
from wagateway.ports.feed import ChangeFeed

_ANSWER_S = 25.0
"""For one statement; only a database that hangs takes longer, and is cut off."""


class TimescaleChangeFeed(ChangeFeed):
    """Over the same pool as the archive, each page a statement and a snapshot."""

    def __init__(self, pool: Pool) -> None:
        """Read through *pool*, which stays the caller's."""
        self._pool = pool

    async def _rows(self, query: str, **values: object) -> list[dict[str, Any]]:
        with translated_errors():
            async with asyncio.timeout(_ANSWER_S), self._pool.connection() as conn:
                cursor = await conn.execute(QUERIES[query], values)
                return await cursor.fetchall() if cursor.description else []

    @override
    async def read(self, after: Position, *, limit: int) -> FeedPage:
        [row] = await self._rows(
            "feed_page",
            xid=str(after.transaction),
            change=after.change,
            item=after.item,
            limit=limit + 1,
        )
        now = Position(row["line"], row["open"])
        removed = (row["removed_xid"], row["removed_change"])
        is_kept = removed < (after.transaction, after.change) and after[1:] <= now[1:]
        if after.line != now.line or not is_kept:
            return FeedPage(told=[], until=now, reset=True)
        entries = [_in_utc(entry) for entry in from_json(Entry, row["rows"])]
        page, more = entries[:limit], len(entries) > limit
        told = told_after(after, page)
        return FeedPage(told=told, until=told[-1].position if more else now, more=more)

    @override
    async def position(self) -> Position:
        [row] = await self._rows("feed_position")
        return Position(row["line"], row["open"])

    @override
    async def held_since(self) -> datetime | None:
        [row] = await self._rows("held_since")
        return None if row["at"] is None else row["at"].astimezone(UTC)

    @override
    async def forget(self, *, older_than: timedelta, limit: int) -> int:
        await self._rows("forget_foreign_changes")
        [row] = await self._rows("forget_changes", older_than=older_than, limit=limit)
        return int(row["removed"])


def _in_utc(entry: Entry) -> Entry:
    """Return *entry* with the zone that the statement left out."""
    return msgspec.structs.replace(entry, at=entry.at.replace(tzinfo=UTC))
