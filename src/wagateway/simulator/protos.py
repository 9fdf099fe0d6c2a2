"""Message contents as WhatsApp's protobuf has them, in Baileys' spelling (NOWEB)."""

from typing import assert_never

from wagateway.simulator.engine import THUMBNAIL, blob, engine_jid
from wagateway.simulator.happenings import (
    Attachment,
    AttachmentKind,
    Ballot,
    Card,
    Note,
    Place,
    Stories,
    Words,
)
from wagateway.simulator.wire import Payload

_MEDIA_KEYS = {
    AttachmentKind.IMAGE: "imageMessage",
    AttachmentKind.VIDEO: "videoMessage",
    AttachmentKind.VOICE: "audioMessage",
    AttachmentKind.DOCUMENT: "documentMessage",
    AttachmentKind.STICKER: "stickerMessage",
}


def proto(note: Note) -> Payload:
    """Return the ``message`` of *note* with its secret."""
    secret = {
        "deviceListMetadataVersion": 2,
        "messageSecret": blob(32, "secret", note.stanza),
    }
    return {**content(note, context(note)), "messageContextInfo": secret}


def content(note: Note, context: Payload) -> Payload:
    """Return what *note* says, with *context* around it."""
    said = note.content
    tail = {"contextInfo": context} if context else {}
    match said:
        case Words():
            return _words(note, said, context)
        case Attachment():
            return _attachment(note, said, tail)
        case Place():
            return {
                "locationMessage": {
                    "degreesLatitude": said.latitude,
                    "degreesLongitude": said.longitude,
                    "name": said.name,
                    "address": said.street,
                    "jpegThumbnail": THUMBNAIL,
                    **tail,
                }
            }
        case Card():
            return {"contactMessage": {"displayName": said.name, "vcard": said.vcard, **tail}}
        case Ballot():
            return {"pollCreationMessageV3": {**_ballot(said), **tail}}
    assert_never(said)


def context(note: Note) -> Payload:
    """Return quote and mentions of *note*; empty when there are none."""
    found: Payload = {}
    if note.quotes and note.quotes.author:
        found = {
            "stanzaId": note.quotes.stanza,
            "participant": engine_jid(note.quotes.author, note.quotes.address),
            "quotedMessage": content(note.quotes, {}),
        }
    if note.mentions:
        found["mentionedJid"] = [engine_jid(person, note.address) for person in note.mentions]
    return found


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
        "fileSha256": blob(32, "plain", note.stanza),
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


def _particulars(note: Note, file: Attachment) -> Payload:
    match file.kind:
        case AttachmentKind.IMAGE | AttachmentKind.VIDEO:
            return {"jpegThumbnail": THUMBNAIL}
        case AttachmentKind.VOICE:
            return {"ptt": True, "waveform": blob(64, "waveform", note.stanza)}
        case AttachmentKind.DOCUMENT:
            return {"title": file.filename, "pageCount": file.pages, "fileName": file.filename}
        case AttachmentKind.STICKER:
            return {"isAnimated": False, "stickerSentTs": str(note.at_ms), "isLottie": False}
    assert_never(file.kind)


def _ballot(ballot: Ballot) -> Payload:
    return {
        "name": ballot.question,
        "options": [{"optionName": option} for option in ballot.options],
        "selectableOptionsCount": ballot.selectable,
    }
