"""What a message says, in the words of the truth: the facts that an archive shows of it."""

from datetime import UTC, datetime
from typing import Any, assert_never

from wagateway.simulator.happenings import (
    Attachment,
    AttachmentKind,
    Ballot,
    Card,
    Content,
    Note,
    Place,
    Words,
    jid,
)

_KINDS = {
    AttachmentKind.IMAGE: "image",
    AttachmentKind.VIDEO: "video",
    AttachmentKind.VOICE: "voice",
    AttachmentKind.DOCUMENT: "document",
    AttachmentKind.STICKER: "sticker",
}


def facts_of(note: Note, phones: dict[str, str]) -> dict[str, Any]:
    """Return the facts of *note* that never change; *phones* tells whose hidden id is known."""
    mentions = [jid(person, note.address) for person in note.mentions]
    return {
        "sent_at": datetime.fromtimestamp(note.at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "text": note.text,
        "reply_to": {"id": note.quotes.stanza} if note.quotes else None,
        "mentions": [phones.get(who, who) for who in mentions],
        **_content(note.content),
    }


def _content(content: Content) -> dict[str, Any]:
    match content:
        case Words():
            return {"kind": "text"}
        case Attachment():
            media = {
                "mimetype": content.mimetype,
                "filename": content.filename,
                "size_bytes": content.size_bytes,
            }
            return {"kind": _KINDS[content.kind], "media": media}
        case Place():
            place = {"latitude": content.latitude, "longitude": content.longitude}
            return {"kind": "location", "location": {**place, "name": content.name}}
        case Card():
            return {"kind": "contact", "contacts": [{"vcard": content.vcard}]}
        case Ballot():
            poll = {"question": content.question, "options": list(content.options)}
            return {"kind": "poll", "poll": poll}
    assert_never(content)
