"""Copy the files of a session into a folder, with a list of what is what."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from wagateway.domain.cursors import FilePosition, encode_cursor
from wagateway.domain.errors import InvalidInput, NotFound
from wagateway.domain.exports import export_names, exported
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.media import DownloadStatus, file_key
from wagateway.domain.messages import Kind
from wagateway.domain.views import FileView
from wagateway.ports.archive import ArchiveReader
from wagateway.ports.downloads import DownloadStore
from wagateway.ports.export_folder import ExportFolder, There
from wagateway.ports.media_store import MediaStore
from wagateway.usecases.closing import closing

_PAGE = 500


class Wanted(Struct, frozen=True, kw_only=True):
    """Which files are exported.

    Attributes:
        chat: the JIDs that may be meant, the likeliest first; empty: of every chat.
        kind: only of such messages.
        since, until: only of messages that were sent from then on, and before that; aware.
    """

    session: SessionName
    chat: Sequence[Jid] = ()
    kind: Kind | None = None
    since: datetime | None = None
    until: datetime | None = None


class Ending(StrEnum):
    """What became of a file."""

    COPIED = "copied"
    ALREADY_THERE = "already-there"
    MISSING = "missing"
    """The media store lacks it."""
    DAMAGED = "damaged"
    """The media store has something else in its place."""
    IN_THE_WAY = "in-the-way"
    """Other things have all the names that it could have."""


class Exported(Struct, frozen=True, kw_only=True):
    """One file had its turn.

    Attributes:
        name: in the folder; None: it is not there.
        size_bytes: as the archive knows it.
    """

    ending: Ending
    file: FileView
    name: str | None
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportMedia:
    """Exports stored files; what is in the folder already is not copied again."""

    reader: ArchiveReader
    downloads: DownloadStore
    media: MediaStore

    async def __call__(self, wanted: Wanted, folder: ExportFolder) -> AsyncIterator[Exported]:
        """Yield each file after its turn, those of the latest messages first.

        Stopped at any time, the folder holds whole files alone, and a repetition goes on.

        Raises:
            NotFound: no such session or chat.
            StoreUnavailable: the archive, the media store or the folder is away, or is full.
        """
        async with closing(self._files(wanted)) as files:
            async for file in files:
                yield await self._export(file, folder)

    async def _files(self, wanted: Wanted) -> AsyncIterator[FileView]:
        chat = await self._chat(wanted)
        before = encode_cursor(FilePosition(wanted.until, "", "", "")) if wanted.until else None
        while True:
            page = await self.downloads.files(
                wanted.session,
                kind=wanted.kind,
                status=DownloadStatus.COMPLETED,
                before=before,
                limit=_PAGE,
            )
            for file in page.files:
                if wanted.since is not None and file.sent_at < wanted.since:
                    return
                if chat in {None, file.chat_id}:
                    yield file
            if page.next is None:
                return
            before = page.next

    async def _chat(self, wanted: Wanted) -> Jid | None:
        """Return the address under which the archive has the chat; None for every chat."""
        if not wanted.chat:
            return None
        page = await self.reader.messages(wanted.session, wanted.chat, limit=1)
        return page.messages[0].chat_id if page.messages else wanted.chat[0]

    async def _export(self, file: FileView, folder: ExportFolder) -> Exported:
        sha256, ending, found = file.media.sha256 or "", Ending.IN_THE_WAY, None
        for name in export_names(file):
            there = await folder.look(name, sha256)
            if there is There.OTHER:
                continue
            ending = Ending.ALREADY_THERE
            if there is There.NOTHING:
                ending = await self._copied(sha256, name, folder)
            if ending is Ending.IN_THE_WAY:
                continue
            if ending in {Ending.COPIED, Ending.ALREADY_THERE}:
                await folder.note(exported(file, sha256, name))
                found = name
            break
        size_bytes = file.media.size_bytes or 0
        return Exported(ending=ending, file=file, name=found, size_bytes=size_bytes)

    async def _copied(self, sha256: str, name: str, folder: ExportFolder) -> Ending:
        async with closing(self.media.read(file_key(sha256))) as content:
            try:
                added = await folder.add(name, content, sha256)
            except NotFound:
                return Ending.MISSING
            except InvalidInput:
                return Ending.DAMAGED
        return Ending.COPIED if added else Ending.IN_THE_WAY
