"""Download work: which files are due, who fetches them, what is stored, and what is seen of it."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self

from msgspec import Struct

from wagateway.domain.downloads import FileRecord
from wagateway.domain.identity import Author, Jid, SessionName, StanzaId
from wagateway.domain.media import (
    Attachment,
    Download,
    DownloadStatus,
    Inspection,
    MediaKey,
    MediaObject,
    Rules,
    Stored,
    judged,
    turn,
)
from wagateway.domain.messages import Kind
from wagateway.domain.views import FilePage, FileView
from wagateway.ports.sync import Archived


class DownloadTask(Struct, frozen=True, kw_only=True):
    """One message's file, held by a worker.

    Attributes:
        author: who wrote the message, as part of its key.
        waha_id: the message's serialised id, to ask the engine for the file again.
        file: what the rules look at.
        heard_at: when the archive first heard of the file; its age is judged by that.
        download: as judged by the present rules.
        lease: proves that the work is still ours; it outlives a move to another chat.
    """

    archive: Archived
    chat: Jid
    stanza: StanzaId
    author: Author
    waha_id: str
    file: Attachment
    heard_at: datetime
    download: Download
    lease: str

    @classmethod
    def of(cls, archive: Archived, file: FileRecord, rules: Rules, now: datetime) -> Self:
        """Return the task of a record that was just claimed."""
        return cls(
            archive=archive,
            chat=file.chat,
            stanza=file.stanza,
            author=file.author,
            waha_id=file.waha_id,
            file=Attachment(
                session=archive.session,
                chat=file.chat,
                kind=file.kind,
                from_me=file.from_me,
                sent_at=file.sent_at,
                facts=file.facts,
            ),
            heard_at=file.heard_at,
            download=judged(file.download, rules, now),
            lease=file.lease or "",
        )

    @property
    def turn(self) -> tuple[object, ...]:
        """A key by which tasks are given out, the smallest first."""
        here = (self.archive.id, self.chat, self.stanza, self.author)
        return (*turn(self.download, self.file.sent_at), *here)


class DownloadCounts(Struct, frozen=True, kw_only=True):
    """How downloads stand.

    Attributes:
        by_status: how many have each status.
        expires_at: when the first of what waits can no longer be had at once; None: nothing can.
        due_since: since when the first of what is pending is due, or when it will be; None: none.
        uninspected: how many stored files wait for a look into them.
    """

    by_status: Mapping[DownloadStatus, int]
    expires_at: datetime | None
    due_since: datetime | None
    uninspected: int


RETRIED = frozenset({DownloadStatus.FAILED, DownloadStatus.EXPIRED})


class DownloadStore(ABC):
    """What workers share; all instants are given, aware UTC, so that no store asks for the time.

    The archive begins a download with its message, in the same transaction, and wakes it when the
    engine offers the file anew. Nobody judged it then: whoever claims it does. A message that
    moves to another chat takes its download along; of two that turn out to be one the better stays.
    A preview that came inside the message is kept with it until the download is completed; of
    several the largest, whatever their order.

    Any method may raise StoreUnavailable: it may or may not have acted; repeating it is safe. Where
    a session is named, the archive of its present account is meant, or that of *account*. NotFound
    is raised when there is none, or when it has none of the chats that may be meant, likeliest
    first.
    """

    # What workers do

    @abstractmethod
    async def claim(
        self,
        now: datetime,
        *,
        rules: Rules,
        lease: timedelta,
        limit: int,
        again: int | None = None,
    ) -> list[DownloadTask]:
        """Take up to *limit* due downloads, in the order of ``turn()``.

        Each is given to one caller, who holds it until *now* + *lease*; then it is due again.

        Args:
            now: the present.
            rules: for how long the engine keeps a file.
            lease: how long it is held.
            limit: 1 or more.
            again: of these at most so many that the engine must get from WhatsApp first; None: any.

        Returns:
            In the order of their turn; of equal turns by archive, chat and ids.
        """

    @abstractmethod
    async def hold(self, task: DownloadTask, *, until: datetime) -> None:
        """Go on holding a task until then.

        Raises:
            LeaseLost: somebody else may hold it by now.
        """

    @abstractmethod
    async def save(
        self, task: DownloadTask, *, now: datetime, stored: Stored | None = None
    ) -> bool:
        """Store the state that a task came to, and give it back.

        A better offer that came meanwhile stays: unless the file is stored or not wanted, it is
        tried there at once.

        Args:
            task: with its new state and the lease under which it was claimed.
            now: the present.
            stored: must be given with a completed download; ignored where the content is known.

        Returns:
            Whether the content is new to the archive. Who did not add the file to the media store,
            because it was there, must add it then: it may have been removed in between.

        Raises:
            LeaseLost: somebody else may hold it by now; nothing was stored.
        """

    @abstractmethod
    async def claim_inspections(
        self, now: datetime, *, lease: timedelta, limit: int
    ) -> list[MediaObject]:
        """Take up to *limit* stored files that nobody looked into, the longest waiting first.

        Each is given to one caller; it is due again at *now* + *lease*, and counts its claims.
        """

    @abstractmethod
    async def save_inspection(self, sha256: str, found: Inspection, *, now: datetime) -> None:
        """Store what a look into a file found; nothing happens if the file is gone."""

    @abstractmethod
    async def remove_unused(
        self, remove: Callable[[MediaKey], Awaitable[object]], *, limit: int
    ) -> int:
        """Remove stored files that no message has.

        Args:
            remove: removes a file from the media store; called with the keys of each file and its
                preview while nobody can link it.
            limit: files at most.

        Returns:
            How many files.
        """

    # What people do

    @abstractmethod
    async def retry(
        self,
        now: datetime,
        *,
        session: SessionName | None = None,
        account: Jid | None = None,
        chat: Sequence[Jid] = (),
        stanza: StanzaId | None = None,
        statuses: Collection[DownloadStatus] = RETRIED,
    ) -> int:
        """Make downloads due because a person says so; what is stored or held is left alone.

        Args:
            now: the present.
            session: only of this session; None: of all archives, past ones too.
            account: whose archive.
            chat: only of this chat.
            stanza: only of this message.
            statuses: only those that stand so.

        Returns:
            How many.
        """

    @abstractmethod
    async def forget(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        problem: str,
        account: Jid | None = None,
    ) -> int:
        """Take the file from a message, and do not fetch it any more unless a person wants it.

        Its preview goes too, until an engine tells it again.

        The stored file stays as long as another message has it; see remove_unused().

        Args:
            session: the engine's session name.
            chat: the JIDs that may be meant.
            stanza: the message.
            problem: why, for people.
            account: whose archive.

        Returns:
            From how many messages: more than one where the id is claimed twice.
        """

    @abstractmethod
    async def fetch_again(
        self,
        sha256: str,
        remove: Callable[[MediaKey], Awaitable[object]] | None,
        *,
        now: datetime,
        problem: str,
    ) -> int:
        """Say that a stored file is lost: all downloads that have it become due again.

        What is known of the file goes, until it is stored anew.

        Args:
            sha256: of the file.
            remove: removes a file from the media store; called with the keys of the file and its
                preview while nobody can link it. None: it is not there.
            now: the present.
            problem: why, for people; shown until the download goes on.

        Returns:
            How many downloads.
        """

    @abstractmethod
    async def remove_unknown(
        self, sha256: str, remove: Callable[[MediaKey], Awaitable[object]]
    ) -> bool:
        """Remove a file of the media store that no download ever completed, and its preview.

        Args:
            sha256: of the file.
            remove: removes a file from the media store; called with the keys of the file and its
                preview while nobody can link it.

        Returns:
            False where the file is known, and nothing was removed.
        """

    @abstractmethod
    async def inspect_again(self, sha256: str, *, now: datetime) -> None:
        """Let a stored file be looked into as if it were new; nothing happens if it is gone."""

    # What people see

    @abstractmethod
    async def files(
        self,
        session: SessionName,
        *,
        account: Jid | None = None,
        kind: Kind | None = None,
        status: DownloadStatus | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> FilePage:
        """Return the files of a session, those of the latest messages first.

        Args:
            session: the engine's session name.
            account: whose archive.
            kind: only of such messages.
            status: only those that stand so.
            before: a cursor of an answer.
            limit: 1 to 500.

        Raises:
            InvalidInput: *limit* is out of bounds, or *before* is no cursor.
        """

    @abstractmethod
    async def files_of(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        account: Jid | None = None,
    ) -> list[FileView]:
        """Return the files of the messages that claim an id, by author; seldom more than one."""

    @abstractmethod
    async def preview(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        account: Jid | None = None,
    ) -> bytes | None:
        """Return the picture that came inside a message whose file is not stored; None: no such.

        Where several messages claim the id, the first that has one counts, by author.
        """

    @abstractmethod
    async def stored(self, *, after: str = "", limit: int = 500) -> list[MediaObject]:
        """Return stored files in the order of their hashes, only those behind *after*."""

    @abstractmethod
    async def counts_of(
        self, session: SessionName, *, account: Jid | None = None, kind: Kind | None = None
    ) -> Mapping[DownloadStatus, int]:
        """Return how many files of a session, or of such messages in it, have each status."""

    @abstractmethod
    async def counts(self, *, rules: Rules) -> DownloadCounts:
        """Return how downloads stand, for health and metrics."""
