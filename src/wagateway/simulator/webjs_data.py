"""The raw data of a message in the browser's own words, as WEBJS passes it on in ``_data``."""

from typing import assert_never

from wagateway.simulator.contents import (
    Attachment,
    AttachmentKind,
    Ballot,
    Card,
    Cards,
    Gathering,
    LivePlace,
    Menu,
    MenuForm,
    Place,
    Timer,
    Ware,
    WareForm,
    Words,
)
from wagateway.simulator.dice import digest
from wagateway.simulator.happenings import (
    Note,
    jid,
)
from wagateway.simulator.shapes import blob, cards, file_hash, thumbnail, wid
from wagateway.simulator.webjs_business import menu, ware
from wagateway.simulator.wire import Payload

_SECRET_BYTES = 32
_TYPES = {
    AttachmentKind.IMAGE: "image",
    AttachmentKind.VIDEO: "video",
    AttachmentKind.GIF: "video",
    AttachmentKind.VIDEO_NOTE: "ptv",
    AttachmentKind.VOICE: "ptt",
    AttachmentKind.AUDIO: "audio",
    AttachmentKind.DOCUMENT: "document",
    AttachmentKind.STICKER: "sticker",
}
_MENU_TYPES = {
    MenuForm.LIST: "list",
    MenuForm.BUTTONS: "chat",
    MenuForm.INTERACTIVE: "interactive",
    MenuForm.LIST_REPLY: "list_response",
    MenuForm.BUTTON_REPLY: "buttons_response",
}
_WARE_TYPES = {
    WareForm.PRODUCT: "product",
    WareForm.ORDER: "order",
    WareForm.INVITE: "groups_v4_invite",
}
_PICTURES = {
    *(AttachmentKind.IMAGE, AttachmentKind.VIDEO, AttachmentKind.GIF, AttachmentKind.VIDEO_NOTE),
}
_FLAGS: Payload = {
    "invis": False,
    "isNewMsg": True,
    "star": False,
    "kicNotified": False,
    "recvFresh": True,
    "isFromTemplate": False,
    "pollInvalidated": False,
    "isSentCagPollCreation": False,
    "latestEditMsgKey": None,
    "latestEditSenderTimestampMs": None,
    "mentionedJidList": [],
    "groupMentions": [],
    "isEventCanceled": False,
    "eventInvalidated": False,
    "isVcardOverMmsDocument": False,
    "isForwarded": False,
    "hasReaction": False,
    "viewMode": "VISIBLE",
    "messageSecret": {},
    "productHeaderImageRejected": False,
    "lastPlaybackProgress": 0,
    "isDynamicReplyButtonsMsg": False,
    "isCarouselCard": False,
    "parentMsgId": None,
    "isMdHistoryMsg": False,
    "stickerSentTs": 0,
    "isAvatar": False,
    "lastUpdateFromServerTs": 0,
    "invokedBotWid": None,
    "bizBotType": None,
    "requiresDirectConnection": False,
    "links": [],
}


def raw(note: Note, *, key: Payload, sender: str, receiver: str, ack: int) -> Payload:
    """Return the raw data of *note*, whose id is *key*."""
    author = {"author": key["participant"]} if "participant" in key else {}
    return {
        "id": key,
        "viewed": False,
        "body": _preview(note) or body(note),
        "type": _type(note),
        "t": note.at_ms // 1000,
        "notifyName": note.author.name if note.author and not note.from_me else "",
        "from": wid(sender),
        "to": wid(receiver),
        **author,
        "ack": ack,
        **_FLAGS,
        "mentionedJidList": [jid(person, note.address) for person in note.mentions],
        "messageSecret": {
            str(index): byte
            for index, byte in enumerate(digest(_SECRET_BYTES, "secret", note.stanza))
        },
        "links": _links(note),
        **_particulars(note),
        **_quote(note),
        **_passage(note),
    }


def key(note: Note, serialised: str) -> Payload:
    """Return the id of *note* taken apart, as the browser keeps it."""
    shown = {"participant": wid(jid(note.author, note.address))} if note.author else {}
    return {
        "fromMe": note.from_me,
        "remote": note.chat_jid,
        "id": note.stanza,
        **(shown if note.many_recipients else {}),
        "_serialized": serialised,
    }


def body(note: Note) -> str:
    """Return what whatsapp-web.js calls the body: also a card's vCard and a poll's question."""
    match note.content:
        case Card():
            return note.content.vcard
        case Ballot():
            return note.content.question
        case Words() | Attachment() | Gathering() | Menu() | Ware():
            return note.text or ""
        case Place() | LivePlace() | Cards() | Timer():
            return ""
    assert_never(note.content)


def quotation(quoted: Note) -> Payload:
    """Return what the browser keeps of a quoted message."""
    return {"type": _type(quoted), "body": body(quoted)}


def _type(note: Note) -> str:  # noqa: C901, PLR0911 - one arm per kind
    said = note.content
    match said:
        case Words():
            return "chat"
        case Attachment():
            return _TYPES[said.kind]
        case Place() | LivePlace():
            return "location"
        case Card():
            return "vcard"
        case Cards():
            return "multi_vcard"
        case Ballot():
            return "poll_creation"
        case Gathering():
            return "event_creation"
        case Menu():
            return _MENU_TYPES[said.form]
        case Ware():
            return _WARE_TYPES[said.form]
        case Timer():
            return "notification_template"
    assert_never(said)


def _preview(note: Note) -> str | None:
    said = note.content
    if not isinstance(said, Attachment) or said.kind not in _PICTURES or said.view_once:
        return None
    return thumbnail(said)


def _links(note: Note) -> list[Payload]:
    said = note.content
    if isinstance(said, Words) and said.link:
        return [{"link": said.link, "isSuspicious": False}]
    return []


def _quote(note: Note) -> Payload:
    quoted = note.quotes
    if quoted is None:
        return {}
    who = {"quotedParticipant": wid(jid(quoted.author, quoted.address))} if quoted.author else {}
    return {"quotedStanzaID": quoted.stanza, **who, "quotedMsg": quotation(quoted)}


def _passage(note: Note) -> Payload:
    """Return how a message came here and how long it stays."""
    found: Payload = {}
    if note.forwarded:
        found = {"isForwarded": True, "forwardingScore": note.forwarded}
    if note.disappears_s:
        found |= {
            "ephemeralDuration": note.disappears_s,
            "ephemeralStartTimestamp": note.at_ms // 1000,
        }
    return found


def _particulars(note: Note) -> Payload:  # noqa: C901, PLR0911 - one arm per kind
    said = note.content
    match said:
        case Words(link=str(link), link_title=title):
            return {"matchedText": link, "title": title}
        case Words() | Timer():
            return {}
        case Attachment():
            return _file(note, said)
        case Place():
            shown = f"{said.name}\n{said.street}"
            return {"lat": said.latitude, "lng": said.longitude, "loc": shown, "isLive": False}
        case LivePlace():
            return _live(note, said)
        case Card():
            return {"vcardFormattedName": said.name}
        case Cards():
            several = [{"displayName": card.name, "vcard": card.vcard} for card in cards(note)]
            return {"vcardList": several}
        case Ballot():
            return _ballot(said)
        case Gathering():
            return _gathering(said)
        case Menu():
            return menu(said, note.stanza)
        case Ware():
            return ware(said, note)
    assert_never(said)


def _live(note: Note, place: LivePlace) -> Payload:
    return {
        "lat": place.latitude,
        "lng": place.longitude,
        "isLive": True,
        "accuracy": place.accuracy_m,
        "speed": place.speed_mps,
        "degrees": 90,
        "shareDuration": 3600,
        "sequence": note.at_ms,
    }


def _gathering(event: Gathering) -> Payload:
    return {
        "eventName": event.name,
        "eventDescription": event.description,
        "eventLocation": {"name": event.where},
        "eventStartTime": event.starts_ms // 1000,
        "isEventCanceled": False,
    }


def _file(note: Note, file: Attachment) -> Payload:
    path = f"/v/t62.7118-24/{int(note.stanza[4:12], 16)}_n.enc"
    return {
        **({"caption": file.caption} if file.caption else {}),
        "mimetype": file.mimetype,
        "size": file.size_bytes,
        **({"filename": file.filename} if file.filename else {}),
        **({"pageCount": file.pages} if file.pages else {}),
        **({"duration": str(file.seconds)} if file.seconds else {}),
        **({"height": file.height, "width": file.width} if file.width else {}),
        **({"isGif": True} if file.kind is AttachmentKind.GIF else {}),
        **({"isAnimated": True} if file.animated else {}),
        **({"isViewOnce": True} if file.view_once else {}),
        "filehash": file_hash(note, file),
        "encFilehash": blob(32, "cipher", note.stanza),
        "mediaKey": blob(32, "key", note.stanza),
        "mediaKeyTimestamp": note.at_ms // 1000,
        "directPath": path,
        "deprecatedMms3Url": f"https://mmg.whatsapp.net{path}",
    }


def _ballot(ballot: Ballot) -> Payload:
    return {
        "pollName": ballot.question,
        "pollOptions": [
            {"name": option, "localId": number} for number, option in enumerate(ballot.options)
        ],
        "pollSelectableOptionsCount": ballot.selectable,
    }
