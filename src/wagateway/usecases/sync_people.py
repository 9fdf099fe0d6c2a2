"""Read contacts, groups with their members, and links of hidden ids; only news is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass

from wagateway.domain.errors import NotFound, NotSupported
from wagateway.domain.identity import Jid
from wagateway.ports.archive import Archive
from wagateway.ports.engine import Engine, EngineSession, GroupMembers, Told
from wagateway.ports.sync import Archived, SyncStore

_AT_ONCE = 500
"""Elements that are asked for at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncPeople:
    """Bring up to date whom the account knows."""

    engine: Engine
    archive: Archive
    store: SyncStore

    async def __call__(self, session: EngineSession, archived: Archived) -> int:
        """Read everything that the engine tells of people; what it cannot tell is left out.

        Returns:
            How many things were news.
        """
        news = 0
        for read in (self._links, self._contacts, self._groups):
            try:
                news += await read(session, archived)
            except (NotSupported, NotFound):
                continue
        return news

    async def _contacts(self, session: EngineSession, archived: Archived) -> int:
        news = offset = 0
        while told := await self.engine.contacts(session, limit=_AT_ONCE, offset=offset):
            news += await self._record(archived, "contact", told)
            offset += _AT_ONCE
        return news

    async def _links(self, session: EngineSession, archived: Archived) -> int:
        news = offset = 0
        while told := await self.engine.lids(session, limit=_AT_ONCE, offset=offset):
            news += await self._record(archived, "lid", told)
            offset += _AT_ONCE
        return news

    async def _groups(self, session: EngineSession, archived: Archived) -> int:
        told = await self.engine.groups(session)
        news = await self._record(archived, "group", told)
        for each in told:
            members = each.members or await self.engine.members(session, Jid(each.about))
            news += await self._record_members(archived, members)
        return news

    async def _record_members(self, archived: Archived, members: GroupMembers) -> int:
        """Record whose role is another than the archived one, whoever told that."""
        changed = await self.store.other_roles(archived, members.group, members.roles)
        if changed:
            await self.archive.record([members.told_of(changed)])
        return len(changed)

    async def _record(self, archived: Archived, kind: str, told: Sequence[Told]) -> int:
        digests = {each.about: each.digest for each in told}
        changed = await self.store.changed(archived, kind, digests)
        news = [each for each in told if each.about in changed]
        await self.archive.record([each.delivery for each in news])
        await self.store.remember(archived, kind, {each.about: each.digest for each in news})
        return len(news)
