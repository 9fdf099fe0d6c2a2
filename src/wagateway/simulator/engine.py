"""What the engines have in common, and what each of them has to know: how to tell a happening."""

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import ClassVar, assert_never

from typing_extensions import override

from wagateway.simulator.contents import Attachment, Fetch
from wagateway.simulator.group_events import group_event, group_payload
from wagateway.simulator.happenings import (
    Acked,
    Answered,
    AnyHappening,
    Awaited,
    Called,
    ChatArchived,
    DescriptionChanged,
    Direct,
    Edited,
    GroupJoined,
    GroupLeft,
    JoinRequested,
    Label,
    LabelChanged,
    LabelPut,
    MembersChanged,
    Note,
    OfAccount,
    OfGroup,
    OfMessage,
    PresenceChanged,
    Reacted,
    Revoked,
    RuleChanged,
    Sent,
    SessionChanged,
    SubjectChanged,
    Voted,
    jid,
)
from wagateway.simulator.offers import Media
from wagateway.simulator.shapes import acted_by, serialised
from wagateway.simulator.wire import Emission, Payload
from wagateway.simulator.world import Group, Person, World

LABEL_COLORS = ("#ff9485", "#64c4ff", "#ffd429", "#dfaef0", "#99b6c1", "#55ccb3", "#00a0f2")
"""By a label's number of its colour."""


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
    demoted_role: ClassVar[str] = "participant"
    """What the engine calls a member who is no admin any more."""
    names_actor_twice: ClassVar[frozenset[type]] = frozenset()
    """Events of groups that tell both addresses of who acted."""
    silent_about: ClassVar[frozenset[type]]
    """Happenings, and contents of messages, that the engine tells nothing of."""

    def __init__(self, world: World, session: str, media: Media | None = None) -> None:
        """Speak for a session.

        Args:
            world: whose.
            session: WAHA's name of it.
            media: where its files are; as WAHA does unless it is said.
        """
        self.world = world
        self.files = media or Media()
        self.account = world.account
        self.session = session

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Engine):
            return NotImplemented
        same_account = (self.session, self.account) == (other.session, other.account)
        return type(self) is type(other) and same_account

    @override
    def __hash__(self) -> int:
        return hash((type(self), self.session, self.account.phone))

    def tell(self, happening: AnyHappening) -> Emission | None:
        """Return the event for *happening*; of an incoming message, the ``message.any``."""
        if type(happening) in self.silent_about:
            return None
        event, payload = self._tell(happening)
        return None if payload is None else Emission(event=event, payload=payload)

    def _tell(self, happening: AnyHappening) -> tuple[str, Payload | None]:
        match happening:
            case Sent() | Awaited() | Edited() | Revoked() | Reacted() | Acked():
                return self._tell_of_message(happening)
            case Voted() | Answered():
                return self._tell_of_message(happening)
            case PresenceChanged():
                return "presence.update", self._presence(happening)
            case SessionChanged() | Called() | LabelChanged() | LabelPut() | ChatArchived():
                return self._tell_of_account(happening)
            case MembersChanged() | SubjectChanged() | DescriptionChanged() | RuleChanged():
                return group_event(happening), self._of_group(happening)
            case GroupJoined() | GroupLeft() | JoinRequested():
                return group_event(happening), self._of_group(happening)
        assert_never(happening)

    def _tell_of_message(  # noqa: PLR0911 - one arm per happening
        self, happening: OfMessage
    ) -> tuple[str, Payload | None]:
        match happening:
            case Sent():
                silent = type(happening.note.content) in self.silent_about
                return "message.any", None if silent else self.message(happening.note)
            case Awaited():
                return "message.waiting", self.awaited(happening.note)
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
            case Answered():
                tail = "" if happening.readable else ".failed"
                return f"event.response{tail}", self.answered(happening)
        assert_never(happening)

    def _tell_of_account(self, happening: OfAccount) -> tuple[str, Payload | None]:
        match happening:
            case SessionChanged():
                return "session.status", self._status(happening)
            case Called():
                return f"call.{happening.state}", self._call(happening)
            case LabelChanged():
                change = "deleted" if happening.deleted else "upsert"
                return f"label.{change}", _label(happening.label)
            case LabelPut():
                change = "deleted" if happening.removed else "added"
                return f"label.chat.{change}", _labelled(happening)
            case ChatArchived():
                return "chat.archive", {
                    "id": _address(happening.chat),
                    "archived": happening.archived,
                    "timestamp": happening.last_ms // 1000,
                }
        assert_never(happening)

    def kind(self, note: Note) -> str:
        """Return what a perfect archive calls *note* after what this engine tells of it."""
        return note.content.kind

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

    def awaited(self, note: Note) -> Payload | None:  # noqa: ARG002 - most engines have no event
        """Return the placeholder of a message that cannot be decrypted yet."""
        return None

    def answered(self, happening: Answered) -> Payload | None:  # noqa: ARG002 - likewise
        """Return the answer to a calendar event."""
        return None

    @abstractmethod
    def group_data(self, happening: OfGroup) -> Payload:
        """Return the engine's own data of what happens in a group."""

    @abstractmethod
    def call_data(self, happening: Called) -> Payload | None:
        """Return the engine's own data of a call, None where it does not tell."""

    @abstractmethod
    def fetch_error(self) -> Payload:
        """Return the ``error`` of a file that could not be had."""

    def reveals(self, happening: AnyHappening) -> tuple[Person, ...]:
        """Return people of whom the event for *happening* shows both phone and hidden id."""
        told = self._revealed(happening)
        match happening:
            case (
                MembersChanged()
                | SubjectChanged()
                | DescriptionChanged()
                | RuleChanged()
                | GroupLeft()
            ) if happening.group.by_lid and type(happening) in self.names_actor_twice:
                return (*told, happening.by)
        return told

    def _revealed(self, happening: AnyHappening) -> tuple[Person, ...]:
        match happening:
            case Sent() | Edited():
                return self.reveals_by(happening.note)
            case Revoked():
                return self.reveals_by(acted_by(happening.note, happening.by, self.account))
            case MembersChanged():
                people: tuple[Person, ...] = (happening.member,)
            case GroupJoined():
                people = happening.members
            case JoinRequested():
                people = (happening.person,)
            case _:
                return ()
        return people if happening.group.by_lid else ()

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
        """Return where WAHA put the attached file or why it did not, or None."""
        content = note.content
        if not isinstance(content, Attachment) or content.fetch is Fetch.UNTOLD:
            return None
        told = {"filename": content.filename, "mimetype": content.mimetype}
        if content.fetch is not Fetch.SAVED:
            failed = content.fetch is Fetch.FAILED
            return {"url": None, **told, **({"error": self.fetch_error()} if failed else {})}
        offer = self.files.offer(self.session, self.file_name(note, content), content.fate.trick)
        return {"url": offer["url"], **told, **({"s3": offer["s3"]} if "s3" in offer else {})}

    def shows_file(self, note: Note) -> bool:
        """Tell whether a WAMessage of *note* is that of a message with a file."""
        file = note.content
        return (
            isinstance(file, Attachment) and file.file is not None and self.kind(note) == file.kind
        )

    def file_name(self, note: Note, file: Attachment) -> str:
        """Return how WAHA names the attached file."""
        return f"{self.file_stem(note)}.{file.extension}"

    def file_stem(self, note: Note) -> str:
        """Return the name of the attached file, without extension."""
        return note.stanza

    def action_id(self, note: Note, stanza: str, by: Person) -> str:
        """Return the id of what *by* did to *note*, such as an edit or a reaction."""
        return serialised(
            stanza,
            note.chat_jid,
            from_me=by == self.account,
            participant=jid(by, note.address) if note.many_recipients else None,
        )

    def _of_group(self, happening: OfGroup) -> Payload:
        unit = 1 if self.group_stamp_ms else 1000
        return group_payload(
            happening,
            timestamp=happening.at_ms // unit,
            role=self.demoted_role,
            data=self.group_data(happening),
        )

    def _call(self, happening: Called) -> Payload | None:
        data = self.call_data(happening)
        if data is None:
            return None
        return {
            "id": happening.number,
            "from": jid(happening.person, happening.address),
            "timestamp": happening.at_ms // 1000,
            "isVideo": happening.video,
            "isGroup": happening.group is not None,
            "_data": data,
        }

    def _presence(self, happening: PresenceChanged) -> Payload:
        chat, who = happening.chat, jid(happening.person, happening.address)
        seen = happening.at_ms // 1000 if happening.state == "offline" else None
        return {
            "id": who if isinstance(chat, Direct) else chat.jid,
            "presences": [
                {"participant": who, "lastKnownPresence": happening.state, "lastSeen": seen}
            ],
        }

    def _status(self, happening: SessionChanged) -> Payload:
        return {
            "name": self.session,
            "status": happening.statuses[-1][0],
            "statuses": [{"status": s, "timestamp": at} for s, at in happening.statuses],
            "data": None,
        }


def _address(chat: Direct | Group) -> str:
    return chat.person.phone_jid if isinstance(chat, Direct) else chat.jid


def _label(label: Label) -> Payload:
    color = label.color % len(LABEL_COLORS)
    return {
        "id": label.number,
        "name": label.name,
        "color": color,
        "colorHex": LABEL_COLORS[color],
    }


def _labelled(happening: LabelPut) -> Payload:
    return {
        "labelId": happening.label.number,
        "chatId": _address(happening.chat),
        # Of a label that is taken off, WAHA may not know more than its number.
        "label": None if happening.removed else _label(happening.label),
    }
