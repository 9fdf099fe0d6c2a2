"""The turn of the regular backup as a row of ``upkeep``, over the pool that everything uses."""

from datetime import datetime

from typing_extensions import override

from wagateway.adapters.timescale._errors import translated_errors
from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale.pool import Pool
from wagateway.ports.backup_turns import BackupTurns


class TimescaleBackupTurns(BackupTurns):
    """Each call is a statement, so PgBouncer in transaction mode is no matter."""

    def __init__(self, pool: Pool) -> None:
        """Use *pool*, which stays the caller's."""
        self._pool = pool

    @override
    async def claim(self, now: datetime, *, until: datetime) -> bool:
        with translated_errors():
            async with self._pool.connection() as conn:
                cursor = await conn.execute(QUERIES["claim_backup"], {"now": now, "until": until})
                return bool(await cursor.fetchall())

    @override
    async def put_off(self, until: datetime) -> None:
        with translated_errors():
            async with self._pool.connection() as conn:
                await conn.execute(QUERIES["put_off_backup"], {"until": until})
