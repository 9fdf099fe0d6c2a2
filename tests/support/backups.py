"""What backups are made of, in memory: tables of two archives, and a place of backups on disk."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from typing_extensions import override

from wagateway.adapters.filesystem.backups import FilesystemBackups
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.domain.backups import Counter, Manifest, SchemaStep, Source, TableCopy
from wagateway.domain.errors import Conflict
from wagateway.domain.media import file_key, thumbnail_key
from wagateway.ports.backups import BackupPlace
from wagateway.ports.seal import Keys
from wagateway.ports.tables import (
    StoredObject,
    Table,
    TableLoad,
    TableSnapshot,
    TableSource,
    TableTarget,
)
from wagateway.usecases.back_up import BackUp, Made, Progress
from wagateway.usecases.restore_backup import CheckBackup, Damage, RestoreBackup, Restored

MORNING = datetime(2026, 11, 27, 6, 30, tzinfo=UTC)
SCHEMA = (SchemaStep(version=1, name="0001_create_archive", checksum="a" * 64),)
PICTURE = b"a picture of bread" * 30_000
VOICE = b"a voice"
PREVIEW = b"a small picture of bread"


class FakeClock:
    """Tells the time that it is set to."""

    def __init__(self, at: datetime = MORNING) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, time: timedelta) -> None:
        self.at += time


class FakeTables(TableSource, TableTarget, TableSnapshot, TableLoad):
    """Tables as lists of lines; what is loaded is seen once that ended well."""

    def __init__(self, rows: dict[str, list[bytes]], stored: Sequence[StoredObject] = ()) -> None:
        self.rows = rows
        self.objects = list(stored)
        self.columns = ("id", "text")
        self.source = Source(server="18.6", timescale=None, schema=SCHEMA)
        self.counters = (Counter(table="messages", column="id", last=7),)
        self.failure: Exception | None = None
        self.finished = False
        self.settled: tuple[Counter, ...] = ()
        self._loading: dict[str, list[bytes]] | None = None

    @property
    @override
    def tables(self) -> tuple[Table, ...]:  # type: ignore[override]  # as of the rows there are
        return tuple(Table(name=name, columns=self.columns) for name in self.rows)

    @override
    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[TableSnapshot]:
        if self.failure is not None:
            raise self.failure
        yield self

    @override
    async def read(self, table: Table) -> AsyncIterator[bytes]:
        here = self.rows if self._loading is None else self._loading
        for row in here[table.name]:
            yield row + b"\n"

    @override
    async def stored(self) -> AsyncIterator[StoredObject]:
        for each in self.objects:
            yield each

    @override
    async def prepare(self, schema: Sequence[SchemaStep]) -> None:
        assert tuple(schema) == SCHEMA

    @override
    async def require_empty(self, tables: Sequence[TableCopy]) -> None:
        if any(self.rows.values()):
            raise Conflict("there are rows")

    @override
    @asynccontextmanager
    async def loading(self, tables: Sequence[TableCopy]) -> AsyncIterator[TableLoad]:
        await self.require_empty(tables)
        self._loading = {table.name: [] for table in tables}
        try:
            yield self
            self.rows = self._loading
        finally:
            self._loading = None

    @override
    async def load(self, table: TableCopy, rows: AsyncIterator[bytes]) -> int:
        assert self._loading is not None
        content = b"".join([piece async for piece in rows])
        self._loading[table.name] = content.split(b"\n")[:-1]
        return len(self._loading[table.name])

    @override
    async def settle(self, counters: Sequence[Counter]) -> None:
        self.settled = tuple(counters)

    @override
    async def finish(self) -> None:
        self.finished = True


def tables() -> FakeTables:
    """Return an archive with two tables and two files, one with a preview."""
    rows = {"chats": [b"1\tAna"], "messages": [b"1\tBom dia!\\n", b"2\t\\N", b"3\t"]}
    return FakeTables(rows, [stored(PICTURE, has_thumbnail=True), stored(VOICE)])


def stored(content: bytes, *, has_thumbnail: bool = False) -> StoredObject:
    return StoredObject(
        sha256=sha256_of(content),
        size_bytes=len(content),
        mimetype="image/jpeg",
        has_thumbnail=has_thumbnail,
    )


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def media(folder: Path) -> InMemoryMediaStore:
    """Return a store with the files of `tables`; *folder* is for files on their way."""
    store = InMemoryMediaStore()
    file = folder / "file"
    for key, content in (
        (file_key(sha256_of(PICTURE)), PICTURE),
        (thumbnail_key(sha256_of(PICTURE)), PREVIEW),
        (file_key(sha256_of(VOICE)), VOICE),
    ):
        file.write_bytes(content)
        await store.add(key, file, mimetype="image/jpeg")
    file.unlink()
    return store


class World:
    """An archive with files, and a place of its backups.

    Attributes:
        folder: of backups.
        spare: for files on their way.
    """

    def __init__(self, root: Path, keys: Keys | None = None) -> None:
        self.folder = root / "backups"
        self.spare = root / "spare"
        self.spare.mkdir()
        self.clock = FakeClock()
        self.tables = tables()
        self.place: BackupPlace = FilesystemBackups(self.folder, self.clock, keys)
        self.store = InMemoryMediaStore()

    async def fill(self) -> None:
        self.store = await media(self.spare)

    @property
    def making(self) -> BackUp:
        return BackUp(source=self.tables, media=self.store, clock=self.clock, version="0.1.0")

    async def back_up(self, *, with_media: bool = True) -> Made:
        return await self.making(self.place, with_media=with_media, told=nobody)

    async def check(self, manifest: Manifest) -> list[Damage]:
        async with self.place.kept(manifest.name) as kept:
            return await CheckBackup()(kept, told=nobody)

    async def restore(
        self, manifest: Manifest, into: FakeTables, store: InMemoryMediaStore | None = None
    ) -> Restored:
        restore = RestoreBackup(target=into, media=store, folder=self.spare)
        async with self.place.kept(manifest.name) as kept:
            return await restore(kept, told=nobody)


def nobody(_: Progress) -> None:
    """Tell nobody."""
