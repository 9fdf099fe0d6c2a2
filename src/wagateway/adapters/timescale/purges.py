"""Purging in PostgreSQL: each step a transaction that takes turns with the session's writers."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from typing_extensions import override

from wagateway.adapters.timescale._errors import translated_errors
from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale._reading import entry_of, fetch, known_chat
from wagateway.adapters.timescale._rows import from_row, from_rows
from wagateway.adapters.timescale._writing import Writing
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.chunks import (
    Chunk,
    chunks_before,
    drop_void,
    drop_with_rows,
)
from wagateway.adapters.timescale.pool import Pool
from wagateway.adapters.timescale.storage import EVENT_LOG, MESSAGES
from wagateway.domain.archives import ArchiveEntry
from wagateway.domain.feed import purge_told
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.purges import Purge, PurgeCounts, PurgeTarget, no_chat
from wagateway.ports.purges import PurgeStore, PurgeTask


class TimescalePurgeStore(PurgeStore):
    """Over the same pool as the archive, whose writer it uses."""

    def __init__(self, pool: Pool, archive: TimescaleArchive) -> None:
        """Use *pool* and *archive*, which stay the caller's."""
        self._pool = pool
        self._archive = archive

    async def _rows(self, query: str, **values: object) -> list[dict[str, Any]]:
        with translated_errors():
            async with self._pool.connection() as conn, conn.transaction():
                await conn.execute(QUERIES["limit_work"])
                cursor = await conn.execute(QUERIES[query], values)
                return await cursor.fetchall() if cursor.description else []

    @override
    async def targets(
        self,
        session: SessionName,
        *,
        account: Jid | None = None,
        chat: Sequence[Jid] | None = None,
    ) -> list[PurgeTarget]:
        with translated_errors():
            async with self._pool.connection() as conn:
                await entry_of(conn, session, account)  # refuses what is not there
                rows = await fetch(conn, "session_entries", sessions=[session])
                entries = [e for e in from_rows(ArchiveEntry, rows) if account in {None, e.account}]
                found = []
                for entry in sorted(entries, key=lambda entry: entry.id):
                    meant = None if chat is None else await known_chat(conn, entry, chat)
                    if chat is None or meant is not None:
                        found.append(_target(entry, meant))
        if not found and chat is not None:
            raise no_chat(session, chat)
        return found

    @override
    async def archives(self) -> list[PurgeTarget]:
        return from_rows(PurgeTarget, await self._rows("all_archives"))

    @override
    async def count(
        self, target: PurgeTarget, before: datetime, *, with_log: bool = False
    ) -> PurgeCounts:
        values = {"session_id": target.archive, "chat": target.chat, "before": before}
        [row] = await self._rows("count_purge", **values)
        counts = from_row(PurgeCounts, row)
        if with_log:
            [row] = await self._rows("count_log", session=target.session, before=before)
            counts += PurgeCounts(log_rows=row["log_rows"])
        return counts

    @override
    async def remember(self, target: PurgeTarget, purge: Purge) -> None:
        values = msgspec.structs.asdict(purge) | {"chat": purge.chat or ""}

        async def act(writing: Writing) -> None:
            old = {"chat": purge.chat, "before": purge.before, "limit": 1}
            messages = bool(await writing.fetch("messages_to_purge", **old))
            await writing.fetch("save_purge", **values)
            writing.told += purge_told(purge, writing.cutoffs, messages=messages)
            await writing.execute("add_changes", writing.told)

        await self._archive.changing(target, act, at=purge.purged_at)

    @override
    async def step(
        self, target: PurgeTarget, before: datetime, *, limit: int, at: datetime
    ) -> PurgeCounts:
        async def act(writing: Writing) -> PurgeCounts:
            return await writing.purge(target.chat, before, limit=limit)

        return await self._archive.changing(target, act, at=at)

    @override
    async def step_log(self, session: SessionName | None, before: datetime, *, limit: int) -> int:
        [row] = await self._rows("purge_log", session=session, before=before, limit=limit)
        return int(row["log_rows"])

    @override
    async def sweep_log(self, before: datetime) -> int | None:
        with translated_errors():
            found = await self._chunks(EVENT_LOG, before)
            return await drop_with_rows(self._pool, found[0]) if found else None

    @override
    async def give_back(self) -> None:
        with translated_errors():
            for table in (MESSAGES, EVENT_LOG):
                for chunk in await self._chunks(table, datetime.now(UTC)):
                    if chunk.is_void:
                        await drop_void(self._pool, chunk)

    async def _chunks(self, table: str, before: datetime) -> list[Chunk]:
        async with self._pool.connection() as conn, conn.transaction():
            await conn.execute(QUERIES["limit_work"])
            return await chunks_before(conn, table, before)

    @override
    async def finish(self, target: PurgeTarget, purge: Purge) -> None:
        await self._rows(
            "finish_purge",
            session_id=target.archive,
            chat=purge.chat or "",
            purged_by=purge.purged_by,
            before=purge.before,
        )

    @override
    async def unfinished(self) -> list[PurgeTask]:
        return [
            PurgeTask(
                target=PurgeTarget(
                    archive=row["archive"],
                    session=row["session"],
                    account=row["account"],
                    chat=row["now_chat"] or None,
                ),
                purge=from_row(
                    Purge,
                    {name: row[name] for name in Purge.__struct_fields__}
                    | {"chat": row["chat"] or None},
                ),
            )
            for row in await self._rows("unfinished_purges")
        ]

    @override
    async def claim_upkeep(self, now: datetime, *, until: datetime) -> bool:
        return bool(await self._rows("claim_upkeep", now=now, until=until))

    @override
    async def put_off_upkeep(self, until: datetime) -> None:
        await self._rows("put_off_upkeep", until=until)


def _target(entry: ArchiveEntry, chat: Jid | None) -> PurgeTarget:
    return PurgeTarget(archive=entry.id, session=entry.session, account=entry.account, chat=chat)
