"""The archive: what is written into it, and how it is read."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec import Struct

from wagateway.domain.events import Delivery, Outcome, Recorded, Source
from wagateway.domain.identity import ChatType, Jid, SessionName, StanzaId
from wagateway.domain.records import StanzaKey
from wagateway.domain.views import (
    ChatPage,
    ContactPage,
    EventPage,
    LinkView,
    MessagePage,
    MessageView,
    SessionView,
)


class LogFilter(Struct, frozen=True, kw_only=True):
    """Which log rows are meant; None means any.

    Attributes:
        since: aware UTC, inclusive.
        until: aware UTC, exclusive.
    """

    outcome: Outcome | None = None
    session: SessionName | None = None
    event: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class LoggedBody(Struct, frozen=True, kw_only=True):
    """A log row's body, with what is needed to read it again."""

    id: int
    body: bytes
    received_at: datetime
    source: Source


class Archive(ABC):
    """Durable record of everything that an engine told, and the projections of it.

    Any method may raise StoreUnavailable: it may or may not have acted; repeating it is safe,
    because every projection is idempotent.
    """

    @abstractmethod
    async def record(self, deliveries: Sequence[Delivery]) -> list[Recorded]:
        """Log and project *deliveries* in one transaction; return when it is durable.

        A delivery that cannot be projected is logged as failed and disturbs no other. Any order,
        grouping and repetition of the same deliveries leaves the same projections. What sync read
        and was known already is not logged.

        Returns:
            One outcome per delivery, in the order given.
        """

    @abstractmethod
    async def logged(self, which: LogFilter, *, after: int, limit: int) -> list[LoggedBody]:
        """Return bodies from the log, by ascending id, only ids greater than *after*."""

    @abstractmethod
    async def reproject(self, deliveries: Sequence[tuple[int, Delivery]]) -> list[Recorded]:
        """Project deliveries of the log again and write their new outcome into their log rows.

        A row that was ``stored`` and now changes nothing stays ``stored``.
        """

    @abstractmethod
    async def unlink(self, session: SessionName, lid: Jid, *, at: datetime) -> int:
        """Undo the link of *lid*, for good: later evidence for the same pair does not revive it.

        Messages seen only under the LID go back to the LID's chat.

        Returns:
            How many messages moved.

        Raises:
            NotFound: no such session, or no link of that LID is in force.
        """

    @abstractmethod
    async def link(self, session: SessionName, lid: Jid, phone: Jid, *, at: datetime) -> int:
        """Link *lid* to *phone* because a person says so; revives a rejected pair.

        Returns:
            How many messages moved.

        Raises:
            NotFound: no such session.
        """


class ArchiveReader(ABC):
    """Reads of the archive; each sees what was committed before it began.

    Any method may raise StoreUnavailable. Without *account*, a session's current archive is read:
    the one of the account that it has now; with it, that of an account (a phone JID) that it has or
    had. All raise NotFound when there is no such session or archive, and InvalidInput for a limit
    that is out of bounds.
    """

    @abstractmethod
    async def messages(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        *,
        account: Jid | None = None,
        before: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> MessagePage:
        """Return one page of a chat, newest first; equal instants by descending id.

        Args:
            session: the engine's session name.
            account: whose archive, see above.
            chat: the JIDs that may be meant, likeliest first; the first known chat is read.
            before: a cursor or an ISO 8601 instant; only older messages.
            after: a cursor or an ISO 8601 instant; only newer messages, those next to it.
            limit: 1 to 500.

        Raises:
            NotFound: none of *chat* is a chat of this session.
            InvalidInput: both *before* and *after*, or one that is neither cursor nor instant.
        """

    @abstractmethod
    async def is_purged(
        self,
        session: SessionName,
        chat: Sequence[Jid],
        stanza: StanzaId,
        *,
        account: Jid | None = None,
    ) -> bool:
        """Tell whether all messages of a stanza id are such that were there and were purged.

        Raises:
            NotFound: none of *chat* is a chat of this session.
        """

    @abstractmethod
    async def named(
        self, session: SessionName, keys: Collection[StanzaKey], *, account: Jid | None = None
    ) -> dict[StanzaKey, list[MessageView]]:
        """Return the messages of *keys*, each in its current state; those that are not there lack.

        Args:
            session: the engine's session name.
            keys: chat and stanza id; a hidden id that is linked stands for its phone.
            account: whose archive, see above.

        Returns:
            By the key as it was given; more than one where authors claim one id.
        """

    @abstractmethod
    async def chats(
        self,
        session: SessionName,
        *,
        account: Jid | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> ChatPage:
        """Return chats, latest activity first, those without messages last; limit 1 to 500."""

    @abstractmethod
    async def contacts(
        self,
        session: SessionName,
        *,
        account: Jid | None = None,
        type: ChatType | None = None,  # noqa: A002 - the API's own word
        cursor: str | None = None,
        limit: int = 100,
    ) -> ContactPage:
        """Return contacts by id in code-point order; limit 1 to 500."""

    @abstractmethod
    async def sessions(self) -> list[SessionView]:
        """Return every archive, by session name, the current account first."""

    @abstractmethod
    async def events(
        self, which: LogFilter, *, cursor: str | None = None, limit: int = 100
    ) -> EventPage:
        """Return log rows, newest first; limit 1 to 500. An unknown session gives an empty page."""

    @abstractmethod
    async def event_body(self, event_id: int) -> bytes:
        """Return one log row's raw body.

        Raises:
            NotFound: no such row.
        """

    @abstractmethod
    async def links(self, session: SessionName) -> list[LinkView]:
        """Return the LID ↔ phone links of *session*, by LID, then phone, rejected ones too."""

    @abstractmethod
    async def counts(self) -> dict[Outcome, int]:
        """Return how many log rows have each outcome, for health and doctor."""

    @abstractmethod
    async def ping(self) -> None:
        """Return when the store answers a trivial read.

        Raises:
            StoreUnavailable: it does not.
        """
