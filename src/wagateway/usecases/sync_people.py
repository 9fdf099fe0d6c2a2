"""Read contacts, groups with their members, and links of hidden ids; only news is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from wagateway.domain.errors import NotFound, NotSupported
from wagateway.domain.identity import Jid
from wagateway.ports.archive import Archive
from wagateway.ports.engine import Engine, EngineSession, GroupMembers, Told
from wagateway.ports.sync import Archived, SyncStore

_AT_ONCE = 500
"""Elements that are asked for at once."""


class _Page(Protocol):
    """Part of a list; an empty one is its end."""

    async def __call__(self, *, limit: int, offset: int) -> Sequence[Told]: ...


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
        return await self._record_all(archived, "contact", partial(self.engine.contacts, session))

    async def _links(self, session: EngineSession, archived: Archived) -> int:
        return await self._record_all(archived, "lid", partial(self.engine.lids, session))

    async def _record_all(self, archived: Archived, kind: str, page: _Page) -> int:
        """Record what all pages tell, up to one that is empty or only repeats others."""
        news = offset = 0
        known = set[str]()
        while told := await page(limit=_AT_ONCE, offset=offset):
            about = {each.about for each in told}
            if about <= known:
                break
            known |= about
            news += await self._record(archived, kind, told)
            offset += _AT_ONCE
        return news

    async def _groups(self, session: EngineSession, archived: Archived) -> int:
        told = await self.engine.groups(session)
        news = await self._record(archived, "group", told)
        for each in told:
            try:
                members = each.members or await self.engine.members(session, Jid(each.about))
            except NotFound:  # it is gone since the list was made
                continue
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
