"""Purging in plain Python, for tests and to try the library; behaves as in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from typing_extensions import override

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.domain.archives import no_session
from wagateway.domain.errors import NotFound
from wagateway.domain.identity import Jid, SessionName, canonical
from wagateway.domain.purges import Purge, PurgeCounts, PurgeTarget, chat_of, no_chat
from wagateway.ports.purges import PurgeStore, PurgeTask


class InMemoryPurgeStore(PurgeStore):
    """Beside an archive in memory."""

    def __init__(self, archive: InMemoryArchive) -> None:
        """Purge *archive*."""
        self._archive = archive
        self._finished: set[tuple[int, Jid | None, str]] = set()
        self._upkeep_at: datetime | None = None

    @override
    async def targets(
        self,
        session: SessionName,
        *,
        account: Jid | None = None,
        chat: Sequence[Jid] | None = None,
    ) -> list[PurgeTarget]:
        known = await self.archives()
        found = [each for each in known if each.session == session]
        if not found:
            raise no_session(session, [each.session for each in known])
        found = [each for each in found if account in {None, each.account}]
        if not found:
            raise NotFound(f"session {session!r} never had the account {account}")
        if chat is None:
            return found
        meant = [msgspec.structs.replace(each, chat=self._chat(each, chat)) for each in found]
        meant = [each for each in meant if each.chat is not None]
        if not meant:
            raise no_chat(session, chat)
        return meant

    def _chat(self, target: PurgeTarget, candidates: Sequence[Jid]) -> Jid | None:
        chats = {record.chat for record in self._archive.known_chats(target.archive)}
        return chat_of(candidates, self._archive.phones(target.archive), chats)

    @override
    async def archives(self) -> list[PurgeTarget]:
        return [
            PurgeTarget(archive=entry.id, session=entry.session, account=entry.account)
            for entry in sorted(self._archive.entries(), key=lambda entry: entry.id)
        ]

    @override
    async def count(
        self, target: PurgeTarget, before: datetime, *, with_log: bool = False
    ) -> PurgeCounts:
        counts = self._archive.purgeable(target.archive, target.chat, before)
        if not with_log:
            return counts
        rows = self._archive.purgeable_log(target.session, before)
        return counts + PurgeCounts(log_rows=len(rows))

    @override
    async def remember(self, target: PurgeTarget, purge: Purge) -> None:
        key = (purge.chat, purge.purged_by)
        held = self._archive.purges(target.archive).get(key)
        made = held.merged(purge) if held else purge
        self._archive.remember(target.archive, made)
        if held is None or held.before < made.before:
            self._finished.discard((target.archive, *key))

    @override
    async def step(
        self, target: PurgeTarget, before: datetime, *, limit: int, at: datetime
    ) -> PurgeCounts:
        return self._archive.purge(target.archive, target.chat, before, limit=limit, at=at)

    @override
    async def step_log(self, session: SessionName | None, before: datetime, *, limit: int) -> int:
        rows = self._archive.purgeable_log(session, before)[:limit]
        self._archive.purge_log(rows)
        return len(rows)

    @override
    async def sweep_log(self, before: datetime) -> int | None:
        return None

    @override
    async def give_back(self) -> None:
        pass

    @override
    async def finish(self, target: PurgeTarget, purge: Purge) -> None:
        held = self._archive.purges(target.archive).get((purge.chat, purge.purged_by))
        if held is not None and held.before <= purge.before:
            self._finished.add((target.archive, purge.chat, purge.purged_by))

    @override
    async def unfinished(self) -> list[PurgeTask]:
        tasks = [
            PurgeTask(target=self._at(target, purge), purge=purge)
            for target in await self.archives()
            for purge in self._archive.purges(target.archive).values()
            if (target.archive, purge.chat, purge.purged_by) not in self._finished
        ]
        return sorted(tasks, key=lambda task: (task.purge.purged_at, task.target.archive))

    def _at(self, target: PurgeTarget, purge: Purge) -> PurgeTarget:
        phones = self._archive.phones(target.archive)
        chat = None if purge.chat is None else canonical(purge.chat, phones)
        return msgspec.structs.replace(target, chat=chat)

    @override
    async def claim_upkeep(self, now: datetime, *, until: datetime) -> bool:
        if self._upkeep_at is not None and self._upkeep_at > now:
            return False
        self._upkeep_at = until
        return True

    @override
    async def put_off_upkeep(self, until: datetime) -> None:
        self._upkeep_at = until
