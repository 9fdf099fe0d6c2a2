"""Stored files for whoever asks: which one a message has, and its bytes."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from msgspec import Struct

from wagateway.domain.errors import NotFound, Purged
from wagateway.domain.filenames import safe_filename
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.domain.media import DownloadStatus, MediaKey, file_key, thumbnail_key
from wagateway.domain.messages import Kind
from wagateway.domain.mimetype import UNKNOWN, ending_of, is_shown_inline, safe_mimetype
from wagateway.domain.views import FilePage, FileView, MediaView
from wagateway.ports.archive import ArchiveReader
from wagateway.ports.clock import Clock
from wagateway.ports.downloads import RETRIED, DownloadStore
from wagateway.ports.media_store import MediaStore

_LINK_LIFETIME = timedelta(minutes=5)
_PREVIEW = "image/webp"


class ServedFile(Struct, frozen=True, kw_only=True):
    """A file in the media store, or its preview.

    Attributes:
        version: changes when the bytes do, which they do not.
        filename: as the sender named it, without what does harm.
    """

    key: MediaKey
    version: str
    size_bytes: int
    mimetype: str
    filename: str | None

    @property
    def is_shown_inline(self) -> bool:
        """Whether a browser may show it in place."""
        return is_shown_inline(self.mimetype)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLibrary:
    """Finds and reads stored files.

    Attributes:
        redirects: whether link() gives an address where nobody says.
    """

    reader: ArchiveReader
    downloads: DownloadStore
    media: MediaStore
    clock: Clock
    redirects: bool = False

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
            NotFound: no such session, chat or message, or its file is not stored; with the reason.
            Purged: the message was there.
        """
        view, found = await self._stored(session, chat, stanza, account, sha256)
        key = file_key(found)
        return ServedFile(
            key=key,
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

        Raises:
            NotFound: as of file(), or there is no preview.
        """
        view, found = await self._stored(session, chat, stanza, account, sha256)
        if not view.media.has_thumbnail:
            why = view.media.problem or "nobody looked into it yet, or it shows nothing"
            raise NotFound(f"the file of this message has no preview: {why}")
        key = thumbnail_key(found)
        return ServedFile(
            key=key,
            version=f"{found}-thumbnail",
            size_bytes=await self._size(key),
            mimetype=_PREVIEW,
            filename=None,
        )

    async def _stored(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        account: Jid | None,
        sha256: str,
    ) -> tuple[FileView, str]:
        found = await self.downloads.files_of(session, chat, stanza, account=account)
        if not found and await self.reader.is_purged(session, chat, stanza, account=account):
            raise Purged(f"the message {stanza!r} was purged, and its file with it")
        if not found:
            raise NotFound(
                f"session {session!r} has no message {stanza!r} with a file in this chat"
            )
        for view in found:
            stored = view.media.sha256 if _is_stored(view.media) else None
            if stored is not None and stored.startswith(sha256.lower()):
                return view, stored
        media = found[0].media
        if _is_stored(media):
            raise NotFound("the message has another file than this one")
        why = f": {media.problem}" if media.problem else ""
        raise NotFound(f"the file of this message is not stored; it is {media.status}{why}")

    async def _size(self, key: MediaKey) -> int:
        try:
            return await self.media.size_bytes(key)
        except NotFound as exc:
            raise NotFound(
                "the media store lacks this file, which was stored: `wagateway media verify` tells"
                " what else is missing"
            ) from exc

    def read(
        self, file: ServedFile, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of *file*, as the media store does."""
        return self.media.read(file.key, start=start, length=length)

    def link(self, file: ServedFile, *, inline: bool, wanted: bool | None = None) -> str | None:
        """Return an address of the media store at which a browser can read *file* for minutes.

        Args:
            file: which.
            inline: shown in place, where it may be.
            wanted: None: as it is usual here.

        Returns:
            None where it is not wanted, or the store has no addresses.
        """
        if not (self.redirects if wanted is None else wanted):
            return None
        return self.media.link(
            file.key,
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
        return await self.downloads.retry(
            self.clock(),
            session=session,
            account=account,
            chat=chat,
            stanza=stanza,
            statuses=statuses,
        )


def _is_stored(media: MediaView) -> bool:
    return media.status is DownloadStatus.COMPLETED


def _name(view: FileView) -> str:
    """Return a name for a file that has none: its kind and day, e.g. ``image-2026-10-03.jpg``."""
    ending = ending_of(view.media.mimetype or "")
    return f"{view.kind}-{view.sent_at:%Y-%m-%d}" + (f".{ending}" if ending else "")
