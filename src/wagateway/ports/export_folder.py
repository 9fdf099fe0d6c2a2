"""A folder that files are exported to, beside whatever a person keeps in it."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from enum import StrEnum

from wagateway.domain.exports import ExportedFile


class There(StrEnum):
    """What is under a name."""

    NOTHING = "nothing"
    SAME = "same"
    """A file of that content."""
    OTHER = "other"
    """Anything else: another file, a folder, a link."""


class ExportFolder(ABC):
    """Files by name, and the list of them; one export at a time writes there.

    Nothing that is there is ever changed or followed to another place, but for the list, which
    grows at its end. Names are those of one file, without a way out of the folder.

    Any method may raise StoreUnavailable: the disk is full, or away; what is whole stays.
    """

    @abstractmethod
    async def look(self, name: str, sha256: str) -> There:
        """Tell what is under *name*, by its content."""

    @abstractmethod
    async def add(self, name: str, content: AsyncIterator[bytes], sha256: str) -> bool:
        """Write a file that is whole and durable when it is seen.

        Args:
            name: of the file.
            content: what the caller reads; its errors are the caller's.
            sha256: what it must be.

        Returns:
            False where something is under *name* by now.

        Raises:
            InvalidInput: *content* is something else; nothing was written.
        """

    @abstractmethod
    async def note(self, file: ExportedFile) -> None:
        """Add *file* to the list, unless it is there."""
