"""How GOWS (whatsmeow) tells what happens: the chat in ``from``, the sender in a group's ``to``."""

from typing import ClassVar

from typing_extensions import override

from wagateway.simulator.contents import Attachment, Timer
from wagateway.simulator.engine import Engine, EngineName
from wagateway.simulator.gows_data import (
    API_DEVICE,
    answer_message,
    data,
    key,
    receipt,
    vote_data,
)
from wagateway.simulator.gows_events import call_data, group_data
from wagateway.simulator.gows_spelling import go
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Address,
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
    MembersChanged,
    Note,
    OfGroup,
    Reacted,
    Revoked,
    RuleChanged,
    SubjectChanged,
    Voted,
    jid,
)
from wagateway.simulator.protos import content, edited_content, proto, wrapped
from wagateway.simulator.shapes import acted_by, action_note, location, serialised, vcards
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Person

_EDIT, _REVOKE = 14, 0
"""Numbers of protocol messages; whatsmeow writes enums as numbers."""


class Gows(Engine):
    """WAHA's GOWS engine."""

    name: ClassVar[EngineName] = EngineName.GOWS
    shares_event_ids: ClassVar[bool] = True
    group_stamp_ms: ClassVar[bool] = True
    names_actor_twice: ClassVar[frozenset[type]] = frozenset(
        {MembersChanged, SubjectChanged, DescriptionChanged, RuleChanged, GroupLeft}
    )
    silent_about: ClassVar[frozenset[type]] = frozenset({Awaited, ChatArchived, Timer})

    @override
    def me(self) -> Payload:
        return {
            "id": self.account.phone_jid,
            "pushName": self.account.name,
            "lid": self.account.lid_jid,
            "jid": f"{self.account.phone}:{API_DEVICE}@s.whatsapp.net",
            "reachoutTimelock": None,
            "messageCapping": None,
        }

    @override
    def _revealed(self, happening: AnyHappening) -> tuple[Person, ...]:
        told: tuple[Person, ...] = ()
        match happening:
            case Voted() | Answered() if happening.note.address is not Address.LID_ALONE:
                told = (happening.by,)
            case Called() if happening.address is not Address.LID_ALONE:
                told = (happening.person,)
            case GroupJoined():  # each member's LID stands in whatsmeow's list, whatever the group
                told = happening.members
            case _:
                pass
        return (*told, *super()._revealed(happening))

    @override
    def reveals_by(self, note: Note) -> tuple[Person, ...]:
        if note.address is Address.LID_ALONE:
            return ()
        peer = note.chat.person if note.from_me and isinstance(note.chat, Direct) else None
        return tuple(person for person in (note.author, peer) if person)

    @override
    def message(self, note: Note) -> Payload:
        said = go(proto(note))
        sent = go(wrapped(note)) if note.disappears_s else said
        return self._message(note, data(note, said, edit="", sent=sent))

    @override
    def edited(self, happening: Edited) -> Payload:
        note, at_ms = happening.note, happening.at_ms
        change = {
            "key": key(note),
            "type": _EDIT,
            "editedMessage": edited_content(note, happening.text),
            "timestampMS": at_ms,
        }
        action = action_note(note, happening.stanza, at_ms, happening.text)
        event = data(action, {"protocolMessage": change}, edit="1")
        return {**self._message(action, event), "editedMessageId": note.stanza}

    @override
    def revoked(self, happening: Revoked) -> Payload:
        note = happening.note
        remover = acted_by(note, happening.by, self.account)
        action = action_note(remover, happening.stanza, happening.at_ms, None)
        change = {"protocolMessage": {"key": key(note), "type": _REVOKE}}
        event = data(action, change, edit="8" if happening.by else "7")
        return {
            "after": {**self._message(action, event), "body": None},
            "before": None,
            "revokedMessageId": note.stanza,
            "_data": event,
        }

    @override
    def reacted(self, happening: Reacted) -> Payload:
        note = happening.note
        by = happening.by or self.account
        return {
            "id": self.action_id(note, happening.stanza, by),
            "timestamp": happening.at_ms // 1000,
            "from": note.chat_jid,
            "fromMe": happening.by is None,
            "source": "app",
            **_direction(note, by),
            "reaction": {"text": happening.emoji, "messageId": self.message_id(note)},
        }

    @override
    def acked(self, happening: Acked) -> Payload | None:
        note, level = happening.note, happening.level
        if level is AckLevel.SERVER:  # GOWS never tells that the server has it
            return None
        reader = happening.recipient
        acked_id = self.message_id(note)
        if reader:
            acked_id = serialised(
                note.stanza, note.chat_jid, from_me=True, participant=self.account.phone_jid
            )
        return {
            "id": acked_id,
            "from": note.chat_jid,
            "to": jid(reader, note.address) if reader else None,
            "participant": jid(reader, note.address) if reader else None,
            "fromMe": note.from_me,
            "ack": level.value,
            "ackName": level.name,
            "_data": receipt(happening, self.account),
        }

    @override
    def voted(self, happening: Voted) -> Payload | None:
        poll, by = happening.note, happening.by
        options = list(happening.options) if happening.readable else None
        return {
            "poll": {
                "id": self.message_id(poll),
                "to": poll.chat_jid,
                "from": "me" if poll.from_me else self.participant(poll),
                "fromMe": poll.from_me,
            },
            "vote": {
                "id": self.action_id(poll, happening.stanza, by),
                "from": poll.chat_jid,
                "fromMe": False,
                **_direction(poll, by),
                "selectedOptions": options,
                "timestamp": happening.at_ms,
            },
            "_data": vote_data(happening, options),
        }

    @override
    def answered(self, happening: Answered) -> Payload | None:
        note = happening.note
        action = action_note(note, happening.stanza, happening.at_ms, None)
        answer = acted_by(action, happening.by, self.account)
        event = data(answer, answer_message(happening), edit="")
        known = {
            "response": happening.response,
            "timestampMs": happening.at_ms,
            "extraGuestCount": happening.guests,
        }
        return {
            **self._message(answer, event),
            "body": None,
            "eventCreationKey": {
                "id": self.message_id(note),
                "to": note.chat_jid,
                "from": self.participant(note),
                "fromMe": note.from_me,
            },
            "eventResponse": known if happening.readable else None,
        }

    @override
    def group_data(self, happening: OfGroup) -> Payload:
        return group_data(happening, self.account)

    @override
    def call_data(self, happening: Called) -> Payload | None:
        return call_data(happening)

    @override
    def fetch_error(self) -> Payload:
        return {
            "code": 2,
            "details": "download failed with status code 404",
            "metadata": {},
        }

    def _message(self, note: Note, event: Payload) -> Payload:
        said = note.content
        return {
            "id": self.message_id(note),
            "timestamp": note.at_ms // 1000,
            "from": note.chat_jid,
            "fromMe": note.from_me,
            "source": note.source,
            "body": note.text,
            **_direction(note, note.author),
            "hasMedia": isinstance(said, Attachment),
            "media": self.media(note),
            "ack": 1 if note.from_me else 2,
            "location": location(note),
            "vCards": vcards(note) or None,
            "ackName": "SERVER" if note.from_me else "DEVICE",
            "replyTo": self._reply_to(note),
            "_data": event,
        }

    def _reply_to(self, note: Note) -> Payload | None:
        quoted = note.quotes
        if quoted is None:
            return None
        return {
            "id": quoted.stanza,
            "participant": self.participant(quoted),
            "body": quoted.text,
            "hasMedia": isinstance(quoted.content, Attachment),
            "media": self.media(quoted),
            "_data": go(content(quoted, {})),
        }


def _direction(note: Note, by: Person | None) -> Payload:
    """Return ``to`` and ``participant``: both the sender, or null in direct chats and channels."""
    who = jid(by, note.address) if note.many_recipients and by else None
    return {"to": who, "participant": who}
