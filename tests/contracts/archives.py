"""The backends of the archive, and what a whole archive looks like."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, LiteralString

import msgspec
import pytest
from tests.support.deliveries import NOON, SESSION
from tests.support.postgres import Kind, Servers, server_params

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.downloads import InMemoryDownloadStore
from wagateway.adapters.memory.feed import InProcessWakeUp
from wagateway.adapters.memory.figures import InMemoryArchiveFigures
from wagateway.adapters.memory.purges import InMemoryPurgeStore
from wagateway.adapters.memory.sync import InMemorySyncStore
from wagateway.adapters.timescale._rows import from_rows
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.downloads import TimescaleDownloadStore
from wagateway.adapters.timescale.feed import TimescaleChangeFeed
from wagateway.adapters.timescale.figures import TimescaleArchiveFigures
from wagateway.adapters.timescale.pool import Pool, open_pool
from wagateway.adapters.timescale.purges import TimescalePurgeStore
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.adapters.timescale.sync import TimescaleSyncStore
from wagateway.domain.events import Delivery, Recorded
from wagateway.domain.identity import SessionName
from wagateway.domain.records import (
    AnswerRecord,
    ChatRecord,
    ContactRecord,
    EditRecord,
    MemberRecord,
    MessageRecord,
    ReactionRecord,
    ReceiptRecord,
    Record,
    RevocationRecord,
    VoteRecord,
)
from wagateway.ports.archive import Archive, ArchiveReader
from wagateway.ports.downloads import DownloadStore
from wagateway.ports.feed import ChangeFeed, WakeUp
from wagateway.ports.figures import ArchiveFigures
from wagateway.ports.purges import PurgeStore
from wagateway.ports.sync import SyncStore
from wagateway.usecases.live import Live

BACKENDS = [pytest.param("memory", id="memory"), *server_params()]

Records = Callable[[SessionName], Awaitable[list[Record]]]


class Backend:
    """Both sides of one archive, its sync, its downloads, what it forgets, and how it stands."""

    def __init__(  # noqa: PLR0913, PLR0917 - all sides of an archive
        self,
        archive: Archive,
        reader: ArchiveReader,
        sync: SyncStore,
        downloads: DownloadStore,
        purges: PurgeStore,
        feed: ChangeFeed,
        figures: ArchiveFigures,
        wake_up: WakeUp,
        records: Records,
    ) -> None:
        self.archive = archive
        self.reader = reader
        self.sync = sync
        self.downloads = downloads
        self.purges = purges
        self.feed = feed
        self.figures = figures
        self.wake_up = wake_up
        self._records = records

    def live(self, **options: Any) -> Live:  # noqa: ANN401 - whatever Live takes
        """Return what follows this archive."""
        return Live(
            feed=self.feed,
            reader=self.reader,
            wake_up=self.wake_up,
            clock=lambda: datetime.now(UTC),
            **options,
        )

    async def record(self, *deliveries: Delivery) -> list[Recorded]:
        """Record *deliveries* as one group."""
        return await self.archive.record(deliveries)

    async def records(self, session: SessionName = SESSION) -> list[Record]:
        """Return all records of *session*, in no order."""
        return await self._records(session)

    async def picture(self, session: SessionName = SESSION) -> dict[str, Any]:
        """Return everything that the archive of *session* holds, but for the times of arrival."""
        views = [view for view in await self.reader.sessions() if view.session == session]
        if not views:
            return {}
        chats = (await self.reader.chats(session, limit=500)).chats
        shown = {
            "sessions": [msgspec.structs.replace(view, last_event_at=NOON) for view in views],
            "chats": chats,
            "messages": {
                chat.id: (await self.reader.messages(session, [chat.id], limit=500)).messages
                for chat in chats
            },
            "contacts": (await self.reader.contacts(session, limit=500)).contacts,
            "links": await self.reader.links(session),
            "files": (files := (await self.downloads.files(session, limit=500)).files),
            "previews": [
                await self.downloads.preview(session, [file.chat_id], file.id)
                for file in files
                if file.media.has_thumbnail
            ],
            "records": sorted(map(_bare, await self.records(session)), key=repr),
        }
        return dict(msgspec.to_builtins(shown))


def _bare(record: Record) -> dict[str, Any]:
    """Return *record* without what one store keeps apart."""
    if isinstance(record, MessageRecord):
        record = msgspec.structs.replace(record, facts=None)
    fields = msgspec.to_builtins(record, builtin_types=(bytes,), order="sorted")
    return {"type": type(record).__name__, **fields}


@asynccontextmanager
async def backend(kind: Kind | Literal["memory"], servers: Servers) -> AsyncIterator[Backend]:
    """Yield an empty archive of *kind*."""
    if kind == "memory":
        yield in_memory()
        return
    async with servers.migrated(kind) as url:
        through = await servers.pooled(url) if kind == "pooled" else url
        async with open_pool(through, max_size=4) as pool:
            yield in_postgres(pool)


def in_postgres(pool: Pool) -> Backend:
    """Return the archive of a migrated database."""
    wake_up = InProcessWakeUp()
    archive, reader = TimescaleArchive(pool, committed=wake_up.wake), TimescaleReader(pool)
    sync, downloads = TimescaleSyncStore(pool, archive), TimescaleDownloadStore(pool)
    purges = TimescalePurgeStore(pool, archive)
    feed, figures = TimescaleChangeFeed(pool), TimescaleArchiveFigures(pool)
    records = partial(_stored, pool)
    return Backend(archive, reader, sync, downloads, purges, feed, figures, wake_up, records)


def in_memory() -> Backend:
    """Return an empty archive in memory."""
    wake_up = InProcessWakeUp()
    archive = InMemoryArchive(committed=wake_up.wake)

    async def records(session: SessionName) -> list[Record]:
        return archive.records(session)

    sync, downloads = InMemorySyncStore(archive), InMemoryDownloadStore(archive)
    purges, figures = InMemoryPurgeStore(archive), InMemoryArchiveFigures(archive, sync, downloads)
    feed = archive.feed
    return Backend(archive, archive, sync, downloads, purges, feed, figures, wake_up, records)


async def _stored(pool: Pool, session: SessionName) -> list[Record]:
    """Return the rows of the archive of *session* as records."""
    found: list[Record] = []
    async with pool.connection() as conn:
        for kind, statement in _EVERYTHING.items():
            cursor = await conn.execute(statement, {"session": session})
            found += from_rows(kind, await cursor.fetchall())
    return found


_OF_SESSION = (
    "WHERE session_id ="
    " (SELECT max(session_id) FROM whatsapp_gateway.sessions WHERE session = %(session)s)"
)
_MESSAGE = "chat_id AS chat, stanza_id AS stanza, author"
_EVERYTHING: dict[type[Record], LiteralString] = {
    MessageRecord: (
        f"SELECT {_MESSAGE}, facts_key, sent_at, ack, text, edited_at, said, lids, by_phone,"
        f" media_offer AS offer FROM whatsapp_gateway.message_state {_OF_SESSION}"
    ),
    EditRecord: (
        f"SELECT {_MESSAGE}, edit_id, edited_at, text"
        f" FROM whatsapp_gateway.message_edits {_OF_SESSION}"
    ),
    RevocationRecord: (
        f"SELECT {_MESSAGE}, revoked_at, revoked_by"
        f" FROM whatsapp_gateway.message_revocations {_OF_SESSION}"
    ),
    ReactionRecord: (
        f"SELECT {_MESSAGE}, emoji, at, seen_at, seen_as"
        f" FROM whatsapp_gateway.reactions {_OF_SESSION}"
    ),
    ReceiptRecord: (
        f"SELECT {_MESSAGE}, ack, delivered_at, read_at, played_at, seen_as"
        f" FROM whatsapp_gateway.receipts {_OF_SESSION}"
    ),
    VoteRecord: (
        f"SELECT {_MESSAGE}, options, at, seen_at, seen_as"
        f" FROM whatsapp_gateway.poll_votes {_OF_SESSION}"
    ),
    AnswerRecord: (
        f"SELECT {_MESSAGE}, response, extra_guests, at, seen_at, seen_as"
        f" FROM whatsapp_gateway.event_answers {_OF_SESSION}"
    ),
    ContactRecord: (
        "SELECT contact_id AS contact, name, name_at, push_name, push_name_at"
        f" FROM whatsapp_gateway.contacts {_OF_SESSION}"
    ),
    ChatRecord: (
        "SELECT chat_id AS chat, last_message_at, archived, archived_at, description,"
        f" description_at FROM whatsapp_gateway.chats {_OF_SESSION}"
    ),
    MemberRecord: (
        'SELECT group_id AS "group", member_id AS member, at, role, seen_as'
        f" FROM whatsapp_gateway.group_members {_OF_SESSION}"
    ),
}
