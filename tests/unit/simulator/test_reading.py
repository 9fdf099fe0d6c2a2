"""What the simulator says happens is what the gateway reads, whichever engine tells it."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import assert_never

import pytest
from tests.unit.simulator.samples import START, deliveries

from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.events import (
    AnyObservation,
    CallSeen,
    ChatChanged,
    EventAnswered,
    GroupChanged,
    LabelChanged,
    MessageEdited,
    MessageRevoked,
    MessageSeen,
    NotUnderstood,
    Role,
    SessionChanged,
    Source,
)
from wagateway.domain.messages import Completeness, Kind, Message
from wagateway.simulator import contents
from wagateway.simulator import happenings as said
from wagateway.simulator.engine import Engine, EngineName
from wagateway.simulator.gows import Gows
from wagateway.simulator.life import happenings
from wagateway.simulator.noweb import Noweb
from wagateway.simulator.stage import Cast
from wagateway.simulator.webjs import Webjs
from wagateway.simulator.wire import Frame
from wagateway.simulator.world import create_world

SENDABLE = {
    EngineName.NOWEB: set(Kind),
    EngineName.GOWS: set(Kind) - {Kind.SYSTEM},
    EngineName.WEBJS: set(Kind) - {Kind.SYSTEM},
}
"""A change of a chat's timer is a message on NOWEB alone."""
KEY = "7/default/reading"
LIFE = 4000
Told = tuple[said.AnyHappening, tuple[AnyObservation, ...]]


def read(body: bytes) -> tuple[AnyObservation, ...]:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    (delivery,) = WahaReader().read(body, received_at=now, source=Source.WEBHOOK)
    return delivery.observations


def voice(name: EngineName) -> Engine:
    engines: tuple[type[Engine], ...] = (Noweb, Gows, Webjs)
    (kind,) = (each for each in engines if each.name is name)
    return kind(create_world(7), "default")


@cache
def told(name: EngineName) -> tuple[Told, ...]:
    """Return what happens and how the gateway reads what the engine tells of it."""
    engine = voice(name)
    frame = Frame(session="default", engine=name.value, me=engine.me(), metadata={})
    start_ms = int(START.timestamp() * 1000)
    life = happenings(
        Cast(engine.world, KEY), KEY, start_ms=start_ms, history_ms=86_400_000, rate=5
    )
    found: list[Told] = []
    for happening in islice(life, LIFE):
        emission = engine.tell(happening)
        if emission is not None:
            body = frame.envelope(emission, event_id="evt_1", built_ms=happening.at_ms + 40)
            found.append((happening, read(body)))
    return tuple(found)


def pairs(name: EngineName, kind: type[said.AnyHappening]) -> Iterator[Told]:
    found = [each for each in told(name) if isinstance(each[0], kind)]
    assert found
    yield from found


@pytest.mark.parametrize("engine", EngineName)
def test_everything_is_understood(engine: EngineName) -> None:
    for delivery in deliveries(engine, 3000):
        failed = [each for each in read(delivery.body) if isinstance(each, NotUnderstood)]
        assert not failed, delivery.body[:600]


@pytest.mark.parametrize("engine", EngineName)
def test_every_kind_of_message_comes(engine: EngineName) -> None:
    kinds = {
        each.message.kind
        for delivery in deliveries(engine, 3000)
        for each in read(delivery.body)
        if isinstance(each, MessageSeen)
    }
    assert kinds == SENDABLE[engine]


@pytest.mark.parametrize("engine", EngineName)
def test_a_message_is_read_as_it_was_meant(engine: EngineName) -> None:
    speaker = voice(engine)
    for happening, (seen, *_) in pairs(engine, said.Sent):
        assert isinstance(happening, said.Sent)
        assert isinstance(seen, MessageSeen)
        note, message = happening.note, seen.message
        assert seen.ref.stanza == note.stanza
        assert message.kind == speaker.kind(note), note
        assert message.from_me == note.from_me
        if message.kind is Kind.UNKNOWN and not isinstance(note.content, contents.Ware):
            assert engine is EngineName.NOWEB
            assert message.view_once
            continue
        if not isinstance(note.content, contents.Ballot):  # whose question may be shown as its text
            assert message.text == (note.text or None), note
        assert message.completeness is Completeness.FULL
        assert message.forwarding_score == note.forwarded
        assert message.forwarded == (note.forwarded > 0)
        assert len(message.mentions) == len(note.mentions)
        assert (message.reply_to is None) == (note.quotes is None)
        assert carries(message, note.content), note


def carries(message: Message, content: contents.Content) -> bool:  # noqa: PLR0911 - by kind
    """Tell whether a message holds all that its content says."""
    match content:
        case contents.Words():
            shown = message.link_preview
            return (shown and shown.url) == content.link
        case contents.Attachment():
            return holds_file(message, content)
        case contents.Place() | contents.LivePlace():
            place = message.location
            where = (content.latitude, content.longitude)
            return place is not None and (place.latitude, place.longitude) == where
        case contents.Card():
            return [card.vcard for card in message.contacts] == [content.vcard]
        case contents.Cards():
            given = [card.vcard for card in content.cards]
            return [card.vcard for card in message.contacts] == given
        case contents.Ballot():
            return message.poll is not None and message.poll.options == content.options
        case contents.Gathering():
            event = message.event
            starts = datetime.fromtimestamp(content.starts_ms / 1000, UTC)
            return event is not None and (event.name, event.starts_at, event.location) == (
                *(content.name, starts, content.where),
            )
        case contents.Menu() | contents.Ware():
            return message.media is None
        case contents.Timer():
            return message.subtype == "ephemeral_setting"
    assert_never(content)


def holds_file(message: Message, file: contents.Attachment) -> bool:
    facts = message.media
    if facts is None:
        return False
    return (
        facts.mimetype,
        facts.filename,
        facts.size_bytes,
        facts.animated,
        facts.duration_s or 0,
        message.view_once,
    ) == (
        file.mimetype,
        file.filename,
        file.size_bytes,
        file.animated,
        file.seconds,
        file.view_once,
    )


@pytest.mark.parametrize("engine", EngineName)
def test_an_offer_says_how_the_file_fared(engine: EngineName) -> None:
    fates = defaultdict(set)
    for happening, (seen, *_) in pairs(engine, said.Sent):
        assert isinstance(happening, said.Sent)
        assert isinstance(seen, MessageSeen)
        content = happening.note.content
        if isinstance(content, contents.Attachment) and not content.view_once:
            offer = seen.offer
            what = None if offer is None else ("url" if offer.url else "error")
            fates[content.fetch].add(what)
    assert fates == {
        contents.Fetch.SAVED: {"url"},
        contents.Fetch.SKIPPED: {None},
        contents.Fetch.FAILED: {"error"},
        contents.Fetch.UNTOLD: {None},
    }


@pytest.mark.parametrize("engine", EngineName)
def test_edits_and_deletions_name_their_message(engine: EngineName) -> None:
    for happening, observations in pairs(engine, said.Edited):
        assert isinstance(happening, said.Edited)
        (edit,) = (each for each in observations if isinstance(each, MessageEdited))
        assert (edit.ref.stanza, edit.text) == (happening.note.stanza, happening.text)
    by_admin = 0
    for happening, observations in pairs(engine, said.Revoked):
        assert isinstance(happening, said.Revoked)
        (deletion,) = (each for each in observations if isinstance(each, MessageRevoked))
        note, world = happening.note, voice(engine).world
        remover = happening.by or note.author
        assert deletion.ref.stanza == note.stanza
        assert remover is not None
        assert deletion.revoked_by == said.jid(remover, note.address)
        assert deletion.ref.from_me == (remover.phone == world.account.phone)
        by_admin += happening.by is not None
    assert by_admin > 2


def test_only_webjs_tells_that_a_message_waits() -> None:
    for happening, (seen, *_) in pairs(EngineName.WEBJS, said.Awaited):
        assert isinstance(happening, said.Awaited)
        assert isinstance(seen, MessageSeen)
        assert seen.ref.stanza == happening.note.stanza
        assert seen.message.completeness is Completeness.PLACEHOLDER
    for engine in (EngineName.NOWEB, EngineName.GOWS):
        assert not [each for each, _ in told(engine) if isinstance(each, said.Awaited)]


def test_only_gows_tells_who_comes_to_an_event() -> None:
    for happening, (answer, *_) in pairs(EngineName.GOWS, said.Answered):
        assert isinstance(happening, said.Answered)
        assert isinstance(answer, EventAnswered)
        assert answer.ref.stanza == happening.note.stanza
        expected = happening.response.lower() if happening.readable else None
        assert answer.response == expected
        assert answer.extra_guests == (happening.guests if happening.readable else 0)
    for engine in (EngineName.NOWEB, EngineName.WEBJS):
        assert not [each for each, _ in told(engine) if isinstance(each, said.Answered)]


@pytest.mark.parametrize("engine", EngineName)
def test_calls_keep_their_id_and_caller(engine: EngineName) -> None:
    states = set()
    for happening, (call, *_) in pairs(engine, said.Called):
        assert isinstance(happening, said.Called)
        assert isinstance(call, CallSeen)
        caller = said.jid(happening.person, happening.address)
        assert (call.call_id, call.caller) == (happening.number, caller)
        assert (call.video, call.group) == (happening.video, happening.group is not None)
        states.add(call.state)
    heard = {"received"} if engine is EngineName.WEBJS else {"received", "accepted", "rejected"}
    assert states == heard


@pytest.mark.parametrize("engine", [EngineName.NOWEB, EngineName.GOWS])
def test_labels_are_read(engine: EngineName) -> None:
    changes = set()
    for happening, (change, *_) in pairs(engine, said.LabelChanged):
        assert isinstance(happening, said.LabelChanged)
        assert isinstance(change, LabelChanged)
        assert (change.label_id, change.name) == (happening.label.number, happening.label.name)
        changes.add(change.change)
    for happening, (change, *_) in pairs(engine, said.LabelPut):
        assert isinstance(happening, said.LabelPut)
        assert isinstance(change, LabelChanged)
        assert change.chat is not None
        changes.add(change.change)
    assert changes == {"upsert", "deleted", "chat.added", "chat.deleted"}


def test_only_webjs_tells_what_is_put_away() -> None:
    for happening, (change, *_) in pairs(EngineName.WEBJS, said.ChatArchived):
        assert isinstance(happening, said.ChatArchived)
        assert isinstance(change, ChatChanged)
        assert change.archived == happening.archived
    for engine in (EngineName.NOWEB, EngineName.GOWS):
        assert not [each for each, _ in told(engine) if isinstance(each, said.ChatArchived)]


@pytest.mark.parametrize("engine", EngineName)
def test_groups_are_read(engine: EngineName) -> None:
    roles = {"join": Role.PARTICIPANT, "leave": Role.LEFT, "promote": Role.ADMIN}
    for happening, (change, *_) in pairs(engine, said.MembersChanged):
        assert isinstance(happening, said.MembersChanged)
        assert isinstance(change, GroupChanged)
        (member,) = change.members
        assert member.role is roles.get(happening.change, Role.PARTICIPANT)
    for happening, (change, *_) in pairs(engine, said.GroupJoined):
        assert isinstance(happening, said.GroupJoined)
        assert isinstance(change, GroupChanged)
        assert change.subject == happening.subject
        assert change.description == happening.description
        assert len(change.members) == len(happening.members)
    for _, (change, *_) in pairs(engine, said.GroupLeft):
        assert isinstance(change, GroupChanged)
        assert [member.role for member in change.members] == [Role.LEFT]
    for happening, (change, *_) in pairs(engine, said.DescriptionChanged):
        assert isinstance(happening, said.DescriptionChanged)
        assert isinstance(change, GroupChanged)
        assert change.description == happening.description


@pytest.mark.parametrize("engine", EngineName)
def test_the_session_goes_through_all_that_can_become_of_it(engine: EngineName) -> None:
    seen = {
        str(each.status)
        for _, observations in pairs(engine, said.SessionChanged)
        for each in observations
        if isinstance(each, SessionChanged)
    }
    assert seen == {"STARTING", "WORKING", "STOPPED", "FAILED", "SCAN_QR_CODE"}


@pytest.mark.parametrize("engine", EngineName)
def test_texts_come_in_all_sizes(engine: EngineName) -> None:
    texts = [
        happening.note.text or ""
        for happening, _ in pairs(engine, said.Sent)
        if isinstance(happening, said.Sent)
    ]
    assert max(len(text.encode()) for text in texts) > 4000
    assert any(text and not any(map(str.isalnum, text)) for text in texts)
    assert any("\u202b" in text or "\u200f" in text or "ש" in text for text in texts)


@pytest.mark.parametrize(
    ("engine", "sign"),
    [
        (EngineName.NOWEB, b'"ephemeralMessage":{"message":{'),
        (EngineName.GOWS, b'"IsEphemeral":true'),
        (EngineName.WEBJS, b'"ephemeralDuration":'),
    ],
)
def test_what_disappears_says_so(engine: EngineName, sign: bytes) -> None:
    assert any(sign in delivery.body for delivery in deliveries(engine, 3000))
