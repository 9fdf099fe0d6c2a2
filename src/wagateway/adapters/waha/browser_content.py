"""The content of messages of WEBJS and WPP, from WhatsApp Web's own message object."""

from wagateway.adapters.waha import content as common
from wagateway.adapters.waha.content import MEDIA_KINDS, Content, Quote
from wagateway.adapters.waha.fields import (
    Obj,
    first_text,
    flag,
    fold,
    items,
    moment,
    obj,
    text,
    whole,
)
from wagateway.adapters.waha.media import browser_facts, preview
from wagateway.domain.messages import (
    CalendarEvent,
    Completeness,
    ContactCard,
    Kind,
    LinkPreview,
    Location,
    Poll,
)

_KINDS = {
    "chat": Kind.TEXT,
    "image": Kind.IMAGE,
    "video": Kind.VIDEO,
    "gif": Kind.GIF,
    "ptv": Kind.VIDEO_NOTE,
    "ptt": Kind.VOICE,
    "audio": Kind.AUDIO,
    "document": Kind.DOCUMENT,
    "sticker": Kind.STICKER,
    "location": Kind.LOCATION,
    "live_location": Kind.LIVE_LOCATION,
    "vcard": Kind.CONTACT,
    "multi_vcard": Kind.CONTACT,
    "contact_card": Kind.CONTACT,
    "contact_card_multi": Kind.CONTACT,
    "poll_creation": Kind.POLL,
    "event_creation": Kind.EVENT,
}
_SYSTEM = frozenset({"gp2", "e2e_notification", "broadcast_notification", "protocol", "call_log"})
_INTERACTIVE = frozenset(
    {
        "list",
        "list_response",
        "buttons",
        "buttons_response",
        "template_button_reply",
        "interactive",
        "interactive_response",
        "native_flow",
        "hsm",
    }
)
_PLACES = (Kind.LOCATION, Kind.LIVE_LOCATION)
_WORDLESS = MEDIA_KINDS | {*_PLACES, Kind.CONTACT, Kind.POLL}


def browser_content(data: Obj) -> Content | None:
    """Return what a WEBJS or WPP message carries, None when its data names no type."""
    type_ = text(data.get("type"))
    if type_ is None:
        return None
    known = _kind(type_, data)
    score = whole(data.get("forwardingScore")) or 0
    return Content(
        kind=known or Kind.UNKNOWN,
        completeness=_completeness(type_),
        subtype=None if type_ in _KINDS else common.subtype(type_),
        text=_text(data, known),
        quote=_quote(data),
        mentions=common.addresses(data.get("mentionedJidList")),
        forwarded=flag(data.get("isForwarded")) or score > 0,
        forwarding_score=score,
        link_preview=_preview(data) if known is Kind.TEXT else None,
        location=_location(data) if known in _PLACES else None,
        contacts=_contacts(data) if known is Kind.CONTACT else (),
        poll=_poll(data) if known is Kind.POLL else None,
        event=_event(data) if known is Kind.EVENT else None,
        media=browser_facts(data) if known in MEDIA_KINDS else None,
        preview=preview(data.get("body")) if known in MEDIA_KINDS else None,
    )


def _kind(type_: str, data: Obj) -> Kind | None:
    known = _KINDS.get(type_)
    if known is Kind.VIDEO and flag(data.get("isGif")):
        return Kind.GIF
    if known is Kind.LOCATION and flag(data.get("isLive")):
        return Kind.LIVE_LOCATION
    if known is None and (type_ in _SYSTEM or type_.startswith("notification")):
        return Kind.SYSTEM
    return Kind.TEXT if type_ in _INTERACTIVE else known


def _completeness(type_: str) -> Completeness:
    return Completeness.PLACEHOLDER if type_ == "ciphertext" else Completeness.FULL


def _text(data: Obj, known: Kind | None) -> str | None:
    """Return the text; ``body`` is a thumbnail or a vCard where it is not the text itself."""
    if known in {Kind.TEXT, Kind.SYSTEM}:
        return first_text(data.get("body"), data.get("caption"))
    # A poll's body repeats its question, which the other engines tell only in the poll.
    return text(data.get("caption"))


def words(shown: str | None, data: Obj) -> str | None:
    """Return *shown* unless it is a ``body`` without words: a thumbnail, vCard or question."""
    type_ = text(data.get("type")) or ""
    if _kind(type_, data) in _WORDLESS and shown == data.get("body"):
        return text(data.get("caption"))
    return shown


def _quote(data: Obj) -> Quote:
    quoted = obj(data.get("quotedMsg"))
    if not data.get("quotedStanzaID") and not quoted:
        return Quote()
    type_ = text(quoted.get("type")) or ""
    return common.quote(
        id_=data.get("quotedStanzaID"),
        sender=data.get("quotedParticipant"),
        quoted=_text(quoted, _kind(type_, quoted)),
    )


def _preview(data: Obj) -> LinkPreview | None:
    url = first_text(data.get("matchedText"), data.get("canonicalUrl"))
    if url is None:
        return None
    return LinkPreview(
        url=url, title=text(data.get("title")), description=text(data.get("description"))
    )


def _location(data: Obj) -> Location | None:
    name, _, address = (text(data.get("loc")) or "").partition("\n")
    return common.location(
        data.get("lat"),
        data.get("lng"),
        name=name,
        address=address,
        url=data.get("clientUrl"),
        description=data.get("comment"),
    )


def _contacts(data: Obj) -> tuple[ContactCard, ...]:
    several = [fold(obj(each)) for each in items(data.get("vcardList"))]
    if several:
        return common.cards((each.get("vcard"), each.get("displayname")) for each in several)
    return common.cards([(data.get("body"), data.get("vcardFormattedName"))])


def _poll(data: Obj) -> Poll:
    options = [text(obj(each).get("name")) for each in items(data.get("pollOptions"))]
    return Poll(
        question=first_text(data.get("pollName")) or "",
        options=tuple(filter(None, options)),
        selectable=whole(data.get("pollSelectableOptionsCount")) or 0,
    )


def _event(data: Obj) -> CalendarEvent:
    where = obj(data.get("eventLocation"))
    return CalendarEvent(
        name=first_text(data.get("eventName")) or "",
        description=text(data.get("eventDescription")),
        starts_at=moment(data.get("eventStartTime")),
        location=first_text(where.get("name"), where.get("address")),
        canceled=flag(data.get("isEventCanceled")),
    )
