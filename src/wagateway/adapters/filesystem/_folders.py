"""Folders that others may write to as well: everything relative to what is open, past no link."""

import asyncio
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, TypeVar

from wagateway.domain.errors import StoreUnavailable

_T = TypeVar("_T")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK, errno.ENXIO}
"""How it is said that a file or a folder is not there: a link is none."""


async def in_thread(work: Callable[[], _T]) -> _T:
    """Run *work* in a thread; who is cancelled meanwhile goes on when it has ended."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        with suppress(Exception):
            await running
        raise


class Folder:
    """One opened folder."""

    def __init__(self, handle: int) -> None:
        """Use a descriptor, which is this folder's from now on."""
        self._handle = handle

    @property
    def handle(self) -> int:
        """Its descriptor."""
        return self._handle

    def close(self) -> None:
        """Let go of it."""
        os.close(self._handle)

    def names(self) -> list[str]:
        """Return the names in it, sorted."""
        return sorted(os.listdir(self._handle))  # noqa: PTH208 - of a descriptor

    @contextmanager
    def inner(self, *names: str, make: bool = False) -> "Iterator[Folder]":
        """Yield the folder that is reached by *names*."""
        folder, opened = self, []
        try:
            for name in names:
                folder = Folder(folder._opened(name, make=make))
                opened.append(folder)
            yield folder
        finally:
            for each in opened:
                each.close()

    def _opened(self, name: str, *, make: bool) -> int:
        if make:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self._handle)
                self.sync()
        try:
            return os.open(name, _FOLDER, dir_fd=self._handle)
        except OSError as exc:
            if exc.errno in _NOT_THERE:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from exc
            raise

    def create(self, name: str) -> BinaryIO:
        """Make a file that is not there yet, for its owner alone."""
        return os.fdopen(os.open(name, _NEW, 0o600, dir_fd=self._handle), "wb")

    def open(self, name: str) -> BinaryIO | None:
        """Open a plain file for reading; None where there is none, or something else."""
        try:
            handle = os.open(name, _READ, dir_fd=self._handle)
        except OSError as exc:
            if exc.errno in _NOT_THERE:
                return None
            raise
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            return None
        return os.fdopen(handle, "rb")

    def seen(self, name: str) -> os.stat_result | None:
        """Return what is under *name*, unless nothing is."""
        try:
            return os.stat(name, dir_fd=self._handle, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def rename(self, name: str, to: str, target: "Folder | None" = None) -> None:
        """Give what is under *name* its place, durably."""
        place = target or self
        os.rename(name, to, src_dir_fd=self._handle, dst_dir_fd=place.handle)
        place.sync()

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it; a link is removed, not followed."""
        seen = self.seen(name)
        if seen is None:
            return
        if stat.S_ISDIR(seen.st_mode):
            shutil.rmtree(name, dir_fd=self._handle)
        else:
            os.unlink(name, dir_fd=self._handle)

    def sync(self) -> None:
        """Let the names in it survive a crash, as far as the file system can."""
        try:
            os.fsync(self._handle)
        except OSError as exc:
            if exc.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network disks cannot
                raise


@contextmanager
def disk_errors(where: str) -> Iterator[None]:
    """Turn what the disk says into errors of ours; *where* is for people."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise StoreUnavailable(
                f"the disk of {where} is full: make room, or name another folder, and repeat; "
                "nothing half-done was left"
            ) from exc
        if exc.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise StoreUnavailable(
                f"{where} cannot be used by this user ({exc.strerror}): grant it, or name another"
            ) from exc
        raise StoreUnavailable(f"{where}: {exc.strerror or type(exc).__name__}") from exc
