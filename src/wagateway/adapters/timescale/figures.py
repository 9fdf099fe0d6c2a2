"""How the archive in PostgreSQL stands: one statement, which ends soon."""

import asyncio
from datetime import datetime, timedelta

import msgspec
from typing_extensions import override

from wagateway.adapters.timescale._errors import translated_errors
from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale._reading import fetch
from wagateway.adapters.timescale._rows import from_row
from wagateway.adapters.timescale.pool import Pool
from wagateway.domain.media import DownloadStatus
from wagateway.domain.sync import SyncStatus
from wagateway.ports.figures import LATE, MOST_CHATS, MOST_COUNTED, ArchiveFigures, Figures

_ANSWER_S = 5.0
"""More than the server allows the statement: only a database that hangs takes longer."""
_COUNTED = tuple(status for status in DownloadStatus if status is not DownloadStatus.COMPLETED)


class TimescaleArchiveFigures(ArchiveFigures):
    """Over the same pool as the archive."""

    def __init__(self, pool: Pool) -> None:
        """Read through *pool*, which stays the caller's."""
        self._pool = pool

    @override
    async def read(self, now: datetime, *, within: timedelta, most_sessions: int) -> Figures:
        with translated_errors("a look at how the archive stands"):
            async with (
                asyncio.timeout(_ANSWER_S),
                self._pool.connection() as conn,
                conn.pipeline(),
                conn.transaction(),
            ):
                await conn.execute(QUERIES["one_snapshot"])
                await conn.execute(QUERIES["limit_figures"])
                [row] = await fetch(
                    conn,
                    "archive_figures",
                    now=now,
                    since=now - within,
                    most=MOST_COUNTED,
                    most_chats=MOST_CHATS,
                    most_sessions=most_sessions,
                    late_s=LATE.total_seconds(),
                    statuses=list(_COUNTED),
                )
        told = {
            "sessions": msgspec.json.decode(row["sessions"]),
            "sync_chats": dict.fromkeys(SyncStatus, 0) | msgspec.json.decode(row["sync_chats"]),
            "files": msgspec.json.decode(row["files"]),
        }
        return from_row(Figures, dict(row) | told)
