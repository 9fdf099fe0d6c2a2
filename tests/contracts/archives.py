"""The backends of the archive, and what a whole archive looks like to a reader."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from tests.support.postgres import Kind, Servers, fresh_database, server_params

import pytest

from wagateway.adapters.memory import InMemoryArchive
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.domain.events import Delivery, Recorded
from wagateway.domain.identity import SessionName
from wagateway.ports.archive import Archive, ArchiveReader, LogFilter
from wagateway.domain.errors import NotFound

BACKENDS = [pytest.param("memory", id="memory"), *server_params()]


class Backend(msgspec.Struct, frozen=True):
    """Both sides of one archive."""

    archive: Archive
    reader: ArchiveReader

    async def record(self, *deliveries: Delivery) -> list[Recorded]:
        """Record *deliveries* as one group."""
        return await self.archive.record(deliveries)

    async def picture(self) -> dict[str, Any]:
        """Return everything that a reader can see, but for the log and the times of arrival."""
        sessions = [
            {k: v for k, v in msgspec.to_builtins(s).items() if k != "last_event_at"}
            for s in await self.reader.sessions()
        ]
        picture: dict[str, Any] = {"sessions": sessions}
        for name in sorted({s["session"] for s in sessions}):
            picture[name] = await self._session(SessionName(name))
        return picture

    async def _session(self, session: SessionName) -> dict[str, Any]:
        chats = (await self.reader.chats(session, limit=500)).chats
        messages = {
            chat.id: (await self.reader.messages(session, [chat.id], limit=500)).messages
            for chat in chats
        }
        contacts = (await self.reader.contacts(session, limit=500)).contacts
        links = await self.reader.links(session)
        seen = {"chats": chats, "messages": messages, "contacts": contacts, "links": links}
        return dict(msgspec.to_builtins(seen))


@asynccontextmanager
async def backend(kind: str, servers: Servers) -> AsyncIterator[Backend]:
    """Yield an empty archive of *kind*."""
    if kind == "memory":
        archive = InMemoryArchive()
        yield Backend(archive, archive)
        return
    async with fresh_database(await servers.url(_server_kind(kind))) as url:
        await migrate(url)
        async with open_pool(url, max_size=4) as pool:
            yield Backend(TimescaleArchive(pool), TimescaleReader(pool))


def _server_kind(kind: str) -> Kind:
    if kind == "embedded" or kind == "container" or kind == "external":
        return kind
    raise AssertionError(kind)
