"""Where backups are kept."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from wagateway.domain.backups import BackupName, FileFact, Manifest


class BackupDraft(ABC):
    """A backup being written; nobody takes it for one until it is finished.

    Any method may raise StoreUnavailable: the disk is full, or away.
    """

    name: BackupName
    encrypted: bool

    @abstractmethod
    async def add(self, name: str, content: AsyncIterator[bytes]) -> FileFact:
        """Write a file, packed by gzip where its name says so; it is durable then."""

    @abstractmethod
    async def has_media(self, sha256: str, size_bytes: int) -> bool:
        """Tell whether the place has an attached file already, by this or an earlier backup."""

    @abstractmethod
    async def add_media(self, content: AsyncIterator[bytes], sha256: str | None) -> tuple[str, int]:
        """Keep an attached file for this and later backups.

        Args:
            content: what the caller reads; its errors are the caller's.
            sha256: what it must be; None: not known.

        Returns:
            Its SHA-256, and its size in bytes.

        Raises:
            InvalidInput: it is something else; nothing was kept.
        """

    @abstractmethod
    async def finish(self, manifest: Manifest) -> None:
        """Write the manifest, and give the backup its name: from now on it is one."""


class KeptBackup(ABC):
    """One backup, opened.

    Any method may raise StoreUnavailable: the disk is away.
    """

    manifest: Manifest

    @abstractmethod
    async def check(self, fact: FileFact) -> str | None:
        """Read a file of the backup, and return what is wrong with it; None: it is whole."""

    @abstractmethod
    def read(self, name: str, *, most_bytes: int | None = None) -> AsyncIterator[bytes]:
        """Yield the unpacked content of a file, in constant memory.

        Args:
            name: as it was added.
            most_bytes: more than that cannot be right.

        Raises:
            Rejected: it is missing, damaged or longer than it can be.
        """

    @abstractmethod
    def read_media(self, sha256: str) -> AsyncIterator[bytes]:
        """Yield an attached file; the caller looks whether it is what it must be.

        Raises:
            NotFound: it is not there.
            Rejected: it is damaged.
        """


class BackupPlace(ABC):
    """A place of backups: one at a time is made in it, any number is read."""

    @abstractmethod
    def draft(self) -> AbstractAsyncContextManager[BackupDraft]:
        """Begin a backup; one that is not finished when the context ends leaves nothing behind.

        Raises:
            InvalidInput: the place cannot be one.
            Conflict: another backup is being made there, or its key is missing.
        """

    @abstractmethod
    def kept(self, name: BackupName) -> AbstractAsyncContextManager[KeptBackup]:
        """Open a backup.

        Raises:
            NotFound: there is none of this name.
            Rejected: its manifest is damaged, of a newer format, or sealed by another passphrase.
        """

    @abstractmethod
    async def names(self) -> list[BackupName]:
        """Return the backups that were finished, the oldest first."""

    @abstractmethod
    async def remove(self, name: BackupName) -> None:
        """Remove a backup, and the attached files that no other one lists.

        Raises:
            Conflict: a backup is being made there.
            Rejected: of this or another one it cannot be told which files it has; then none goes.
        """
