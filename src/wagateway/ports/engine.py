"""What the core asks of a WhatsApp engine."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from msgspec import Struct

from wagateway.domain.events import Account, Delivery, Role, SessionStatus, Source
from wagateway.domain.identity import Jid, SessionName, StanzaId


class EngineReader(ABC):
    """Turns an engine's bodies into deliveries; knows all the engine's wire shapes."""

    @abstractmethod
    def read(self, body: bytes, *, received_at: datetime, source: Source) -> list[Delivery]:
        """Read one body: an event envelope, or a JSON array of them.

        Whatever an envelope holds becomes observations, at worst ``NotUnderstood``; bad elements
        never spoil their neighbours.

        Args:
            body: the exact bytes received.
            received_at: aware UTC.
            source: which way it came.

        Returns:
            One delivery per envelope, in order; an empty array gives none.

        Raises:
            InvalidInput: not JSON in UTF-8, nested too deeply, or neither an object nor an array.
        """


class EngineSession(Struct, frozen=True, kw_only=True):
    """A session as the engine tells of it now.

    Attributes:
        engine: ``NOWEB``, ``GOWS``, ``WEBJS``, ``WPP``, another word in upper case, or None.
        account: None while it is not paired.
        delivery: what it says, in an envelope of ours as a ``session.status``, read; source
            ``sync``; None where there is nothing to record.
    """

    name: SessionName
    status: SessionStatus
    engine: str | None = None
    account: Account | None = None
    delivery: Delivery | None = None


class EngineChat(Struct, frozen=True, kw_only=True):
    """A chat that the engine knows.

    Attributes:
        chat: a JID as the engine names it, phone or LID.
        active_at: of its latest message, aware UTC, as the engine tells; None where it does not.
    """

    chat: Jid
    active_at: datetime | None = None


class MessageRow(Struct, frozen=True, kw_only=True):
    """One element of a page of messages.

    Attributes:
        stanza: None where the element is no message, such as the notice of a deletion, or could
            not be read.
        sent_at: WhatsApp's time, aware UTC, in whole seconds; None where nothing tells it.
        delivery: the element in an envelope of ours, read; source ``sync``.
    """

    stanza: StanzaId | None
    sent_at: datetime | None
    delivery: Delivery


class GroupMembers(Struct, frozen=True, kw_only=True):
    """Who is in a group, as the engine lists them.

    Attributes:
        roles: by address, phone or LID; all of them are in the group.
        told_of: returns what is said of some of them, in an envelope of ours, read; source
            ``sync``. What has no address is told with any of them.
    """

    group: Jid
    roles: Mapping[Jid, Role]
    told_of: Callable[[Collection[Jid]], Delivery]


class Told(Struct, frozen=True, kw_only=True):
    """What the engine says of one person, group or link.

    Attributes:
        about: names it within its kind, e.g. a JID.
        digest: of what is said, not of when, nor of what we do not read: equal for equal words.
        delivery: the element in an envelope of ours, read; source ``sync``. Members of a group are
            not among what it says.
        members: of a group, where they were told with it.
    """

    about: str
    digest: bytes
    delivery: Delivery
    members: GroupMembers | None = None


class EngineVersion(Struct, frozen=True, kw_only=True):
    """What answers at the other end."""

    version: str
    engine: str | None = None


class Engine(ABC):
    """An engine that can be asked; safe to share by tasks of one event loop.

    Long lists come in pages: at most *limit* elements, 1 to 1000, behind the first *offset*, 0 or
    more. Chats, people, groups and links that cannot be read are left out, so that only an empty
    page is the end.

    Reads are repeated a few times where that may help, so a failure is worth a pause. Any method
    may raise:
        EngineUnavailable: it is away, too slow, broken, or it answered what nobody can read;
            EngineResting where that was so lately, and it was not asked.
        RateLimited: it, or our own limit for it, asks to wait.
        Refused: it does not accept the key.
        InvalidInput: it does not accept the request as it is.
    Methods about a session may raise as well:
        SessionNotReady: it is not ``WORKING`` (for qr and pairing_code: it does not wait for a
            phone).
        NotFound: there is no such session, chat or message; Gone where there was a file, and
            nobody has it any more.
        NotSupported: this engine, or its configuration, cannot do it.
    """

    @abstractmethod
    async def version(self) -> EngineVersion:
        """Return what the engine is."""

    @abstractmethod
    async def healthy(self) -> bool:
        """Tell whether the engine itself says that it is well.

        Raises:
            NotSupported: this version cannot say.
        """

    @abstractmethod
    async def sessions(self) -> list[EngineSession]:
        """Return every session, stopped ones too, by name."""

    @abstractmethod
    async def session(self, name: SessionName) -> EngineSession:
        """Return one session."""

    @abstractmethod
    async def start(self, name: SessionName) -> None:
        """Start the session; nothing happens if it runs."""

    @abstractmethod
    async def stop(self, name: SessionName) -> None:
        """Stop the session; nothing happens if it is stopped."""

    @abstractmethod
    async def restart(self, name: SessionName) -> None:
        """Stop and start the session."""

    @abstractmethod
    async def logout(self, name: SessionName) -> None:
        """Unpair the account; the engine forgets its history."""

    @abstractmethod
    async def qr(self, name: SessionName) -> str:
        """Return the text of the QR code that pairs a phone; it is a secret."""

    @abstractmethod
    async def pairing_code(self, name: SessionName, phone: str) -> str:
        """Return a code, e.g. ``ABCD-1234``, to be typed on *phone* (digits, with country)."""

    @abstractmethod
    async def chats(self, session: EngineSession, *, limit: int, offset: int) -> list[EngineChat]:
        """Return a page of chats, latest activity first."""

    @abstractmethod
    async def messages(
        self, session: EngineSession, chat: Jid | None, *, limit: int, offset: int
    ) -> list[MessageRow]:
        """Return a page of messages, newest first, without having files downloaded.

        Args:
            session: as the engine told it last; its account goes into the envelopes.
            chat: None: of all chats.
            limit: see above; each element that the engine lists is one row.
            offset: counted from the newest; it drifts while messages come and go.

        Raises:
            NotSupported: also where the engine cannot list all chats at once.
        """

    @abstractmethod
    async def message(
        self,
        session: EngineSession,
        chat: Jid,
        stanza: StanzaId,
        *,
        waha_id: str | None = None,
        download_media: bool = False,
    ) -> MessageRow:
        """Return one message; with *download_media* the engine fetches its file again first.

        Args:
            session: as the engine told it last.
            chat: where it is.
            stanza: its id.
            waha_id: the serialised one, as the engine wrote it: WEBJS knows no other, and the chat
                in it may be the hidden id of the person in *chat*.
            download_media: fetch its file.
        """

    @abstractmethod
    async def contacts(self, session: EngineSession, *, limit: int, offset: int) -> list[Told]:
        """Return a page of people with their names."""

    @abstractmethod
    async def groups(self, session: EngineSession) -> list[Told]:
        """Return all groups with subject and description, and members where they are told."""

    @abstractmethod
    async def members(self, session: EngineSession, group: Jid) -> GroupMembers:
        """Return the members of *group* with their roles."""

    @abstractmethod
    async def lids(self, session: EngineSession, *, limit: int, offset: int) -> list[Told]:
        """Return a page of the known pairs of LID and phone."""

    @abstractmethod
    async def picture(self, session: EngineSession, chat: Jid) -> str | None:
        """Return the URL of a chat's picture, which expires; None where there is none."""
