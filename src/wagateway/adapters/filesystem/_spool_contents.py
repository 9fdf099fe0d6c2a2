"""What lies in the folder of a spool, as it is remembered between two looks at the disk.

Other processes may write there, too, and a full folder takes long to list and to count. So what was
seen is believed for a while, and kept up with what this process does.
"""

import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from wagateway.adapters.filesystem import _spool_entry as entry_file

BELIEVED_S = 1.0
"""How long a count of the folder is believed, at least."""
_BELIEVED_TIMES = 50
"""How many times as long as the counting took."""
_BELIEVED_AT_MOST_S = 30.0
_LISTED_FOR_S = 30.0
"""How long a list of what waits is used before its end is reached; what came since is later."""


class Count(Struct, kw_only=True):
    """How much lies there.

    Attributes:
        entries: that wait; *size_bytes* of them in all.
        first, last: of their names; None: there is none, or it is not known which.
        aside: entries that were set aside.
        counted_at: by the monotonic clock; believed for *believed_s* from then on.
    """

    entries: int = 0
    size_bytes: int = 0
    first: str | None = None
    last: str | None = None
    aside: int = 0
    counted_at: float = 0.0
    believed_s: float = 0.0

    def is_believed(self, at_most_s: float) -> bool:
        """Tell whether it need not be counted anew: it is not older than *at_most_s*."""
        if self.entries and self.first is None:
            return False
        return time.monotonic() < self.counted_at + min(self.believed_s, at_most_s)

    def add(self, name: str, size_bytes: int) -> None:
        """Count one more."""
        self.entries += 1
        self.size_bytes += size_bytes
        self.first = min(self.first or name, name)
        self.last = max(self.last or name, name)

    def remove(self, sizes_bytes: Mapping[str, int], *, first: str | None) -> None:
        """Count some no longer, whose sizes are told by name; *first* is of those that are left."""
        self.entries = max(0, self.entries - len(sizes_bytes))
        self.size_bytes = max(0, self.size_bytes - sum(sizes_bytes.values()))
        self.first = first if self.entries else None


class Contents:
    """What waits in one folder, and what was set aside in another; for several threads."""

    def __init__(self, waiting: Path, aside: Path) -> None:
        """Look at nothing yet."""
        self._waiting, self._aside = waiting, aside
        self._mutex = threading.Lock()
        self._counting = threading.Lock()
        self._count: Count | None = None
        self._list: list[str] = []
        self._listed_at = float("-inf")

    def counted(self, *, at_most_s: float = _BELIEVED_AT_MOST_S) -> Count:
        """Return how much lies there, as it was counted at most so long ago.

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

    def _count_anew(self) -> Count:
        began = time.monotonic()
        count = Count(aside=sum(1 for _ in names(self._aside)))
        for name in names(self._waiting):
            count.add(name, _size_bytes(self._waiting / name))
        count.counted_at = time.monotonic()
        count.believed_s = max(BELIEVED_S, _BELIEVED_TIMES * (count.counted_at - began))
        return count

    def listed(self, limit: int, without: Collection[str]) -> list[str]:
        """Return the names of all that is known to wait, in its order, but *without* some.

        Where these are fewer than *limit*, or the list is old, the folder is listed anew: then what
        other processes put there is among them.
        """
        left = [each for each in self._list if each not in without]
        if len(left) >= limit and time.monotonic() < self._listed_at + _LISTED_FOR_S:
            return left
        listed = sorted(names(self._waiting))
        with self._mutex:
            self._list, self._listed_at = listed, time.monotonic()
        return [each for each in listed if each not in without]

    def added(self, name: str, size_bytes: int) -> None:
        """Remember that an entry waits since now."""
        with self._mutex:
            if self._count is not None:
                self._count.add(name, size_bytes)

    def removed(self, sizes_bytes: Mapping[str, int]) -> None:
        """Remember that entries are gone, whose sizes are told by name."""
        with self._mutex:
            self._list = [each for each in self._list if each not in sizes_bytes]
            if self._count is not None:
                self._count.remove(sizes_bytes, first=self._list[0] if self._list else None)

    def set_aside(self, name: str) -> None:
        """Remember that an entry was moved aside; count anew when that is asked for."""
        with self._mutex:
            self._list = [each for each in self._list if each != name]
            self._count = None

    def forget(self) -> None:
        """List and count anew when that is asked for."""
        with self._mutex:
            self._list = []
            self._count = None

    def unlist(self) -> None:
        """List anew when that is asked for: others may record meanwhile what waits."""
        with self._mutex:
            self._list = []


def names(folder: Path) -> Iterator[str]:
    """Yield the names of the entries in *folder*, in no order."""
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for each in found:
            if entry_file.is_name(each.name) and each.is_file(follow_symlinks=False):
                yield each.name


def _size_bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # recorded meanwhile, or a disk that is ill
        return 0
