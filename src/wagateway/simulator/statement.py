"""What a message says, in the words of the truth: the facts that an archive shows of it."""

from datetime import UTC, datetime
from typing import Any, assert_never

from wagateway.simulator.contents import (
    Attachment,
    Ballot,
    Card,
    Cards,
    Content,
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
    jid,
)

Facts = dict[str, Any]


def facts_of(note: Note, kind: str | None, phones: dict[str, str]) -> Facts:
    """Return the facts of *note* that never change.

    Args:
        note: the message.
        kind: what it is after what its engine tells; where that is less than the content, only the
            kind and the time are certain.
        phones: whose hidden id is known.
    """
    certain = {"sent_at": instant(note.at_ms), "kind": kind}
    if kind != note.content.kind:
        return certain
    mentions = [jid(person, note.address) for person in note.mentions]
    return {
        **certain,
        "text": note.text,
        "reply_to": {"id": note.quotes.stanza} if note.quotes else None,
        "mentions": [phones.get(who, who) for who in mentions],
        "forwarded": note.forwarded > 0,
        **dict.fromkeys(("media", "location", "poll", "event")),
        **_content(note.content),
    }


def instant(at_ms: int) -> str:
    """Return the instant of a message as ISO 8601, in UTC and whole seconds."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _content(content: Content) -> Facts:  # noqa: PLR0911 - one arm per content
    match content:
        case Words() | Menu() | Ware() | Timer():
            return {}
        case Attachment():
            return {"view_once": content.view_once, "media": _media(content)}
        case Place():
            return {"location": {**_spot(content), "name": content.name}}
        case LivePlace():
            return {"location": _spot(content)}
        case Card():
            return {"contacts": [{"vcard": content.vcard}]}
        case Cards():
            return {"contacts": [{"vcard": card.vcard} for card in content.cards]}
        case Ballot():
            return {"poll": {"question": content.question, "options": list(content.options)}}
        case Gathering():
            return {"event": {"name": content.name, "description": content.description}}
    assert_never(content)


def _media(file: Attachment) -> Facts:
    return {
        "mimetype": file.mimetype,
        "filename": file.filename,
        "size_bytes": file.size_bytes,
    }


def _spot(place: Place | LivePlace) -> Facts:
    return {"latitude": place.latitude, "longitude": place.longitude}
