"""Read contacts, groups with their members, and links of hidden ids; only news is recorded."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from wagateway.domain.errors import EngineUnavailable, InvalidInput, NotFound, NotSupported
from wagateway.domain.identity import Jid
from wagateway.ports.archive import Archive
from wagateway.ports.engine import Engine, EngineSession, GroupMembers, Told
from wagateway.ports.sync import Archived, SyncStore

_AT_ONCE = 500
_MOST_PAGES = 1000
"""Of one list, whatever the engine shows."""
_MOST_FAILURES = 3
"""Groups in a row that cannot be read, after which the engine itself is taken to be away."""


class _Ask(Protocol):
    """Part of a list; an empty one is its end."""

    async def __call__(self, *, limit: int, offset: int) -> list[Told]: ...


async def _pages(ask: _Ask) -> AsyncIterator[list[Told]]:
    """Yield what is on each page of a list and was on none before, up to a page without such.

    Some engines heed no offset, and show the same again and again.
    """
    shown: set[str] = set()
    for page in range(_MOST_PAGES):
        told = await ask(limit=_AT_ONCE, offset=page * _AT_ONCE)
        news = [each for each in told if each.about not in shown]
        if not news:
            return
        shown.update(each.about for each in news)
        yield news


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

        Raises:
            EngineUnavailable, InvalidInput: a list could not be read; the others were.
        """
        news = 0
        trouble: EngineUnavailable | InvalidInput | None = None
        for read in (self._links, self._contacts, self._groups):
            try:
                news += await read(session, archived)
            except (NotSupported, NotFound):
                continue
            except (EngineUnavailable, InvalidInput) as exc:
                trouble = trouble or exc
        if trouble is not None:
            raise trouble
        return news

    async def _contacts(self, session: EngineSession, archived: Archived) -> int:
        news = 0
        async for told in _pages(partial(self.engine.contacts, session)):
            news += await self._record(archived, "contact", told)
        return news

    async def _links(self, session: EngineSession, archived: Archived) -> int:
        news = 0
        async for told in _pages(partial(self.engine.lids, session)):
            news += await self._record(archived, "lid", told)
        return news

    async def _groups(self, session: EngineSession, archived: Archived) -> int:
        told = await self.engine.groups(session)
        news = await self._record(archived, "group", told)
        failures = 0
        for each in told:
            try:
                members = each.members or await self.engine.members(session, Jid(each.about))
            except (NotSupported, NotFound, InvalidInput):
                continue
            except EngineUnavailable:  # of one group, or of all
                failures += 1
                if failures == _MOST_FAILURES:
                    raise
                continue
            failures = 0
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
