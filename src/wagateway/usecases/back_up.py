"""Make a backup: all tables as of one instant, and the attached files that are not there yet."""

import struct
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import msgspec
from msgspec import Struct

from wagateway.domain.backups import (
    FORMAT,
    MEDIA_LIST,
    Counter,
    FileFact,
    Manifest,
    MediaEntry,
    MediaTotals,
    RowSum,
    Source,
    TableCopy,
    table_file,
)
from wagateway.domain.errors import Defect, InvalidInput, NotFound, Rejected
from wagateway.domain.media import THUMBNAIL_TYPE, MediaKey, file_key, thumbnail_key
from wagateway.ports.backups import BackupDraft, BackupPlace
from wagateway.ports.clock import Clock
from wagateway.ports.media_store import MediaStore
from wagateway.ports.tables import StoredObject, Table, TableSource
from wagateway.usecases.closing import closing
from wagateway.usecases.media_list import KnownPreviews, listed

_LINES = 256
_MOST_TYPES = 2**16 - 1


class Progress(Struct, frozen=True, kw_only=True):
    """How far a backup, a restore or a check is.

    Attributes:
        doing: with what, in words.
        rows: of tables, so far.
        files: attached ones, so far.
        size_bytes: of rows or attached files, so far.
    """

    doing: str
    rows: int = 0
    files: int = 0
    size_bytes: int = 0


Told = Callable[[Progress], None]


class Made(Struct, frozen=True, kw_only=True):
    """A backup that was made.

    Attributes:
        new_files: attached files, previews included, that the place did not have before.
        new_bytes: of these.
    """

    manifest: Manifest
    new_files: int
    new_bytes: int


@dataclass(slots=True)
class _Snapped:
    """What was copied out of the snapshot."""

    begun_at: datetime
    source: Source
    counters: tuple[Counter, ...]
    tables: list[TableCopy]
    files: list[FileFact]
    stored: "_Packed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackUp:
    """Backs up an archive, while everything else goes on.

    Attributes:
        version: of this wagateway.
    """

    source: TableSource
    media: MediaStore
    clock: Clock
    version: str

    async def __call__(self, place: BackupPlace, *, with_media: bool, told: Told) -> Made:
        """Make one in *place*; a broken-off one leaves nothing that could be taken for one.

        Args:
            place: where it is kept.
            with_media: copy attached files too, those that the place does not have yet; else they
                are only listed.
            told: is told how far it is, often.

        Raises:
            InvalidInput: the place cannot be one.
            Conflict: another backup is being made there, there is no archive, or its schema is
                another.
            StoreUnavailable: the database, the media store or the place is away, or is full.
        """
        async with place.draft() as draft:
            snapped = await self._tables(draft, told)
            async with self._known(place, with_media=with_media) as known:
                media = _MediaCopy(draft, self.media, told, known, with_media=with_media)
                list_ = await draft.add(MEDIA_LIST, media.lines(snapped.stored))
            manifest = Manifest(
                format=FORMAT,
                name=draft.name,
                begun_at=snapped.begun_at,
                ended_at=self.clock(),
                wagateway=self.version,
                schema_version=snapped.source.version,
                source=snapped.source,
                encrypted=draft.encrypted,
                tables=tuple(snapped.tables),
                counters=snapped.counters,
                media=media.totals,
                files=(*snapped.files, list_),
            )
            await draft.finish(manifest)
        return Made(manifest=manifest, new_files=media.new_files, new_bytes=media.new_bytes)

    @asynccontextmanager
    async def _known(
        self, place: BackupPlace, *, with_media: bool
    ) -> AsyncIterator[KnownPreviews | None]:
        """Yield what the newest backup knows of previews, where it can be read."""
        async with AsyncExitStack() as stack:
            known = None
            if with_media and (names := await place.names()):
                with suppress(Rejected):  # damaged, or sealed otherwise: all are read then
                    kept = await stack.enter_async_context(place.kept(names[-1]))
                    entries = await stack.enter_async_context(closing(listed(kept)))
                    known = KnownPreviews(entries)
            yield known

    async def _tables(self, draft: BackupDraft, told: Told) -> _Snapped:
        tables, files = [], []
        async with self.source.snapshot() as snapshot:
            begun_at = self.clock()
            done = Progress(doing="tables")
            for table in snapshot.tables:
                rows = CountedRows(f"table {table.name}", snapshot.read(table), told, done)
                files.append(await draft.add(table_file(table.name), rows.pieces()))
                tables.append(_copy(table, rows.sum))
                done = rows.progress
            stored = _Packed()
            async for each in snapshot.stored():
                stored.add(each)
            return _Snapped(begun_at, snapshot.source, snapshot.counters, tables, files, stored)


class CountedRows:
    """The rows of a table on their way.

    Attributes:
        sum: of those that came so far.
    """

    def __init__(self, doing: str, rows: AsyncIterator[bytes], told: Told, done: Progress) -> None:
        """Take *rows* after those that are *done*, and tell how far *doing* this is."""
        self.sum = RowSum()
        self._doing = doing
        self._rows = rows
        self._told = told
        self._done = done

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the rows, once."""
        async with closing(self._rows) as pieces:
            async for piece in pieces:
                self.sum.add(piece)
                self._told(self.progress)
                yield piece

    @property
    def progress(self) -> Progress:
        """How far all tables are."""
        return Progress(
            doing=self._doing,
            rows=self._done.rows + self.sum.rows,
            size_bytes=self._done.size_bytes + self.sum.size_bytes,
        )


def _copy(table: Table, rows: RowSum) -> TableCopy:
    return TableCopy(
        name=table.name,
        columns=table.columns,
        rows=rows.rows,
        checksum=rows.checksum,
        size_bytes=rows.size_bytes,
    )


class _Packed:
    """Stored files in some fifty bytes each: the snapshot ends before they are copied."""

    _FORM = struct.Struct("32sqH?")

    def __init__(self) -> None:
        self._items = bytearray()
        self._types: dict[str, int] = {}

    def add(self, each: StoredObject) -> None:
        """Take one more."""
        number = self._types.setdefault(each.mimetype, len(self._types))
        if number > _MOST_TYPES:  # types are told by contents, which have a hundred or so
            raise Defect("the archive has more types of files than there can be")
        sha256 = bytes.fromhex(each.sha256)
        self._items += self._FORM.pack(sha256, each.size_bytes, number, each.has_thumbnail)

    def __iter__(self) -> Iterator[StoredObject]:
        types = list(self._types)
        for sha256, size_bytes, number, has_thumbnail in self._FORM.iter_unpack(self._items):
            yield StoredObject(
                sha256=sha256.hex(),
                size_bytes=size_bytes,
                mimetype=types[number],
                has_thumbnail=has_thumbnail,
            )


class _MediaCopy:
    """Copies attached files, and tells of each what became of it."""

    def __init__(
        self,
        draft: BackupDraft,
        media: MediaStore,
        told: Told,
        known: KnownPreviews | None,
        *,
        with_media: bool,
    ) -> None:
        self.new_files = 0
        self.new_bytes = 0
        self._draft = draft
        self._media = media
        self._told = told
        self._known = known
        self._copied = with_media
        self._files = 0
        self._size_bytes = 0
        self._missing = 0

    async def lines(self, stored: Iterable[StoredObject]) -> AsyncIterator[bytes]:
        """Yield the list, while the files are copied."""
        lines: list[bytes] = []
        for each in stored:
            self._files += 1
            self._size_bytes += each.size_bytes
            lines.append(_line(await self._file(each)))
            if each.has_thumbnail and self._copied:
                preview = await self._preview(each)
                lines += [] if preview is None else [_line(preview)]
            if len(lines) >= _LINES:
                yield b"".join(lines)
                lines = []
            self._told(
                Progress(doing="attached files", files=self._files, size_bytes=self._size_bytes)
            )
        if lines:
            yield b"".join(lines)

    @property
    def totals(self) -> MediaTotals:
        """All of them."""
        return MediaTotals(
            files=self._files,
            size_bytes=self._size_bytes,
            copied=self._copied,
            missing=self._missing,
        )

    async def _file(self, each: StoredObject) -> MediaEntry:
        key, copied = file_key(each.sha256), False
        if self._copied:
            copied = await self._draft.has_media(each.sha256, each.size_bytes)
            copied = copied or await self._added(key, each.sha256) is not None
            self._missing += not copied
        return MediaEntry(
            key=key,
            size_bytes=each.size_bytes,
            sha256=each.sha256,
            mimetype=each.mimetype,
            copied=copied,
        )

    async def _preview(self, each: StoredObject) -> MediaEntry | None:
        """Return the line of a preview; None where it is not there: it can be made again."""
        known = None if self._known is None else await self._known.find(each.sha256)
        if known is not None and await self._draft.has_media(known.sha256, known.size_bytes):
            return known
        key = thumbnail_key(each.sha256)
        added = await self._added(key, None)
        if added is None:
            return None
        sha256, size_bytes = added
        return MediaEntry(
            key=key, size_bytes=size_bytes, sha256=sha256, mimetype=THUMBNAIL_TYPE, copied=True
        )

    async def _added(self, key: MediaKey, sha256: str | None) -> tuple[str, int] | None:
        async with closing(self._media.read(key)) as content:
            try:
                added = await self._draft.add_media(content, sha256)
            except (NotFound, InvalidInput):  # lost or damaged in the store
                return None
        self.new_files += 1
        self.new_bytes += added[1]
        return added


def _line(entry: MediaEntry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"
