"""What readers see of the archive: the shapes of the library's and the HTTP API's answers.

Instants are aware UTC, addresses canonical (the phone JID where the link is known, else the LID).
"""

from datetime import datetime

from msgspec import Struct

from wagateway.domain.events import Outcome, SessionStatus, Source
from wagateway.domain.feed import ChangeKind
from wagateway.domain.identity import ChatType, Jid, Link, SessionName, StanzaId
from wagateway.domain.media import DownloadStatus
from wagateway.domain.messages import (
    Ack,
    CalendarEvent,
    ContactCard,
    Kind,
    LinkPreview,
    Location,
    Poll,
)


class ReplyView(Struct, frozen=True, kw_only=True):
    """The message that was replied to, as quoted."""

    id: StanzaId
    sender_id: Jid | None
    text: str | None


class MediaView(Struct, frozen=True, kw_only=True):
    """An attached file: how far its download is, and what its sender said of it.

    Once it is stored, what its content tells takes the place of what the sender said.

    Attributes:
        status: ``pending``, ``downloading``, ``completed``, ``failed``, ``skipped``, ``expired``.
        error: why the engine could not get it from WhatsApp, as it said; it is asked again.
        problem: why the download stands where it does, or why less is known of the stored file.
        placeholder: a tiny picture of it, for previews; in JSON as base64.
        has_thumbnail: whether there is a preview of it: of a stored file its own, else the tiny
            picture that came inside the message.
        url, thumbnail_url: where the HTTP API has the stored file and the preview, below its own
            address; None where it has not, and in the library.
    """

    status: DownloadStatus
    mimetype: str | None = None
    filename: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    pages: int | None = None
    error: str | None = None
    problem: str | None = None
    placeholder: bytes | None = None
    has_thumbnail: bool = False
    url: str | None = None
    thumbnail_url: str | None = None


class ReactionView(Struct, frozen=True, kw_only=True):
    """One sender's current reaction."""

    sender_id: Jid
    emoji: str
    at: datetime


class VoteView(Struct, frozen=True, kw_only=True):
    """One voter's current choice in a poll; ``options`` is None when it could not be decrypted."""

    voter_id: Jid
    options: tuple[str, ...] | None
    at: datetime


class PollView(Poll, frozen=True, kw_only=True):
    """A poll and who chose what."""

    votes: tuple[VoteView, ...] = ()


class EditView(Struct, frozen=True, kw_only=True):
    """A later version of the text; None when it could not be decrypted."""

    text: str | None
    edited_at: datetime


class MessageView(Struct, frozen=True, kw_only=True):
    """One archived message in its current state.

    Attributes:
        id: the stanza id.
        waha_id: the serialised id, for calls to the engine.
        sender_id: who wrote it; None where WhatsApp does not tell, as in channels.
        text: the current text; a revoked message keeps its last one.
        edits: every later version, oldest first.
        clash: another message of the same chat claims the same id; both are kept.
    """

    session: SessionName
    chat_id: Jid
    id: StanzaId
    waha_id: str
    sender_id: Jid | None
    sender_name: str | None
    from_me: bool
    kind: Kind
    text: str | None
    sent_at: datetime
    reply_to: ReplyView | None
    mentions: tuple[Jid, ...]
    forwarded: bool
    view_once: bool
    link_preview: LinkPreview | None
    media: MediaView | None
    location: Location | None
    contacts: tuple[ContactCard, ...]
    poll: PollView | None
    event: CalendarEvent | None
    ack: Ack | None
    edited_at: datetime | None
    edits: tuple[EditView, ...]
    revoked_at: datetime | None
    revoked_by: Jid | None
    reactions: tuple[ReactionView, ...]
    source: str | None
    clash: bool


class FileView(Struct, frozen=True, kw_only=True):
    """One message's file.

    Attributes:
        id: the stanza id of the message.
        waha_id: the serialised one, for calls to the engine.
    """

    session: SessionName
    chat_id: Jid
    id: StanzaId
    waha_id: str
    from_me: bool
    kind: Kind
    sent_at: datetime
    media: MediaView


class MessagePage(Struct, frozen=True, kw_only=True):
    """Messages, newest first; ``next`` leads to older ones, ``previous`` to newer ones.

    Attributes:
        purged_before: older messages were purged, and do not come back; None where none were.
    """

    messages: list[MessageView]
    next: str | None
    previous: str | None
    purged_before: datetime | None = None


class ChatView(Struct, frozen=True, kw_only=True):
    """One chat, with the instant of its latest message."""

    session: SessionName
    id: Jid
    type: ChatType
    name: str | None
    description: str | None
    last_message_at: datetime | None
    archived: bool


class ContactView(Struct, frozen=True, kw_only=True):
    """A person, group, broadcast or channel that the account knows.

    Attributes:
        name: from the address book, or a group's subject.
        push_name: what the person calls themself.
        lids: hidden ids that are known to be this person.
    """

    session: SessionName
    id: Jid
    type: ChatType
    name: str | None
    push_name: str | None
    lids: tuple[Jid, ...]


class SessionView(Struct, frozen=True, kw_only=True):
    """One archive: a session under one account.

    Attributes:
        account: phone JID; None until the engine names it.
        current: False for the archive of an account that the session had before.
        status: the latest that the engine told, None if it never did.
        last_event_at: of the latest webhook, to within a minute; where none came, or none since
            this account came back, when sync saw it first. What else sync reads does not move it.
    """

    session: SessionName
    account: Jid | None
    push_name: str | None
    engine: str | None
    current: bool
    status: SessionStatus | None
    status_at: datetime | None
    last_event_at: datetime


class ChangeView(Struct, frozen=True, kw_only=True):
    """One change, as those who follow the archive are told of it.

    Attributes:
        kind: what it is about; with ``reset``, what came after the place that was asked for is
            not kept any more, so read the archive anew: the present follows.
        position: go on after this one by giving it as ``after``; it is opaque.
        at: when it was archived.
        session: None with ``reset``.
        account: whose archive; None until the engine names it.
        chat_id: None for a session, and for the sync or a purge of all its chats.
        id: the stanza id of the message.
        by: who did it, where that is not who wrote the message: whose reaction, vote or receipt.
        ack: how far the message got.
        status: of the session or of the sync.
        was: with ``move``: the chat whose messages, or some of them, are in ``chat_id`` now.
        before: with ``purge``: messages that were sent before this instant go for good, of
            ``chat_id`` or of all chats.
        message: the message as it is now; None with an ``ack``, and where it is not archived.
    """

    kind: ChangeKind
    position: str
    at: datetime
    session: SessionName | None = None
    account: Jid | None = None
    chat_id: Jid | None = None
    id: StanzaId | None = None
    by: Jid | None = None
    ack: Ack | None = None
    status: str | None = None
    was: Jid | None = None
    before: datetime | None = None
    message: MessageView | None = None


class EventView(Struct, frozen=True, kw_only=True):
    """One row of the event log, without its body."""

    id: int
    received_at: datetime
    session: SessionName
    event: str
    source: Source
    engine: str | None
    envelope_id: str | None
    outcome: Outcome
    reason: str | None
    size_bytes: int


class LinkView(Link, frozen=True, kw_only=True):
    """A LID ↔ phone link with its evidence, and the session that it is known in."""

    session: SessionName


class Page(Struct, frozen=True, kw_only=True):
    """Where a list goes on; None at its end."""

    next: str | None


class ChatPage(Page, frozen=True, kw_only=True):
    """Chats, latest activity first."""

    chats: list[ChatView]


class FilePage(Page, frozen=True, kw_only=True):
    """Files, those of the latest messages first."""

    files: list[FileView]


class ContactPage(Page, frozen=True, kw_only=True):
    """Contacts by id, in code-point order."""

    contacts: list[ContactView]


class EventPage(Page, frozen=True, kw_only=True):
    """Log rows, newest first."""

    events: list[EventView]
