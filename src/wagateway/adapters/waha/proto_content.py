"""The content of messages of NOWEB and GOWS, from their protobuf data."""

from wagateway.adapters.waha import content as common
from wagateway.adapters.waha.content import MEDIA_KINDS, Content, Quote
from wagateway.adapters.waha.engines import Family
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
from wagateway.adapters.waha.media import proto_facts, proto_preview
from wagateway.adapters.waha.proto import Opened, is_interactive, kind, opened, text_of
from wagateway.domain.messages import (
    CalendarEvent,
    Completeness,
    ContactCard,
    Kind,
    LinkPreview,
    Location,
    MediaFacts,
    Poll,
)

_REVOKE = "REVOKE"
_PROTOCOL_TYPES = {
    0: _REVOKE,
    3: "EPHEMERAL_SETTING",
    4: "EPHEMERAL_SYNC_RESPONSE",
    5: "HISTORY_SYNC_NOTIFICATION",
    6: "APP_STATE_SYNC_KEY_SHARE",
    7: "APP_STATE_SYNC_KEY_REQUEST",
    8: "MSG_FANOUT_BACKFILL_REQUEST",
    9: "INITIAL_SECURITY_NOTIFICATION_SETTING_SYNC",
    10: "APP_STATE_FATAL_EXCEPTION_NOTIFICATION",
    11: "SHARE_PHONE_NUMBER",
    14: "MESSAGE_EDIT",
    16: "PEER_DATA_OPERATION_REQUEST_MESSAGE",
    17: "PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE",
    18: "REQUEST_WELCOME_MESSAGE",
    19: "BOT_FEEDBACK_MESSAGE",
    20: "MEDIA_NOTIFY_MESSAGE",
}
_MEDIA_TYPES = {
    "image": Kind.IMAGE,
    "video": Kind.VIDEO,
    "gif": Kind.GIF,
    "ptv": Kind.VIDEO_NOTE,
    "ptt": Kind.VOICE,
    "audio": Kind.AUDIO,
    "document": Kind.DOCUMENT,
    "sticker": Kind.STICKER,
    "location": Kind.LOCATION,
    "livelocation": Kind.LIVE_LOCATION,
    "vcard": Kind.CONTACT,
    "contact_array": Kind.CONTACT,
}
_STUB_CIPHERTEXT = {"CIPHERTEXT", "2"}
_NO_STUB = {"UNKNOWN", "0"}


def protocol_type(node: Obj) -> str:
    """Return the type of a protocol message in upper case; a new number stays a number as text.

    REVOKE is the default of the protobuf field, so a printer may leave it out.
    """
    given = node.get("type")
    if given is None:
        return "" if set(node) - {"key", "timestampms"} or not node.get("key") else _REVOKE
    number = whole(given)
    if number is not None:
        return _PROTOCOL_TYPES.get(number, str(number))
    return (text(given) or "").upper()


def proto_content(data: Obj, found: Opened | None, kin: Family) -> Content | None:
    """Return what a NOWEB or GOWS message carries, None when its data does not tell."""
    media_type = _media_type(data) if kin is Family.WHATSMEOW else ""
    if found is None:
        return _without_message(data, media_type)
    known = _refined(kind(found.name), found.node, media_type)
    file = _file(found, known)
    context = fold(obj(found.node.get("contextinfo")))
    return Content(
        kind=known or Kind.UNKNOWN,
        subtype=_subtype(found, known),
        text=text_of(found),
        quote=_quote(context),
        mentions=common.addresses(context.get("mentionedjid")),
        forwarded=flag(context.get("isforwarded")) or bool(whole(context.get("forwardingscore"))),
        forwarding_score=whole(context.get("forwardingscore")) or 0,
        view_once=found.view_once or flag(found.node.get("viewonce")),
        link_preview=_preview(found.node) if known is Kind.TEXT else None,
        location=_location(found.node) if known in _PLACES else None,
        contacts=_contacts(found.node) if known is Kind.CONTACT else (),
        poll=_poll(found.node) if known is Kind.POLL else None,
        event=_event(found.node) if known is Kind.EVENT else None,
        media=None if file is None else proto_facts(file),
        preview=None if file is None else proto_preview(file),
    )


_PLACES = (Kind.LOCATION, Kind.LIVE_LOCATION)


def _media_type(data: Obj) -> str:
    return (text(obj(data.get("Info")).get("MediaType")) or "").lower()


def _without_message(data: Obj, media_type: str) -> Content | None:
    """Read what is told beside an absent message: Baileys' stubs, whatsmeow's media type."""
    given = data.get("messageStubType")
    stub = (text(given) or str(whole(given) or 0)).upper()
    if stub in _STUB_CIPHERTEXT:
        return Content(
            kind=Kind.UNKNOWN, subtype="ciphertext", completeness=Completeness.PLACEHOLDER
        )
    if stub not in _NO_STUB:
        return Content(kind=Kind.SYSTEM, subtype=common.subtype(stub.lower()))
    if media_type not in _MEDIA_TYPES:
        return None
    known = _MEDIA_TYPES[media_type]
    return Content(
        kind=known,
        completeness=Completeness.PARTIAL,
        media=MediaFacts() if known in MEDIA_KINDS else None,
    )


def _refined(known: Kind | None, node: Obj, media_type: str) -> Kind | None:
    """Tell apart what shares a content key; whatsmeow's ``MediaType`` tells it too."""
    if known is Kind.AUDIO and (flag(node.get("ptt")) or media_type == "ptt"):
        return Kind.VOICE
    if known is Kind.VIDEO and (flag(node.get("gifplayback")) or media_type == "gif"):
        return Kind.GIF
    if known is Kind.VIDEO and media_type == "ptv":
        return Kind.VIDEO_NOTE
    if known is Kind.LOCATION and flag(node.get("islive")):
        return Kind.LIVE_LOCATION
    return known


def _subtype(found: Opened, known: Kind | None) -> str | None:
    if known is Kind.SYSTEM:
        return common.subtype(protocol_type(found.node).lower()) or None
    return common.subtype(found.key) if known is None or is_interactive(found.name) else None


def _quote(context: Obj) -> Quote:
    quoted = context.get("quotedmessage")
    if not context.get("stanzaid") and not quoted:
        return Quote()
    return common.quote(
        id_=context.get("stanzaid"),
        sender=context.get("participant"),
        quoted=text_of(opened(quoted)),
    )


def _preview(node: Obj) -> LinkPreview | None:
    url = first_text(node.get("matchedtext"), node.get("canonicalurl"))
    if url is None:
        return None
    return LinkPreview(
        url=url, title=text(node.get("title")), description=text(node.get("description"))
    )


def _location(node: Obj) -> Location | None:
    return common.location(
        node.get("degreeslatitude"),
        node.get("degreeslongitude"),
        name=node.get("name"),
        address=node.get("address"),
        url=node.get("url"),
        description=node.get("comment"),
    )


def _contacts(node: Obj) -> tuple[ContactCard, ...]:
    nodes = [fold(obj(each)) for each in items(node.get("contacts"))] or [node]
    return common.cards((each.get("vcard"), each.get("displayname")) for each in nodes)


def _poll(node: Obj) -> Poll | None:
    options = [fold(obj(each)).get("optionname") for each in items(node.get("options"))]
    return Poll(
        question=text(node.get("name")) or "",
        options=tuple(option for each in options if (option := text(each))),
        selectable=whole(node.get("selectableoptionscount")) or 0,
    )


def _event(node: Obj) -> CalendarEvent:
    where = fold(obj(node.get("location")))
    return CalendarEvent(
        name=text(node.get("name")) or "",
        description=text(node.get("description")),
        starts_at=moment(node.get("starttime")),
        location=first_text(where.get("name"), where.get("address")),
        canceled=flag(node.get("iscanceled")),
    )


_HEADERS = ("imagemessage", "videomessage", "documentmessage")


def _file(found: Opened, known: Kind | None) -> Obj | None:
    """Return what tells of the file; lists, buttons and templates may carry one on top."""
    if known in MEDIA_KINDS:
        return found.node
    if not is_interactive(found.name):
        return None
    filled = [fold(obj(node)) for key, node in found.node.items() if "hydrated" in key]
    for holder in (found.node, fold(obj(found.node.get("header"))), *filled):
        for name in _HEADERS:
            if node := obj(holder.get(name)):
                return fold(node)
    return None
