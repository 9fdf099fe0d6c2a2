"""Files by name in a place that has neither folders nor locks, such as a bucket."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path


class ObjectStore(ABC):
    """Whole files: one is replaced or read as a whole, and is durable when it is seen.

    Names are paths without a way out: ``media/ab/cd/abcd…``. Any method may raise
    StoreUnavailable: it may or may not have acted; repeating it is safe.
    """

    @abstractmethod
    async def put(self, name: str, file: Path) -> None:
        """Store the content of *file*, which stays the caller's, whatever was there."""

    @abstractmethod
    async def get(self, name: str, into: Path) -> bool:
        """Write a file's content to *into*, which is made; False where there is none."""

    @abstractmethod
    async def size_bytes(self, name: str) -> int | None:
        """Return the size of a file; None where there is none."""

    @abstractmethod
    def names(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names that begin with *prefix*, in no order: a few thousand at most."""

    @abstractmethod
    async def remove(self, name: str) -> None:
        """Remove a file, unless there is none."""
