"""What the engines have in common, and what each of them has to know: how to tell a happening."""

from abc import ABC, abstractmethod
from base64 import b64encode
from enum import StrEnum
from typing import ClassVar, assert_never
from urllib.parse import quote

from msgspec.structs import replace

from wagateway.simulator.dice import digest
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Address,
    AnyHappening,
    Attachment,
    Card,
    Direct,
    Edited,
    MembersChanged,
    Note,
    OfMessage,
    Place,
    PresenceChanged,
    Reacted,
    Revoked,
    Sent,
    SessionChanged,
    SubjectChanged,
    Voted,
    Words,
    jid,
)
from wagateway.simulator.wire import Emission, Payload
from wagateway.simulator.world import Group, Person, World

THUMBNAIL = (
    "/9j/2wBDABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBD/"
    "wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)
"""A grey pixel, as JPEG in base64."""

MEDIA_BASE = "http://localhost:3000/api/files"
"""WAHA's idea of its own address; nothing listens there."""


class EngineName(StrEnum):
    """The engines that the simulator can speak for, with WAHA's names."""

    NOWEB = "NOWEB"
    GOWS = "GOWS"
    WEBJS = "WEBJS"


class Engine(ABC):
    """How one engine of WAHA tells what happens.

    Each answer is the payload of an event, or None where the engine has none for it.
    """

    name: ClassVar[EngineName]
    shares_event_ids: ClassVar[bool]
    """Whether ``message`` and ``message.any`` of one message carry the same event id."""
    group_stamp_ms: ClassVar[bool]
    """Whether group events count milliseconds; else seconds."""

    def __init__(self, world: World, session: str) -> None:
        self.world = world
        self.account = world.account
        self.session = session

    def tell(self, happening: AnyHappening) -> Emission | None:
        """Return the event for *happening*; of an incoming message, the ``message.any``."""
        event, payload = self._tell(happening)
        return None if payload is None else Emission(event=event, payload=payload)

    def _tell(self, happening: AnyHappening) -> tuple[str, Payload | None]:
        match happening:
            case MembersChanged():
                return "group.v2.participants", self._members_changed(happening)
            case SubjectChanged():
                return "group.v2.update", self._subject_changed(happening)
            case PresenceChanged():
                return "presence.update", self._presence(happening)
            case SessionChanged():
                return "session.status", self._status(happening)
        return self._tell_of_message(happening)

    def _tell_of_message(self, happening: OfMessage) -> tuple[str, Payload | None]:
        match happening:
            case Sent():
                return "message.any", self.message(happening.note)
            case Edited():
                return "message.edited", self.edited(happening)
            case Revoked():
                return "message.revoked", self.revoked(happening)
            case Reacted():
                return "message.reaction", self.reacted(happening)
            case Acked():
                group = isinstance(happening.note.chat, Group)
                return "message.ack.group" if group else "message.ack", self.acked(happening)
            case Voted():
                known = happening.readable
                return "poll.vote" if known else "poll.vote.failed", self.voted(happening)
        assert_never(happening)

    @abstractmethod
    def me(self) -> Payload:
        """Return the envelope's ``me``."""

    @abstractmethod
    def message(self, note: Note) -> Payload:
        """Return a WAMessage."""

    @abstractmethod
    def edited(self, happening: Edited) -> Payload:
        """Return a WAMessage with the new text and ``editedMessageId``."""

    @abstractmethod
    def revoked(self, happening: Revoked) -> Payload:
        """Return ``revokedMessageId``, ``after`` and ``before``."""

    @abstractmethod
    def reacted(self, happening: Reacted) -> Payload:
        """Return the reaction's own id and ``reaction``."""

    @abstractmethod
    def acked(self, happening: Acked) -> Payload | None:
        """Return an acknowledgement."""

    @abstractmethod
    def voted(self, happening: Voted) -> Payload | None:
        """Return ``poll`` and ``vote``."""

    @abstractmethod
    def member_data(self, happening: MembersChanged) -> Payload:
        """Return the engine's own data of a membership change."""

    @abstractmethod
    def subject_data(self, happening: SubjectChanged) -> Payload:
        """Return the engine's own data of a new subject."""

    def reveals(self, happening: AnyHappening) -> tuple[Person, ...]:
        """Return people of whom the event for *happening* shows both phone and hidden id."""
        if isinstance(happening, MembersChanged):
            return (happening.member,) if happening.group.by_lid else ()
        if isinstance(happening, Sent | Edited | Revoked):
            return self.reveals_by(happening.note)
        return ()

    @abstractmethod
    def reveals_by(self, note: Note) -> tuple[Person, ...]:
        """Return people of whom a WAMessage of *note* shows both phone and hidden id."""

    def repeats(self, happening: AnyHappening) -> bool:  # noqa: ARG002 - WEBJS looks at it
        """Return whether the event repeats the whole content of an earlier message."""
        return False

    def message_id(self, note: Note) -> str:
        """Return ``{true|false}_{chat}_{stanza}[_{participant}]``."""
        return serialised(
            note.stanza,
            note.chat_jid,
            from_me=note.from_me,
            participant=self.participant(note) if note.many_recipients else None,
        )

    def participant(self, note: Note) -> str | None:
        """Return the address of who wrote *note*; None in a channel."""
        return None if note.author is None else jid(note.author, note.address)

    def media(self, note: Note) -> Payload | None:
        """Return where WAHA put the attached file, or None."""
        content = note.content
        if not isinstance(content, Attachment):
            return None
        name = quote(f"{self.file_stem(note)}.{content.extension}", safe="@")
        return {
            "url": f"{MEDIA_BASE}/{quote(self.session)}/{name}",
            "filename": content.filename,
            "mimetype": content.mimetype,
        }

    def file_stem(self, note: Note) -> str:
        """Return the name of the attached file, without extension."""
        return note.stanza

    def action_id(self, note: Note, stanza: str, by: Person) -> str:
        """Return the id of what *by* did to *note*, such as an edit or a reaction."""
        return serialised(
            stanza,
            note.chat_jid,
            from_me=by is self.account,
            participant=jid(by, note.address) if note.many_recipients else None,
        )

    def _members_changed(self, happening: MembersChanged) -> Payload:
        role = {"join": "participant", "leave": "left", "promote": "admin"}[happening.change]
        member, by_lid = happening.member, happening.group.by_lid
        return {
            "group": {"id": happening.group.jid},
            "type": happening.change,
            "timestamp": self._group_stamp(happening),
            "participants": [
                {
                    "id": member.lid_jid if by_lid else member.phone_jid,
                    "pn": member.phone_jid,
                    "role": role,
                }
            ],
            "_data": self.member_data(happening),
        }

    def _subject_changed(self, happening: SubjectChanged) -> Payload:
        return {
            "timestamp": self._group_stamp(happening),
            "group": {"id": happening.group.jid, "subject": happening.subject},
            "_data": self.subject_data(happening),
        }

    def _group_stamp(self, happening: MembersChanged | SubjectChanged) -> int:
        return happening.at_ms if self.group_stamp_ms else happening.at_ms // 1000

    def _presence(self, happening: PresenceChanged) -> Payload:
        chat, who = happening.chat, jid(happening.person, happening.address)
        return {
            "id": who if isinstance(chat, Direct) else chat.jid,
            "presences": [
                {"participant": who, "lastKnownPresence": happening.state, "lastSeen": None}
            ],
        }

    def _status(self, happening: SessionChanged) -> Payload:
        return {
            "name": self.session,
            "status": happening.statuses[-1][0],
            "statuses": [{"status": s, "timestamp": at} for s, at in happening.statuses],
            "data": None,
        }


def serialised(stanza: str, chat: str, *, from_me: bool, participant: str | None) -> str:
    """Return WAHA's serialised message id."""
    tail = f"_{participant}" if participant else ""
    return f"{'true' if from_me else 'false'}_{chat}_{stanza}{tail}"


def action_note(note: Note, stanza: str, at_ms: int, text: str | None) -> Note:
    """Return what the author of *note* sends to change it, as a message of its own."""
    changed = Words(text=text or "")
    return replace(note, stanza=stanza, at_ms=at_ms, content=changed, quotes=None, source="app")


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


def location(place: Place) -> Payload:
    """Return the ``location`` of a WAMessage."""
    return {
        "live": False,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "name": place.name,
        "address": place.street,
        "url": None,
        "description": None,
        "thumbnail": THUMBNAIL,
    }


def vcards(note: Note) -> list[str]:
    """Return the contact cards of *note*."""
    return [note.content.vcard] if isinstance(note.content, Card) else []


def blob(size: int, *key: object) -> str:
    """Return *size* bytes (1 to 64) that look like a key or hash, in base64."""
    return b64encode(digest(size, *key)).decode()


ACK_NAMES = {level.value: level.name for level in AckLevel}
