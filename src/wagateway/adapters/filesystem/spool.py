"""A spool in a folder of this machine, which its processes may share.

<folder>/             0700
waiting/<when>-<token>    what one put() kept, whole or not there, 0600
aside/                what could not be recorded
new/                  what is being written
lock                  held by the process that drains

An entry is a line that names its form, the SHA-256 of the rest, and the bodies in MessagePack.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from typing_extensions import override

from wagateway.domain.errors import StoreUnavailable
from wagateway.ports.spool import Spool, SpoolDepth, SpooledBody, SpoolEntry

_FORM = b"wagateway spool 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
_NAME = re.compile(r"[0-9]{19}-[0-9a-f]{16}")
_ENOUGH_BYTES = 16 * 2**20
"""At once, or one entry that is larger: what is read lies in memory."""
_COUNTED_FOR_S = 1.0
"""How long a count of the folder is believed, for other processes may write there, too."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_LEFT_OVER_S = 3600.0
"""What is being written is there for less than a second; older ones are those of a crash."""


class FilesystemSpool(Spool):
    """Entries as files of one folder, which is made when the first is kept."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """Keep at most *max_bytes* under *folder*, an absolute path."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._writing = threading.Lock()
        self._last_ns = 0
        self._size_bytes = 0
        self._counted_at = float("-inf")
        self._lock: int | None = None

    @override
    async def prepare(self) -> None:
        with _disk_errors():
            await asyncio.to_thread(self._prepare)

    @override
    async def put(self, bodies: Sequence[SpooledBody]) -> None:
        packed = msgspec.msgpack.encode(bodies)
        content = _FORM + hashlib.sha256(packed).digest() + packed
        with _disk_errors():
            await asyncio.to_thread(self._put, content)

    @override
    async def oldest(self, *, limit: int) -> Sequence[SpoolEntry]:
        with _disk_errors():
            return await asyncio.to_thread(self._oldest, limit)

    @override
    async def let_go(self, keys: Collection[str]) -> None:
        with _disk_errors():
            await asyncio.to_thread(self._let_go, [self._path(key) for key in keys])

    @override
    async def set_aside(self, key: str) -> None:
        with _disk_errors():
            await asyncio.to_thread(self._set_aside, self._path(key))

    @override
    async def depth(self) -> SpoolDepth:
        with _disk_errors():
            return await asyncio.to_thread(self._depth)

    def close(self) -> None:
        """Let others drain."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _path(self, key: str) -> Path:
        if not _NAME.fullmatch(key):
            raise ValueError("no key of ours")
        return self._folder / "waiting" / key

    def _prepare(self) -> None:
        self._make_folders()
        path = self._folder / "new" / _name(time.time_ns())
        _write(path, _FORM)
        path.unlink()

    def _put(self, content: bytes) -> None:
        self._make_folders()
        with self._writing:  # one after the other, so that names tell their order
            if self._size() + len(content) > self._max_bytes:
                raise StoreUnavailable(
                    f"the spool in {self._folder} is full: set WHATSAPP_SPOOL_MAX_BYTES, or bring "
                    "the database back"
                )
            self._last_ns = max(time.time_ns(), self._last_ns + 1)
            name = _name(self._last_ns)
            written = self._folder / "new" / name
            try:
                _write(written, content)
                written.rename(self._folder / "waiting" / name)
            except BaseException:
                with suppress(OSError):
                    written.unlink(missing_ok=True)
                raise
            _sync_folder(self._folder / "waiting")
            self._size_bytes += len(content)

    def _make_folders(self) -> None:
        for folder in (
            self._folder,
            *(self._folder / each for each in ("waiting", "aside", "new")),
        ):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _sync_folder(folder.parent)

    def _size(self) -> int:
        if time.monotonic() - self._counted_at >= _COUNTED_FOR_S:
            self._size_bytes = sum(each.size_bytes for each in self._entries("waiting"))
            self._counted_at = time.monotonic()
        return self._size_bytes

    def _entries(self, kind: str) -> Iterator["_Entry"]:
        """Yield the entries of a folder, in no order."""
        with suppress(FileNotFoundError), os.scandir(self._folder / kind) as found:
            for each in found:
                if not _NAME.fullmatch(each.name) or not each.is_file(follow_symlinks=False):
                    continue
                with suppress(FileNotFoundError):  # recorded meanwhile
                    yield _Entry(each.name, each.stat(follow_symlinks=False).st_size)

    def _oldest(self, limit: int) -> list[SpoolEntry]:
        names = sorted(each.name for each in self._entries("waiting"))
        if not names:
            self.close()
            return []
        if not self._may_drain():
            return []
        entries: list[SpoolEntry] = []
        size_bytes = 0
        unreadable: OSError | None = None
        for name in names:
            path = self._path(name)
            try:
                bodies = _read(path)
                entries.append(SpoolEntry(key=name, bodies=bodies))
                size_bytes += sum(len(each.body) for each in bodies)
            except FileNotFoundError:
                continue
            except OSError as exc:  # it stays, and stops no other; how long it waits is told
                unreadable = exc
            except ValueError:  # the disk lost it; whatever it was, it must not stop the others
                self._set_aside(path)
            if len(entries) == limit or size_bytes >= _ENOUGH_BYTES:
                break
        if unreadable is not None and not entries:
            raise unreadable
        return entries

    def _may_drain(self) -> bool:
        if self._lock is not None:
            return True
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock
        self._remove_left_over()
        return True

    def _remove_left_over(self) -> None:
        """Remove what a crash left half written: nobody was told that it is kept."""
        for each in self._entries("new"):
            path = self._folder / "new" / each.name
            with suppress(FileNotFoundError):
                if time.time() - path.lstat().st_mtime > _LEFT_OVER_S:
                    path.unlink()

    def _let_go(self, paths: Sequence[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)
        self._counted_at = float("-inf")

    def _set_aside(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            path.rename(self._folder / "aside" / path.name)
            _sync_folder(self._folder / "aside")
        self._counted_at = float("-inf")

    def _depth(self) -> SpoolDepth:
        entries = list(self._entries("waiting"))
        first = min((each.name for each in entries), default=None)
        return SpoolDepth(
            entries=len(entries),
            size_bytes=sum(each.size_bytes for each in entries),
            oldest_at=None if first is None else _kept_at(first),
            set_aside=sum(1 for _ in self._entries("aside")),
        )


def _name(kept_ns: int) -> str:
    return f"{kept_ns:019d}-{secrets.token_hex(8)}"


def names_of_folders(folder: Path) -> list[str]:
    """Return which folders in *folder* are spools.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    with _disk_errors():
        if not folder.is_dir():
            return []
        return [each.name for each in folder.iterdir() if (each / "waiting").is_dir()]


class _Entry(NamedTuple):
    name: str
    size_bytes: int


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> tuple[SpooledBody, ...]:
    """Return what put() kept.

    Raises:
        ValueError: it is not what was written.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        content = file.read()
    form, rest = content[: len(_FORM)], content[len(_FORM) :]
    digest, packed = rest[:_DIGEST_BYTES], rest[_DIGEST_BYTES:]
    if form != _FORM or hashlib.sha256(packed).digest() != digest:
        raise ValueError("an entry of the spool is damaged")
    return msgspec.msgpack.decode(packed, type=tuple[SpooledBody, ...])


def _kept_at(name: str) -> datetime:
    return datetime.fromtimestamp(int(name.partition("-")[0]) // 10**9, UTC)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        mend = "let this user read and write there"
        if exc.errno in _FULL:
            mend = "free some of its disk"
        elif exc.errno == errno.EIO:
            mend = "look at its disk"
        raise StoreUnavailable(
            f"the folder of the spool cannot be used ({exc.strerror}): {mend}, or set "
            "WHATSAPP_SPOOL_DIR"
        ) from exc
