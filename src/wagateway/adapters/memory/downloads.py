"""Download work in plain Python, to try the library and for tests; behaves as in PostgreSQL."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.domain.cursors import encode_cursor, file_position, page_limit
from wagateway.domain.downloads import FileRecord
from wagateway.domain.errors import Defect, LeaseLost
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.domain.media import (
    Download,
    DownloadStatus,
    Inspection,
    MediaKey,
    MediaObject,
    Rules,
    Stored,
    begun,
    expiry,
    file_key,
    given_back,
    judged,
    lost,
    retried,
    skipped,
    thumbnail_key,
)
from wagateway.domain.messages import Kind
from wagateway.domain.presentation import file_view
from wagateway.domain.views import FilePage, FileView
from wagateway.ports.downloads import RETRIED, DownloadCounts, DownloadStore, DownloadTask
from wagateway.ports.sync import Archived


class InMemoryDownloadStore(DownloadStore):
    """Beside an archive in memory, which keeps the files' records with its messages."""

    def __init__(self, archive: InMemoryArchive) -> None:
        """Keep the downloads of *archive*."""
        self._archive = archive
        self._inspect_at: dict[str, datetime] = {}

    def _files(self) -> Iterator[tuple[Archived, FileRecord]]:
        for entry in self._archive.entries():
            archived = Archived(id=entry.id, session=entry.session, account=entry.account)
            for file in list(self._archive.files(entry.id).values()):
                yield archived, file

    def _change(
        self, archive_id: int, file: FileRecord, state: Download, *, lease: str | None = None
    ) -> FileRecord:
        changed = file.standing(state, lease)
        self._archive.files(archive_id)[file.key] = changed
        return changed

    @override
    async def claim(
        self,
        now: datetime,
        *,
        rules: Rules,
        lease: timedelta,
        limit: int,
        again: int | None = None,
    ) -> list[DownloadTask]:
        due = []
        for archive, file in self._files():
            state = file.download
            if state.due_at is None or state.due_at > now:
                continue
            aged = msgspec.structs.replace(state, again=judged(state, rules, now).again)
            file = self._change(archive.id, file, aged, lease=file.lease)  # noqa: PLW2901 - aged
            due.append((DownloadTask.of(archive, file, rules, now), file))
        due.sort(key=lambda pair: pair[0].turn)
        fresh = [pair for pair in due if not pair[0].download.again]
        slow = [pair for pair in due if pair[0].download.again][:again]
        taken = []
        for task, file in [*fresh, *slow][:limit]:
            held = self._change(
                task.archive.id, file, begun(file.download, now + lease), lease=str(uuid4())
            )
            taken.append(DownloadTask.of(task.archive, held, rules, now))
        return taken

    def _held(self, task: DownloadTask) -> FileRecord:
        for _, file in self._files():
            if file.lease == task.lease:
                return file
        raise LeaseLost

    @override
    async def hold(self, task: DownloadTask, *, until: datetime) -> None:
        file = self._held(task)
        state = msgspec.structs.replace(file.download, due_at=until)
        self._change(task.archive.id, file, state, lease=file.lease)

    @override
    async def save(
        self, task: DownloadTask, *, now: datetime, stored: Stored | None = None
    ) -> bool:
        file = self._held(task)
        state = given_back(task.download, file.download.offer, now)
        sha256 = state.sha256
        is_new = sha256 is not None and sha256 not in self._archive.objects
        if sha256 is not None and sha256 != file.download.sha256:
            if stored is None:
                raise Defect("a file is completed whose size and type are not told")
            if is_new:
                self._archive.objects[sha256] = MediaObject(
                    sha256=sha256,
                    size_bytes=stored.size_bytes,
                    mimetype=stored.mimetype,
                    stored_at=now,
                )
                self._inspect_at[sha256] = now
        self._change(task.archive.id, file, msgspec.structs.replace(state, expires_at=None))
        return is_new

    @override
    async def claim_inspections(
        self, now: datetime, *, lease: timedelta, limit: int
    ) -> list[MediaObject]:
        due = sorted((at, sha256) for sha256, at in self._inspect_at.items() if at <= now)
        taken = [self._archive.objects[sha256] for _, sha256 in due[:limit]]
        for each in taken:
            self._inspect_at[each.sha256] = now + lease
            self._archive.objects[each.sha256] = msgspec.structs.replace(
                each, inspections=each.inspections + 1
            )
        return self._counted(
            sorted(
                (each.sha256 for each in taken),
                key=lambda s: (self._archive.objects[s].stored_at, s),
            )
        )

    def _counted(self, hashes: Collection[str]) -> list[MediaObject]:
        """Return stored files with their uses."""
        uses = Counter(file.download.sha256 for _, file in self._files())
        return [
            msgspec.structs.replace(self._archive.objects[each], uses=uses[each]) for each in hashes
        ]

    @override
    async def save_inspection(self, sha256: str, found: Inspection, *, now: datetime) -> None:
        known = self._archive.objects.get(sha256)
        if known is not None:
            told = msgspec.structs.asdict(found)
            self._archive.objects[sha256] = msgspec.structs.replace(known, inspected_at=now, **told)
            self._inspect_at.pop(sha256, None)

    @override
    async def remove_unused(
        self, remove: Callable[[MediaKey], Awaitable[object]], *, limit: int
    ) -> int:
        unused = [
            each.sha256 for each in self._counted(sorted(self._archive.objects)) if not each.uses
        ]
        for sha256 in unused[:limit]:
            # A use that begins from here on finds the file new, as it is about to be removed.
            del self._archive.objects[sha256]
            self._inspect_at.pop(sha256, None)
            await _remove(sha256, remove)
        return len(unused[:limit])

    @override
    async def retry(
        self,
        now: datetime,
        *,
        session: SessionName | None = None,
        account: Jid | None = None,
        chat: Sequence[Jid] = (),
        stanza: StanzaId | None = None,
        statuses: Collection[DownloadStatus] = RETRIED,
    ) -> int:
        entry, found = None, None
        if session is not None:
            entry, found = self._archive.chosen(session, account, chat)
        count = 0
        for archive, file in self._files():
            state = retried(file.download, now)
            if (
                state.status is DownloadStatus.PENDING
                and file.download.status in statuses
                and (entry is None or entry.id == archive.id)
                and found in {None, file.chat}
                and stanza in {None, file.stanza}
            ):
                self._change(archive.id, file, state)
                count += 1
        return count

    @override
    async def forget(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        problem: str,
        account: Jid | None = None,
    ) -> int:
        entry, found = self._archive.chosen(session, account, chat)
        files = [
            file
            for file in self._archive.files(entry.id).values()
            if (file.chat, file.stanza) == (found, stanza)
        ]
        for file in files:
            state = msgspec.structs.replace(skipped(file.download, problem), sha256=None)
            self._change(entry.id, msgspec.structs.replace(file, preview=None), state)
        return len(files)

    @override
    async def fetch_again(
        self,
        sha256: str,
        remove: Callable[[MediaKey], Awaitable[object]] | None,
        *,
        now: datetime,
        problem: str,
    ) -> int:
        count = 0
        for archive, file in self._files():
            if file.download.sha256 == sha256:
                self._change(archive.id, file, lost(file.download, now, problem))
                count += 1
        self._archive.objects.pop(sha256, None)
        self._inspect_at.pop(sha256, None)
        if remove is not None:
            await _remove(sha256, remove)
        return count

    @override
    async def remove_unknown(
        self, sha256: str, remove: Callable[[MediaKey], Awaitable[object]]
    ) -> bool:
        if sha256 in self._archive.objects:
            return False
        await _remove(sha256, remove)
        return True

    @override
    async def inspect_again(self, sha256: str, *, now: datetime) -> None:
        known = self._archive.objects.get(sha256)
        if known is not None:
            self._archive.objects[sha256] = msgspec.structs.replace(known, inspections=0)
            self._inspect_at[sha256] = now

    @override
    async def files(
        self,
        session: SessionName,
        *,
        account: Jid | None = None,
        kind: Kind | None = None,
        status: DownloadStatus | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> FilePage:
        limit = page_limit(limit)
        position = file_position(before)
        entry, _ = self._archive.chosen(session, account)
        found = sorted(
            (
                file
                for file in self._archive.files(entry.id).values()
                if file.position < position
                and kind in {None, file.kind}
                and status in {None, file.download.status}
            ),
            key=lambda file: file.position,
            reverse=True,
        )
        more = len(found) > limit
        return FilePage(
            files=self._views(session, found[:limit]),
            next=encode_cursor(found[limit - 1].position) if more else None,
        )

    @override
    async def files_of(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        account: Jid | None = None,
    ) -> list[FileView]:
        entry, found = self._archive.chosen(session, account, chat)
        files = [
            file
            for file in self._archive.files(entry.id).values()
            if (file.chat, file.stanza) == (found, stanza)
        ]
        return self._views(session, sorted(files, key=lambda file: file.author))

    @override
    async def preview(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        account: Jid | None = None,
    ) -> bytes | None:
        entry, found = self._archive.chosen(session, account, chat)
        files = [
            file
            for file in self._archive.files(entry.id).values()
            if (file.chat, file.stanza) == (found, stanza) and file.preview is not None
        ]
        first = min(files, key=lambda file: file.author, default=None)
        return first.preview if first else None

    def _views(self, session: SessionName, files: Sequence[FileRecord]) -> list[FileView]:
        return [file_view(session, self._archive.kept(file)) for file in files]

    @override
    async def stored(self, *, after: str = "", limit: int = 500) -> list[MediaObject]:
        behind = sorted(sha256 for sha256 in self._archive.objects if sha256 > after)
        return self._counted(behind[:limit])

    @override
    async def counts_of(
        self, session: SessionName, *, account: Jid | None = None, kind: Kind | None = None
    ) -> Mapping[DownloadStatus, int]:
        entry, _ = self._archive.chosen(session, account)
        counted = Counter(
            file.download.status
            for file in self._archive.files(entry.id).values()
            if kind in {None, file.kind}
        )
        return {status: counted[status] for status in DownloadStatus}

    @override
    async def counts(self, *, rules: Rules) -> DownloadCounts:
        states = [file.download for _, file in self._files()]
        counted = Counter(state.status for state in states)
        ends = [expiry(s.offer, rules) for s in states if s.due_at is not None and not s.again]
        waiting = [s.due_at for s in states if s.status is DownloadStatus.PENDING]
        return DownloadCounts(
            by_status={status: counted[status] for status in DownloadStatus},
            expires_at=min((at for at in ends if at is not None), default=None),
            due_since=min((at for at in waiting if at is not None), default=None),
            uninspected=len(self._inspect_at),
        )


async def _remove(sha256: str, remove: Callable[[MediaKey], Awaitable[object]]) -> None:
    await remove(file_key(sha256))
    await remove(thumbnail_key(sha256))
