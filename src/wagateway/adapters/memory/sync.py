"""Sync work in plain Python, for tests and to try the library; behaves as the PostgreSQL one."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.domain.archives import current
from wagateway.domain.coverage import Evidence
from wagateway.domain.errors import LeaseLost
from wagateway.domain.events import Delivery, Recorded, Role, SessionStatus, Source
from wagateway.domain.identity import Jid, canonical, is_lid
from wagateway.domain.purges import Cutoffs, before_when
from wagateway.domain.spans import BEGINNING, Spans, intersection, span, union
from wagateway.domain.sync import SyncState, SyncStatus
from wagateway.domain.walk import Walk
from wagateway.ports.engine import EngineChat
from wagateway.ports.sync import Archived, SyncStore, SyncTask, is_told, sync_item

_Key = tuple[int, Jid | None]
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)


class InMemorySyncStore(SyncStore):
    """Beside an archive in memory, whose links it follows."""

    def __init__(self, archive: InMemoryArchive) -> None:
        """Keep the sync of *archive*."""
        self._archive = archive
        self._held: dict[_Key, SyncTask] = {}
        self._coverage: dict[_Key, Spans] = {}
        self._digests: dict[tuple[int, str, str], bytes] = {}
        self._uptimes: dict[tuple[str, datetime], datetime] = {}

    @property
    def _tasks(self) -> dict[_Key, SyncTask]:
        """All tasks, after those of a hidden id joined those of its phone."""
        hidden = [(archive, chat) for archive, chat in self._held if chat and is_lid(chat)]
        phones = {archive: self._archive.phones(archive) for archive in {key[0] for key in hidden}}
        for archive_id, chat in hidden:
            phone = canonical(chat, phones[archive_id])
            if phone != chat:
                self._merge((archive_id, chat), (archive_id, phone))
        return self._held

    def _merge(self, old: _Key, new: _Key) -> None:
        gone = self._held.pop(old)
        covered = self._coverage.pop(old, ())
        if new in self._coverage:
            self._coverage[new] = intersection(self._coverage[new], covered)
        known = self._held.get(new)
        base = known.state if known else SyncState(since=gone.state.since)
        stopped = SyncStatus.PAUSED in {base.status, gone.state.status}
        state = msgspec.structs.replace(
            base,
            status=SyncStatus.PAUSED if stopped else SyncStatus.PENDING,
            due_at=None if stopped else _LONG_AGO,
            forward=None,
            backward=Walk(until=base.since),
        )
        self._held[new] = SyncTask(
            archive=gone.archive,
            chat=new[1],
            state=state,
            active_at=_latest(gone.active_at, known.active_at if known else None),
            revision=known.revision + 1 if known else 0,
        )

    @override
    async def archives(self) -> list[Archived]:
        entries = self._archive.entries()
        found = []
        for session in sorted({entry.session for entry in entries}):
            entry = current(entry for entry in entries if entry.session == session)
            if entry is not None:
                found.append(Archived(id=entry.id, session=session, account=entry.account))
        return found

    @override
    async def enrol(
        self, archive: Archived, chats: Sequence[EngineChat], *, state: SyncState
    ) -> int:
        phones, tasks = self._archive.phones(archive.id), self._tasks
        begun = 0
        for each in chats:
            key = (archive.id, canonical(each.chat, phones))
            known = tasks.get(key)
            begun += known is None
            base = known or SyncTask(archive=archive, chat=key[1], state=state)
            latest = _latest(base.active_at, each.active_at)
            self._held[key] = msgspec.structs.replace(base, active_at=latest)
        return begun

    @override
    async def enrol_session(self, archive: Archived, *, state: SyncState) -> bool:
        if (archive.id, None) in self._tasks:
            return False
        self._held[archive.id, None] = SyncTask(archive=archive, chat=None, state=state)
        return True

    @override
    async def enrol_heard(self, archive: Archived, *, state: SyncState, limit: int) -> int:
        tasks = self._tasks
        unknown = [
            EngineChat(chat=record.chat, active_at=record.last_message_at)
            for record in self._archive.known_chats(archive.id)
            if (archive.id, record.chat) not in tasks
        ]
        unknown.sort(key=lambda each: (-_seconds(each.active_at), each.chat))
        return await self.enrol(archive, unknown[:limit], state=state)

    @override
    async def claim(self, now: datetime, *, lease: timedelta, limit: int) -> list[SyncTask]:
        due = [
            task
            for task in self._tasks.values()
            if task.state.due_at is not None and task.state.due_at <= now
        ]
        taken = [
            msgspec.structs.replace(
                task,
                state=msgspec.structs.replace(
                    task.state, status=SyncStatus.RUNNING, due_at=now + lease
                ),
                lease=str(uuid4()),
                revision=task.revision + 1,
            )
            for task in sorted(due, key=_turn)[:limit]
        ]
        self._held |= {_key(task): task for task in taken}
        return taken

    @override
    async def save(
        self,
        task: SyncTask,
        *,
        proven: Spans = (),
        deliveries: Sequence[Delivery] = (),
        keep_until: datetime | None = None,
    ) -> list[Recorded]:
        recorded = await self._archive.record(deliveries)
        if not self._is_ours(task):
            raise LeaseLost
        key = _key(task)
        state = task.state
        if keep_until is not None:
            state = msgspec.structs.replace(state, status=SyncStatus.RUNNING, due_at=keep_until)
        self._store(key, state, lease=None if keep_until is None else task.lease)
        if proven:
            self._coverage[key] = union(self._coverage.get(key, ()), proven)
        if is_told(deliveries, keep_until):
            self._tell(key, state)
        return recorded

    def _tell(self, key: _Key, state: SyncState) -> None:
        self._archive.tell(key[0], [sync_item(key[1], state.status)])

    def _store(self, key: _Key, state: SyncState, *, lease: str | None = None) -> None:
        held = self._held[key]
        self._held[key] = msgspec.structs.replace(
            held, state=state, lease=lease, revision=held.revision + 1
        )

    def _is_ours(self, task: SyncTask) -> bool:
        held = self._tasks.get(_key(task))
        return held is not None and held.lease == task.lease

    @override
    async def tasks(self, archive: Archived) -> list[SyncTask]:
        found = [task for task in self._tasks.values() if task.archive.id == archive.id]
        return sorted(found, key=_turn)

    @override
    async def task(self, archive: Archived, chat: Jid | None) -> SyncTask | None:
        return self._tasks.get((archive.id, chat))

    @override
    async def change(self, task: SyncTask) -> bool:
        held = self._tasks.get(_key(task))
        if held is None or held.revision != task.revision:
            return False
        self._store(_key(task), task.state)
        self._tell(_key(task), task.state)
        return True

    @override
    async def latest(self, archive: Archived, *, wait: timedelta) -> datetime | None:
        instants: list[datetime | None] = []
        for task in await self.tasks(archive):
            state = task.state
            walks = [walk for walk in (state.forward, state.backward) if walk]
            instants += [state.caught_up_at, *(walk.began_at for walk in walks)]
            if state.due_at and (task.chat is None or state.status is SyncStatus.RUNNING):
                instants.append(state.due_at - wait)
        return max((at for at in instants if at is not None), default=None)

    @override
    async def set_right(self, changed: Sequence[SyncTask], *, since: datetime) -> bool:
        archive, tasks = changed[0].archive.id, self._tasks
        held = [tasks.get(_key(task)) for task in changed]
        if any(
            each is None or each.revision != task.revision
            for each, task in zip(held, changed, strict=True)
        ):
            return False
        for task in changed:
            self._store(_key(task), task.state)
        earlier = span(BEGINNING, since)
        for key, spans in self._coverage.items():
            if key[0] == archive:
                self._coverage[key] = intersection(spans, earlier)
        return True

    def _change_chats(self, chosen: Mapping[_Key, SyncState]) -> int:
        for key, state in chosen.items():
            self._store(key, state)
        return len(chosen)

    def _chats(self, archive: Archived, *statuses: SyncStatus) -> list[SyncTask]:
        return [
            task
            for (archive_id, chat), task in self._tasks.items()
            if archive_id == archive.id and chat and task.state.status in statuses
        ]

    @override
    async def put_off(self, archive: Archived, *, until: datetime, problem: str) -> int:
        return self._change_chats(
            {
                _key(task): msgspec.structs.replace(
                    task.state,
                    due_at=until,
                    problem=problem
                    if task.state.status is SyncStatus.PENDING
                    else task.state.problem,
                )
                for task in self._chats(archive, SyncStatus.PENDING, SyncStatus.IDLE)
                if task.state.due_at is not None and task.state.due_at < until
            },
        )

    @override
    async def go_on(self, archive: Archived, *, now: datetime, problem: str) -> int:
        return self._change_chats(
            {
                _key(task): msgspec.structs.replace(task.state, due_at=now, problem=None)
                for task in self._chats(archive, SyncStatus.PENDING)
                if task.state.problem == problem
            },
        )

    @override
    async def extend_quiet(
        self, archive: Archived, *, since: datetime, until: datetime, active: Collection[Jid]
    ) -> int:
        found = [
            key
            for key, spans in self._coverage.items()
            if key[0] == archive.id and key[1] and key[1] not in active and key in self._tasks
            if any(since - _MOMENT in each for each in spans)
        ]
        for key in found:
            self._coverage[key] = union(self._coverage[key], span(since, until))
        return len(found)

    @override
    async def proven(self, archive: Archived) -> dict[Jid, Spans]:
        return {
            chat: spans
            for (archive_id, chat), spans in self._coverage.items()
            if archive_id == archive.id and chat
        }

    @override
    async def purged(self, archive: Archived) -> Cutoffs:
        return self._archive.cutoffs(archive.id)

    @override
    async def evidence(self, archive: Archived, chat: Jid | None) -> Evidence:
        task = self._tasks.get((archive.id, chat))
        of_session = self._coverage.get((archive.id, None), ())
        return Evidence(
            proven=union(of_session, self._coverage.get((archive.id, chat), ())),
            statuses=tuple(
                (at, SessionStatus(status))
                for at, status in self._archive.statuses(archive.session)
            ),
            up=union(*(span(begin, end) for (_, begin), end in self._uptimes.items())),
            first_heard_at=next(iter(self._archive.heard(archive.session, *Source)), None),
            last_heard_at=next(
                reversed(self._archive.heard(archive.session, Source.WEBHOOK)), None
            ),
            state=task.state if task else None,
            purged_before=before_when(self._archive.cutoffs(archive.id), chat),
        )

    @override
    async def changed(self, archive: Archived, kind: str, digests: Mapping[str, bytes]) -> set[str]:
        return {
            about
            for about, digest in digests.items()
            if self._digests.get((archive.id, kind, about)) != digest
        }

    @override
    async def remember(self, archive: Archived, kind: str, digests: Mapping[str, bytes]) -> None:
        self._digests |= {(archive.id, kind, about): d for about, d in digests.items()}

    @override
    async def other_roles(
        self, archive: Archived, group: Jid, roles: Mapping[Jid, Role]
    ) -> set[Jid]:
        known = self._archive.roles(archive.id, group)
        phones = self._archive.phones(archive.id)
        return {who for who, role in roles.items() if known.get(canonical(who, phones)) != role}

    @override
    async def beat(self, process: str, *, since: datetime, until: datetime) -> None:
        known = self._uptimes.get((process, since), until)
        self._uptimes[process, since] = max(known, until)


def _key(task: SyncTask) -> _Key:
    return (task.archive.id, task.chat)


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at is not None), default=None)


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else float("-inf")


def _turn(task: SyncTask) -> tuple[bool, int, float, str]:
    return (task.chat is not None, task.state.turns, -_seconds(task.active_at), task.chat or "")
