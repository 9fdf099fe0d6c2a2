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
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from wagateway.adapters.filesystem import _spool_entry as entry_file
from wagateway.adapters.filesystem._spool_contents import BELIEVED_S, Contents, Count, names
from wagateway.domain.errors import StoreUnavailable
from wagateway.ports.spool import SpoolDepth, SpooledBody, SpoolEntry

_ENOUGH_BYTES = 16 * 2**20
"""At once, or one entry that is larger: what is read lies in memory."""
_LEFT_OVER_S = 3600.0
"""What is being written is there for less than a second; older ones are those of a crash."""
_ILL_S = 60.0
"""How long an entry is passed over that a disk tries to read, or tried, for a long time: a call is
given up after some seconds, and those behind it are to be come to."""
_LONG_S = 1.0
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
        self._contents = Contents(self._waiting, self._aside)
        self._reserving = threading.Lock()
        self._last_ns = 0
        self._reserved_bytes = 0
        self._swept_at = float("-inf")
        self._draining = threading.Lock()
        self._ill: dict[str, tuple[float, float]] = {}
        """Entries that are passed over, and since and until when."""
        self._lock: int | None = None
        """The handle of the locked folder, while this process drains."""

    def prepare(self) -> None:
        """Make it, and try to write and to lock."""
        self._make_folders()
        path = self._new / entry_file.name_at(time.time_ns())
        try:
            entry_file.write(path, b"a full disk makes files, but writes nothing into them")
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
            entry_file.write(written, content)
            written.rename(self._waiting / name)
        except BaseException:
            with suppress(OSError):
                written.unlink(missing_ok=True)
            raise
        else:
            self._contents.added(name, len(content))
        finally:
            with self._reserving:
                self._reserved_bytes -= len(content)
        _sync(self._waiting)

    def oldest(self, limit: int, without: Collection[str]) -> list[SpoolEntry]:
        """Return up to *limit* entries, fewer where they are large; none where others drain.

        What cannot be read now stays, and stops no other.

        Raises:
            StoreUnavailable: nothing else waits than what a newer version kept.
            OSError: nothing else waits than what cannot be read.
        """
        if not self._may_drain():
            return []
        entries: list[SpoolEntry] = []
        size_bytes = 0
        unreadable: Exception | None = None
        for name in self._contents.listed(limit, without):
            try:
                bodies = self._read(name)
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

    def _read(self, name: str) -> tuple[SpooledBody, ...]:
        """Return the bodies of an entry.

        Raises:
            TimeoutError: a disk tries in vain to read it, or did so a moment ago.
            Exception: what entry_file.read() does.
        """
        began = time.monotonic()
        since, until = self._ill.get(name, (began, began))
        if since <= began < until:
            raise TimeoutError
        self._ill[name] = began + _LONG_S, began + _ILL_S  # for who comes while it is tried
        late = False
        try:
            return entry_file.read(self._waiting / name)
        except OSError:
            late = time.monotonic() - began >= _LONG_S
            raise
        finally:
            if late:
                self._ill[name] = began, time.monotonic() + _ILL_S
            else:
                self._ill.pop(name, None)

    def release(self) -> None:
        """Let others drain."""
        with self._draining:
            handle, self._lock = self._lock, None
            self._contents.unlist()
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
        self._contents.removed(gone)
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
        self._contents.set_aside(key)

    def put_back(self) -> int:
        """Move to its place what was set aside."""
        moved = 0
        try:
            for name in list(names(self._aside)):
                with suppress(FileNotFoundError):
                    (self._aside / name).rename(self._waiting / name)
                    moved += 1
        finally:
            self._contents.forget()
        if moved:
            _sync(self._waiting)
        return moved

    def depth(self) -> SpoolDepth:
        """Return what waits."""
        count = self._contents.counted()
        return SpoolDepth(
            entries=count.entries,
            size_bytes=count.size_bytes,
            oldest_at=None if count.first is None else entry_file.kept_at(count.first),
            set_aside=count.aside,
            max_bytes=self._max_bytes,
        )

    def _paths(self, keys: Collection[str]) -> list[Path]:
        if not all(entry_file.is_name(key) for key in keys):
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
        count = self._contents.counted()
        if not self._has_room(count, size_bytes):
            count = self._contents.counted(at_most_s=BELIEVED_S)  # others may have let go
        with self._reserving:
            if not self._has_room(count, size_bytes):
                raise StoreUnavailable(
                    f"the spool in {self._folder} is full: set WHATSAPP_SPOOL_MAX_BYTES, or bring "
                    "the database back"
                )
            self._reserved_bytes += size_bytes
            last_ns = max(self._last_ns, entry_file.ns_of(count.last) if count.last else 0)
            self._last_ns = min(max(time.time_ns(), last_ns + 1), _LAST_NS)
            return entry_file.name_at(self._last_ns)

    def _has_room(self, count: Count, size_bytes: int) -> bool:
        return count.size_bytes + self._reserved_bytes + size_bytes <= self._max_bytes

    def _may_drain(self) -> bool:
        # One thread at a time: of two, the second would not get what the first has locked.
        with self._draining:
            if self._lock is None:
                with suppress(FileNotFoundError):  # no folder, and nothing in it
                    self._lock = _locked(self._waiting, fcntl.LOCK_EX)
                if self._lock is not None:
                    self._sweep()
            return self._lock is not None

    def _sweep(self) -> None:
        """Remove what a crash left half written: nobody was told that it is kept."""
        now = time.monotonic()
        if now < self._swept_at + _LEFT_OVER_S:
            return
        self._swept_at = now
        for name in list(names(self._new)):
            path = self._new / name
            with suppress(OSError):  # it holds up nothing
                if time.time() - path.lstat().st_mtime > _LEFT_OVER_S:
                    path.unlink()


def names_of_folders(folder: Path) -> Sequence[str]:
    """Return which folders in *folder* are spools; links are none."""
    try:
        inner = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for each in inner:
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
