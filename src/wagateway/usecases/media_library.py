"""Stored files for whoever asks: which one a message has, and its bytes."""

import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from msgspec import Struct

from wagateway.domain.errors import NotFound, Purged
from wagateway.domain.filenames import safe_filename
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.domain.media import THUMBNAIL_TYPE, DownloadStatus, MediaKey, file_key, thumbnail_key
from wagateway.domain.messages import Kind
from wagateway.domain.mimetype import UNKNOWN, ending_of, is_shown_inline, safe_mimetype
from wagateway.domain.previews import picture_type
from wagateway.domain.views import FilePage, FileView, MediaView
from wagateway.ports.archive import ArchiveReader
from wagateway.ports.clock import Clock
from wagateway.ports.downloads import RETRIED, DownloadStore
from wagateway.ports.feed import WakeUp
from wagateway.ports.media_store import MediaStore

_LINK_LIFETIME = timedelta(minutes=5)
_LOST = "the media store lacks this file"


class NotStored(NotFound):
    """The file of a message, or its preview, is not there to be served.

    Attributes:
        status: how far the download of the file is.
        problem: why it is not further, or what is wrong with the stored file; None: nothing known.
    """

    def __init__(self, text: str, *, status: DownloadStatus, problem: str | None) -> None:
        super().__init__(text)
        self.status = status
        self.problem = problem


class ServedFile(Struct, frozen=True, kw_only=True):
    """A file in the media store, its preview there, or the one that came inside the message.

    Attributes:
        source: its key in the media store; of what came inside a message, the bytes themselves.
        version: changes when the bytes do; what is stored never changes.
        filename: as the sender named it, without what does harm.
    """

    source: MediaKey | bytes
    version: str
    size_bytes: int
    mimetype: str
    filename: str | None

    @property
    def is_shown_inline(self) -> bool:
        """Whether a browser may show it in place."""
        return is_shown_inline(self.mimetype)

    @property
    def is_final(self) -> bool:
        """Whether nothing better can come in its place."""
        return not isinstance(self.source, bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLibrary:
    """Finds and reads stored files.

    Attributes:
        redirects: whether link() gives an address where nobody says.
        wake_up: of workers; None: they find by looking what they were asked for.
    """

    reader: ArchiveReader
    downloads: DownloadStore
    media: MediaStore
    clock: Clock
    redirects: bool = False
    wake_up: WakeUp | None = None

    async def file(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        account: Jid | None = None,
        sha256: str = "",
    ) -> ServedFile:
        """Return the stored file of a message.

        Args:
            session: the engine's session name.
            chat: the JIDs that may be meant, the likeliest first.
            stanza: the message; two may claim one id.
            account: whose archive; None: the present one's.
            sha256: how the file's hash begins, to tell two such apart.

        Raises:
            NotFound: no such session, chat or message, or none with such a file.
            NotStored: its file is not stored; with the reason.
            Purged: the message was there.
        """
        views = await self._views(session, chat, stanza, account)
        view, found = _stored(views, sha256) or _absent(views)
        key = file_key(found)
        return ServedFile(
            source=key,
            version=found,
            size_bytes=await self._size(key),
            mimetype=safe_mimetype(view.media.mimetype or UNKNOWN),
            filename=safe_filename(view.media.filename or "") or _name(view),
        )

    async def thumbnail(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        account: Jid | None = None,
        sha256: str = "",
    ) -> ServedFile:
        """Return the preview of a message's file, a WebP image of at most 400 pixels; see file().

        While the file is not stored, that is the tiny picture that came inside the message, for
        whoever names no hash.

        Raises:
            NotFound: as of file().
            NotStored: as of file(), or there is no preview.
        """
        views = await self._views(session, chat, stanza, account)
        stored = _stored(views, sha256)
        if stored is None and not sha256 and any(view.media.has_thumbnail for view in views):
            told = await self.downloads.preview(session, chat, stanza, account=account)
            if told is not None:
                return _told(told)
        view, found = stored or _absent(views)
        if not view.media.has_thumbnail:
            why = view.media.problem or "nobody looked into it yet, or it shows nothing"
            raise NotStored(
                f"the file of this message has no preview: {why}",
                status=view.media.status,
                problem=view.media.problem,
            )
        key = thumbnail_key(found)
        return ServedFile(
            source=key,
            version=f"{found}-thumbnail",
            size_bytes=await self._size(key),
            mimetype=THUMBNAIL_TYPE,
            filename=None,
        )

    async def _views(
        self, session: SessionName, chat: Sequence[Jid], stanza: StanzaId, account: Jid | None
    ) -> list[FileView]:
        """Return the files of the messages that claim an id: one at least."""
        found = await self.downloads.files_of(session, chat, stanza, account=account)
        if not found and await self.reader.is_purged(session, chat, stanza, account=account):
            raise Purged(f"the message {stanza!r} was purged, and its file with it")
        if not found:
            raise NotFound(
                f"session {session!r} has no message {stanza!r} with a file in this chat"
            )
        return found

    async def _size(self, key: MediaKey) -> int:
        try:
            return await self.media.size_bytes(key)
        except NotFound as exc:
            raise NotStored(
                f"{_LOST}, which was stored: `wagateway media verify` tells what else is missing",
                status=DownloadStatus.COMPLETED,
                problem=_LOST,
            ) from exc

    def read(
        self, file: ServedFile, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of *file*, as the media store does."""
        if isinstance(file.source, bytes):
            end = None if length is None else start + length
            return _pieces(file.source[start:end])
        return self.media.read(file.source, start=start, length=length)

    def link(self, file: ServedFile, *, inline: bool, wanted: bool | None = None) -> str | None:
        """Return an address of the media store at which a browser can read *file* for minutes.

        Args:
            file: which.
            inline: shown in place, where it may be.
            wanted: None: as it is usual here.

        Returns:
            None where it is not wanted, or the store has it not, or no addresses.
        """
        if isinstance(file.source, bytes) or not (self.redirects if wanted is None else wanted):
            return None
        return self.media.link(
            file.source,
            lifetime=_LINK_LIFETIME,
            filename=file.filename,
            mimetype=file.mimetype,
            inline=inline and file.is_shown_inline,
        )

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
        """Return the files of a session, those of the latest messages first.

        Raises:
            NotFound, InvalidInput: see `DownloadStore.files`.
        """
        return await self.downloads.files(
            session, account=account, kind=kind, status=status, before=before, limit=limit
        )

    async def retry(
        self,
        session: SessionName,
        *,
        account: Jid | None = None,
        chat: Sequence[Jid] = (),
        stanza: StanzaId | None = None,
        statuses: Collection[DownloadStatus] = RETRIED,
    ) -> int:
        """Let files be fetched again now, those that failed or expired; return how many.

        Raises:
            NotFound: no such session or chat.
        """
        count = await self.downloads.retry(
            self.clock(),
            session=session,
            account=account,
            chat=chat,
            stanza=stanza,
            statuses=statuses,
        )
        if self.wake_up is not None:
            self.wake_up.wake()
        return count


def _is_stored(media: MediaView) -> bool:
    return media.status is DownloadStatus.COMPLETED


def _stored(views: Sequence[FileView], sha256: str) -> tuple[FileView, str] | None:
    """Return the first of *views* that is stored, and its hash, which begins with *sha256*."""
    for view in views:
        found = view.media.sha256 if _is_stored(view.media) else None
        if found is not None and found.startswith(sha256.lower()):
            return view, found
    return None


def _absent(views: Sequence[FileView]) -> NoReturn:
    """Say why none of *views* is what was asked for."""
    media = views[0].media
    if _is_stored(media):
        raise NotFound("the message has another file than this one")
    why = f": {media.problem}" if media.problem else ""
    raise NotStored(
        f"the file of this message is not stored; it is {media.status}{why}",
        status=media.status,
        problem=media.problem,
    )


def _told(preview: bytes) -> ServedFile:
    """Return the picture that came inside a message."""
    return ServedFile(
        source=preview,
        version=hashlib.sha256(preview).hexdigest(),
        size_bytes=len(preview),
        mimetype=picture_type(preview) or UNKNOWN,
        filename=None,
    )


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content


def _name(view: FileView) -> str:
    """Return a name for a file that has none: its kind and day, e.g. ``image-2026-10-03.jpg``."""
    ending = ending_of(view.media.mimetype or "")
    return f"{view.kind}-{view.sent_at:%Y-%m-%d}" + (f".{ending}" if ending else "")
