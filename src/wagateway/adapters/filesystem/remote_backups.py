"""Backups in a store of objects: written and read in a folder that is gone afterwards.

The names are those of a folder of backups, so a copy of one is one. There is no renaming, so a
backup is one once its SHA256SUMS is there, which comes last and goes first. There are no locks:
whoever makes backups by hand takes care to make one at a time.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from typing_extensions import override

from wagateway.adapters.filesystem._folders import disk_errors, in_thread
from wagateway.adapters.filesystem.backups import FilesystemBackups
from wagateway.adapters.filesystem.kept_backup import KEY, MANIFEST, MEDIA, SUMS, media_path
from wagateway.domain.backups import (
    MEDIA_LIST,
    SEAL,
    BackupName,
    FileFact,
    Manifest,
    MediaLines,
    backup_name,
    is_backup_name,
    order_of,
)
from wagateway.domain.errors import Conflict, NotFound, Rejected
from wagateway.ports.backups import BackupDraft, BackupPlace, KeptBackup
from wagateway.ports.clock import Clock
from wagateway.ports.objects import ObjectStore
from wagateway.ports.seal import Keys

_FIRST = (SUMS, KEY, MANIFEST, MANIFEST + SEAL)
_MOST_IN_A_SECOND = 100


class RemoteBackups(BackupPlace):
    """Backups in *objects*."""

    def __init__(self, objects: ObjectStore, clock: Clock, keys: Keys | None = None) -> None:
        """Keep them in *objects*, which stay the caller's; with *keys*, sealed."""
        self._objects = objects
        self._clock = clock
        self._keys = keys

    @override
    @asynccontextmanager
    async def draft(self) -> AsyncIterator[BackupDraft]:
        with _folder() as folder:
            had_key = await self._objects.get(KEY, folder / KEY)
            if self._keys is not None and not had_key:
                await self._refuse_lost_key()
            local = FilesystemBackups(folder, self._clock, self._keys)
            name = await self._free_name()
            async with local.draft() as draft:
                if self._keys is not None and not had_key:
                    await self._objects.put(KEY, folder / KEY)
                yield _Draft(draft, name, folder, self._objects)

    @override
    @asynccontextmanager
    async def kept(self, name: BackupName) -> AsyncIterator[KeptBackup]:
        async with self._opened(name, self._keys) as kept:
            yield kept

    @asynccontextmanager
    async def _opened(self, name: BackupName, keys: Keys | None) -> AsyncIterator["_Kept"]:
        if not is_backup_name(name) or await self._objects.size_bytes(f"{name}/{SUMS}") is None:
            raise NotFound(f"there is no backup {name[:80]!r} there")
        with _folder() as folder:
            (folder / name / "tables").mkdir(parents=True)
            for file in _FIRST:
                await self._objects.get(f"{name}/{file}", folder / name / file)
            async with FilesystemBackups(folder, self._clock, keys).kept(name) as kept:
                yield _Kept(kept, folder, self._objects)

    @override
    async def names(self) -> list[BackupName]:
        found = []
        async for each in self._objects.names("wagateway-"):
            name, _, file = each.partition("/")
            if file == SUMS and is_backup_name(name):
                found.append(BackupName(name))
        return sorted(found, key=order_of)

    @override
    async def remove(self, name: BackupName) -> None:
        names = await self.names()
        if name not in names:
            raise NotFound(f"there is no backup {name} there")
        going = await self._media_of(name)
        for other in names:
            if other != name and going:
                going -= await self._media_of(other)
        await self._objects.remove(f"{name}/{SUMS}")  # from now on it is no backup any more
        async for each in self._objects.names(f"{name}/"):
            await self._objects.remove(each)
        for path in going:
            await self._objects.remove(f"{MEDIA}/{path.decode()}")

    async def _media_of(self, name: BackupName) -> set[bytes]:
        try:
            # Only to know its files, so that a readable one will do.
            is_sealed = await self._objects.size_bytes(f"{name}/{KEY}") is not None
            async with self._opened(name, self._keys if is_sealed else None) as kept:
                suffix = SEAL if kept.manifest.encrypted else ""
                lines, found = MediaLines(), set[bytes]()
                async for piece in kept.read(MEDIA_LIST):
                    entries = lines.add(piece)
                    paths = (media_path(e.sha256) + suffix for e in entries if e.copied)
                    found.update(path.encode() for path in paths)
                lines.end()
                return found
        except Rejected as exc:
            raise Rejected(
                f"no older backup is removed, since {name} cannot be read ({exc}): look at it with "
                "`wagateway backup verify`, and move it away"
            ) from exc

    async def _refuse_lost_key(self) -> None:
        for name in await self.names():
            if await self._objects.size_bytes(f"{name}/{KEY}") is not None:
                raise Conflict(
                    f"the key of the encrypted backups there is missing: copy {name}/{KEY} to {KEY}"
                )

    async def _free_name(self) -> BackupName:
        for number in range(1, _MOST_IN_A_SECOND):
            name = backup_name(self._clock(), number)
            async for _ in self._objects.names(f"{name}/"):
                break
            else:
                return name
        raise Conflict("there are too many backups of this second: repeat in a moment")


class _Draft(BackupDraft):
    """A draft of a folder, whose files are sent when it is finished."""

    def __init__(
        self, draft: BackupDraft, name: BackupName, folder: Path, objects: ObjectStore
    ) -> None:
        self.name = name
        self.encrypted = draft.encrypted
        self._draft = draft
        self._folder = folder
        self._objects = objects

    @override
    async def add(self, name: str, content: AsyncIterator[bytes]) -> FileFact:
        return await self._draft.add(name, content)

    @override
    async def has_media(self, sha256: str, size_bytes: int) -> bool:
        found = await self._objects.size_bytes(self._media(sha256))
        if found is None:
            return False
        return found > size_bytes if self.encrypted else found == size_bytes

    @override
    async def add_media(self, content: AsyncIterator[bytes], sha256: str | None) -> tuple[str, int]:
        added = await self._draft.add_media(content, sha256)
        path = self._folder / self._media(added[0])
        await self._objects.put(self._media(added[0]), path)
        with disk_errors("the folder of temporary files"):
            await in_thread(path.unlink)
        return added

    @override
    async def finish(self, manifest: Manifest) -> None:
        local = self._draft.name
        await self._draft.finish(manifest)
        for path in await in_thread(lambda: _files(self._folder / local)):
            file = path.relative_to(self._folder / local).as_posix()
            await self._objects.put(f"{self.name}/{file}", path)

    def _media(self, sha256: str) -> str:
        return f"{MEDIA}/{media_path(sha256)}" + (SEAL if self.encrypted else "")


class _Kept(KeptBackup):
    """A backup in a folder, whose files are fetched when they are asked for."""

    def __init__(self, kept: KeptBackup, folder: Path, objects: ObjectStore) -> None:
        self.manifest = kept.manifest
        self._kept = kept
        self._folder = folder
        self._objects = objects

    @override
    async def check(self, fact: FileFact) -> str | None:
        await self._fetch(f"{self.manifest.name}/{fact.name}")
        return await self._kept.check(fact)

    @override
    async def read(self, name: str, *, most_bytes: int | None = None) -> AsyncIterator[bytes]:
        suffix = SEAL if self.manifest.encrypted else ""
        await self._fetch(f"{self.manifest.name}/{name}{suffix}")
        async for piece in self._kept.read(name, most_bytes=most_bytes):
            yield piece

    @override
    async def read_media(self, sha256: str) -> AsyncIterator[bytes]:
        name = f"{MEDIA}/{media_path(sha256)}" + (SEAL if self.manifest.encrypted else "")
        await self._fetch(name)
        try:
            async for piece in self._kept.read_media(sha256):
                yield piece
        finally:
            with suppress(OSError):
                await in_thread(lambda: (self._folder / name).unlink(missing_ok=True))

    async def _fetch(self, name: str) -> None:
        path = self._folder / name
        if not await in_thread(path.exists):
            with disk_errors("the folder of temporary files"):
                await in_thread(lambda: path.parent.mkdir(parents=True, exist_ok=True))
            await self._objects.get(name, path)


@contextmanager
def _folder() -> Iterator[Path]:
    """Yield a temporary folder, for its owner alone."""
    with disk_errors("the folder of temporary files"):
        held = TemporaryDirectory(prefix="wagateway-backup-", ignore_cleanup_errors=True)
    with held:
        yield Path(held.name)


def _files(folder: Path) -> list[Path]:
    """Return the files of a backup, that one last which makes it one."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(found, key=lambda path: (path.name == SUMS, path.as_posix()))
