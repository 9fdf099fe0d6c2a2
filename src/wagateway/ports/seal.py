"""What keeps a backup from being read, where it is wanted."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import BinaryIO


class Seal(ABC):
    """Closes and opens files; blocks, so it is used in threads."""

    @abstractmethod
    def closing(self, target: BinaryIO) -> AbstractContextManager[BinaryIO]:
        """Yield a file whose content goes sealed into *target*; all of it is there at the end."""

    @abstractmethod
    def opening(self, source: BinaryIO) -> AbstractContextManager[BinaryIO]:
        """Yield what is sealed in *source*.

        Raises:
            Rejected: *source* was changed, cut off or sealed otherwise; at the latest when the
                context ends after all was read.
        """


class Keys(ABC):
    """Makes and opens the key that files are sealed with, which a passphrase protects."""

    @abstractmethod
    def make(self) -> tuple[bytes, Seal]:
        """Return a new key, as the content of a file that only the passphrase opens; and its seal.

        Takes some seconds, so that nobody guesses passphrases; to open it does, too, once.
        """

    @abstractmethod
    def open(self, key: bytes) -> Seal:
        """Return the seal of a key that was made before.

        Raises:
            Rejected: it is none, or another passphrase protects it.
        """
