"""Find the sessions that an engine has, follow their states, and begin to sync them."""

from dataclasses import dataclass

from wagateway.domain.sync import SyncState
from wagateway.domain.views import SessionView
from wagateway.ports.archive import Archive, ArchiveReader
from wagateway.ports.clock import Clock
from wagateway.ports.engine import Engine, EngineSession
from wagateway.ports.sync import SyncStore


@dataclass(frozen=True, slots=True, kw_only=True)
class FindSessions:
    """Make the archive's sessions follow the engine's."""

    engine: Engine
    archive: Archive
    reader: ArchiveReader
    store: SyncStore
    clock: Clock

    async def __call__(self) -> list[EngineSession]:
        """Record states and accounts that are news, and enrol every paired session.

        Returns:
            What the engine told.
        """
        told = await self.engine.sessions()
        known = {view.session: view for view in await self.reader.sessions() if view.current}
        news = [each.delivery for each in told if _is_news(each, known.get(each.name))]
        await self.archive.record([delivery for delivery in news if delivery is not None])
        accounts = {each.name: each.account for each in told}
        for archived in await self.store.archives():
            account = accounts.get(archived.session)
            if account is not None and account.phone == archived.account:
                await self.store.enrol_session(archived, state=SyncState(due_at=self.clock()))
        return told


def _is_news(told: EngineSession, known: SessionView | None) -> bool:
    if known is None:
        return True
    account = told.account.phone if told.account else known.account
    return (told.status, account) != (known.status, known.account)
