"""The turn of the regular backup in memory."""

from datetime import datetime

from typing_extensions import override

from wagateway.ports.backup_turns import BackupTurns


class InMemoryBackupTurns(BackupTurns):
    """One instant."""

    def __init__(self) -> None:
        """Be due at once."""
        self._due_at: datetime | None = None

    @override
    async def claim(self, now: datetime, *, until: datetime) -> bool:
        if self._due_at is not None and now < self._due_at:
            return False
        self._due_at = until
        return True

    @override
    async def put_off(self, until: datetime) -> None:
        if self._due_at is not None:
            self._due_at = until
