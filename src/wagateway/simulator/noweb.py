"""How NOWEB (Baileys) tells what happens: the chat is always in ``from``."""

from typing import ClassVar

from typing_extensions import override

from wagateway.simulator.contents import Attachment
from wagateway.simulator.engine import Engine, EngineName
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Address,
    Answered,
    AnyHappening,
    Awaited,
    Called,
    ChatArchived,
    Direct,
    Edited,
    GroupLeft,
    MembersChanged,
    Note,
    OfGroup,
    Reacted,
    Revoked,
    Stories,
    Voted,
    jid,
)
from wagateway.simulator.noweb_data import call_data, group_data
from wagateway.simulator.protos import content, edited_content, wrapped
from wagateway.simulator.shapes import (
    ACK_NAMES,
    acted_by,
    action_note,
    engine_chat_jid,
    engine_jid,
    location,
    other_jid,
    serialised,
    vcards,
)
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Channel, Group, Person

_STATUS_NAMES = {0: "PENDING", 1: "SERVER_ACK", 2: "DELIVERY_ACK"}


class Noweb(Engine):
    """WAHA's NOWEB engine."""

    name: ClassVar[EngineName] = EngineName.NOWEB
    shares_event_ids: ClassVar[bool] = True
    group_stamp_ms: ClassVar[bool] = True
    demoted_role: ClassVar[str] = "admin"
    names_actor_twice: ClassVar[frozenset[type]] = frozenset({MembersChanged, GroupLeft})
    silent_about: ClassVar[frozenset[type]] = frozenset({Answered, Awaited, ChatArchived})

    @override
    def me(self) -> Payload:
        return {
            "id": self.account.phone_jid,
            "pushName": self.account.name,
            "lid": self.account.lid_jid,
            "reachoutTimelock": None,
            "messageCapping": None,
        }

    @override
    def _revealed(self, happening: AnyHappening) -> tuple[Person, ...]:
        if isinstance(happening, Called) and happening.address is not Address.PHONE:
            return (happening.person,)
        return super()._revealed(happening)

    @override
    def reveals_by(self, note: Note) -> tuple[Person, ...]:
        if isinstance(note.chat, Direct):
            return (note.chat.person,) if note.address is Address.LID else ()
        named = isinstance(note.chat, Group) and note.chat.by_lid and note.source != "api"
        return (note.author,) if named and note.author else ()

    @override
    def message(self, note: Note) -> Payload:
        if _is_hidden(note):
            return self._hidden(note)
        return self._message(note, self.message_id(note), wrapped(note))

    @override
    def kind(self, note: Note) -> str:
        return "unknown" if _is_hidden(note) else super().kind(note)

    @override
    def message_id(self, note: Note) -> str:
        if note.from_me and note.source == "api":  # what the API sent has no participant yet
            return serialised(note.stanza, note.chat_jid, from_me=True, participant=None)
        return super().message_id(note)

    @override
    def edited(self, happening: Edited) -> Payload:
        note, at_ms = happening.note, happening.at_ms
        change = {
            "key": self._key(note, note.stanza),
            "type": "MESSAGE_EDIT",
            "editedMessage": edited_content(note, happening.text),
            "timestampMs": str(at_ms),
        }
        message = {"editedMessage": {"message": {"protocolMessage": change}}}
        action = self._action(note, happening.stanza, at_ms, message, happening.text)
        return {**action, "editedMessageId": note.stanza}

    @override
    def revoked(self, happening: Revoked) -> Payload:
        note = happening.note
        change = {"key": self._key(note, note.stanza), "type": "REVOKE"}
        message = {"protocolMessage": change}
        remover = acted_by(note, happening.by, self.account)
        after = self._action(remover, happening.stanza, happening.at_ms, message, None)
        return {
            "after": after,
            "before": None,
            "revokedMessageId": note.stanza,
            "_data": after["_data"],
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
        note, level, reader = happening.note, happening.level, happening.recipient
        if not note.from_me:
            return None
        if not reader:
            return {
                "id": self.message_id(note),
                "from": note.chat_jid,
                "fromMe": True,
                "ack": level.value,
                "ackName": level.name,
            }
        return self._group_ack(happening, reader)

    def _group_ack(self, happening: Acked, reader: Person) -> Payload:
        note = happening.note
        # NOWEB calls the delivery to a group member SERVER.
        level = AckLevel.SERVER if happening.level is AckLevel.DEVICE else happening.level
        who = engine_jid(reader, note.address)
        stamp = "readTimestamp" if level is AckLevel.READ else "receiptTimestamp"
        return {
            "id": serialised(
                note.stanza, note.chat_jid, from_me=True, participant=self.account.phone_jid
            ),
            "from": note.chat_jid,
            "to": note.chat_jid,
            "participant": jid(reader, note.address),
            "fromMe": True,
            "ack": level.value,
            "ackName": level.name,
            "_data": {
                "key": {
                    "remoteJid": note.chat_jid,
                    "id": note.stanza,
                    "fromMe": True,
                    "participant": who,
                },
                "receipt": {"userJid": who, stamp: happening.at_ms // 1000},
            },
        }

    @override
    def voted(self, happening: Voted) -> Payload | None:
        poll, by = happening.note, happening.by
        asker = "me" if poll.from_me else self.participant(poll)
        at = happening.at_ms if happening.readable else happening.at_ms // 1000
        return {
            "vote": {
                "id": self.action_id(poll, happening.stanza, by),
                "to": poll.chat_jid if poll.many_recipients else "me",
                "from": jid(by, poll.address),
                "fromMe": False,
                "selectedOptions": list(happening.options) if happening.readable else [],
                "timestamp": at,
            },
            "poll": {
                "id": self.message_id(poll),
                "to": poll.chat_jid,
                "from": asker,
                "fromMe": poll.from_me,
            },
        }

    @override
    def group_data(self, happening: OfGroup) -> Payload:
        return group_data(happening, self.account)

    @override
    def call_data(self, happening: Called) -> Payload | None:
        return call_data(happening)

    @override
    def fetch_error(self) -> Payload:
        gone = {
            "statusCode": 404,
            "error": "Not Found",
            "message": "Failed to re-upload media (404)",
        }
        return {
            "data": None,
            "isBoom": True,
            "isServer": False,
            "output": {"statusCode": 404, "payload": gone, "headers": {}},
            "nonRetriable": True,
            "details": "Error: Failed to re-upload media (404)\n    at getMediaBuffer (NOWEB)",
        }

    def _message(self, note: Note, message_id: str, message: Payload) -> Payload:
        ack = 2 if not note.from_me else int(note.source == "app")
        said = note.content
        return {
            "id": message_id,
            "timestamp": note.at_ms // 1000,
            "from": note.chat_jid,
            "fromMe": note.from_me,
            "source": note.source,
            "body": note.text,
            **_direction(note, note.author),
            "hasMedia": isinstance(said, Attachment),
            "media": self.media(note),
            "ack": ack,
            "ackName": ACK_NAMES[ack],
            "location": location(note),
            "vCards": vcards(note) or None,
            "replyTo": self._reply_to(note),
            "_data": self._data(note, ack, message),
        }

    def _hidden(self, note: Note) -> Payload:
        """Return a view-once message: that there was one is all that a linked device gets."""
        payload = self._message(note, self.message_id(note), {})
        data = payload["_data"]
        del data["message"]
        data["key"]["isViewOnce"] = True
        return {**payload, "body": None, "hasMedia": False, "media": None}

    def _data(self, note: Note, ack: int, message: Payload) -> Payload:
        name = {"pushName": note.author.name} if note.author else {}
        return {
            "key": self._key(note, note.stanza),
            "messageTimestamp": note.at_ms // 1000,
            **name,
            "broadcast": isinstance(note.chat, Stories),
            "status": _STATUS_NAMES[ack],
            "message": message,
        }

    def _action(
        self, note: Note, stanza: str, at_ms: int, message: Payload, text: str | None
    ) -> Payload:
        """Return the message by which the author of *note* changes it: NOWEB shows it as one."""
        action = action_note(note, stanza, at_ms, text)
        by = note.author or self.account
        payload = self._message(action, self.action_id(note, stanza, by), message)
        return {**payload, "body": text}

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
            "_data": content(quoted, {}),
        }

    def _key(self, note: Note, stanza: str) -> Payload:
        key: Payload = {"remoteJid": engine_chat_jid(note)}
        if isinstance(note.chat, Direct):
            alternative = other_jid(note.chat.person, note.address)
            if note.address is not Address.PHONE and alternative:
                key["remoteJidAlt"] = alternative
        key |= {"fromMe": note.from_me, "id": stanza}
        if isinstance(note.chat, Direct) and note.address is not Address.PHONE:
            key["participant"] = ""
        if isinstance(note.chat, Channel):
            key["server_id"] = str(note.at_ms % 900 + 100)
        if note.many_recipients and note.author and note.source != "api":
            key["participant"] = engine_jid(note.author, note.address)
            if isinstance(note.chat, Group) and note.chat.by_lid:
                key["participantAlt"] = engine_jid(note.author, Address.PHONE)
        if note.address is not Address.PHONE:
            key["addressingMode"] = "lid"
        return key


def _direction(note: Note, by: Person | None) -> Payload:
    """Return ``to`` and ``participant``: direct chats and channels have neither."""
    if not note.many_recipients or by is None or (note.from_me and note.source == "api"):
        return {}
    return {"to": note.chat_jid, "participant": jid(by, note.address)}


def _is_hidden(note: Note) -> bool:
    said = note.content
    return isinstance(said, Attachment) and said.view_once and not note.from_me
