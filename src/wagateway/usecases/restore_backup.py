"""Look whether a backup is whole, and put it back into an empty archive."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256 as new_sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, cast

from msgspec import Struct

from wagateway.domain.backups import (
    MEDIA_LIST,
    MediaEntry,
    TableCopy,
    unsealed,
)
from wagateway.domain.errors import NotFound, Rejected, StoreUnavailable
from wagateway.ports.backups import KeptBackup
from wagateway.ports.media_store import MediaStore
from wagateway.ports.tables import Rows, Table, TableTarget
from wagateway.usecases.back_up import CountedRows, Progress, Told
from wagateway.usecases.closing import closing
from wagateway.usecases.media_list import listed

_MOST_SHOWN = 1000


class Damage(Struct, frozen=True, kw_only=True):
    """Something of a backup is not as it was written.

    Attributes:
        file: which, relative to the folder of the backup, or of all backups.
        problem: in words that follow its name.
    """

    file: str
    problem: str


class Restored(Struct, frozen=True, kw_only=True):
    """What was put back.

    Attributes:
        rows: of all tables.
        files: attached ones, previews included, that the store has now because of the backup.
        files_left: that the backup only lists; the store may have them or not.
    """

    rows: int
    files: int
    files_left: int


@dataclass(frozen=True, slots=True)
class CheckBackup:
    """Reads all of a backup and compares it with its manifest."""

    async def __call__(
        self, backup: KeptBackup, *, told: Told, with_media: bool = True
    ) -> list[Damage]:
        """Return what is wrong, at most a thousand things; nothing: all is whole.

        Args:
            backup: opened, so that its manifest is known to be right.
            told: is told how far it is.
            with_media: read the attached files too, as far as they belong to it.

        Raises:
            StoreUnavailable: the disk is away.
        """
        found = []
        size_bytes = 0
        for fact in backup.manifest.files:
            told(Progress(doing=f"checking {fact.name}", size_bytes=size_bytes))
            if (problem := await backup.check(fact)) is not None:
                found.append(Damage(file=fact.name, problem=problem))
            size_bytes += fact.size_bytes
        if not with_media or any(unsealed(each.file) == MEDIA_LIST for each in found):
            return found  # what a damaged list says of attached files is not to be believed
        done = Progress(doing="checking attached files")
        async with closing(listed(backup)) as entries:
            async for entry in entries:
                if not entry.copied:
                    continue
                if (problem := await _problem(backup, entry)) is not None:
                    found.append(Damage(file=f"media/{entry.sha256}", problem=problem))
                if len(found) >= _MOST_SHOWN:
                    break
                done = _with(done, entry)
                told(done)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreBackup:
    """Puts a backup back, whole or not at all.

    Attributes:
        media: where attached files go; None: nowhere.
        folder: for files that are on their way.
    """

    target: TableTarget
    media: MediaStore | None
    folder: Path

    async def __call__(self, backup: KeptBackup, *, told: Told) -> Restored:
        """Put it into an empty database, and compare what is there then with the backup.

        Attached files go first: should the rest fail, they are found there the next time.

        Raises:
            Conflict: the database is not empty, or does not fit; nothing was changed.
            Rejected: the backup is damaged; the database is as empty as before.
            StoreUnavailable: the database, the media store or a disk is away, or is full; likewise.
        """
        if damage := await CheckBackup()(backup, told=told, with_media=False):
            raise _not_put_back(damage)
        await self.target.prepare(backup.manifest.source.schema)
        await self.target.require_empty(backup.manifest.tables)  # before the long part
        files, left = await self._media(backup, told)
        async with self.target.loading(backup.manifest.tables) as load:
            done = Progress(doing="tables")
            for table in backup.manifest.tables:
                read = backup.read(table.file, most_bytes=table.size_bytes)
                counted = CountedRows(f"table {table.name}", read, told, done)
                taken = await load.load(table, _whole(table, counted))
                if taken != table.rows:
                    raise Rejected(
                        f"the database took {taken:,} of the {table.rows:,} rows of the table "
                        f"{table.name}: nothing was put back"
                    )
                done = counted.progress
            await load.settle(backup.manifest.counters)
            await _compare(load, backup.manifest.tables, told)
        await self.target.finish()
        return Restored(rows=backup.manifest.rows, files=files, files_left=left)

    async def _media(self, backup: KeptBackup, told: Told) -> tuple[int, int]:
        done, left = Progress(doing="attached files"), 0
        async with closing(listed(backup)) as entries:
            async for entry in entries:
                if self.media is None or not entry.copied:
                    left += 1
                    continue
                await self._put(backup, entry, self.media)
                done = _with(done, entry)
                told(done)
        return done.files, left

    async def _put(self, backup: KeptBackup, entry: MediaEntry, media: MediaStore) -> None:
        with suppress(NotFound):
            if await media.size_bytes(entry.key) == entry.size_bytes:
                return
        async with self._here(backup, entry) as path:
            await media.add(entry.key, path, mimetype=entry.mimetype)

    @asynccontextmanager
    async def _here(self, backup: KeptBackup, entry: MediaEntry) -> AsyncIterator[Path]:
        with _temporary(self.folder) as (path, file):
            if (problem := await _problem(backup, entry, file.write)) is not None:
                raise _not_put_back([Damage(file=f"media/{entry.sha256}", problem=problem)])
            file.flush()
            yield path


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield a new file in *folder*, which is gone afterwards."""
    try:
        with NamedTemporaryFile(dir=folder, prefix="restore-") as file:
            yield Path(file.name), cast("BinaryIO", file)
    except OSError as exc:
        raise StoreUnavailable(
            f"files cannot be put into {folder} on their way ({exc.strerror}): make room there, "
            "or set WHATSAPP_MEDIA_DIR"
        ) from exc


def summary(found: list[Damage]) -> str:
    """Return in words what is wrong with a backup: the first of *found*, and how many there are."""
    more = f", and {len(found) - 1:,} more" if len(found) > 1 else ""
    return f"{found[0].file} {found[0].problem}{more}"


def _not_put_back(found: list[Damage]) -> Rejected:
    return Rejected(
        f"the backup is damaged: {summary(found)}. Nothing was put back: use another copy of it, "
        "or an older one"
    )


async def _whole(table: TableCopy, counted: CountedRows) -> AsyncIterator[bytes]:
    """Yield the rows of a table of a backup; in the end they must have been all of them."""
    async with closing(counted.pieces()) as pieces:
        async for piece in pieces:
            yield piece
    found = counted.sum
    if (found.rows, found.checksum, found.is_whole) != (table.rows, table.checksum, True):
        raise Rejected(f"the rows of the table {table.name} are not those of the backup")


async def _compare(rows: Rows, tables: tuple[TableCopy, ...], told: Told) -> None:
    """Return when a database tells the same rows as a backup.

    Raises:
        Rejected: it does not.
    """
    done = Progress(doing="comparing")
    for table in tables:
        read = rows.read(Table(name=table.name, columns=table.columns))
        counted = CountedRows(f"comparing {table.name}", read, told, done)
        async for _ in counted.pieces():
            pass
        done, found = counted.progress, counted.sum
        if (found.rows, found.checksum) != (table.rows, table.checksum):
            raise Rejected(
                f"the table {table.name} is not the same in the database ({found.rows:,} of "
                f"{table.rows:,} rows, checksum {found.checksum}): nothing was put back; please "
                "report it with the versions of both servers"
            )


async def _problem(
    backup: KeptBackup, entry: MediaEntry, write: Callable[[bytes], object] = len
) -> str | None:
    """Read an attached file, and return what is wrong with it."""
    found, size = new_sha256(), 0
    try:
        async with closing(backup.read_media(entry.sha256)) as content:
            async for piece in content:
                found.update(piece)
                size += len(piece)
                if size > entry.size_bytes:
                    break
                write(piece)
    except NotFound:
        return "is missing"
    except Rejected:
        return "is damaged"
    if size != entry.size_bytes:
        return "has another size"
    return None if found.hexdigest() == entry.sha256 else "was changed"


def _with(done: Progress, entry: MediaEntry) -> Progress:
    return Progress(
        doing=done.doing, files=done.files + 1, size_bytes=done.size_bytes + entry.size_bytes
    )
