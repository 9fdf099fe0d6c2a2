"""How an archive in memory stands; behaves as the PostgreSQL one."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.downloads import InMemoryDownloadStore
from wagateway.adapters.memory.sync import InMemorySyncStore
from wagateway.domain.events import Outcome
from wagateway.domain.identity import SessionName
from wagateway.domain.media import DownloadStatus, Rules, kept_since
from wagateway.domain.spans import difference, span, union
from wagateway.domain.sync import SyncStatus
from wagateway.domain.views import SessionView
from wagateway.ports.figures import LATE, MOST_CHATS, ArchiveFigures, Figures, SessionFigures
from wagateway.ports.sync import Archived, SyncTask

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class InMemoryArchiveFigures(ArchiveFigures):
    """Over an archive in memory, and what is kept beside it."""

    def __init__(
        self,
        archive: InMemoryArchive,
        sync: InMemorySyncStore,
        downloads: InMemoryDownloadStore,
    ) -> None:
        """Read *archive*, its *sync* and its *downloads*."""
        self._archive = archive
        self._sync = sync
        self._downloads = downloads

    @override
    async def read(self, now: datetime, *, within: timedelta, most_sessions: int) -> Figures:
        views = [view for view in await self._archive.sessions() if view.current]
        archives = {archive.session: archive for archive in await self._sync.archives()}
        files = [file.download for id_ in self._ids() for file in self._archive.files(id_).values()]
        kept = await self._downloads.counts(rules=Rules())
        due = [file.due_at for file in files if file.due_at is not None and file.due_at <= now]
        tasks = [task for id_ in self._ids() for task in await self._tasks(id_)]
        waiting = [
            task.state.due_at
            for task in tasks
            if task.state.due_at is not None and task.state.due_at <= now
        ]
        statuses = Counter(task.state.status for task in tasks if task.chat)
        offered = [
            kept_since(file.offer) for file in files if file.due_at is not None and not file.again
        ]
        return Figures(
            session_count=len(views),
            sessions=tuple(
                [
                    await self._session(view, archives[view.session], now, within)
                    for view in views[:most_sessions]
                ]
            ),
            sync_chats={status: statuses[status] for status in SyncStatus},
            sync_due=len(waiting),
            sync_due_since=min((at for at in waiting if at > _LONG_AGO), default=None),
            files={
                status: count
                for status, count in kept.by_status.items()
                if status is not DownloadStatus.COMPLETED
            },
            files_due=len(due),
            files_due_since=min(due, default=None),
            offered_since=min((at for at in offered if at is not None), default=None),
            uninspected=kept.uninspected,
            failed_rows=(await self._archive.counts())[Outcome.FAILED],
        )

    def _ids(self) -> list[int]:
        return [entry.id for entry in self._archive.entries()]

    async def _tasks(self, archive_id: int) -> list[SyncTask]:
        return await self._sync.tasks(
            Archived(id=archive_id, session=SessionName(""), account=None)
        )

    async def _session(
        self, view: SessionView, archive: Archived, now: datetime, within: timedelta
    ) -> SessionFigures:
        whole = await self._sync.task(archive, None)
        gaps = await self._gaps(archive, now, within)
        return SessionFigures(
            session=view.session,
            status=view.status,
            last_event_at=view.last_event_at,
            sync_status=whole.state.status if whole else None,
            sync_problem=whole.state.problem if whole else None,
            looked_at=whole.state.caught_up_at if whole else None,
            chats=len(gaps),
            gap_s=sum(gaps) / len(gaps) if gaps else 0.0,
            incomplete_chats=sum(gap > LATE.total_seconds() for gap in gaps),
        )

    async def _gaps(self, archive: Archived, now: datetime, within: timedelta) -> list[float]:
        """Return what the latest active chats lack, in seconds."""
        wanted, proven = span(now - within, now), await self._sync.proven(archive)
        of_all = (await self._sync.evidence(archive, None)).proven
        tasks = [task for task in await self._sync.tasks(archive) if task.chat]
        tasks.sort(key=lambda task: (-_seconds(task.active_at), task.chat))
        gaps = []
        for task in tasks[:MOST_CHATS]:
            own = proven.get(task.chat, ()) if task.chat else ()
            lacking = difference(wanted, union(of_all, own))
            gaps.append(sum((each.end - each.begin).total_seconds() for each in lacking))
        return gaps


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else float("-inf")
