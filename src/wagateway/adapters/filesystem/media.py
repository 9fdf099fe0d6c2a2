"""Attached files in a folder of this machine: whole or not there, and for their owner alone.

<folder>/                     0700
    sha256/ab/cd/abcd…        the files, 0600
    thumbnails/ab/cd/abcd…    their previews
    new/                      what is being written
    incoming/                 of workers: what they fetch or look into

A worker that starts removes what has lain in the last two for a day.
"""

import asyncio
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from typing_extensions import override

from wagateway.domain.errors import NotFound, StoreUnavailable
from wagateway.domain.media import MediaKey, is_media_key
from wagateway.ports.media_store import MediaStore, StoredFile

_PIECE = 256 * 1024
_OWNER_ONLY = 0o700
_LISTED_AT_ONCE = 500
_THREADS = 16

_T = TypeVar("_T")


class FilesystemMediaStore(MediaStore):
    """Files under one folder, which may be shared by processes of one machine."""

    def __init__(self, folder: Path) -> None:
        """Keep files under *folder*, an absolute path, which is made when needed."""
        self._folder = folder
        # Not the event loop's: without those no name of a host is looked up, a database's neither.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="media")

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.wrap_future(self._threads.submit(work))

    @override
    async def prepare(self) -> None:
        with _disk_errors():
            await self._in_thread(partial(_make, self._folder))

    @override
    async def add(self, key: MediaKey, file: Path, *, mimetype: str) -> bool:
        with _disk_errors():
            return await self._in_thread(partial(self._add, key, file))

    @override
    async def size_bytes(self, key: MediaKey) -> int:
        with _disk_errors(key):
            return (await self._in_thread(partial(os.lstat, self._path(key)))).st_size

    @override
    async def read(
        self, key: MediaKey, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        with _disk_errors(key):
            opened, left = _Opened(self._path(key), start), length
            try:
                while left is None or left > 0:
                    wanted = _PIECE if left is None else min(_PIECE, left)
                    piece = await self._in_thread(partial(opened.read, wanted))
                    if not piece:
                        return
                    left = None if left is None else left - len(piece)
                    yield piece
            finally:
                opened.close()

    @override
    async def remove(self, key: MediaKey) -> bool:
        with _disk_errors():
            try:
                await self._in_thread(partial(os.unlink, self._path(key)))
            except FileNotFoundError:
                return False
            return True

    @override
    async def files(self) -> AsyncIterator[StoredFile]:
        found = self._files()
        with _disk_errors():
            while batch := await self._in_thread(lambda: list(islice(found, _LISTED_AT_ONCE))):
                for each in batch:
                    yield each

    @override
    def link(
        self,
        key: MediaKey,
        *,
        lifetime: timedelta,
        filename: str | None,
        mimetype: str,
        inline: bool,
    ) -> str | None:
        return None

    @override
    async def readable_by_anyone(self) -> bool:
        with _disk_errors():
            found = await self._in_thread(self._folder.stat)
        return bool(found.st_mode & stat.S_IRWXO)

    def _path(self, key: MediaKey) -> Path:
        if not is_media_key(key):
            raise ValueError("no key of ours")
        return self._folder / key

    def _add(self, key: MediaKey, file: Path) -> bool:
        path = self._path(key)
        for folder in (self._folder, self._folder / "new", *reversed(path.parents[:3])):
            _make(folder)
        if path.is_file():
            _sync_folder(path.parent)  # who stored it may be about to, and not have done it yet
            return False
        handle, name = tempfile.mkstemp(dir=self._folder / "new")
        try:
            with os.fdopen(handle, "wb") as target, file.open("rb") as source:
                shutil.copyfileobj(source, target, _PIECE)
                target.flush()
                os.fsync(target.fileno())
            stored = _linked(name, path)
        finally:
            with suppress(FileNotFoundError):
                Path(name).unlink()
        _sync_folder(path.parent)
        return stored

    def _files(self) -> Iterator[StoredFile]:
        # Folder by folder: there may be more files than fit into memory.
        for kind in ("sha256", "thumbnails"):
            for first in _sorted(self._folder / kind):
                for second in _sorted(first):
                    for path in _sorted(second):
                        yield from self._seen(path)

    def _seen(self, path: Path) -> Iterator[StoredFile]:
        key = path.relative_to(self._folder).as_posix()
        if not is_media_key(key):
            return
        with suppress(FileNotFoundError):  # it was removed meanwhile
            seen = path.lstat()
            yield StoredFile(
                key=MediaKey(key),
                size_bytes=seen.st_size,
                stored_at=datetime.fromtimestamp(int(seen.st_mtime), UTC),
            )


class _Opened:
    """A file that is read in threads, and let go by a task that does not wait for them."""

    def __init__(self, path: Path, start: int) -> None:
        """Read *path* from *start* on; it is opened with the first piece."""
        self._path = path
        self._start = start
        self._handle: int | None = None
        self._lock = threading.Lock()
        self._closed = False

    def read(self, most_bytes: int) -> bytes:
        """Return the next bytes; none at the end, or once it is closed."""
        with self._lock:
            if self._handle is None and not self._closed:
                self._handle = _opened(self._path)
                os.lseek(self._handle, self._start, os.SEEK_SET)
            piece = b"" if self._handle is None else os.read(self._handle, most_bytes)
        if self._closed:
            self.close()
        return piece

    def close(self) -> None:
        """Close it; where a thread is reading still, that one does."""
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                if self._handle is not None:
                    os.close(self._handle)
                    self._handle = None
            finally:
                self._lock.release()


def _make(folder: Path) -> None:
    """Make *folder* unless it is there, so that it survives a crash."""
    try:
        folder.mkdir(mode=_OWNER_ONLY)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make(folder.parent)
        folder.mkdir(mode=_OWNER_ONLY, exist_ok=True)
    _sync_folder(folder.parent)


def _linked(name: str, path: Path) -> bool:
    """Give a file its place; unlike renaming it, this tells whether somebody was faster."""
    try:
        os.link(name, path)
    except FileExistsError:
        return False
    return True


def _sorted(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk_errors(key: MediaKey | None = None) -> Iterator[None]:
    """Turn what the disk says into errors of ours.

    Raises:
        NotFound: where a *key* was asked for and is not there.
        StoreUnavailable: anything else; the text names no path of a person's.
    """
    try:
        yield
    except FileNotFoundError as exc:
        if key is None:
            raise StoreUnavailable("the media folder, or the file that was given, is gone") from exc
        raise NotFound("this file is not stored") from exc
    except OSError as exc:
        raise StoreUnavailable(f"the media folder: {exc.strerror or type(exc).__name__}") from exc
