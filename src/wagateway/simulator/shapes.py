"""Pieces that several engines' bodies have in common: ids, addresses, files, places, cards."""

from base64 import b64encode

from msgspec.structs import replace

from wagateway.simulator.contents import (
    Attachment,
    Card,
    Cards,
    LivePlace,
    Place,
    Words,
)
from wagateway.simulator.dice import digest
from wagateway.simulator.happenings import (
    AckLevel,
    Address,
    Direct,
    Note,
)
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Person

THUMBNAIL = (
    "/9j/2wBDABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBD/"
    "wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)
"""A grey pixel, as JPEG in base64."""


def serialised(stanza: str, chat: str, *, from_me: bool, participant: str | None) -> str:
    """Return WAHA's serialised message id."""
    tail = f"_{participant}" if participant else ""
    return f"{'true' if from_me else 'false'}_{chat}_{stanza}{tail}"


def action_note(note: Note, stanza: str, at_ms: int, text: str | None) -> Note:
    """Return what the author of *note* sends to change it, as a message of its own."""
    return replace(
        note,
        stanza=stanza,
        at_ms=at_ms,
        content=Words(text=text or ""),
        quotes=None,
        mentions=(),
        source="app",
        forwarded=0,
        disappears_s=0,
    )


def acted_by(note: Note, person: Person | None, account: Person) -> Note:
    """Return *note* as if *person* had written it; None leaves it as it is."""
    if person is None:
        return note
    return replace(note, author=person, from_me=person is account)


def engine_jid(person: Person, address: Address) -> str:
    """Return the address of *person* as engines write it themselves."""
    return f"{person.phone}@s.whatsapp.net" if address is Address.PHONE else person.lid_jid


def engine_chat_jid(note: Note) -> str:
    """Return the chat of *note* as engines write it themselves."""
    if isinstance(note.chat, Direct):
        return engine_jid(note.chat.person, note.address)
    return note.chat_jid


def other_jid(person: Person, address: Address) -> str | None:
    """Return the address of *person* that *address* is not, where WhatsApp tells it."""
    if address is Address.LID_ALONE:
        return None
    return engine_jid(person, Address.LID if address is Address.PHONE else Address.PHONE)


def wid(address: str) -> Payload:
    """Return an address taken apart, as WhatsApp Web has it."""
    user, _, server = address.partition("@")
    return {"server": server, "user": user, "_serialized": address}


def location(note: Note) -> Payload | None:
    """Return the ``location`` of a WAMessage; None when it shows no place."""
    said = note.content
    if not isinstance(said, Place | LivePlace):
        return None
    name, street = (said.name, said.street) if isinstance(said, Place) else (None, None)
    return {
        "live": isinstance(said, LivePlace),
        "latitude": said.latitude,
        "longitude": said.longitude,
        "name": name,
        "address": street,
        "url": None,
        "description": None,
        "thumbnail": THUMBNAIL,
    }


def cards(note: Note) -> tuple[Card, ...]:
    """Return the contact cards of *note*."""
    if isinstance(note.content, Cards):
        return note.content.cards
    return (note.content,) if isinstance(note.content, Card) else ()


def vcards(note: Note) -> list[str]:
    """Return the ``vCards`` of a WAMessage."""
    return [card.vcard for card in cards(note)]


def file_hash(note: Note, file: Attachment) -> str:
    """Return the SHA-256 of the attached file, in base64."""
    if file.file is None:
        return blob(32, "plain", note.stanza)
    return b64encode(bytes.fromhex(file.file.sha256)).decode()


def thumbnail(file: Attachment) -> str:
    """Return the tiny picture of the attached file, as JPEG in base64."""
    return (file.file and file.file.thumbnail) or THUMBNAIL


def blob(size: int, *key: object) -> str:
    """Return *size* bytes (1 to 64) that look like a key or hash, in base64."""
    return b64encode(digest(size, *key)).decode()


ACK_NAMES = {level.value: level.name for level in AckLevel}
