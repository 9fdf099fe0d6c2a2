"""Who makes the regular backup, of all workers that share an archive."""

from abc import ABC, abstractmethod
from datetime import datetime


class BackupTurns(ABC):
    """One row that is due. Any method may raise StoreUnavailable; instants are aware UTC."""

    @abstractmethod
    async def claim(self, now: datetime, *, until: datetime) -> bool:
        """Take the backup, where it is due, and hold it until then.

        It is due at once where none was ever made. It is given to one caller; when it is over, that
        one calls put_off().
        """

    @abstractmethod
    async def put_off(self, until: datetime) -> None:
        """Let the backup be due at *until*: the end of a lease, or the next time."""
