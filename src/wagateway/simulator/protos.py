"""Message contents as WhatsApp's protobuf has them, in Baileys' spelling (NOWEB)."""

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
    Place,
    Timer,
    Ware,
    Words,
)
from wagateway.simulator.happenings import (
    Note,
    Stories,
)
from wagateway.simulator.protos_business import menu, ware
from wagateway.simulator.shapes import THUMBNAIL, blob, engine_jid, file_hash, thumbnail
from wagateway.simulator.wire import Payload

_MEDIA_KEYS = {
    AttachmentKind.IMAGE: "imageMessage",
    AttachmentKind.VIDEO: "videoMessage",
    AttachmentKind.GIF: "videoMessage",
    AttachmentKind.VIDEO_NOTE: "ptvMessage",
    AttachmentKind.VOICE: "audioMessage",
    AttachmentKind.AUDIO: "audioMessage",
    AttachmentKind.DOCUMENT: "documentMessage",
    AttachmentKind.STICKER: "stickerMessage",
}


def proto(note: Note) -> Payload:
    """Return the ``message`` of *note* with its secret."""
    return {**content(note, context(note)), **_secret(note)}


def wrapped(note: Note) -> Payload:
    """Return the ``message`` of *note* as it was sent: what disappears is inside another one."""
    said = content(note, context(note))
    if note.disappears_s:
        said = {"ephemeralMessage": {"message": said}}
    return {**said, **_secret(note)}


def content(note: Note, context: Payload) -> Payload:  # noqa: C901, PLR0911 - one arm per kind
    """Return what *note* says, with *context* around it."""
    said = note.content
    tail = {"contextInfo": context} if context else {}
    match said:
        case Words():
            return _words(note, said, context)
        case Attachment():
            return _attachment(note, said, tail)
        case Place() | LivePlace():
            return _place(note, said, tail)
        case Card():
            return {"contactMessage": {**_card(said), **tail}}
        case Cards():
            shown = f"{said.cards[0].name} + {len(said.cards) - 1}"
            contacts = [_card(card) for card in said.cards]
            return {
                "contactsArrayMessage": {"displayName": shown, "contacts": contacts, **tail},
            }
        case Ballot():
            return {"pollCreationMessageV3": {**_ballot(said), **tail}}
        case Gathering():
            return {"eventMessage": {**_gathering(said), **tail}}
        case Menu():
            return menu(said, note.stanza, tail)
        case Ware():
            return ware(said, note, tail)
        case Timer():
            return _timer(note, said)
    assert_never(said)


def context(note: Note) -> Payload:
    """Return quote, mentions, forwarding and lifetime of *note*; empty when there are none."""
    found: Payload = {}
    if note.quotes and note.quotes.author:
        found = {
            "stanzaId": note.quotes.stanza,
            "participant": engine_jid(note.quotes.author, note.quotes.address),
            "quotedMessage": content(note.quotes, {}),
        }
    if note.mentions:
        found["mentionedJid"] = [engine_jid(person, note.address) for person in note.mentions]
    if note.forwarded:
        found |= {"forwardingScore": note.forwarded, "isForwarded": True}
    if note.disappears_s:
        found["expiration"] = note.disappears_s
    return found


def edited_content(note: Note, text: str) -> Payload:
    """Return what *note* says after its text, or its file's caption, became *text*."""
    file = note.content
    if not isinstance(file, Attachment):
        return {"conversation": text}
    return {_MEDIA_KEYS[file.kind]: {"mimetype": file.mimetype, "caption": text}}


def _secret(note: Note) -> Payload:
    return {
        "messageContextInfo": {
            "deviceListMetadataVersion": 2,
            "messageSecret": blob(32, "secret", note.stanza),
        }
    }


def _words(note: Note, words: Words, context: Payload) -> Payload:
    if isinstance(note.chat, Stories):
        colours = {"textArgb": 0xFFFFFFFF, "backgroundArgb": 0xFF3C6E47, "font": "SYSTEM_BOLD"}
        return {"extendedTextMessage": {"text": words.text, **colours}}
    if not context and not words.link and note.source == "app":
        return {"conversation": words.text}
    preview = {"matchedText": words.link, "title": words.link_title} if words.link else {}
    tail = {"contextInfo": context} if context else {}
    return {"extendedTextMessage": {"text": words.text, **preview, "previewType": "NONE", **tail}}


def _attachment(note: Note, file: Attachment, tail: Payload) -> Payload:
    number = int(note.stanza[4:12], 16)
    path = f"/v/t62.7118-24/{number}_n.enc?ccb=11-4&oh=01_{note.stanza[4:16]}"
    facts: Payload = {
        "url": f"https://mmg.whatsapp.net{path}&_nc_sid=5e03e0&mms3=true",
        "mimetype": file.mimetype,
        "fileSha256": file_hash(note, file),
        "fileLength": str(file.size_bytes),
        "mediaKey": blob(32, "key", note.stanza),
        "fileEncSha256": blob(32, "cipher", note.stanza),
        "directPath": path,
        "mediaKeyTimestamp": str(note.at_ms // 1000),
        **_dimensions(file),
        **_particulars(note, file),
        **({"caption": file.caption} if file.caption else {}),
        **tail,
    }
    message = {_MEDIA_KEYS[file.kind]: facts}
    if file.kind is AttachmentKind.DOCUMENT and file.caption:
        return {"documentWithCaptionMessage": {"message": message}}
    return message


def _dimensions(file: Attachment) -> Payload:
    sized = {"height": file.height, "width": file.width} if file.width else {}
    return {**sized, **({"seconds": file.seconds} if file.seconds else {})}


def _particulars(note: Note, file: Attachment) -> Payload:  # noqa: PLR0911 - one arm per kind
    match file.kind:
        case AttachmentKind.IMAGE if file.view_once:
            return {"viewOnce": True}
        case AttachmentKind.IMAGE | AttachmentKind.VIDEO | AttachmentKind.VIDEO_NOTE:
            return {"jpegThumbnail": thumbnail(file)}
        case AttachmentKind.GIF:
            return {
                "gifPlayback": True,
                "jpegThumbnail": thumbnail(file),
                "gifAttribution": "GIPHY",
            }
        case AttachmentKind.VOICE:
            return {"ptt": True, "waveform": blob(64, "waveform", note.stanza)}
        case AttachmentKind.AUDIO:
            return {"ptt": False}
        case AttachmentKind.DOCUMENT:
            pages = {"pageCount": file.pages} if file.pages else {}
            return {"title": file.filename, **pages, "fileName": file.filename}
        case AttachmentKind.STICKER:
            sent = {"stickerSentTs": str(note.at_ms), "isLottie": False}
            return {"isAnimated": file.animated, **sent}
    assert_never(file.kind)


def _ballot(ballot: Ballot) -> Payload:
    return {
        "name": ballot.question,
        "options": [{"optionName": option} for option in ballot.options],
        "selectableOptionsCount": ballot.selectable,
    }


def _place(note: Note, place: Place | LivePlace, tail: Payload) -> Payload:
    where = {"degreesLatitude": place.latitude, "degreesLongitude": place.longitude}
    if isinstance(place, Place):
        named = {"name": place.name, "address": place.street, "jpegThumbnail": THUMBNAIL}
        return {"locationMessage": {**where, **named, **tail}}
    return {
        "liveLocationMessage": {
            **where,
            "accuracyInMeters": place.accuracy_m,
            "speedInMps": place.speed_mps,
            "degreesClockwiseFromMagneticNorth": 90,
            "sequenceNumber": f"{note.at_ms}001",
            "timeOffset": 0,
            "jpegThumbnail": THUMBNAIL,
            **tail,
        }
    }


def _card(card: Card) -> Payload:
    return {"displayName": card.name, "vcard": card.vcard}


def _gathering(event: Gathering) -> Payload:
    return {
        "isCanceled": False,
        "name": event.name,
        "description": event.description,
        "location": {"name": event.where},
        "startTime": str(event.starts_ms // 1000),
        "extraGuestsAllowed": True,
    }


def _timer(note: Note, timer: Timer) -> Payload:
    return {
        "protocolMessage": {
            "type": "EPHEMERAL_SETTING",
            "ephemeralExpiration": timer.seconds,
            "ephemeralSettingTimestamp": str(note.at_ms // 1000),
        }
    }
