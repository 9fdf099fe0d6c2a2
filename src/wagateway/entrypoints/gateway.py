"""The gateway as a library, for services that embed it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import Source
from wagateway.domain.feed import TOLD, kinds_named
from wagateway.domain.identity import (
    ChatType,
    Jid,
    account_named,
    chat_candidates,
    jid,
    session_named,
    stanza_id,
)
from wagateway.domain.media import DownloadStatus
from wagateway.domain.messages import Kind
from wagateway.domain.purges import PurgeCounts
from wagateway.domain.views import (
    ChangeView,
    ChatPage,
    ContactPage,
    EventPage,
    FilePage,
    LinkView,
    MessagePage,
    MessageView,
    SessionView,
)
from wagateway.entrypoints.backup_places import back_up, open_backup_place
from wagateway.entrypoints.backups import Verified, kept_backup, restore_backup, verify_backup
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.settings import Settings, load_settings
from wagateway.entrypoints.worker import beating, draining, working
from wagateway.ports.archive import LogFilter
from wagateway.ports.downloads import RETRIED
from wagateway.usecases.back_up import Made, Progress
from wagateway.usecases.ingest import Ingested
from wagateway.usecases.media_library import ServedFile
from wagateway.usecases.replay import Replayed
from wagateway.usecases.restore_backup import Restored
from wagateway.usecases.sync_control import ChatCoverage, SessionCoverage, SyncReport

_PAGE = 500
"""Messages of each page that history() goes through."""
_LOOK_S = 60.0
"""How long to wait for a change before waiting again."""
_ANY = LogFilter()


class Gateway:
    """An open archive: take in what WAHA delivers, and read it.

    All methods may be called at once from many tasks of one event loop. Any may raise
    StoreUnavailable: wait, then repeat; nothing is doubled by that.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._takes_webhooks = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings | None = None, *, worker: bool = False, webhooks: bool = False
    ) -> AsyncIterator["Gateway"]:
        """Open the archive of *settings*; leaving the context writes what was taken in.

        Args:
            settings: those of the environment when None, see `load_settings`.
            worker: while it is open, read from the engine of *settings* what webhooks did not
                bring. With ``sync_enabled=False`` nothing is read.
            webhooks: webhooks are handed to ingest(), so write down that they could come as long as
                it is open, also while none does; else that begins with the first one. Where nobody
                does so, coverage shows a gap ``gateway-away``.

        Raises:
            InvalidInput: the settings or the data folder cannot be used, or a *worker* has no
                engine to read from.
            Conflict: the data folder is in use, or the schema does not fit.
            Rejected: the server is too old, or an extra that the settings need is not installed:
                ``embedded``, ``redis``, ``s3``, ``otel``, or for a *worker* ``backup``.
            StoreUnavailable: the database cannot be reached for its migrations.
        """
        settings = load_settings() if settings is None else settings
        if worker and settings.engine_url is None:
            raise InvalidInput(
                "worker=True reads from WAHA: give Settings its address as engine_url, such as "
                "'http://127.0.0.1:3000', and its key as engine_key, or set WHATSAPP_CORE_URL and "
                "WHATSAPP_API_KEY where the settings come from the environment"
            )
        async with open_services(settings) as services:
            gateway = cls(services)
            if webhooks:
                gateway._takes_webhooks.set()
            background = (
                working(settings, services)
                if worker
                else draining(settings, services, takes_webhooks=webhooks)
            )
            async with (
                beating(services.sync_store, begun=gateway._takes_webhooks),
                background,
            ):
                yield gateway

    async def ingest(self, body: bytes, *, source: Source = Source.WEBHOOK) -> Ingested:
        """Take in one webhook body; when this returns, its events are durable.

        While the database is away they are on disk in the spool, and recorded later.

        Whoever may call this may write into the archive: check the sender first. Answer WAHA
        with 2xx only after it, so that WAHA repeats what was not kept; repetitions do no harm.

        Args:
            body: one event envelope, or a JSON array of them, exactly as received.
            source: which way it came.

        Returns:
            How many of the body's events had which outcome.

        Raises:
            InvalidInput: not JSON, or neither an object nor an array.
        """
        taken = await self._services.ingest(body, source=source)
        if source is Source.WEBHOOK:
            self._takes_webhooks.set()
        return taken

    async def messages(
        self,
        session: str,
        chat: str,
        *,
        account: str | None = None,
        before: datetime | str | None = None,
        after: datetime | str | None = None,
        limit: int = 50,
    ) -> MessagePage:
        """Return one page of a chat, newest first, each message in its current state.

        Args:
            session: the engine's session name, e.g. ``default``.
            chat: a JID, a LID, or a phone number in a usual spelling.
            account: JID or phone number of an account that the session had before; the archive
                of the present one if None.
            before: only older messages than this cursor (``next`` of a page) or aware instant.
            after: only newer ones than this cursor (``previous``) or aware instant.
            limit: 1 to 500.

        Raises:
            NotFound: no such session, no archive of *account*, or no such chat in it.
            InvalidInput: a malformed argument, or both *before* and *after*.
        """
        return await self._services.reader.messages(
            session_named(session),
            chat_candidates(chat),
            account=account_named(account),
            before=_position(before),
            after=_position(after),
            limit=limit,
        )

    async def history(
        self,
        session: str,
        chat: str,
        *,
        account: str | None = None,
        before: datetime | str | None = None,
    ) -> AsyncIterator[MessageView]:
        """Go through a whole chat, newest first, a page at a time.

        Args:
            session: the engine's session name.
            chat: a JID, a LID, or a phone number in a usual spelling.
            account: see messages().
            before: only older messages than this cursor or aware instant.

        Yields:
            Messages; those that arrive meanwhile are not among them, unless they are older.

        Raises:
            NotFound: no such session, or no such chat in it.
            InvalidInput: a malformed argument.
        """
        position = before
        while True:
            page = await self.messages(session, chat, account=account, before=position, limit=_PAGE)
            for message in page.messages:
                yield message
            if page.next is None:
                return
            position = page.next

    async def chats(
        self,
        session: str,
        *,
        account: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> ChatPage:
        """Return chats, latest activity first; limit 1 to 500; *account* as in messages().

        Raises:
            NotFound: no such session.
            InvalidInput: *cursor* is not ``next`` of a page, or *limit* is out of bounds.
        """
        return await self._services.reader.chats(
            session_named(session), account=account_named(account), cursor=cursor, limit=limit
        )

    async def contacts(
        self,
        session: str,
        *,
        account: str | None = None,
        type: ChatType | None = None,  # noqa: A002 - the API's own word
        cursor: str | None = None,
        limit: int = 100,
    ) -> ContactPage:
        """Return people, groups, broadcasts and channels by id; limit 1 to 500.

        *account* is as in messages().

        Raises:
            NotFound: no such session.
            InvalidInput: *cursor* is not ``next`` of a page, or *limit* is out of bounds.
        """
        return await self._services.reader.contacts(
            session_named(session),
            account=account_named(account),
            type=type,
            cursor=cursor,
            limit=limit,
        )

    async def sessions(self) -> list[SessionView]:
        """Return every archive, by session name, the current account first."""
        return await self._services.reader.sessions()

    async def events(
        self, which: LogFilter = _ANY, *, cursor: str | None = None, limit: int = 100
    ) -> EventPage:
        """Return rows of the event log, newest first; limit 1 to 500.

        Raises:
            InvalidInput: *cursor* is not ``next`` of a page, or *limit* is out of bounds.
        """
        return await self._services.reader.events(which, cursor=cursor, limit=limit)

    async def event_body(self, event_id: int) -> bytes:
        """Return a log row's body, exactly as received.

        Raises:
            NotFound: no such row.
        """
        return await self._services.reader.event_body(event_id)

    def replay(self, which: LogFilter = _ANY, *, after: int = 0) -> AsyncIterator[Replayed]:
        """Project rows of the event log again, oldest first, a transaction a step.

        Args:
            which: the rows that are meant.
            after: only rows with greater ids.

        Returns:
            One report per step; nothing happens until they are asked for.
        """
        return self._services.replay(which, after=after)

    async def purgeable(
        self,
        session: str,
        chat: str | None = None,
        *,
        account: str | None = None,
        before: datetime | None = None,
    ) -> PurgeCounts:
        """Return how much of each kind purge() would remove now; nothing changes.

        Arguments and errors are those of purge().
        """
        return await self._services.purge.preview(
            session_named(session),
            _chat(chat),
            account=account_named(account),
            before=_aware("before", before),
        )

    def purge(
        self,
        session: str,
        chat: str | None = None,
        *,
        by: str,
        account: str | None = None,
        before: datetime | None = None,
        reason: str | None = None,
    ) -> AsyncIterator[PurgeCounts]:
        """Remove messages for good, a transaction a step: they do not come back with a sync.

        All that was sent before an instant goes, with what is about it and its files; what is sent
        later is archived as ever. One that is broken off is ended by a worker, or by another one.

        Args:
            session: the engine's session name.
            chat: as in messages(); None: all chats, with the rows of the log that were received
                before that instant.
            by: who says so, for whoever looks at it later.
            account: only the archive of this account, and no rows of the log; all archives of the
                session when None.
            before: an aware instant, not later than now; now when None.
            reason: why, likewise.

        Returns:
            What went, per step; nothing happens until they are asked for.

        Raises:
            InvalidInput: a malformed argument, or *before* is yet to come.
            NotFound: no such session, archive or chat.
        """
        return self._services.purge(
            session_named(session),
            _chat(chat),
            by=by,
            account=account_named(account),
            before=_aware("before", before),
            reason=reason,
        )

    async def links(self, session: str) -> list[LinkView]:
        """Return which hidden ids belong to which phones, by LID; undone links too.

        Raises:
            NotFound: no such session.
        """
        return await self._services.reader.links(session_named(session))

    async def link(self, session: str, lid: str, phone: str) -> int:
        """Say that *lid* is *phone*: their chats become one.

        Args:
            session: the engine's session name.
            lid: a hidden id, ``…@lid``.
            phone: a phone JID, or a phone number in a usual spelling.

        Returns:
            How many messages moved.

        Raises:
            InvalidInput: *lid* is no hidden id, or *phone* no phone.
            NotFound: no such session.
        """
        return await self._services.link(
            session_named(session), jid(lid), chat_candidates(phone)[0]
        )

    async def unlink(self, session: str, lid: str) -> int:
        """Undo the link of *lid*, for good: later evidence does not revive it.

        Returns:
            How many messages moved back to the hidden id's own chat.

        Raises:
            InvalidInput: *lid* is no hidden id.
            NotFound: no such session, or no link of *lid* is in force.
        """
        return await self._services.unlink(session_named(session), jid(lid))

    async def coverage(self, session: str) -> SessionCoverage:
        """Return for each chat which spans of time are complete, and why others are not.

        Raises:
            NotFound: no such session.
        """
        return await self._services.sync.coverage(session_named(session))

    async def chat_coverage(self, session: str, chat: str) -> ChatCoverage:
        """Return which spans of a chat are complete; *chat* as in messages().

        Raises:
            NotFound: no such session, or sync knows no such chat in it.
            InvalidInput: *chat* is no JID and no phone number.
        """
        return await self._services.sync.chat_coverage(
            session_named(session), chat_candidates(chat)
        )

    async def sync_report(self, session: str) -> SyncReport:
        """Return the session's health, and where the sync of each chat stands.

        Raises:
            NotFound: no such session.
        """
        return await self._services.sync.report(session_named(session))

    async def sync(
        self,
        session: str,
        chat: str | None = None,
        *,
        full: bool = False,
        since: datetime | None = None,
    ) -> int:
        """Let a worker read a chat, or all of a session, now; this does not wait for it.

        Args:
            session: the engine's session name.
            chat: as in messages(); all chats when None.
            full: the whole history again, back to *since* or to the engine's end; else only what
                is missing since the chat was last complete, or since *since*.
            since: an aware instant, not later than now.

        Returns:
            How many tasks were woken.

        Raises:
            NotFound: no such session or chat, or no worker has found it yet.
            InvalidInput: a malformed argument, or *since* is yet to come.
        """
        return await self._services.sync.start(
            session_named(session), _chat(chat), full=full, since=_aware("since", since)
        )

    async def pause_sync(self, session: str, chat: str | None = None) -> int:
        """Ask the engine nothing about a chat, or a session, until resume_sync(); how many tasks.

        Raises:
            NotFound: no such session or chat.
            InvalidInput: *chat* is no JID and no phone number.
        """
        return await self._services.sync.pause(session_named(session), _chat(chat))

    async def resume_sync(self, session: str, chat: str | None = None) -> int:
        """Go on with what was paused or failed; return how many tasks.

        Raises:
            NotFound: no such session or chat.
            InvalidInput: *chat* is no JID and no phone number.
        """
        return await self._services.sync.resume(session_named(session), _chat(chat))

    async def files(
        self,
        session: str,
        *,
        account: str | None = None,
        kind: Kind | None = None,
        status: DownloadStatus | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> FilePage:
        """Return the files of a session, those of the latest messages first; limit 1 to 500.

        *account* is as in messages().

        Raises:
            NotFound: no such session.
            InvalidInput: *cursor* is not ``next`` of a page, or *limit* is out of bounds.
        """
        return await self._services.library.files(
            session_named(session),
            account=account_named(account),
            kind=kind,
            status=status,
            before=cursor,
            limit=limit,
        )

    async def file_counts(
        self, session: str, *, account: str | None = None, kind: Kind | None = None
    ) -> Mapping[DownloadStatus, int]:
        """Return how many files of a session have each status; *account* as in messages().

        Raises:
            NotFound: no such session.
        """
        return await self._services.downloads.counts_of(
            session_named(session), account=account_named(account), kind=kind
        )

    async def file(
        self, session: str, chat: str, message_id: str, *, account: str | None = None
    ) -> ServedFile:
        """Return what is known of a message's stored file, for read_file().

        Args:
            session: the engine's session name.
            chat: as in messages().
            message_id: the stanza id, which is ``id`` of a message.
            account: as in messages().

        Raises:
            NotFound: no such session, chat or message, or its file is not stored: then the error
                has the ``status`` of the download, and its ``problem`` where that is known.
            Purged: the message was there, and was purged.
            InvalidInput: a malformed argument.
            StoreUnavailable: the media store is away, too.
        """
        return await self._services.library.file(
            session_named(session),
            chat_candidates(chat),
            stanza_id(message_id),
            account=account_named(account),
        )

    async def thumbnail(
        self, session: str, chat: str, message_id: str, *, account: str | None = None
    ) -> ServedFile:
        """Return what is known of the preview of a message's stored file, for read_file().

        It is a WebP image of at most 400 pixels; the arguments are as in file().

        Raises:
            NotFound: as of file(), and where a stored file has no preview.
            InvalidInput: a malformed argument.
            StoreUnavailable: the media store is away, too.
        """
        return await self._services.library.thumbnail(
            session_named(session),
            chat_candidates(chat),
            stanza_id(message_id),
            account=account_named(account),
        )

    def read_file(
        self, file: ServedFile, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of what file() or thumbnail() returned, in pieces.

        Args:
            file: which.
            start: the first byte, 0 or more; behind the end there is nothing.
            length: how many bytes at most, 1 or more; None: up to the end.

        Raises:
            NotFound: the media store lacks it.
            StoreUnavailable: the media store is away.
        """
        return self._services.library.read(file, start=start, length=length)

    async def retry_files(
        self,
        session: str,
        chat: str | None = None,
        message_id: str | None = None,
        *,
        account: str | None = None,
        statuses: Collection[DownloadStatus] = RETRIED,
    ) -> int:
        """Let a worker fetch files again now; this does not wait for it.

        What is stored, or is being fetched, is left alone.

        Args:
            session: the engine's session name.
            chat: as in messages(); of all chats when None.
            message_id: only of this message; the stanza id.
            account: as in messages().
            statuses: only those that stand so; else those that failed or expired.

        Returns:
            How many.

        Raises:
            NotFound: no such session or chat.
            InvalidInput: a malformed argument.
        """
        return await self._services.library.retry(
            session_named(session),
            account=account_named(account),
            chat=_chat(chat) or (),
            stanza=None if message_id is None else stanza_id(message_id),
            statuses=statuses,
        )

    async def changes(
        self,
        *,
        session: str | None = None,
        chat: str | None = None,
        kinds: Collection[str] = TOLD,
        after: str | None = None,
    ) -> AsyncIterator[ChangeView]:
        """Follow the archive: yield each change once it is committed, in the order of commits.

        Args:
            session: only of this one.
            chat: only of this chat of *session*, as in messages(); it need not exist yet.
            kinds: only these, such as ``message`` and ``edit``; all when there is none.
            after: ``position`` of the last change that was handled; from now on when None.

        Yields:
            Changes, without an end: until the loop is left or the gateway is closed. One of kind
            ``reset`` says that what came after *after* is not kept any more, and is not yielded.

        Raises:
            NotFound: no such session.
            InvalidInput: a malformed argument, or *chat* without *session*.
            Unavailable: too many follow the archive in this process already.
        """
        if chat is not None and session is None:
            raise InvalidInput("chat is given together with session")
        stream = await self._services.live.follow(
            session=None if session is None else session_named(session),
            chat=_chat(chat) or (),
            kinds=kinds_named(kinds),
            after=after,
        )
        try:
            while (found := await stream.next(_LOOK_S)) is not None:
                for change in found:
                    yield change
        finally:
            stream.close()

    async def backup(self, to: str | Path | None = None, *, media: bool = False) -> Made:
        """Copy the archive into a new backup in *to*, as of one instant; everything else goes on.

        It may take minutes, and is durable and whole when this returns; one that is cancelled or
        fails leaves nothing that could be taken for a backup.

        Args:
            to: a folder, made where it is absent, or ``s3://bucket/prefix``; ``backup_dir`` of the
                settings when None.
            media: copy attached files, too, those that *to* does not have yet; else they are only
                listed.

        Returns:
            What was made: ``manifest.name`` is its name in *to*, ``manifest.rows`` how many rows it
            holds, ``manifest.media.missing`` how many files the media store lacks or has damaged,
            ``new_files`` and ``new_bytes`` how much was copied of attached files.

        Raises:
            InvalidInput: *to* cannot be such a place or is not named, or the archive is in memory.
            Conflict: another backup is being made there, or its key is missing.
            Rejected: the passphrase does not open its key, or an extra is not installed.
            StoreUnavailable: the media store or *to* is away or full, too; there is no backup.
        """
        settings, copies = self._services.settings, self._services.copies
        where = settings.backup_dir if to is None else str(to)
        if where is None:
            raise InvalidInput("name a folder for the backup: to, or backup_dir of the settings")
        if copies is None:
            raise InvalidInput("an archive in memory has no backups: name a database, or a folder")
        async with open_backup_place(settings, where) as place:
            make = back_up(copies.tables, self._services.media)
            return await make(place, with_media=media, told=_nobody)

    async def verify_backup(
        self, path: str | Path, *, scratch: str | None = None, hashes: bool = False
    ) -> Verified:
        """Prove that a backup can be restored: read all of it, and restore its tables aside.

        It need not be one of this archive.

        Args:
            path: the place of backups, and its name there, such as
                ``backups/wagateway-20261127T063000Z``.
            scratch: the URL of an empty PostgreSQL database to try it in, which is left empty; an
                embedded one in the folder of temporary files when None.
            hashes: only read it, and compare the hash of each file; restore nothing.

        Returns:
            Its ``manifest``, its ``damage``, which is empty where it is whole, and whether it was
            ``restored``.

        Raises:
            InvalidInput: *path* is in no such place.
            NotFound: there is none.
            Conflict: *scratch* is not empty.
            Rejected: it cannot be opened, the tables are not the same once they are restored, or
                the extra ``embedded`` is not installed.
            StoreUnavailable: the place of backups or *scratch* is away, or a disk is full.
        """
        return await verify_backup(
            self._services.settings, str(path), scratch=scratch, hashes=hashes, told=_nobody
        )

    @staticmethod
    async def restore(
        path: str | Path, settings: Settings | None = None, *, media: bool = True
    ) -> Restored:
        """Put a backup back into the archive of *settings*, which is empty and not open anywhere.

        Whole or not at all: after an error it is as empty as before. Open it afterwards.

        Args:
            path: as in verify_backup().
            settings: where it goes, and what opens the backup; those of the environment when None.
            media: put attached files into the media store, too.

        Returns:
            How many ``rows`` and ``files`` were put back, and how many files the backup only
            lists, as ``files_left``.

        Raises:
            InvalidInput: *path* is in no such place, or *settings* keep nothing.
            NotFound: there is no such backup.
            Conflict: the archive is not empty, its data folder is in use, or the backup is of a
                newer version.
            Rejected: the backup is damaged or cannot be opened, or an extra is not installed.
            StoreUnavailable: the database, the media store or the place of backups is away, or a
                disk is full.
        """
        settings = load_settings() if settings is None else settings
        if settings.backend == "memory":
            raise InvalidInput("an archive in memory keeps nothing: name a database, or a folder")
        async with (  # the backup first: where it cannot be opened, no database is made
            kept_backup(settings, str(path)) as kept,
            _with_database(settings) as there,
        ):
            return await restore_backup(there, kept, with_media=media, told=_nobody)

    async def ping(self) -> None:
        """Return when the store answers; for the health check of the service around."""
        await self._services.reader.ping()


@asynccontextmanager
async def _with_database(settings: Settings) -> AsyncIterator[Settings]:
    """Yield *settings* with the address of the embedded server, where that is the one."""
    if settings.backend == "postgres":
        yield settings
        return
    async with EmbeddedPostgres.running(settings.data_dir) as server:
        yield replace(settings, database_url=server.url, direct_url=None)


def _nobody(_: Progress) -> None:
    """Tell nobody how far it is."""


def _chat(chat: str | None) -> list[Jid] | None:
    return None if chat is None else chat_candidates(chat)


def _aware(name: str, at: datetime | None) -> datetime | None:
    if at is not None and at.tzinfo is None:
        raise InvalidInput(f"{name} must be an aware datetime, such as datetime.now(UTC)")
    return at


def _position(at: datetime | str | None) -> str | None:
    if not isinstance(at, datetime):
        return at
    if at.tzinfo is None:
        raise InvalidInput("before and after must be aware datetimes, such as datetime.now(UTC)")
    return at.isoformat()
