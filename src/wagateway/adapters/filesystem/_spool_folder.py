"""The folder of a spool: every call waits for the disk, and raises OSError.

<folder>/             0700
waiting/<when>-<token>    what one put() kept, whole or not there, 0600
aside/                what could not be recorded
new/                  what is being written
lock                  held by the process that drains
"""

import fcntl
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from wagateway.adapters.filesystem import _spool_entry as form
from wagateway.domain.errors import StoreUnavailable
from wagateway.ports.spool import SpoolDepth, SpoolEntry

_ENOUGH_BYTES = 16 * 2**20
"""At once, or one entry that is larger: what is read lies in memory."""
_BELIEVED_S = 1.0
"""How long a count of the folder is, at least, for other processes may write there, too."""
_BELIEVED_TIMES = 50
"""How many times as long as the counting took."""
_LISTED_FOR_S = 30.0
"""How long a list of what waits is used, whose end is not reached: what comes later is later."""
_LEFT_OVER_S = 3600.0
"""What is being written is there for less than a second; older ones are those of a crash."""
_LAST_NS = 9 * 10**18
"""In 2255: no name is later, whatever a clock said."""


class SpoolFolder:
    """Entries as files of one folder; several threads and processes may use it."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """Keep at most *max_bytes* under *folder*, an absolute path; nothing is made yet."""
        self._folder = folder
        self._waiting, self._aside, self._new = (
            folder / each for each in ("waiting", "aside", "new")
        )
        self._max_bytes = max_bytes
        self._mutex = threading.Lock()
        self._last_ns = 0
        self._writing_bytes = 0
        self._count = _Count()
        self._believed_until = float("-inf")
        self._list: list[str] = []
        self._listed_at = float("-inf")
        self._swept_at = float("-inf")
        self._lock: int | None = None

    def prepare(self) -> None:
        """Make it, and try to write."""
        self._make_folders()
        path = self._new / form.name_at(time.time_ns())
        try:
            form.write(path, b"a full disk makes files, but writes nothing into them")
        finally:
            path.unlink(missing_ok=True)

    def put(self, content: bytes) -> None:
        """Keep *content*; return once it is on disk.

        Raises:
            StoreUnavailable: it is full.
        """
        self._make_folders()
        name = self._take_room(len(content))
        written = self._new / name
        try:
            form.write(written, content)
            written.rename(self._waiting / name)
        except BaseException:
            with suppress(OSError):
                written.unlink(missing_ok=True)
            self._written(len(content), None)
            raise
        self._written(len(content), name)
        _sync(self._waiting)

    def oldest(self, limit: int) -> list[SpoolEntry]:
        """Return up to *limit* entries, fewer where they are large; none where others drain.

        What cannot be read now stays, and stops no other.

        Raises:
            StoreUnavailable: nothing else is left than what a newer version kept.
        """
        if not self._may_drain():
            return []
        names = self._listed(limit)
        if not names:
            self.release()
        entries: list[SpoolEntry] = []
        size_bytes = 0
        unreadable: Exception | None = None
        for name in names:
            try:
                bodies = form.read(self._waiting / name)
            except FileNotFoundError:  # another process recorded it
                continue
            except (OSError, StoreUnavailable) as exc:
                unreadable = exc
                continue
            except ValueError as exc:
                entries.append(SpoolEntry(key=name, bodies=(), problem=str(exc)))
            else:
                entries.append(SpoolEntry(key=name, bodies=bodies))
                size_bytes += sum(len(each.body) for each in bodies)
            if len(entries) == limit or size_bytes >= _ENOUGH_BYTES:
                break
        if unreadable is not None and not entries:
            raise unreadable
        return entries

    def release(self) -> None:
        """Let others drain."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def let_go(self, keys: Collection[str]) -> None:
        """Remove entries."""
        sizes_bytes: dict[str, int] = {}
        for path in self._paths(keys):
            with suppress(FileNotFoundError):
                size_bytes = path.lstat().st_size
                path.unlink()
                sizes_bytes[path.name] = size_bytes
        with self._mutex:
            self._list = [each for each in self._list if each not in sizes_bytes]
            self._count.remove(sizes_bytes)
            if self._list:
                self._count.first = self._list[0]
            else:
                self._believed_until = float("-inf")

    def set_aside(self, key: str) -> None:
        """Move an entry out of the way."""
        [path] = self._paths([key])
        with suppress(FileNotFoundError):
            path.rename(self._aside / path.name)
            _sync(self._aside)
        with self._mutex:
            self._list = [each for each in self._list if each != key]
            self._believed_until = float("-inf")

    def put_back(self) -> int:
        """Move to its place what was set aside."""
        moved = 0
        for each in list(_entries(self._aside)):
            with suppress(FileNotFoundError):
                (self._aside / each.name).rename(self._waiting / each.name)
                moved += 1
        if moved:
            _sync(self._waiting)
        with self._mutex:
            self._list = []
            self._believed_until = float("-inf")
        return moved

    def depth(self) -> SpoolDepth:
        """Return what waits."""
        with self._mutex:
            count = self._counted()
            return SpoolDepth(
                entries=count.entries,
                size_bytes=count.size_bytes,
                oldest_at=None if count.first is None else form.kept_at(count.first),
                set_aside=count.aside,
                max_bytes=self._max_bytes,
            )

    def _paths(self, keys: Collection[str]) -> list[Path]:
        if not all(form.is_name(key) for key in keys):
            raise ValueError("no key of ours")
        return [self._waiting / key for key in keys]

    def _make_folders(self) -> None:
        for folder in (self._waiting, self._aside, self._new):
            if not folder.is_dir():
                _make(folder)

    def _take_room(self, size_bytes: int) -> str:
        """Return the name for an entry, later than all there are, whatever the clock says."""
        with self._mutex:
            count = self._counted()
            if count.size_bytes + self._writing_bytes + size_bytes > self._max_bytes:
                raise StoreUnavailable(
                    f"the spool in {self._folder} is full: set WHATSAPP_SPOOL_MAX_BYTES, or bring "
                    "the database back"
                )
            self._writing_bytes += size_bytes
            last_ns = max(self._last_ns, form.ns_of(count.last) if count.last else 0)
            self._last_ns = min(max(time.time_ns(), last_ns + 1), _LAST_NS)
            return form.name_at(self._last_ns)

    def _written(self, size_bytes: int, name: str | None) -> None:
        with self._mutex:
            self._writing_bytes -= size_bytes
            if name is not None:
                self._count.add(name, size_bytes)

    def _counted(self) -> "_Count":
        began = time.monotonic()
        if began >= self._believed_until:
            self._count = _Count()
            for each in _entries(self._waiting):
                self._count.add(each.name, each.size_bytes)
            self._count.aside = sum(1 for _ in _entries(self._aside))
            ended = time.monotonic()
            self._believed_until = ended + max(_BELIEVED_S, _BELIEVED_TIMES * (ended - began))
        return self._count

    def _listed(self, limit: int) -> list[str]:
        """Return what waits, in its order."""
        now = time.monotonic()
        if len(self._list) < limit or now >= self._listed_at + _LISTED_FOR_S:
            names = sorted(each.name for each in _entries(self._waiting))
            with self._mutex:
                self._list, self._listed_at = names, now
        return self._list

    def _may_drain(self) -> bool:
        if self._lock is not None:
            return True
        try:
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # no folder, and nothing in it
            return False
        try:
            form.leave_to_owner(lock, self._folder)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock
        self._sweep()
        return True

    def _sweep(self) -> None:
        """Remove what a crash left half written: nobody was told that it is kept."""
        now = time.monotonic()
        if now < self._swept_at + _LEFT_OVER_S:
            return
        self._swept_at = now
        for each in list(_entries(self._new)):
            path = self._new / each.name
            with suppress(FileNotFoundError):
                if time.time() - path.lstat().st_mtime > _LEFT_OVER_S:
                    path.unlink()


class _Count(Struct, kw_only=True):
    """What a folder holds: counted now and then, and kept up meanwhile."""

    entries: int = 0
    size_bytes: int = 0
    first: str | None = None
    last: str | None = None
    aside: int = 0

    def add(self, name: str, size_bytes: int) -> None:
        self.entries += 1
        self.size_bytes += size_bytes
        self.first = min(self.first or name, name)
        self.last = max(self.last or name, name)

    def remove(self, sizes_bytes: Mapping[str, int]) -> None:
        self.entries = max(0, self.entries - len(sizes_bytes))
        self.size_bytes = max(0, self.size_bytes - sum(sizes_bytes.values()))


class _Entry(NamedTuple):
    name: str
    size_bytes: int


def _entries(folder: Path) -> Iterator[_Entry]:
    """Yield the entries in *folder*, in no order."""
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for each in found:
            if not form.is_name(each.name) or not each.is_file(follow_symlinks=False):
                continue
            with suppress(FileNotFoundError):  # recorded meanwhile
                yield _Entry(each.name, each.stat(follow_symlinks=False).st_size)


def names_of_folders(folder: Path) -> Sequence[str]:
    """Return which folders in *folder* are spools."""
    if not folder.is_dir():
        return []
    return [each.name for each in folder.iterdir() if (each / "waiting").is_dir()]


def _make(folder: Path) -> None:
    """Make *folder*, and those it is in, each on disk, and its parent's owner's."""
    if not folder.parent.is_dir():
        _make(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        form.leave_to_owner(handle, folder.parent)
    finally:
        os.close(handle)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
