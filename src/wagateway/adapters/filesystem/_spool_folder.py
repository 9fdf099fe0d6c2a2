"""The folder of a spool: every call waits for the disk, and raises OSError.

<folder>/                     0700
    waiting/<when>-<token>    what one put() kept, whole or not there, 0600
    aside/                    what could not be recorded
    new/                      what is being written

Who drains holds a lock on the folder ``waiting``, which needs no room on a disk that is full.
"""

import fcntl
import os
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from wagateway.adapters.filesystem import _spool_entry as form
from wagateway.domain.errors import StoreUnavailable
from wagateway.ports.spool import SpoolDepth, SpoolEntry

_ENOUGH_BYTES = 16 * 2**20
"""At once, or one entry that is larger: what is read lies in memory."""
_BELIEVED_S = 1.0
"""How long a count of the folder is believed, at least: other processes may write there, too."""
_BELIEVED_TIMES = 50
"""How many times as long as the counting took."""
_BELIEVED_AT_MOST_S = 30.0
_LISTED_FOR_S = 30.0
"""How long a list of what waits is used before its end is reached; what came since is later."""
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
        self._making = threading.Lock()
        self._made = False
        self._mutex = threading.Lock()
        self._last_ns = 0
        self._writing_bytes = 0
        self._counting = threading.Lock()
        self._count: _Count | None = None
        self._list: list[str] = []
        self._listed_at = float("-inf")
        self._swept_at = float("-inf")
        self._draining = threading.Lock()
        self._drains: int | None = None
        """The handle that has the folder locked, while this process drains."""

    def prepare(self) -> None:
        """Make it, and try to write and to lock."""
        self._make_folders()
        path = self._new / form.name_at(time.time_ns())
        try:
            form.write(path, b"a full disk makes files, but writes nothing into them")
        finally:
            path.unlink(missing_ok=True)
        lock = _locked(self._waiting, fcntl.LOCK_SH)
        if lock is not None:
            os.close(lock)

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

    def oldest(self, limit: int, without: Collection[str]) -> list[SpoolEntry]:
        """Return up to *limit* entries, fewer where they are large; none where others drain.

        What cannot be read now stays, and stops no other.

        Raises:
            StoreUnavailable: nothing else is left than what a newer version kept.
        """
        if not self._may_drain():
            return []
        entries: list[SpoolEntry] = []
        size_bytes = 0
        unreadable: Exception | None = None
        for name in self._listed(limit, without):
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
        if not entries:
            self.release()
            if unreadable is not None:
                raise unreadable
        return entries

    def release(self) -> None:
        """Let others drain."""
        with self._draining:
            handle, self._drains = self._drains, None
            self._list = []
            if handle is not None:
                os.close(handle)

    def let_go(self, keys: Collection[str]) -> None:
        """Remove entries: all that can be, whatever the others do."""
        gone: dict[str, int] = {}
        left: OSError | None = None
        for path in self._paths(keys):
            try:
                size_bytes = path.lstat().st_size
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as exc:
                left = exc
            else:
                gone[path.name] = size_bytes
        with self._mutex:
            self._list = [each for each in self._list if each not in gone]
            if self._count is not None:
                self._count.remove(gone, first=self._list[0] if self._list else None)
        if left is not None:
            raise left

    def set_aside(self, key: str) -> None:
        """Move an entry out of the way."""
        [path] = self._paths([key])
        self._make_folders()
        try:
            path.rename(self._aside / path.name)
            _sync(self._aside)
        except FileNotFoundError:
            if path.exists():  # then it is the folder that was removed
                raise
        with self._mutex:
            self._list = [each for each in self._list if each != key]
            self._count = None

    def put_back(self) -> int:
        """Move to its place what was set aside."""
        moved = 0
        try:
            for name in list(_names(self._aside)):
                with suppress(FileNotFoundError):
                    (self._aside / name).rename(self._waiting / name)
                    moved += 1
        finally:
            with self._mutex:
                self._list = []
                self._count = None
        if moved:
            _sync(self._waiting)
        return moved

    def depth(self) -> SpoolDepth:
        """Return what waits."""
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
        """Make what is absent; return once the names are on disk, whoever made them."""
        with self._making:
            folders = (self._waiting, self._aside, self._new)
            if self._made and all(folder.is_dir() for folder in folders):
                return
            for folder in folders:
                _make(folder)
            _sync(self._folder)
            _sync(self._folder.parent)
            self._made = True

    def _take_room(self, size_bytes: int) -> str:
        """Reserve room for an entry, and return its name: later than all, whatever the clock says.

        Raises:
            StoreUnavailable: there is none.
        """
        count = self._counted()
        if not self._has_room(count, size_bytes):
            count = self._counted(at_most_s=_BELIEVED_S)  # others may have let go
        with self._mutex:
            if not self._has_room(count, size_bytes):
                raise StoreUnavailable(
                    f"the spool in {self._folder} is full: set WHATSAPP_SPOOL_MAX_BYTES, or bring "
                    "the database back"
                )
            self._writing_bytes += size_bytes
            last_ns = max(self._last_ns, form.ns_of(count.last) if count.last else 0)
            self._last_ns = min(max(time.time_ns(), last_ns + 1), _LAST_NS)
            return form.name_at(self._last_ns)

    def _has_room(self, count: "_Count", size_bytes: int) -> bool:
        return count.size_bytes + self._writing_bytes + size_bytes <= self._max_bytes

    def _written(self, size_bytes: int, name: str | None) -> None:
        with self._mutex:
            self._writing_bytes -= size_bytes
            if name is not None and self._count is not None:
                self._count.add(name, size_bytes)

    def _counted(self, *, at_most_s: float = _BELIEVED_AT_MOST_S) -> "_Count":
        """Return what the folder holds, as it was counted at most so long ago.

        While one thread counts anew, the others believe what was counted before.
        """
        count = self._count
        if count is not None and (count.is_believed(at_most_s) or self._counting.locked()):
            return count
        with self._counting:
            count = self._count
            if count is None or not count.is_believed(at_most_s):
                count = self._count_anew()
                with self._mutex:
                    self._count = count
            return count

    def _count_anew(self) -> "_Count":
        began = time.monotonic()
        count = _Count(aside=sum(1 for _ in _names(self._aside)))
        for name in _names(self._waiting):
            count.add(name, _size_bytes(self._waiting / name))
        count.counted_at = time.monotonic()
        count.believed_s = max(_BELIEVED_S, _BELIEVED_TIMES * (count.counted_at - began))
        return count

    def _listed(self, limit: int, without: Collection[str]) -> list[str]:
        """Return what waits, in its order, but *without* some."""
        names = [each for each in self._list if each not in without]
        if len(names) >= limit and time.monotonic() < self._listed_at + _LISTED_FOR_S:
            return names
        listed = sorted(_names(self._waiting))
        with self._mutex:
            self._list, self._listed_at = listed, time.monotonic()
        return [each for each in listed if each not in without]

    def _may_drain(self) -> bool:
        # One thread at a time: of two, the second would not get what the first has locked.
        with self._draining:
            if self._drains is None:
                with suppress(FileNotFoundError):  # no folder, and nothing in it
                    self._drains = _locked(self._waiting, fcntl.LOCK_EX)
                if self._drains is not None:
                    self._sweep()
            return self._drains is not None

    def _sweep(self) -> None:
        """Remove what a crash left half written: nobody was told that it is kept."""
        now = time.monotonic()
        if now < self._swept_at + _LEFT_OVER_S:
            return
        self._swept_at = now
        for name in list(_names(self._new)):
            path = self._new / name
            with suppress(OSError):  # it holds up nothing
                if time.time() - path.lstat().st_mtime > _LEFT_OVER_S:
                    path.unlink()


class _Count(Struct, kw_only=True):
    """What a folder holds: counted now and then, and kept up meanwhile."""

    entries: int = 0
    size_bytes: int = 0
    first: str | None = None
    last: str | None = None
    aside: int = 0
    counted_at: float = 0.0
    believed_s: float = 0.0

    def is_believed(self, at_most_s: float) -> bool:
        if self.entries and self.first is None:
            return False
        return time.monotonic() < self.counted_at + min(self.believed_s, at_most_s)

    def add(self, name: str, size_bytes: int) -> None:
        self.entries += 1
        self.size_bytes += size_bytes
        self.first = min(self.first or name, name)
        self.last = max(self.last or name, name)

    def remove(self, sizes_bytes: dict[str, int], *, first: str | None) -> None:
        self.entries = max(0, self.entries - len(sizes_bytes))
        self.size_bytes = max(0, self.size_bytes - sum(sizes_bytes.values()))
        self.first = first if self.entries else None


def _names(folder: Path) -> Iterator[str]:
    """Yield the names of the entries in *folder*, in no order."""
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for each in found:
            if form.is_name(each.name) and each.is_file(follow_symlinks=False):
                yield each.name


def _size_bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # recorded meanwhile, or a disk that is ill
        return 0


def names_of_folders(folder: Path) -> Sequence[str]:
    """Return which folders in *folder* are spools; links are none."""
    if not folder.is_dir():
        return []
    found = []
    for each in folder.iterdir():
        with suppress(OSError):  # of others, such as lost+found
            if not each.is_symlink() and (each / "waiting").is_dir():
                found.append(each.name)
    return found


def _locked(folder: Path, how: int) -> int | None:
    """Return a handle that locks *folder*; None where another one does."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


def _make(folder: Path) -> None:
    """Make *folder*, and those it is in, each with its name on disk, where they are absent."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
