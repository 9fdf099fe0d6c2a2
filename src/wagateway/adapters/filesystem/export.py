"""A folder of this machine that files are exported to.

Everything is done relative to the opened folder and follows no link, so whatever others put into it
meanwhile leads nowhere else. A file is written under a name of its own, and gets its place by a
link, which replaces nothing.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec
from typing_extensions import override

from wagateway.domain.errors import Conflict, InvalidInput, StoreUnavailable
from wagateway.domain.exports import ExportedFile
from wagateway.ports.export_folder import ExportFolder, There

LIST = "manifest.jsonl"

_PIECE = 256 * 1024
_OWNER_ONLY = 0o700
_UNFINISHED = re.compile(r"\.wagateway-[0-9a-f]{16}\.part")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ILL = {errno.EIO, errno.ESTALE, errno.ENODEV}
"""How a disk that is ill or away says so, rather than a file."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_LINKLESS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""How file systems without hard links, such as those of memory cards, say so."""


class FilesystemExportFolder(ExportFolder):
    """Files in one folder, opened; see `open_export_folder`."""

    def __init__(self, folder: int, list_: int, listed: set[bytes]) -> None:
        """Use descriptors of the folder and of its list, which stay the caller's."""
        self._folder = folder
        self._list = list_
        self._listed = listed

    @override
    async def look(self, name: str, sha256: str) -> There:
        _check(name)
        with _disk_errors():
            try:
                handle = os.open(name, _READ, dir_fd=self._folder)
            except FileNotFoundError:
                return There.NOTHING
            except OSError as exc:
                if exc.errno in _ILL:
                    raise
                return There.OTHER  # a link, or something that cannot be read
            return await asyncio.to_thread(_compared, handle, sha256)

    # What is written is written at once: a thread would go on when nobody waits for it any more.

    @override
    async def add(self, name: str, content: AsyncIterator[bytes], sha256: str) -> bool:
        _check(name)
        unfinished = f".wagateway-{secrets.token_hex(8)}.part"
        try:
            with _disk_errors():
                handle = os.open(unfinished, _NEW, 0o600, dir_fd=self._folder)
            try:
                await _written(handle, content, sha256)
            finally:
                os.close(handle)
            with _disk_errors():
                return self._placed(unfinished, name)
        finally:
            with suppress(OSError):
                os.unlink(unfinished, dir_fd=self._folder)

    @override
    async def note(self, file: ExportedFile) -> None:
        known = _known(file.name, file.sha256)
        if known not in self._listed:
            with _disk_errors():
                _appended(self._list, msgspec.json.encode(file) + b"\n")
            self._listed.add(known)

    def _placed(self, unfinished: str, name: str) -> bool:
        both = {"src_dir_fd": self._folder, "dst_dir_fd": self._folder}
        try:
            os.link(unfinished, name, follow_symlinks=False, **both)
        except FileExistsError:
            return False
        except OSError as exc:
            if exc.errno not in _LINKLESS:
                raise
            # An empty file of ours keeps the place, so that renaming replaces nobody's.
            try:
                os.close(os.open(name, _NEW, 0o600, dir_fd=self._folder))
            except FileExistsError:
                return False
            os.rename(unfinished, name, **both)  # noqa: PTH104 - within the opened folder
        os.fsync(self._folder)
        return True


@asynccontextmanager
async def open_export_folder(path: Path) -> AsyncIterator[FilesystemExportFolder]:
    """Yield the folder at *path*, which is made for its owner alone where there is none.

    A list whose last line was cut off is mended, and what an export that died left is removed.

    Raises:
        InvalidInput: *path* is no folder, or cannot be one.
        Conflict: another export writes there, or its ``manifest.jsonl`` is none of ours.
        StoreUnavailable: the disk is full, or away.
    """
    with _disk_errors():
        folder = await asyncio.to_thread(_folder_at, path)
    try:
        with _disk_errors():
            list_ = await asyncio.to_thread(_opened_list, folder)
        try:
            with _disk_errors():
                listed = await asyncio.to_thread(_mended, list_)
                await asyncio.to_thread(_sweep, folder)
            yield FilesystemExportFolder(folder, list_, listed)
            with _disk_errors():
                os.fsync(list_)
        finally:
            os.close(list_)
    finally:
        os.close(folder)


def _folder_at(path: Path) -> int:
    try:
        path.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileExistsError, NotADirectoryError) as exc:
        raise InvalidInput(f"{path} is no folder: name one, or a new one") from exc
    except PermissionError as exc:
        raise InvalidInput(f"{path} cannot be written to: {exc.strerror}") from exc


def _opened_list(folder: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(LIST, flags, 0o600, dir_fd=folder)
    except OSError as exc:
        if exc.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EMLINK}:
            raise Conflict(_NOT_OURS) from exc
        raise
    try:
        _require_plain(handle)
        _lock(handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _require_plain(handle: int) -> None:
    seen = os.fstat(handle)
    if not stat.S_ISREG(seen.st_mode) or seen.st_nlink > 1:  # else it may be a file elsewhere
        raise Conflict(_NOT_OURS)


def _lock(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise Conflict("another export writes into this folder: wait, or name another") from exc
    except OSError:  # some network file systems have no locks
        return


def _mended(handle: int) -> set[bytes]:
    """Return what the list names, after its last line was taken off where it is not whole.

    Raises:
        Conflict: it is no list of ours.
    """
    listed: set[bytes] = set()
    end = 0
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        for line in file:
            entry = _entry(line)
            if entry is None and not listed and not _is_cut(line):
                raise Conflict(_NOT_OURS)
            if not line.endswith(b"\n"):
                break
            if entry is not None:
                listed.add(_known(entry.name, entry.sha256))
            end += len(line)
    if os.fstat(handle).st_size > end:
        os.ftruncate(handle, end)
    return listed


def _entry(line: bytes) -> ExportedFile | None:
    try:
        return msgspec.json.decode(line, type=ExportedFile)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _is_cut(line: bytes) -> bool:
    """Tell whether *line* is the beginning of one of ours."""
    ours = b'{"session":"'
    return not line.endswith(b"\n") and (line.startswith(ours) or ours.startswith(line))


def _known(name: str, sha256: str) -> bytes:
    # Of a million files their names would take ten times the memory.
    return hashlib.blake2b(f"{name}/{sha256}".encode(), digest_size=8).digest()


def _sweep(folder: int) -> None:
    for name in os.listdir(folder):
        if _UNFINISHED.fullmatch(name):
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)


def _compared(handle: int, sha256: str) -> There:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return There.OTHER
    with os.fdopen(handle, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return There.SAME if found == sha256 else There.OTHER


async def _written(handle: int, content: AsyncIterator[bytes], sha256: str) -> None:
    found = hashlib.sha256()
    async for piece in content:
        found.update(piece)
        with _disk_errors():
            _appended(handle, piece)
    if found.hexdigest() != sha256:
        raise InvalidInput("the content is another than it must be")
    with _disk_errors():
        os.fsync(handle)


def _appended(handle: int, content: bytes) -> None:
    """Write all of *content*, or take back what was written of it."""
    before, left = os.fstat(handle).st_size, memoryview(content)
    try:
        while left:
            left = left[os.write(handle, left) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(handle, before)
        raise


def _check(name: str) -> None:
    if not name or "/" in name or "\x00" in name or name.startswith(".") or name == LIST:
        raise ValueError("no name of an exported file")


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn what the disk says into errors of ours."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise StoreUnavailable(
                "the disk of the export is full: make room and run the same command again, which "
                "goes on where it stopped"
            ) from exc
        raise StoreUnavailable(
            f"the folder of the export: {exc.strerror or type(exc).__name__}"
        ) from exc


_NOT_OURS = (
    f"{LIST} in this folder is not the list of an export: nothing was changed; name another folder"
)
