"""Where attached files are kept, whichever store is behind."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from wagateway.domain.media import MediaKey


class StoredFile(Struct, frozen=True, kw_only=True):
    """One file as the store lists it.

    Attributes:
        stored_at: aware UTC, to the second.
    """

    key: MediaKey
    size_bytes: int
    stored_at: datetime


class MediaStore(ABC):
    """Files by key, which names their content: what is stored under a key never changes.

    Any method may raise StoreUnavailable: it may or may not have acted; repeating it is safe.
    """

    @abstractmethod
    async def prepare(self) -> None:
        """Make the place where files are kept, for us alone; one that is there stays as it is.

        `add` does so too when it has to.
        """

    @abstractmethod
    async def add(self, key: MediaKey, file: Path, *, mimetype: str) -> bool:
        """Store the content of *file* unless *key* is there; it is durable then, and whole.

        A file that breaks off on the way is never seen under its key.

        Args:
            key: of the content; the store takes the caller's word for it.
            file: stays the caller's.
            mimetype: told to whoever reads it from the store itself.

        Returns:
            True when stored, False when it was there.
        """

    @abstractmethod
    async def size_bytes(self, key: MediaKey) -> int:
        """Return the size of a file.

        Raises:
            NotFound: there is none of this key.
        """

    @abstractmethod
    def read(
        self, key: MediaKey, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield a file's bytes in pieces of a few hundred kilobytes, in constant memory.

        Args:
            key: of the file.
            start: the first byte, 0 or more; behind the end there is nothing.
            length: how many bytes at most, 1 or more; None: up to the end.

        Raises:
            NotFound: there is none of this key; with the first piece.
        """

    @abstractmethod
    async def remove(self, key: MediaKey) -> bool:
        """Remove a file for good; False when there was none."""

    @abstractmethod
    def files(self) -> AsyncIterator[StoredFile]:
        """Yield all files, in the order of their keys; what is no key of ours is left out."""

    @abstractmethod
    def link(
        self,
        key: MediaKey,
        *,
        lifetime: timedelta,
        filename: str | None,
        mimetype: str,
        inline: bool,
    ) -> str | None:
        """Return an address where whoever holds it gets a file, from the store itself.

        Nothing is asked: it is there for a file that is not, too.

        Args:
            key: of the file.
            lifetime: how long it can be used, one second to seven days.
            filename: what the file is to be called; None: no name.
            mimetype: what it is told to be; a malformed one is ``application/octet-stream``.
            inline: shown where a program can, else saved. Whether it may be shown, where a script
                in it would run, is for the caller to know.

        Returns:
            None where the store has no addresses.
        """

    @abstractmethod
    async def readable_by_anyone(self) -> bool:
        """Tell whether others than we get at the files without being let in, as far as is seen."""
