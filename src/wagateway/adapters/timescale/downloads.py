"""Download work in PostgreSQL: rows that are due, claimed with SKIP LOCKED and held by a lease."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
from psycopg.types.json import Jsonb
from typing_extensions import override

from wagateway.adapters.timescale._errors import translated_errors
from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale._reading import entry_of, fetch, find_chat, kept_files
from wagateway.adapters.timescale._rows import Row, file_record, from_rows
from wagateway.adapters.timescale.pool import Connection, Pool
from wagateway.domain.archives import ArchiveEntry
from wagateway.domain.cursors import encode_cursor, file_position, page_limit
from wagateway.domain.errors import Defect, LeaseLost
from wagateway.domain.identity import Jid, SessionName, StanzaId
from wagateway.domain.media import (
    DownloadStatus,
    Inspection,
    MediaKey,
    MediaObject,
    Rules,
    Stored,
    file_key,
    given_back,
    kept_since,
    thumbnail_key,
)
from wagateway.domain.messages import Kind, MediaOffer
from wagateway.domain.presentation import file_view
from wagateway.domain.views import FilePage, FileView
from wagateway.ports.downloads import (
    RETRIED,
    DownloadCounts,
    DownloadStore,
    DownloadTask,
)
from wagateway.ports.sync import Archived

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class TimescaleDownloadStore(DownloadStore):
    """Over the same pool as the archive."""

    def __init__(self, pool: Pool) -> None:
        """Use *pool*, which stays the caller's."""
        self._pool = pool

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        """Yield a connection whose statements act together, within a time."""
        with translated_errors():
            async with self._pool.connection() as conn, conn.pipeline(), conn.transaction():
                await conn.execute(QUERIES["limit_work"])
                yield conn

    @override
    async def claim(
        self,
        now: datetime,
        *,
        rules: Rules,
        lease: timedelta,
        limit: int,
        again: int | None = None,
    ) -> list[DownloadTask]:
        lifetime = rules.lifetime
        values = {
            "now": now,
            "until": now + lease,
            "gone": _LONG_AGO if lifetime is None else now - lifetime,
            "for_ever": lifetime is None,
            "limit": limit,
            "again": again,
        }
        async with self._transaction() as conn:
            if lifetime is not None:
                await conn.execute(QUERIES["age_downloads"], values)
            rows = await fetch(conn, "claim_downloads", **values)
        tasks = [DownloadTask.of(_archived(row), file_record(row), rules, now) for row in rows]
        return sorted(tasks, key=lambda task: task.turn)

    @override
    async def hold(self, task: DownloadTask, *, until: datetime) -> None:
        async with self._transaction() as conn:
            if not await fetch(conn, "hold_download", lease=task.lease, until=until):
                raise LeaseLost

    @override
    async def save(
        self, task: DownloadTask, *, now: datetime, stored: Stored | None = None
    ) -> bool:
        async with self._transaction() as conn:
            found = await fetch(conn, "lock_leased", lease=task.lease)
            if not found:
                raise LeaseLost
            offer = found[0]["offer"]
            known = msgspec.convert(offer, MediaOffer) if offer else None
            state = given_back(task.download, known, now)
            values = msgspec.structs.asdict(state) | {
                "lease": task.lease,
                "offer": None if state.offer is None else Jsonb(state.offer),
                "kept_since": kept_since(state.offer),
            }
            await conn.execute(QUERIES["save_download"], values)
            if state.sha256 is None or state.sha256 == found[0]["sha256"]:
                return False
            return await _link(conn, state.sha256, stored, now)

    @override
    async def claim_inspections(
        self, now: datetime, *, lease: timedelta, limit: int
    ) -> list[MediaObject]:
        async with self._transaction() as conn:
            rows = await fetch(conn, "claim_inspections", now=now, until=now + lease, limit=limit)
        return sorted(from_rows(MediaObject, rows), key=lambda each: (each.stored_at, each.sha256))

    @override
    async def save_inspection(self, sha256: str, found: Inspection, *, now: datetime) -> None:
        values = msgspec.structs.asdict(found) | {"sha256": sha256, "now": now}
        async with self._transaction() as conn:
            await conn.execute(QUERIES["save_inspection"], values)

    @override
    async def remove_unused(
        self, remove: Callable[[MediaKey], Awaitable[object]], *, limit: int
    ) -> int:
        async with self._transaction() as conn:
            rows = await fetch(conn, "lock_unused", limit=limit)
            for row in rows:
                await _remove(row["sha256"], remove)
            hashes = [row["sha256"] for row in rows]
            await conn.execute(QUERIES["remove_unused"], {"sha256s": hashes})
        return len(rows)

    @override
    async def retry(
        self,
        now: datetime,
        *,
        session: SessionName | None = None,
        account: Jid | None = None,
        chat: Sequence[Jid] = (),
        stanza: StanzaId | None = None,
        statuses: Collection[DownloadStatus] = RETRIED,
    ) -> int:
        async with self._transaction() as conn:
            entry, found = None, None
            if session is not None:
                entry = await entry_of(conn, session, account)
                found = await find_chat(conn, entry, chat) if chat else None
            [row] = await fetch(
                conn,
                "retry_downloads",
                now=now,
                session_id=entry.id if entry else None,
                chat=found,
                stanza=stanza,
                statuses=list(statuses),
            )
        return int(row["changed"])

    @override
    async def forget(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        problem: str,
        account: Jid | None = None,
    ) -> int:
        async with self._transaction() as conn:
            entry = await entry_of(conn, session, account)
            [row] = await fetch(
                conn,
                "forget_downloads",
                session_id=entry.id,
                chat=await find_chat(conn, entry, chat),
                stanza=stanza,
                problem=problem,
            )
        return int(row["changed"])

    @override
    async def fetch_again(
        self,
        sha256: str,
        remove: Callable[[MediaKey], Awaitable[object]] | None,
        *,
        now: datetime,
        problem: str,
    ) -> int:
        values = {"sha256": sha256, "now": now, "problem": problem}
        async with self._transaction() as conn:
            # Downloads before their files, as everybody locks them; nobody links it after that.
            await conn.execute(QUERIES["lock_users"], values)
            await conn.execute(QUERIES["lock_object"], values)
            [row] = await fetch(conn, "fetch_again", **values)
            if remove is not None:
                await _remove(sha256, remove)
            await conn.execute(QUERIES["remove_object"], values)
        return int(row["changed"])

    @override
    async def remove_unknown(
        self, sha256: str, remove: Callable[[MediaKey], Awaitable[object]]
    ) -> bool:
        async with self._transaction() as conn:
            # Who links it from here on waits, and finds it new.
            if not await fetch(conn, "reserve_object", sha256=sha256):
                return False
            await _remove(sha256, remove)
            await conn.execute(QUERIES["remove_object"], {"sha256": sha256})
        return True

    @override
    async def inspect_again(self, sha256: str, *, now: datetime) -> None:
        async with self._transaction() as conn:
            await conn.execute(QUERIES["inspect_again"], {"sha256": sha256, "now": now})

    @override
    async def files(
        self,
        session: SessionName,
        *,
        account: Jid | None = None,
        kind: Kind | None = None,
        status: DownloadStatus | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> FilePage:
        limit = page_limit(limit)
        position = file_position(before)
        few = status is not None and status is not DownloadStatus.COMPLETED
        async with self._transaction() as conn:
            entry = await entry_of(conn, session, account)
            rows = await fetch(
                conn,
                "unfinished_page" if few else "gallery_page",
                session_id=entry.id,
                kinds=list(Kind) if kind is None else [kind],
                status=status,
                limit=limit + 1,
                **position._asdict(),
            )
            views = await _views(conn, entry, rows[:limit])
        more = len(rows) > limit
        last = file_record(rows[limit - 1]).position if more else None
        return FilePage(files=views, next=encode_cursor(last) if last else None)

    @override
    async def files_of(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        account: Jid | None = None,
    ) -> list[FileView]:
        async with self._transaction() as conn:
            entry = await entry_of(conn, session, account)
            found = await find_chat(conn, entry, chat)
            rows = await fetch(
                conn, "page_files", session_id=entry.id, chat=found, stanzas=[stanza]
            )
            return await _views(conn, entry, rows)

    @override
    async def preview(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        account: Jid | None = None,
    ) -> bytes | None:
        async with self._transaction() as conn:
            entry = await entry_of(conn, session, account)
            found = await find_chat(conn, entry, chat)
            rows = await fetch(
                conn, "first_preview", session_id=entry.id, chat=found, stanza=stanza
            )
        return bytes(rows[0]["preview"]) if rows else None

    @override
    async def stored(self, *, after: str = "", limit: int = 500) -> list[MediaObject]:
        async with self._transaction() as conn:
            rows = await fetch(conn, "stored_objects", after=after, limit=limit)
        return from_rows(MediaObject, rows)

    @override
    async def counts_of(
        self, session: SessionName, *, account: Jid | None = None, kind: Kind | None = None
    ) -> Mapping[DownloadStatus, int]:
        async with self._transaction() as conn:
            entry = await entry_of(conn, session, account)
            counted = await fetch(
                conn,
                "session_counts",
                session_id=entry.id,
                kinds=list(Kind) if kind is None else [kind],
            )
        return _by_status(counted)

    @override
    async def counts(self, *, rules: Rules) -> DownloadCounts:
        async with self._transaction() as conn:
            counted = await fetch(conn, "download_counts")
            [times] = await fetch(conn, "download_times")
        since = times["kept_since"]
        return DownloadCounts(
            by_status=_by_status(counted),
            expires_at=_end(since, rules.lifetime),
            due_since=times["due_at"],
            uninspected=times["uninspected"],
        )


async def _link(conn: Connection, sha256: str, stored: Stored | None, now: datetime) -> bool:
    """Count a use of a file, and begin it where it is new; tell whether it was."""
    if stored is None:
        raise Defect("a file is completed whose size and type are not told")
    values = msgspec.structs.asdict(stored) | {"sha256": sha256, "now": now}
    [row] = await fetch(conn, "link_object", **values)
    return bool(row["is_new"])


async def _remove(sha256: str, remove: Callable[[MediaKey], Awaitable[object]]) -> None:
    await remove(file_key(sha256))
    await remove(thumbnail_key(sha256))


def _by_status(counted: list[Row]) -> Mapping[DownloadStatus, int]:
    known = {DownloadStatus(row["status"]): row["downloads"] for row in counted}
    return {status: known.get(status, 0) for status in DownloadStatus}


def _end(since: datetime | None, lifetime: timedelta | None) -> datetime | None:
    if since is None or lifetime is None:
        return None
    try:
        return since + lifetime
    except OverflowError:  # an engine whose clock is at the end of time
        return None


def _archived(row: Row) -> Archived:
    return Archived(id=row["session_id"], session=row["session"], account=row["account"])


async def _views(conn: Connection, entry: ArchiveEntry, rows: list[Row]) -> list[FileView]:
    return [file_view(entry.session, kept) for kept in await kept_files(conn, rows)]
