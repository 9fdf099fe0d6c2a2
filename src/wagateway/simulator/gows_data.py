"""whatsmeow's own structures, as GOWS passes them on in ``_data``."""

from datetime import datetime, timedelta, timezone
from typing import Any

from msgspec.structs import replace

from wagateway.simulator.engine import action_note, blob, engine_chat_jid, engine_jid, other_jid
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Address,
    Attachment,
    AttachmentKind,
    Ballot,
    Card,
    Direct,
    MembersChanged,
    Note,
    Place,
    SubjectChanged,
    Voted,
)
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import COUNTRY_OFFSET_H, Channel, Group, Person

API_DEVICE = 12
"""The linked device that WAHA is."""

_LOCAL = timezone(timedelta(hours=COUNTRY_OFFSET_H))
_GO_NAMES = {
    "url": "URL",
    "fileSha256": "fileSHA256",
    "fileEncSha256": "fileEncSHA256",
    "jpegThumbnail": "JPEGThumbnail",
    "ptt": "PTT",
    "stanzaId": "stanzaID",
    "mentionedJid": "mentionedJID",
    "remoteJid": "remoteJID",
    "timestampMs": "timestampMS",
}
_NUMBERS = {"fileLength", "mediaKeyTimestamp", "stickerSentTs", "timestampMs"}
_MEDIA_TYPES = {
    AttachmentKind.IMAGE: "image",
    AttachmentKind.VIDEO: "video",
    AttachmentKind.VOICE: "ptt",
    AttachmentKind.DOCUMENT: "document",
    AttachmentKind.STICKER: "sticker",
}


def data(note: Note, message: Payload, *, edit: str) -> Payload:
    """Return whatsmeow's event of *note*; *edit* is ``1`` for an edit, ``7`` for a revocation."""
    said = note.content
    captioned = isinstance(said, Attachment) and said.filename and said.caption
    return {
        "Info": _info(note, edit),
        "Message": message,
        "IsEphemeral": False,
        "IsViewOnce": False,
        "IsViewOnceV2": False,
        "IsViewOnceV2Extension": False,
        "IsDocumentWithCaption": bool(captioned),
        "IsLottieSticker": False,
        "IsBotInvoke": False,
        "IsEdit": edit == "1",
        "SourceWebMsg": None,
        "UnavailableRequestID": "",
        "RetryCount": 0,
        "NewsletterMeta": {"EditTS": "0001-01-01T00:00:00Z", "OriginalTS": rfc3339(note.at_ms)}
        if isinstance(note.chat, Channel)
        else None,
        "RawMessage": message,
        "Status": 2 if note.from_me else 3,
    }


def _info(note: Note, edit: str) -> Payload:
    kind, media = _types(note)
    channel = isinstance(note.chat, Channel)
    return {
        **_source(note),
        "ID": note.stanza,
        "ServerID": note.at_ms % 900 + 100 if channel else 0,
        "Type": kind,
        "PushName": note.author.name if note.author else "",
        "Timestamp": rfc3339(note.at_ms),
        "Category": "",
        "Multicast": False,
        "MediaType": media,
        "Edit": edit,
        "MsgBotInfo": {
            "EditType": "",
            "EditTargetID": "",
            "EditSenderTimestampMS": "0001-01-01T00:00:00Z",
        },
        "MsgMetaInfo": {
            "TargetID": "",
            "TargetSender": "",
            "TargetChat": "",
            "DeprecatedLIDSession": None,
            "ThreadMessageID": "",
            "ThreadMessageSenderJID": "",
        },
        "VerifiedName": None,
        "DeviceSentMeta": None,
    }


def _source(note: Note) -> Payload:
    """Return whatsmeow's MessageSource: where a message is and who wrote it."""
    recipient = note.chat.person if note.from_me and isinstance(note.chat, Direct) else None
    author = note.author
    return {
        "Chat": engine_chat_jid(note),
        "Sender": _sender(note),
        "IsFromMe": note.from_me,
        "IsGroup": note.many_recipients,
        "AddressingMode": "" if author is None else _mode(note.address),
        "SenderAlt": (other_jid(author, note.address) if author else None) or "",
        "RecipientAlt": (other_jid(recipient, note.address) if recipient else None) or "",
        "BroadcastListOwner": "",
        "BroadcastRecipients": None,
    }


def _sender(note: Note) -> str:
    if note.author is None:
        return note.chat_jid
    device = API_DEVICE if note.source == "api" else note.author.device_number
    return _with_device(engine_jid(note.author, note.address), device)


def receipt(happening: Acked, account: Person) -> Payload:
    """Return whatsmeow's receipt; of what others wrote it is *account* who tells."""
    note, level = happening.note, happening.level
    peer = note.chat.person if isinstance(note.chat, Direct) else None
    reader = (happening.recipient or peer) if note.from_me else account
    sender = engine_jid(reader, note.address) if reader else ""
    if happening.recipient:
        sender = _with_device(sender, happening.recipient.device_number)
    names = {AckLevel.READ: "read", AckLevel.PLAYED: "played"}
    return {
        "Chat": engine_chat_jid(note),
        "Sender": sender,
        "IsFromMe": not note.from_me,
        "IsGroup": isinstance(note.chat, Group),
        "AddressingMode": _mode(note.address),
        "SenderAlt": "",
        "RecipientAlt": "",
        "BroadcastListOwner": "",
        "BroadcastRecipients": None,
        "MessageIDs": [note.stanza],
        "Timestamp": rfc3339(happening.at_ms),
        "Type": names.get(level, ""),
        "MessageSender": "",
    }


def vote_data(happening: Voted, options: list[str] | None) -> Payload:
    """Return the data of a vote; *options* is None when it could not be decrypted."""
    poll = happening.note
    action = action_note(poll, happening.stanza, happening.at_ms, None)
    info = _info(_by(action, happening.by), "")
    vote = {
        "pollCreationMessageKey": key(poll),
        "vote": {
            "encPayload": blob(48, "vote", happening.stanza),
            "encIV": blob(12, "iv", happening.stanza),
        },
        "senderTimestampMS": happening.at_ms,
    }
    return {
        "Info": {**info, "Type": "poll"},
        "Message": {"pollUpdateMessage": vote},
        "Votes": options,
    }


def go(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return protobuf contents in Go's spelling: other capitals, and long numbers as numbers."""
    if isinstance(value, list):
        return [go(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        _GO_NAMES.get(key, key): int(item) if key in _NUMBERS else go(item)
        for key, item in value.items()
    }


def _types(note: Note) -> tuple[str, str]:
    """Return whatsmeow's Type and MediaType."""
    said = note.content
    if isinstance(said, Attachment):
        return "media", _MEDIA_TYPES[said.kind]
    if isinstance(said, Ballot):
        return "poll", ""
    if isinstance(said, Place):
        return "media", "location"
    return ("media", "vcard") if isinstance(said, Card) else ("text", "")


def key(note: Note) -> Payload:
    """Return what names *note* in a protocol message."""
    found: Payload = {
        "remoteJID": engine_chat_jid(note),
        "fromMe": note.from_me,
        "ID": note.stanza,
    }
    if note.many_recipients and note.author:
        found["participant"] = engine_jid(note.author, note.address)
    return found


def _by(note: Note, person: Person) -> Note:
    return replace(note, author=person, from_me=False)


def _mode(address: Address) -> str:
    return "pn" if address is Address.PHONE else "lid"


def _with_device(address: str, device: int) -> str:
    user, _, server = address.partition("@")
    return f"{user}:{device}@{server}" if device else address


def rfc3339(at_ms: int) -> str:
    """Return an instant as Go writes it, in local time."""
    return datetime.fromtimestamp(at_ms // 1000, _LOCAL).isoformat()


def group_data(happening: MembersChanged | SubjectChanged) -> Payload:
    """Return whatsmeow's event of a changed group, with nothing changed yet."""
    address = Address.LID if happening.group.by_lid else Address.PHONE
    changes = ("Name", "Topic", "Locked", "Announce", "Ephemeral", "MembershipApprovalMode")
    more = ("Delete", "Link", "Unlink", "NewInviteLink")
    return {
        "JID": happening.group.jid,
        "Notify": "",
        "Sender": engine_jid(happening.by, address),
        "SenderPN": engine_jid(happening.by, Address.PHONE),
        "Timestamp": rfc3339(happening.at_ms),
        **dict.fromkeys((*changes, *more)),
        "PrevParticipantVersionID": str(happening.at_ms // 1000 - 1),
        "ParticipantVersionID": str(happening.at_ms // 1000),
        "JoinReason": "",
        **dict.fromkeys(("Join", "Leave", "Promote", "Demote")),
        "UnknownChanges": [],
    }
