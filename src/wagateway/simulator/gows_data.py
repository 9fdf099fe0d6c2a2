"""whatsmeow's own structures, as GOWS passes them on in ``_data``."""

from datetime import datetime, timedelta, timezone
from typing import assert_never

from msgspec.structs import replace

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
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Address,
    Answered,
    Direct,
    Note,
    Voted,
)
from wagateway.simulator.shapes import (
    action_note,
    blob,
    engine_chat_jid,
    engine_jid,
    other_jid,
)
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import COUNTRY_OFFSET_H, Channel, Group, Person

API_DEVICE = 12
"""The linked device that WAHA is."""

_LOCAL = timezone(timedelta(hours=COUNTRY_OFFSET_H))
_MEDIA_TYPES = {
    AttachmentKind.IMAGE: "image",
    AttachmentKind.VIDEO: "video",
    AttachmentKind.GIF: "gif",
    AttachmentKind.VIDEO_NOTE: "ptv",
    AttachmentKind.VOICE: "ptt",
    AttachmentKind.AUDIO: "audio",
    AttachmentKind.DOCUMENT: "document",
    AttachmentKind.STICKER: "sticker",
}
_MENU_TYPES = {
    MenuForm.LIST: "list",
    MenuForm.BUTTONS: "button",
    MenuForm.INTERACTIVE: "native_flow",
    MenuForm.LIST_REPLY: "list_response",
    MenuForm.BUTTON_REPLY: "buttons_response",
}
_WARE_TYPES = {
    WareForm.PRODUCT: "product",
    WareForm.ORDER: "order",
    WareForm.INVITE: "group_invite",
}


def data(note: Note, message: Payload, *, edit: str, sent: Payload | None = None) -> Payload:
    """Return whatsmeow's event of *note*.

    Args:
        note: what was said.
        message: the same as protobuf, out of its wrappers.
        edit: ``1`` for an edit, ``7`` for a revocation, ``8`` for one by an admin.
        sent: the message in its wrappers, if it has any.
    """
    said = note.content
    captioned = isinstance(said, Attachment) and said.filename and said.caption
    once = isinstance(said, Attachment) and said.view_once
    return {
        "Info": _info(note, edit),
        "Message": message,
        "IsEphemeral": note.disappears_s > 0,
        "IsViewOnce": once,
        "IsViewOnceV2": once,
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
        "RawMessage": message if sent is None else sent,
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
    info = _info(replace(action, author=happening.by, from_me=False), "")
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


def answer_message(happening: Answered) -> Payload:
    """Return the encrypted answer to a calendar event."""
    return {
        "encEventResponseMessage": {
            "eventCreationMessageKey": key(happening.note),
            "encPayload": blob(40, "answer", happening.stanza),
            "encIV": blob(12, "iv", happening.stanza),
        }
    }


def _types(note: Note) -> tuple[str, str]:  # noqa: C901, PLR0911 - one arm per kind
    """Return whatsmeow's Type and MediaType."""
    said = note.content
    match said:
        case Words() | Timer():
            return "text", ""
        case Attachment():
            return "media", _MEDIA_TYPES[said.kind]
        case Place():
            return "media", "location"
        case LivePlace():
            return "media", "livelocation"
        case Card():
            return "media", "vcard"
        case Cards():
            return "media", "contact_array"
        case Ballot():
            return "poll", ""
        case Gathering():
            return "event", ""
        case Menu():
            return "media", _MENU_TYPES[said.form]
        case Ware():
            return "media", _WARE_TYPES[said.form]
    assert_never(said)


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


def _mode(address: Address) -> str:
    return "pn" if address is Address.PHONE else "lid"


def _with_device(address: str, device: int) -> str:
    user, _, server = address.partition("@")
    return f"{user}:{device}@{server}" if device else address


def rfc3339(at_ms: int) -> str:
    """Return an instant as Go writes it, in local time."""
    return datetime.fromtimestamp(at_ms // 1000, _LOCAL).isoformat()
