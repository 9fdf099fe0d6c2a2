"""Sync work in PostgreSQL: rows that are due, claimed with SKIP LOCKED and held by a lease."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
from psycopg import Rollback
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range
from typing_extensions import override

from wagateway.adapters.timescale._errors import translated_errors
from wagateway.adapters.timescale._queries import QUERIES
from wagateway.adapters.timescale._reading import cutoffs_of
from wagateway.adapters.timescale._rows import Row, from_row, from_rows
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.pool import Connection, Pool
from wagateway.domain.coverage import Evidence
from wagateway.domain.errors import Defect, LeaseLost
from wagateway.domain.events import Delivery, Recorded, Role, SessionStatus
from wagateway.domain.identity import Jid
from wagateway.domain.purges import Cutoffs, before_when
from wagateway.domain.spans import Span, Spans
from wagateway.domain.sync import SyncState, SyncStatus
from wagateway.ports.engine import EngineChat
from wagateway.ports.sync import Archived, SyncStore, SyncTask, is_told, sync_item


class TimescaleSyncStore(SyncStore):
    """Over the same pool as the archive, whose writer it uses for pages."""

    def __init__(self, pool: Pool, archive: TimescaleArchive) -> None:
        """Use *pool* and *archive*, which stay the caller's."""
        self._pool = pool
        self._archive = archive

    async def _rows(self, query: str, **values: object) -> list[dict[str, Any]]:
        with translated_errors():
            async with self._pool.connection() as conn:
                cursor = await conn.execute(QUERIES[query], values)
                return await cursor.fetchall() if cursor.description else []

    async def _count(self, query: str, **values: object) -> int:
        [row] = await self._rows(query, **values)
        (count,) = row.values()
        return int(count)

    @override
    async def archives(self) -> list[Archived]:
        return from_rows(Archived, await self._rows("current_archives"))

    @override
    async def enrol(
        self, archive: Archived, chats: Sequence[EngineChat], *, state: SyncState
    ) -> int:
        rows = [{"chat": each.chat, "active_at": each.active_at} for each in chats]
        return await self._enrol(archive, rows, state)

    async def _enrol(
        self, archive: Archived, rows: Sequence[Mapping[str, object]], state: SyncState
    ) -> int:
        values = _values(state) | {"session_id": archive.id, "session": archive.session}
        return await self._count("enrol_chats", rows=_json(rows), **values) if rows else 0

    @override
    async def enrol_session(self, archive: Archived, *, state: SyncState) -> bool:
        return await self._enrol(archive, [{"chat": "", "active_at": None}], state) == 1

    @override
    async def enrol_heard(self, archive: Archived, *, state: SyncState, limit: int) -> int:
        rows = await self._rows("chats_without_sync", session_id=archive.id, limit=limit)
        return await self._enrol(archive, rows, state)

    @override
    async def claim(self, now: datetime, *, lease: timedelta, limit: int) -> list[SyncTask]:
        rows = await self._rows(
            "claim_sync",
            now=now,
            until=now + lease,
            lease=str(uuid4()),
            limit=limit,
        )
        tasks = [_task(row) for row in rows]
        return sorted(tasks, key=_turn)

    @override
    async def save(
        self,
        task: SyncTask,
        *,
        proven: Spans = (),
        deliveries: Sequence[Delivery] = (),
        keep_until: datetime | None = None,
    ) -> list[Recorded]:
        values = _values(task.state) | _key(task) | {"lease": task.lease, "new_lease": None}
        if keep_until is not None:
            values |= {
                "status": SyncStatus.RUNNING,
                "due_at": keep_until,
                "new_lease": task.lease,
            }

        ours = False

        async def then(conn: Connection) -> None:
            nonlocal ours
            ours = await _saved(conn, values)
            if ours and proven:
                spans = {"spans": _multirange(proven)} | _key(task)
                await conn.execute(QUERIES["add_coverage"], spans)
            if ours and is_told(deliveries, keep_until):
                await _tell(conn, task, values["status"])

        recorded = await self._archive.record_with(task.archive.session, deliveries, then)
        if not ours:  # what the page tells is true all the same, a link of the chat's own id too
            raise LeaseLost
        return recorded

    @override
    async def tasks(self, archive: Archived) -> list[SyncTask]:
        rows = await self._rows("sync_tasks", session_id=archive.id)
        return [_task(row) for row in rows]

    @override
    async def task(self, archive: Archived, chat: Jid | None) -> SyncTask | None:
        rows = await self._rows("sync_task", session_id=archive.id, chat_id=chat or "")
        return _task(rows[0]) if rows else None

    @override
    async def change(self, task: SyncTask) -> bool:
        values = _values(task.state) | _key(task) | {"revision": task.revision}
        changed = False

        async def then(conn: Connection) -> None:
            nonlocal changed
            cursor = await conn.execute(QUERIES["change_sync"], values)
            changed = bool(await cursor.fetchall())
            if changed:
                await _tell(conn, task, task.state.status)

        await self._archive.record_with(task.archive.session, (), then)
        return changed

    @override
    async def latest(self, archive: Archived, *, wait: timedelta) -> datetime | None:
        [row] = await self._rows("latest_sync", session_id=archive.id, wait=wait)
        return _utc(row["latest"])

    @override
    async def set_right(self, changed: Sequence[SyncTask], *, since: datetime) -> bool:
        with translated_errors():
            async with self._pool.connection() as conn, conn.transaction() as together:
                for task in sorted(changed, key=lambda task: task.chat or ""):
                    values = _values(task.state) | _key(task) | {"revision": task.revision}
                    cursor = await conn.execute(QUERIES["change_sync"], values)
                    if not await cursor.fetchall():
                        raise Rollback(together)
                values = {"session_id": changed[0].archive.id, "since": since}
                await conn.execute(QUERIES["take_back_coverage"], values)
                return True
        return False

    @override
    async def put_off(self, archive: Archived, *, until: datetime, problem: str) -> int:
        return await self._count(
            "put_off_sync", session_id=archive.id, until=until, problem=problem
        )

    @override
    async def go_on(self, archive: Archived, *, now: datetime, problem: str) -> int:
        return await self._count("go_on_sync", session_id=archive.id, now=now, problem=problem)

    @override
    async def extend_quiet(
        self, archive: Archived, *, since: datetime, until: datetime, active: Collection[Jid]
    ) -> int:
        return await self._count(
            "extend_quiet", session_id=archive.id, since=since, until=until, active=list(active)
        )

    @override
    async def proven(self, archive: Archived) -> dict[Jid, Spans]:
        rows = await self._rows("proven_by_chat", session_id=archive.id)
        return {Jid(row["chat_id"]): _spans(row["spans"]) for row in rows}

    @override
    async def purged(self, archive: Archived) -> Cutoffs:
        with translated_errors():
            async with self._pool.connection() as conn:
                return await cutoffs_of(conn, archive.id)

    @override
    async def evidence(self, archive: Archived, chat: Jid | None) -> Evidence:
        key = {"session_id": archive.id, "chat_id": chat or ""}
        [row] = await self._rows("completeness", session=archive.session, **key)
        task = await self.task(archive, chat)
        return Evidence(
            proven=_spans(row["proven"]),
            statuses=_STATUSES.decode(row["statuses"]),
            up=_spans(row["up"]),
            first_heard_at=_utc(row["first_heard_at"]),
            last_heard_at=_utc(row["last_heard_at"]),
            state=task.state if task else None,
            purged_before=before_when(await self.purged(archive), chat),
        )

    @override
    async def changed(self, archive: Archived, kind: str, digests: Mapping[str, bytes]) -> set[str]:
        rows = await self._rows(
            "other_digests", session_id=archive.id, kind=kind, rows=_digest_rows(digests)
        )
        return {row["about"] for row in rows}

    @override
    async def remember(self, archive: Archived, kind: str, digests: Mapping[str, bytes]) -> None:
        await self._rows(
            "save_digests", session_id=archive.id, kind=kind, rows=_digest_rows(digests)
        )

    @override
    async def other_roles(
        self, archive: Archived, group: Jid, roles: Mapping[Jid, Role]
    ) -> set[Jid]:
        given = [{"member": member, "role": role} for member, role in roles.items()]
        rows = await self._rows(
            "other_roles", session_id=archive.id, group_id=group, rows=_json(given)
        )
        return {row["member"] for row in rows}

    @override
    async def beat(self, process: str, *, since: datetime, until: datetime) -> None:
        await self._rows("beat", process=process, since=since, until=until)


_STATUSES = msgspec.json.Decoder(tuple[tuple[datetime, SessionStatus], ...])
_PAIRS = msgspec.json.Decoder(list[tuple[datetime, datetime]])


def _utc(at: datetime | None) -> datetime | None:
    return at and at.astimezone(UTC)


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    return msgspec.json.encode(rows).decode()


def _digest_rows(digests: Mapping[str, bytes]) -> str:
    return _json([{"about": about, "digest": value.hex()} for about, value in digests.items()])


def _spans(pairs: str) -> Spans:
    return tuple(
        Span(begin.astimezone(UTC), end.astimezone(UTC)) for begin, end in _PAIRS.decode(pairs)
    )


def _multirange(spans: Spans) -> Multirange[datetime]:
    return Multirange([Range(each.begin, each.end, "[)") for each in spans])


def _key(task: SyncTask) -> dict[str, Any]:
    return {"session_id": task.archive.id, "chat_id": task.chat or ""}


def _values(state: SyncState) -> dict[str, Any]:
    """Return *state* as the values of the statements that write it."""
    values = msgspec.structs.asdict(state)
    for name in ("forward", "backward"):
        walk = values[name]
        values[name] = None if walk is None else msgspec.json.encode(walk).decode()
    return values


def _task(row: Row) -> SyncTask:
    told = dict(row)
    archive = Archived(
        id=told.pop("session_id"), session=told.pop("session"), account=told.pop("account")
    )
    chat, lease, active_at = told.pop("chat_id"), told.pop("lease"), told.pop("active_at")
    revision = told.pop("revision")
    return SyncTask(
        archive=archive,
        chat=Jid(chat) if chat else None,
        state=from_row(SyncState, told),
        lease=lease,
        active_at=_utc(active_at),
        revision=revision,
    )


def _turn(task: SyncTask) -> tuple[bool, int, float, str]:
    latest = -task.active_at.timestamp() if task.active_at else float("inf")
    return (task.chat is not None, task.state.turns, latest, task.chat or "")


async def _tell(conn: Connection, task: SyncTask, status: SyncStatus) -> None:
    rows = msgspec.json.encode([sync_item(task.chat, status)]).decode()
    values = {"session_id": task.archive.id, "rows": rows}
    await conn.execute(QUERIES["add_changes"], values)


async def _saved(conn: Connection, values: Mapping[str, object]) -> bool:
    cursor = await conn.execute(QUERIES["save_sync"], values)
    rows = await cursor.fetchall()
    if len(rows) > 1:
        raise Defect("a sync task has more than one row")
    return bool(rows)
