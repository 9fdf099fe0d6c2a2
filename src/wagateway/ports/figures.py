"""How the whole archive stands, in few numbers: for those who watch it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from wagateway.domain.events import SessionStatus
from wagateway.domain.identity import SessionName
from wagateway.domain.media import DownloadStatus
from wagateway.domain.sync import SyncStatus

MOST_COUNTED = 100_000
"""Rows are counted up to here: more is as bad, and an answer must not take for ever."""
MOST_CHATS = 250
"""Of a session, the latest active ones, so many are looked at for gaps."""
LATE = timedelta(minutes=15)
"""What a chat lacks at most while all is well: the time since the last look, and to settle."""


class SessionFigures(Struct, frozen=True, kw_only=True):
    """How one session stands, under the account that it has now.

    Attributes:
        status: the latest that the engine told; None if it never did.
        last_event_at: of the latest webhook, see SessionView.
        sync_status: of the look at all its chats; None before a worker found it.
        sync_problem: why that does not go on.
        looked_at: when the last such look began that came to its end.
        chats: how many of its chats were looked at for gaps, see MOST_CHATS.
        gap_s: what of a span of time is not proven complete, in seconds, on average of these.
        incomplete_chats: how many of these lack more than LATE.
    """

    session: SessionName
    status: SessionStatus | None = None
    last_event_at: datetime
    sync_status: SyncStatus | None = None
    sync_problem: str | None = None
    looked_at: datetime | None = None
    chats: int = 0
    gap_s: float = 0.0
    incomplete_chats: int = 0


class Figures(Struct, frozen=True, kw_only=True):
    """How the archive stands; each count ends at MOST_COUNTED.

    Attributes:
        session_count: how many sessions there are.
        sessions: the first of these by name.
        sync_chats: how many chats' syncs have each status.
        sync_due: how many syncs could go on, of chats and of sessions.
        sync_due_since: since when the first of these could; None where none can.
        files: how many files have each status; those that are stored are not counted.
        files_due: how many of these could be fetched.
        files_due_since: since when the first of these could; None where none can.
        offered_since: when the engine offered the first of the files that wait with it; None
            where none do.
        uninspected: how many stored files wait for a look into them.
        failed_rows: how many rows of the log should have been projected and could not be.
    """

    session_count: int
    sessions: tuple[SessionFigures, ...]
    sync_chats: Mapping[SyncStatus, int]
    sync_due: int
    sync_due_since: datetime | None
    files: Mapping[DownloadStatus, int]
    files_due: int
    files_due_since: datetime | None
    offered_since: datetime | None
    uninspected: int
    failed_rows: int


class ArchiveFigures(ABC):
    """Reads how the archive stands; the same whichever process asks.

    May raise StoreUnavailable.
    """

    @abstractmethod
    async def read(self, now: datetime, *, within: timedelta, most_sessions: int) -> Figures:
        """Return how everything stands, from one snapshot and within some seconds.

        Args:
            now: the present, aware UTC.
            within: how far back gaps count.
            most_sessions: that are told, 1 or more.
        """
