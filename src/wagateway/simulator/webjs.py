"""How WEBJS (whatsapp-web.js) tells what happens: ``from`` is the sender, and me when I write."""

from typing import ClassVar

from msgspec.structs import replace
from typing_extensions import override

from wagateway.simulator.contents import (
    Attachment,
    Ballot,
    Timer,
    Words,
)
from wagateway.simulator.engine import Engine, EngineName
from wagateway.simulator.happenings import (
    Acked,
    AckLevel,
    Answered,
    AnyHappening,
    Called,
    CallState,
    Edited,
    JoinRequested,
    LabelChanged,
    LabelPut,
    Note,
    OfGroup,
    Reacted,
    Revoked,
    Voted,
    jid,
    reworded,
)
from wagateway.simulator.shapes import ACK_NAMES, engine_jid, location, vcards, wid
from wagateway.simulator.webjs_data import body, key, quotation, raw
from wagateway.simulator.webjs_groups import group_data
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Person


class Webjs(Engine):
    """WAHA's WEBJS engine, with ``tagsEventsOn`` so that it tells group receipts and presence."""

    name: ClassVar[EngineName] = EngineName.WEBJS
    shares_event_ids: ClassVar[bool] = False
    group_stamp_ms: ClassVar[bool] = False
    silent_about: ClassVar[frozenset[type]] = frozenset(
        {Answered, JoinRequested, LabelChanged, LabelPut, Timer}
    )

    @override
    def me(self) -> Payload:
        return {
            "id": self.account.phone_jid,
            "pushName": self.account.name,
            "lid": self.account.lid_jid,
            "reachoutTimelock": None,
        }

    @override
    def reveals_by(self, note: Note) -> tuple[Person, ...]:
        return ()

    @override
    def repeats(self, happening: AnyHappening) -> bool:
        if isinstance(happening, Acked):
            return happening.recipient is None
        return isinstance(happening, Edited | Revoked)

    @override
    def file_stem(self, note: Note) -> str:
        return self.message_id(note)

    @override
    def message(self, note: Note) -> Payload:
        return self._message(note, ack=1)

    @override
    def edited(self, happening: Edited) -> Payload:
        before = happening.note
        payload = self._message(reworded(before, happening.text), ack=1)
        data = {**payload["_data"], "latestEditSenderTimestampMs": happening.at_ms}
        return {
            **payload,
            "_data": {
                "message": {"_data": data},
                "newBody": happening.text,
                "prevBody": before.text or "",
            },
            "editedMessageId": before.stanza,
        }

    @override
    def revoked(self, happening: Revoked) -> Payload:
        note = happening.note
        before = self._message(note, ack=1)
        gone = replace(note, content=Words(text=""), quotes=None)
        after = self._message(replace(gone, at_ms=happening.at_ms), ack=1)
        after["_data"] |= {
            "type": "revoked",
            "subtype": "admin" if happening.by else "sender",
            "protocolMessageKey": self._key(note),
        }
        if happening.by:
            after["_data"]["revokeSender"] = wid(jid(happening.by, note.address))
        return {"after": after, "before": before, "revokedMessageId": note.stanza}

    @override
    def reacted(self, happening: Reacted) -> Payload:
        note = happening.note
        by = happening.by or self.account
        who = jid(by, note.address)
        return {
            "id": self.action_id(note, happening.stanza, by),
            "from": who,
            "fromMe": happening.by is None,
            "source": "app",
            "participant": who,
            "to": note.chat_jid,
            "timestamp": happening.at_ms / 1000,
            "reaction": {"text": happening.emoji, "messageId": self.message_id(note)},
        }

    @override
    def acked(self, happening: Acked) -> Payload | None:
        note, reader, level = happening.note, happening.recipient, happening.level
        if not note.from_me:
            return None
        if reader is None:
            return self._message(note, ack=level.value)
        tag = {
            "from": note.chat_jid,
            **({"type": "read"} if level is AckLevel.READ else {}),
            "id": note.stanza,
            "participant": engine_jid(reader, note.address),
            "t": str(happening.at_ms // 1000),
        }
        return {
            "id": self.message_id(note),
            "from": note.chat_jid,
            "to": note.chat_jid,
            "participant": jid(reader, note.address),
            "fromMe": True,
            "ack": level.value,
            "ackName": level.name,
            "_data": {"tag": "receipt", "attrs": tag},
        }

    @override
    def voted(self, happening: Voted) -> Payload | None:
        poll, by = happening.note, happening.by
        if not happening.readable:  # WEBJS stays silent about votes that it cannot read
            return None
        voter = jid(by, poll.address)
        named = [
            {"id": number, "name": option}
            for number, option in enumerate(_options(poll))
            if option in happening.options
        ]
        group = poll.many_recipients
        return {
            "poll": {
                "id": self.message_id(poll),
                "to": poll.chat_jid,
                "from": self.participant(poll),
                "fromMe": poll.from_me,
            },
            "vote": {
                # The poll's own stanza id: WEBJS has none for votes.
                "id": self.action_id(poll, poll.stanza, by),
                "to": poll.chat_jid if group else self.account.phone_jid,
                "from": voter,
                "fromMe": False,
                **({"participant": voter} if group else {}),
                "selectedOptions": [str(option["name"]) for option in named],
                "timestamp": happening.at_ms,
            },
            "_data": {
                "voter": voter,
                "selectedOptions": named,
                "interractedAtTs": happening.at_ms,
                "parentMessage": {"id": self._key(poll)},
            },
        }

    @override
    def awaited(self, note: Note) -> Payload | None:
        unread = replace(note, content=Words(text=""), quotes=None, mentions=())
        payload = self._message(unread, ack=1)
        payload["_data"]["type"] = "ciphertext"
        return payload

    @override
    def group_data(self, happening: OfGroup) -> Payload:
        return group_data(happening, self.account)

    @override
    def call_data(self, happening: Called) -> Payload | None:
        if happening.state is not CallState.RECEIVED:
            return None
        return {
            "id": happening.number,
            "from": jid(happening.person, happening.address),
            "timestamp": happening.at_ms // 1000,
            "isVideo": happening.video,
            "isGroup": happening.group is not None,
            "fromMe": False,
            "canHandleLocally": False,
            "webClientShouldHandle": False,
            "participants": [],
        }

    @override
    def fetch_error(self) -> Payload:
        return {"details": "Error: Evaluation failed: the media is not on the server any more"}

    def _message(self, note: Note, *, ack: int) -> Payload:
        said = note.content
        group = note.many_recipients and note.author is not None
        quoted = note.quotes
        return {
            "id": self.message_id(note),
            "timestamp": note.at_ms // 1000,
            "from": self._from(note),
            "fromMe": note.from_me,
            **({"participant": self.participant(note)} if group else {}),
            "source": note.source,
            "to": self._to(note),
            "body": body(note),
            "hasMedia": isinstance(said, Attachment),
            "media": self.media(note),
            "ack": ack,
            "ackName": ACK_NAMES[ack],
            "location": location(note),
            "vCards": vcards(note),
            **({"replyTo": self._reply_to(quoted)} if quoted else {}),
            "_data": self._data(note, ack),
        }

    def _from(self, note: Note) -> str:
        return self.account.phone_jid if note.from_me else note.chat_jid

    def _to(self, note: Note) -> str:
        return note.chat_jid if note.from_me else self.account.phone_jid

    def _reply_to(self, quoted: Note) -> Payload:
        return {
            "id": quoted.stanza,
            "participant": self.participant(quoted),
            "body": body(quoted),
            "hasMedia": isinstance(quoted.content, Attachment),
            "media": self.media(quoted),
            "_data": quotation(quoted),
        }

    def _data(self, note: Note, ack: int) -> Payload:
        return raw(
            note,
            key=self._key(note),
            sender=self._from(note),
            receiver=self._to(note),
            ack=ack,
        )

    def _key(self, note: Note) -> Payload:
        return key(note, self.message_id(note))


def _options(poll: Note) -> tuple[str, ...]:
    return poll.content.options if isinstance(poll.content, Ballot) else ()
