"""A backup being written in a folder: each file packed, sealed, hashed and synced as it goes."""

import gzip
import hashlib
import os
import secrets
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import BinaryIO, cast

import msgspec
from typing_extensions import override

from wagateway.adapters.filesystem._folders import Folder, disk_errors, in_thread
from wagateway.adapters.filesystem.kept_backup import KEY, MANIFEST, MEDIA, SUMS, media_path
from wagateway.domain.backups import SEAL, BackupName, FileFact, Manifest
from wagateway.domain.errors import InvalidInput
from wagateway.ports.backups import BackupDraft
from wagateway.ports.seal import Seal

_LEVEL = 6
"""Of gzip: the best that is still quick."""


def unfinished_name() -> str:
    """Return a name for something that is being written."""
    return f".wagateway-{secrets.token_hex(8)}.part"


class FilesystemDraft(BackupDraft):
    """A backup that is being written; see `FilesystemBackups.draft`."""

    def __init__(
        self,
        place: Folder,
        folder: Folder,
        unfinished: str,
        name: BackupName,
        seal: Seal | None,
        key: bytes | None,
    ) -> None:
        """Write into opened folders, which stay the caller's."""
        self.name = name
        self.encrypted = seal is not None
        self._place = place
        self._folder = folder
        self._unfinished = unfinished
        self._seal = seal
        self._key = key

    @override
    async def add(self, name: str, content: AsyncIterator[bytes]) -> FileFact:
        *folders, file = name.split("/")
        stack = ExitStack()
        with disk_errors("the backup"):
            folder = await in_thread(
                lambda: stack.enter_context(self._folder.inner(*folders, make=True))
            )
        try:
            packed = name.endswith(".gz")
            written = _Writing(folder, file + self._suffix, self._seal, packed=packed)
            await _written(written, content)
        finally:
            stack.close()
        return FileFact(
            name=name + self._suffix, size_bytes=written.size_bytes, sha256=written.sha256
        )

    @override
    async def has_media(self, sha256: str, size_bytes: int) -> bool:
        with disk_errors("the backup"):
            return await in_thread(lambda: self._has_media(sha256, size_bytes))

    @override
    async def add_media(self, content: AsyncIterator[bytes], sha256: str | None) -> tuple[str, int]:
        unfinished, plain = unfinished_name(), hashlib.sha256()
        size = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            async for piece in content:
                plain.update(piece)
                size += len(piece)
                yield piece

        try:
            written = _Writing(self._place, unfinished, self._seal, packed=False)
            await _written(written, counted())
            found = plain.hexdigest()
            if sha256 not in {None, found}:
                raise InvalidInput("the content is another than it must be")
            with disk_errors("the backup"):
                await in_thread(lambda: self._placed(unfinished, found))
        finally:
            with disk_errors("the backup"):
                self._place.remove(unfinished)
        return found, size

    @override
    async def finish(self, manifest: Manifest) -> None:
        text = msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
        fact = await self.add(MANIFEST, _once(text))
        with disk_errors("the backup"):
            await in_thread(lambda: self._finish([fact, *manifest.files]))

    def _finish(self, facts: list[FileFact]) -> None:
        if self._key is not None:
            _write(self._folder, KEY, self._key)
            sha256 = hashlib.sha256(self._key).hexdigest()
            facts = [*facts, FileFact(name=KEY, size_bytes=len(self._key), sha256=sha256)]
        lines = (f"{fact.sha256}  {fact.name}\n" for fact in sorted(facts, key=lambda f: f.name))
        _write(self._folder, SUMS, "".join(lines).encode())
        with self._folder.inner("tables") as tables:
            tables.sync()
        self._folder.sync()
        self._place.rename(self._unfinished, self.name)

    def _has_media(self, sha256: str, size_bytes: int) -> bool:
        *folders, name = f"{MEDIA}/{media_path(sha256)}{self._suffix}".split("/")
        try:
            with self._place.inner(*folders) as folder:
                seen = folder.seen(name)
        except FileNotFoundError:
            return False
        if seen is None or not stat.S_ISREG(seen.st_mode):
            return False
        return seen.st_size > size_bytes if self._seal else seen.st_size == size_bytes

    def _placed(self, unfinished: str, sha256: str) -> None:
        *folders, name = f"{MEDIA}/{media_path(sha256)}{self._suffix}".split("/")
        with self._place.inner(*folders, make=True) as folder:
            self._place.rename(unfinished, name, folder)

    @property
    def _suffix(self) -> str:
        return SEAL if self._seal else ""


class _Writing:
    """One file being written: packed, sealed, hashed as it lies on the disk, and synced."""

    def __init__(self, folder: Folder, name: str, seal: Seal | None, *, packed: bool) -> None:
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._folder = folder
        self._name = name
        self._seal = seal
        self._packed = packed

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._hash.hexdigest()

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Yield what takes the content; blocks."""
        with self._folder.create(self._name) as file:
            with ExitStack() as stack:
                sink = cast("BinaryIO", _Hashed(self, file))
                if self._seal is not None:
                    sink = stack.enter_context(self._seal.closing(sink))
                if self._packed:
                    zipped = gzip.GzipFile("", "wb", _LEVEL, sink, mtime=0)
                    sink = cast("BinaryIO", stack.enter_context(zipped))
                yield sink
            file.flush()
            os.fsync(file.fileno())

    def count(self, content: bytes) -> None:
        """Take notice of what is written to the disk."""
        self._hash.update(content)
        self.size_bytes += len(content)


class _Hashed:
    def __init__(self, writing: _Writing, file: BinaryIO) -> None:
        self._writing = writing
        self._file = file

    def write(self, content: bytes) -> int:
        self._writing.count(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()


async def _written(writing: _Writing, content: AsyncIterator[bytes]) -> None:
    """Write all of *content*, whose errors stay what they are."""
    stack = ExitStack()
    with disk_errors("the backup"):
        sink = await in_thread(lambda: stack.enter_context(writing.opened()))
    try:
        async for piece in content:
            with disk_errors("the backup"):
                await in_thread(partial(sink.write, piece))
    except BaseException as exc:
        failure = exc.__cause__ if isinstance(exc.__cause__, OSError) else exc
        with disk_errors("the backup"):
            await in_thread(lambda: stack.__exit__(type(failure), failure, failure.__traceback__))
        raise
    with disk_errors("the backup"):
        await in_thread(stack.close)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _write(folder: Folder, name: str, content: bytes) -> None:
    with folder.create(name) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
