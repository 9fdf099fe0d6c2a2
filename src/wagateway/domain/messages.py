"""What a WhatsApp message is: its immutable facts, and the words for what later happens to it."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from wagateway.domain.identity import Jid, StanzaId


class Kind(StrEnum):
    """What a message carries. ``unknown`` keeps its raw body in the event log for a replay."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    GIF = "gif"
    VIDEO_NOTE = "video_note"
    VOICE = "voice"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"
    LOCATION = "location"
    LIVE_LOCATION = "live_location"
    CONTACT = "contact"
    POLL = "poll"
    EVENT = "event"
    SYSTEM = "system"
    UNKNOWN = "unknown"


class Ack(StrEnum):
    """How far a message got. It only rises, in this order; ``error`` yields to any delivery.

    WAHA's numbers: -1 ERROR, 0 PENDING, 1 SERVER, 2 DEVICE, 3 READ, 4 PLAYED.
    """

    PENDING = "pending"
    ERROR = "error"
    SERVER = "server"
    DEVICE = "device"
    READ = "read"
    PLAYED = "played"

    @property
    def rank(self) -> int:
        """Position in the order of rising, from 0."""
        return _RANKS[self]


_RANKS = {ack: rank for rank, ack in enumerate(Ack)}


def higher_ack(a: Ack | None, b: Ack | None) -> Ack | None:
    """Return the ack that is further along; None is the least."""
    if a is None or b is None:
        return a or b
    return a if a.rank >= b.rank else b


class Completeness(StrEnum):
    """How much an observation knew of a message; the fuller one is kept, best first."""

    FULL = "a"
    """Kind and content were read from the engine's own data."""
    PARTIAL = "b"
    """No engine data: kind and content are what the payload's top level shows."""
    PLACEHOLDER = "c"
    """WhatsApp announced the message but nobody could decrypt it yet."""


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The quoted message: its bare stanza id, who wrote it, and the text quoted."""

    id: StanzaId
    sender: Jid | None = None
    text: str | None = None


class LinkPreview(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The page that WhatsApp previewed under a text."""

    url: str
    title: str | None = None
    description: str | None = None


class Location(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place: degrees (WGS 84), latitude -90 to 90, longitude -180 to 180."""

    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None
    url: str | None = None
    description: str | None = None


class ContactCard(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A shared contact: the display name where one is given, and the vCard as sent."""

    vcard: str
    name: str | None = None


class Poll(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A poll's question and options; ``selectable`` 0 means any number may be chosen."""

    question: str
    options: tuple[str, ...]
    selectable: int = 0


class CalendarEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event that was announced in a chat."""

    name: str
    description: str | None = None
    starts_at: datetime | None = None
    location: str | None = None
    canceled: bool = False


class MediaFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the sender said of an attached file.

    Attributes:
        mimetype: as declared, e.g. ``audio/ogg; codecs=opus``.
        size_bytes: of the plain file.
        sha256: of the plain file, lower-case hex.
        width, height: pixels.
        duration_s: seconds.
        pages: of a document.
    """

    mimetype: str | None = None
    filename: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    pages: int | None = None
    animated: bool = False


class MediaOffer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the engine says the file can be had, or why not.

    Attributes:
        offered_at: aware UTC; when the engine said so.
        url: short-lived, its host is the engine's own idea of itself. None: not downloaded.
        error: why the engine failed to get it from WhatsApp.
        s3_bucket, s3_key: where the engine stored it, if in S3.
    """

    offered_at: datetime
    url: str | None = None
    error: str | None = None
    s3_bucket: str | None = None
    s3_key: str | None = None


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The immutable facts of one message, as one observation tells them.

    Attributes:
        waha_id: the serialised id as the engine wrote it; unstable, kept for calls to the engine.
        sender: who wrote it, as seen (phone or LID); None where unknown, as in channels.
        sender_name: the name that the sender gave themself.
        sent_at: WhatsApp's time, aware UTC.
        text: body or caption; None when there is none.
        mentions: as seen, in order.
        forwarding_score: how often it was forwarded, where the engine tells.
        source: ``api`` or ``app``; a hint only. Source: WAHA docs, Events.
        subtype: the engine's word for what ``kind`` does not tell apart.
    """

    waha_id: str
    from_me: bool
    sent_at: datetime
    kind: Kind
    completeness: Completeness = Completeness.FULL
    sender: Jid | None = None
    sender_name: str | None = None
    text: str | None = None
    reply_to: Reply | None = None
    mentions: tuple[Jid, ...] = ()
    forwarded: bool = False
    forwarding_score: int = 0
    view_once: bool = False
    link_preview: LinkPreview | None = None
    location: Location | None = None
    contacts: tuple[ContactCard, ...] = ()
    poll: Poll | None = None
    event: CalendarEvent | None = None
    media: MediaFacts | None = None
    source: str | None = None
    subtype: str | None = None
