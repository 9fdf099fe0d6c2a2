"""Everything that an engine can tell, as one tagged union, and the delivery that carries it.

Addresses are normalised JIDs as seen (phone or LID); which person they mean is decided later, when
the links of the archive are known. Instants are aware UTC. Texts are storable (see domain.text).
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from wagateway.domain.identity import Evidence, Jid, MessageRef, SessionName, StanzaId
from wagateway.domain.messages import Ack, MediaOffer, Message


class Observation(Struct, frozen=True, kw_only=True, tag=True):
    """Base of the union."""


class MessageSeen(Observation, frozen=True, kw_only=True):
    """A message, however it came: live, quoted whole by another event, or from history.

    ``ref.from_me`` is never None.

    Attributes:
        preview: the tiny picture of the attached file that came inside; see domain.previews.
    """

    ref: MessageRef
    message: Message
    ack: Ack | None = None
    offer: MediaOffer | None = None
    preview: bytes | None = None


class MessageEdited(Observation, frozen=True, kw_only=True):
    """A new version of a message's text.

    Attributes:
        ref: the edited message; ``from_me`` and ``participant`` name the editor.
        edit_id: what makes this version distinct: the stanza id of the edit action, or the
            instant of the edit where the engine gives none.
        text: None when the edit could not be decrypted.
    """

    ref: MessageRef
    edit_id: StanzaId
    edited_at: datetime
    text: str | None


class MessageRevoked(Observation, frozen=True, kw_only=True):
    """A deletion for everyone, by the author or by a group admin.

    Attributes:
        ref: the deleted message; ``from_me`` says whether the deletion was mine.
        revoked_by: who deleted, as seen; None where unknown.
    """

    ref: MessageRef
    revoked_at: datetime
    revoked_by: Jid | None = None


class AckAdvanced(Observation, frozen=True, kw_only=True):
    """How far a message got, for everybody or for one recipient in a group.

    Attributes:
        ref: the message; ``from_me`` tells mine from incoming ones that I read elsewhere.
        recipient: who received or read it, in groups and broadcasts; None: the message as a whole.
    """

    ref: MessageRef
    ack: Ack
    at: datetime
    recipient: Jid | None = None


class ReactionChanged(Observation, frozen=True, kw_only=True):
    """One sender's reaction to a message; the empty emoji takes it away.

    Attributes:
        ref: the target; only its chat and stanza id can be trusted.
        sender: as seen; None where ``from_me`` says it all.
    """

    ref: MessageRef
    sender: Jid | None
    from_me: bool
    emoji: str
    at: datetime


class PollVoted(Observation, frozen=True, kw_only=True):
    """One voter's current choice; it replaces the earlier one.

    Attributes:
        options: the chosen ones, empty when withdrawn; None when the vote could not be decrypted.
    """

    ref: MessageRef
    voter: Jid | None
    from_me: bool
    options: tuple[str, ...] | None
    at: datetime


class EventAnswered(Observation, frozen=True, kw_only=True):
    """One person's answer to an announced event.

    Attributes:
        response: ``going``, ``not_going``, ``maybe`` or ``unknown``; None when not decrypted.
        extra_guests: 0 or more.
    """

    ref: MessageRef
    responder: Jid | None
    from_me: bool
    response: str | None
    at: datetime
    extra_guests: int = 0


class ContactSeen(Observation, frozen=True, kw_only=True):
    """A person's or chat's name.

    Attributes:
        push_name: the name that people give themselves.
        name: the name in the account's address book, or a group's subject.
    """

    contact: Jid
    at: datetime
    push_name: str | None = None
    name: str | None = None


class ChatChanged(Observation, frozen=True, kw_only=True):
    """A chat was archived or taken back."""

    chat: Jid
    at: datetime
    archived: bool


class Role(StrEnum):
    """What a group member is, least first."""

    LEFT = "left"
    PARTICIPANT = "participant"
    ADMIN = "admin"
    SUPERADMIN = "superadmin"


class Member(Struct, frozen=True, kw_only=True):
    """A group member's role from some instant on."""

    jid: Jid
    role: Role


class GroupChanged(Observation, frozen=True, kw_only=True):
    """Facts of a group from some instant on; what is None did not change."""

    group: Jid
    at: datetime
    subject: str | None = None
    description: str | None = None
    members: tuple[Member, ...] = ()


class IdentityLinked(Observation, frozen=True, kw_only=True):
    """A LID and a phone JID turned out to be one person."""

    lid: Jid
    phone: Jid
    evidence: Evidence


class SessionStatus(StrEnum):
    """The engine's session states. Source: WAHA OpenAPI."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    SCAN_QR_CODE = "SCAN_QR_CODE"
    PASSKEY_REQUIRED = "PASSKEY_REQUIRED"
    PASSKEY_CONFIRMATION_REQUIRED = "PASSKEY_CONFIRMATION_REQUIRED"
    WORKING = "WORKING"
    FAILED = "FAILED"


class SessionChanged(Observation, frozen=True, kw_only=True):
    """The session was in *status* at *at*."""

    status: SessionStatus
    at: datetime


class CallSeen(Observation, frozen=True, kw_only=True):
    """A call: ``received``, ``accepted`` or ``rejected`` (missed and ended calls too)."""

    call_id: str
    caller: Jid
    state: str
    at: datetime
    video: bool
    group: bool


class LabelChanged(Observation, frozen=True, kw_only=True):
    """A label exists, went, or was put on a chat or taken off it."""

    label_id: str
    change: str
    name: str | None = None
    chat: Jid | None = None


class NotArchived(Observation, frozen=True, kw_only=True):
    """Understood, and deliberately not projected: presence, raw engine traffic, and the like."""

    reason: str


class NotUnderstood(Observation, frozen=True, kw_only=True):
    """An event, or one element of it, that could not be read; the raw body is in the event log.

    Attributes:
        reason: what was expected and found, without the content.
        known_event: False when the event's name itself is new to us.
    """

    reason: str
    known_event: bool = True


AnyObservation = (
    MessageSeen
    | MessageEdited
    | MessageRevoked
    | AckAdvanced
    | ReactionChanged
    | PollVoted
    | EventAnswered
    | ContactSeen
    | ChatChanged
    | GroupChanged
    | IdentityLinked
    | SessionChanged
    | CallSeen
    | LabelChanged
    | NotArchived
    | NotUnderstood
)


class Source(StrEnum):
    """Which way a delivery came."""

    WEBHOOK = "webhook"
    SYNC = "sync"
    IMPORT = "import"


class Account(Struct, frozen=True, kw_only=True):
    """The WhatsApp account behind a session at the time of a delivery."""

    phone: Jid
    lid: Jid | None = None
    push_name: str | None = None


class Delivery(Struct, frozen=True, kw_only=True):
    """One thing an engine told us, raw and read.

    Attributes:
        body: the exact bytes; for one element of an array, that element's bytes.
        session: the engine's session name; empty when absent.
        event: the engine's event name; empty when absent.
        occurred_at: when the engine says that it built the event, else the time of what it is
            about, else when it was received.
        account: None when the event does not name one.
        engine: ``NOWEB``, ``GOWS``, ``WEBJS``, ``WPP``, another word, or None.
        envelope_id: the engine's event id; old versions give none.
    """

    body: bytes
    session: SessionName
    event: str
    received_at: datetime
    occurred_at: datetime
    source: Source = Source.WEBHOOK
    engine: str | None = None
    envelope_id: str | None = None
    account: Account | None = None
    observations: tuple[AnyObservation, ...] = ()


class Outcome(StrEnum):
    """What became of a delivery."""

    STORED = "stored"
    """It changed the archive."""
    DUPLICATE = "duplicate"
    """All that it says was known already."""
    IGNORED = "ignored"
    """Kept in the log, not projected: of no interest, or an event name new to us.

    Where the reason is that it was purged, it is not kept in the log either."""
    FAILED = "failed"
    """Kept in the log; it should have been projected and could not be. Replay after a fix."""


class Recorded(Struct, frozen=True, kw_only=True):
    """The outcome of one delivery, with the reason for ``ignored`` and ``failed``."""

    outcome: Outcome
    reason: str | None = None


PURGED = Recorded(outcome=Outcome.IGNORED, reason="purged")
"""The outcome of a delivery that tells of nothing but messages that were purged."""


def worth_logging(delivery: Delivery, recorded: Recorded) -> bool:
    """Tell whether *delivery* goes into the event log.

    Sync reads the same messages again and again; what says nothing new is not kept. Nor is the
    body of what was purged.
    """
    if recorded == PURGED:
        return False
    return delivery.source is not Source.SYNC or recorded.outcome is not Outcome.DUPLICATE
