"""What a message carries and how far it got, in words that all engines share."""

from collections.abc import Iterable

from msgspec import Struct

from wagateway.adapters.waha.fields import Obj, flag, items, obj, real, text
from wagateway.adapters.waha.refs import address, stanza
from wagateway.domain.errors import InvalidInput
from wagateway.domain.identity import Jid, StanzaId
from wagateway.domain.messages import (
    Ack,
    CalendarEvent,
    Completeness,
    ContactCard,
    Kind,
    LinkPreview,
    Location,
    MediaFacts,
    Poll,
)

MEDIA_KINDS = frozenset(
    {
        Kind.IMAGE,
        Kind.VIDEO,
        Kind.GIF,
        Kind.VIDEO_NOTE,
        Kind.VOICE,
        Kind.AUDIO,
        Kind.DOCUMENT,
        Kind.STICKER,
    }
)
_MAX_SUBTYPE_CHARS = 100
_ACKS = {-1: Ack.ERROR, 0: Ack.PENDING, 1: Ack.SERVER, 2: Ack.DEVICE, 3: Ack.READ, 4: Ack.PLAYED}
_ACK_NAMES = {ack.name: ack for ack in Ack}
_KINDS_BY_MIMETYPE = {
    "image/webp": Kind.STICKER,
    "audio/ogg": Kind.VOICE,
    "image": Kind.IMAGE,
    "video": Kind.VIDEO,
    "audio": Kind.AUDIO,
}


class Quote(Struct, frozen=True, kw_only=True):
    """The quoted message, as far as the engine's data names it."""

    id: StanzaId | None = None
    sender: Jid | None = None
    text: str | None = None


class Content(Struct, frozen=True, kw_only=True):
    """What one message carries; the words are those of domain.messages.Message and MessageSeen."""

    kind: Kind
    completeness: Completeness = Completeness.FULL
    subtype: str | None = None
    text: str | None = None
    quote: Quote = Quote()
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
    preview: bytes | None = None


def bare_content(payload: Obj) -> Content:
    """Guess the content from the payload's top level, where no engine data tells it."""
    return Content(kind=_bare_kind(payload), completeness=Completeness.PARTIAL)


def _bare_kind(payload: Obj) -> Kind:
    media = obj(payload.get("media"))
    if place := obj(payload.get("location")):
        return Kind.LIVE_LOCATION if flag(place.get("live")) else Kind.LOCATION
    if items(payload.get("vCards")):
        return Kind.CONTACT
    if mimetype := text(media.get("mimetype")):
        return kind_of_mimetype(mimetype)
    return Kind.TEXT if text(payload.get("body")) else Kind.UNKNOWN


def kind_of_mimetype(mimetype: str) -> Kind:
    """Guess the kind of a file: ``image/webp`` is a sticker, ``audio/ogg`` a voice note."""
    essence = mimetype.partition(";")[0].strip().lower()
    for known in (essence, essence.partition("/")[0]):
        if known in _KINDS_BY_MIMETYPE:
            return _KINDS_BY_MIMETYPE[known]
    return Kind.DOCUMENT


def ack_of(payload: Obj) -> Ack | None:
    """Return the level that ``ack`` or else ``ackName`` tells; None for null and ``UNKNOWN``."""
    number, name = payload.get("ack"), payload.get("ackName")
    if isinstance(number, int | float) and not isinstance(number, bool) and number in _ACKS:
        return _ACKS[int(number)]
    return _ACK_NAMES.get(name.upper()) if isinstance(name, str) else None


def subtype(engine_word: str) -> str:
    """Return the engine's word for a kind, storable and at most 100 characters long."""
    return (text(engine_word) or "")[:_MAX_SUBTYPE_CHARS]


def addresses(values: object) -> tuple[Jid, ...]:
    """Return the JIDs in an array, in order, without what is none."""
    return tuple(found for value in items(values) if (found := address(value)))


def quote(*, id_: object, sender: object, quoted: str | None) -> Quote:
    """Read a quote; an id that cannot be one leaves only the rest."""
    try:
        target = stanza(id_)
    except InvalidInput:
        target = None
    return Quote(id=target, sender=address(sender), text=quoted)


def location(
    latitude: object,
    longitude: object,
    *,
    name: object = None,
    address: object = None,
    url: object = None,
    description: object = None,
) -> Location | None:
    """Read a place; None unless both coordinates are degrees in their bounds."""
    north = real(latitude, low=-90, high=90)
    east = real(longitude, low=-180, high=180)
    if north is None or east is None:
        return None
    return Location(
        latitude=north,
        longitude=east,
        name=text(name),
        address=text(address),
        url=text(url),
        description=text(description),
    )


def cards(values: Iterable[tuple[object, object]]) -> tuple[ContactCard, ...]:
    """Read pairs of vCard and display name; what has no vCard is left out."""
    return tuple(
        ContactCard(vcard=vcard, name=text(name)) for raw, name in values if (vcard := text(raw))
    )
