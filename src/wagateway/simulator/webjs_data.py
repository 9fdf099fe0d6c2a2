"""The raw data of a message in the browser's own words, as WEBJS passes it on in ``_data``."""

from typing import assert_never

from wagateway.simulator.dice import digest
from wagateway.simulator.engine import THUMBNAIL, blob
from wagateway.simulator.happenings import (
    Attachment,
    AttachmentKind,
    Ballot,
    Card,
    Note,
    Place,
    Words,
    jid,
)
from wagateway.simulator.wire import Payload

_SECRET_BYTES = 32
_TYPES = {
    AttachmentKind.IMAGE: "image",
    AttachmentKind.VIDEO: "video",
    AttachmentKind.VOICE: "ptt",
    AttachmentKind.DOCUMENT: "document",
    AttachmentKind.STICKER: "sticker",
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
        "body": THUMBNAIL if _has_preview(note) else body(note),
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


def wid(address: str) -> Payload:
    """Return an address taken apart."""
    user, _, server = address.partition("@")
    return {"server": server, "user": user, "_serialized": address}


def body(note: Note) -> str:
    """Return what whatsapp-web.js calls the body: also a card's vCard and a poll's question."""
    match note.content:
        case Card():
            return note.content.vcard
        case Ballot():
            return note.content.question
        case Words() | Attachment() | Place():
            return note.text or ""
    assert_never(note.content)


def quotation(quoted: Note) -> Payload:
    """Return what the browser keeps of a quoted message."""
    return {"type": _type(quoted), "body": body(quoted)}


def _type(note: Note) -> str:
    match note.content:
        case Words():
            return "chat"
        case Attachment():
            return _TYPES[note.content.kind]
        case Place():
            return "location"
        case Card():
            return "vcard"
        case Ballot():
            return "poll_creation"
    assert_never(note.content)


def _has_preview(note: Note) -> bool:
    said = note.content
    shown = {AttachmentKind.IMAGE, AttachmentKind.VIDEO}
    return isinstance(said, Attachment) and said.kind in shown


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


def _particulars(note: Note) -> Payload:
    match note.content:
        case Words(link=str(link), link_title=title):
            return {"matchedText": link, "title": title}
        case Words():
            return {}
        case Attachment():
            return _file(note, note.content)
        case Place():
            said = note.content
            return {
                "lat": said.latitude,
                "lng": said.longitude,
                "loc": f"{said.name}\n{said.street}",
                "isLive": False,
            }
        case Card():
            return {"vcardFormattedName": note.content.name}
        case Ballot():
            return _ballot(note.content)
    assert_never(note.content)


def _file(note: Note, file: Attachment) -> Payload:
    path = f"/v/t62.7118-24/{int(note.stanza[4:12], 16)}_n.enc"
    return {
        **({"caption": file.caption} if file.caption else {}),
        "mimetype": file.mimetype,
        "size": file.size_bytes,
        **({"filename": file.filename, "pageCount": file.pages} if file.filename else {}),
        **({"duration": str(file.seconds)} if file.seconds else {}),
        **({"height": file.height, "width": file.width} if file.width else {}),
        "filehash": blob(32, "plain", note.stanza),
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
