"""Whatever JSON comes: no exception, nothing unstorable, no defect of the reader."""

import contextlib
import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.depth import examples
from tests.unit.adapters.waha.test_bodies import (
    ANA,
    ANA_LID,
    GROUP,
    ME,
    SENT_S,
    STANZA,
    Json,
    bare,
    body,
    gows,
    message,
    noweb,
    read,
    read_all,
    webjs,
)

from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import NotArchived, NotUnderstood
from wagateway.domain.identity import MessageRef

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
CONTEXT = {"stanzaId": "Q1", "participant": ANA, "quotedMessage": {"conversation": "q"}}
PROTOCOL = {"key": {"id": "T1"}, "type": 14, "editedMessage": {"conversation": "n"}}
KEY = {"id": f"true_{GROUP}_T1", "from": "me", "to": GROUP, "fromMe": True}
SEEDS: list[Json] = [
    body("message", noweb({"extendedTextMessage": {"text": "x", "contextInfo": CONTEXT}})),
    body("message", noweb({"imageMessage": {"fileSha256": {"0": 1}, "fileLength": "5"}})),
    body("message", noweb({"protocolMessage": PROTOCOL})),
    body("message.any", noweb({"pollCreationMessageV3": {"options": [{"optionName": "A"}]}})),
    body("message.any", noweb({"contactsArrayMessage": {"contacts": [{"vcard": "V"}]}})),
    body("message.any", noweb({"reactionMessage": {"key": {"id": "T1"}, "text": "x"}})),
    body("message", bare(GROUP, _data={"key": {"participantAlt": ANA}, "messageStubType": 2})),
    body("message", gows({"audioMessage": {"PTT": True}}, GROUP, {"SenderAlt": ANA_LID})),
    body("message", gows({"eventMessage": {"name": "n", "location": {"name": "l"}}})),
    body("message", gows({"locationMessage": {"degreesLatitude": 1, "degreesLongitude": 2}})),
    body("message", webjs({"quotedMsg": {"type": "chat"}, "mentionedJidList": [ANA]}, GROUP)),
    body("message", webjs({"type": "poll_creation", "pollOptions": [{"name": "A"}]})),
    body("message", webjs({"type": "revoked", "revokeSender": {"user": "1", "server": "c.us"}})),
    body("message.waiting", webjs({"type": "ciphertext"})),
    body("message", bare(media={"url": "u", "error": {"message": "m"}, "s3": {"Key": "k"}})),
    body("message", bare(location={"latitude": "1", "longitude": 2}, vCards=["V"])),
    body("message.ack", webjs({"body": "x"}, body="x")),
    body("message.ack.group", bare(GROUP, mine=True, _data={"receipt": {"readTimestamp": 5}})),
    body("message.edited", bare(editedMessageId="T1", _data={"message": {"_data": {"t": 5}}})),
    body("message.revoked", {"after": bare(), "before": bare(body="x"), "revokedMessageId": "T"}),
    body("message.reaction", bare(reaction={"text": "x", "messageId": "T1"})),
    body("poll.vote", {"vote": KEY | {"selectedOptions": ["A"], "timestamp": SENT_S}, "poll": KEY}),
    body("event.response", bare(eventCreationKey=KEY, eventResponse={"response": "GOING"})),
    body("session.status", {"status": "WORKING", "statuses": [{"status": "FAILED"}]}),
    body("chat.archive", {"id": ANA, "archived": True}),
    body("call.received", {"id": "C", "from": ANA, "_data": {"CallCreator": ANA}}),
    body("label.chat.added", {"labelId": "1", "chatId": ANA, "label": {"name": "n"}}),
    body("group.v2.join", {"group": {"id": GROUP, "participants": [{"id": ANA, "pn": ME}]}}),
    body("group.v2.participants", {"type": "join", "group": {"id": GROUP}, "participants": [ANA]}),
    body("group.v2.leave", {"group": {"id": GROUP}}),
    body("group.v2.update", {"group": {"id": GROUP, "subject": "s"}}),
    body("group.v2.participants.join-request", {"requesterId": ANA_LID, "requesterPn": ANA}),
    body("group.join", {"chatId": GROUP, "recipientIds": [ANA]}),
    body("presence.update", {"id": ANA}),
]

TEXTS = st.one_of(
    st.text(alphabet=st.characters(), max_size=12),
    st.sampled_from(
        [
            "\x00",
            "\ud83d",
            "me",
            ANA,
            ANA_LID,
            GROUP,
            f"true_{GROUP}_{STANZA}_{ANA}",
            "false__",
            "1" * 70,
            "nan",
            "A" * 600,
            "%",
            "2027-01-15T08:00:00Z",
        ]
    ),
)
NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([2**31, 2**63, 10**400, -(10**400), 10**17, SENT_S]),
    st.floats(allow_nan=False, allow_infinity=False),
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                TEXTS, st.sampled_from(["low", "high", "data", "message", "id", "_serialized"])
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - any JSON value
    """Each container in *value* with each of its keys or indices."""
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in list(keys):
        yield value, key
        yield from places(value[key])


@st.composite
def mutants(draw: st.DrawFn) -> Json:
    value = copy.deepcopy(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        found = list(places(value))
        container, key = found[draw(st.integers(0, len(found) - 1))]
        if isinstance(container, dict) and draw(st.booleans()) and len(found) > 1:
            container[draw(TEXTS)] = container.pop(key)
        else:
            container[key] = draw(ANYTHING)
    return value


def strings(value: object) -> Iterator[str]:
    """Every string in a struct, with its nested ones."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from strings(getattr(value, name))
    elif isinstance(value, tuple):
        for each in value:
            yield from strings(each)


def assert_storable(raw: bytes) -> None:
    for delivery in read_all(raw):
        assert delivery.observations
        assert not [text for text in strings(delivery) if UNSTORABLE.search(text)]
        for found in delivery.observations:
            if isinstance(found, NotUnderstood):
                assert "defect" not in found.reason


@given(mutants())
@example({"event": "group.join", "session": "default", "payload": [], "engine": "NOWEB"})
@settings(max_examples=examples(500))
def test_any_mutation_of_an_event_is_read_to_something_storable(value: Json) -> None:
    assert_storable(json.dumps(value).encode())


@given(st.lists(st.one_of(ANYTHING, mutants()), max_size=3))
@settings(max_examples=examples(80))
def test_any_array_gives_one_delivery_per_element(values: list[object]) -> None:
    raw = json.dumps(values).encode()
    assert_storable(raw)
    assert len(read_all(raw)) == len(values)


@given(st.binary(max_size=60))
@settings(max_examples=examples(200))
def test_any_bytes_are_read_or_refused_as_invalid_input(raw: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        assert_storable(raw)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed["event"])
def test_every_seed_is_understood(seed: Json) -> None:
    found = read(seed).observations
    assert not isinstance(found[0], NotUnderstood) or seed["event"] == "session.status"


def test_a_defect_of_ours_costs_only_its_own_event(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(payload: object, env: object) -> list[object]:
        raise KeyError("a secret")

    monkeypatch.setattr("wagateway.adapters.waha.reader._READERS", {"message": broken})
    raw = json.dumps([body("message", bare()), body("presence.update", {})]).encode()
    first, second = read_all(raw)
    found = first.observations[0]
    assert isinstance(found, NotUnderstood)
    assert "defect" in found.reason
    assert "secret" not in found.reason
    assert isinstance(second.observations[0], NotArchived)


def test_a_megabyte_of_text_passes_and_absurd_ids_do_not() -> None:
    text = "á" * 500_000
    assert message(bare(body=text)).text == text
    (found, *_) = read(body("message", bare(id=f"false_{ANA}_{text}"))).observations
    assert isinstance(found, NotUnderstood)
    assert len(found.reason) < 300


def test_a_reason_never_repeats_what_somebody_wrote() -> None:
    payload = bare(body="a secret", id="false_nonsense_") | {"from": "secret", "caption": "secret"}
    (found, *_) = read(body("message", payload)).observations
    assert isinstance(found, NotUnderstood)
    assert "secret" not in found.reason


def test_ids_may_hold_what_would_harm_a_careless_store() -> None:
    for stanza in ("'; DROP TABLE messages;--", "../../../etc/passwd", "${jndi:ldap://x}", "a\nb"):
        (found, *_) = read(body("message", bare(id=f"false_{ANA}_{stanza}", body="x"))).observations
        ref = getattr(found, "ref", None)
        assert isinstance(ref, MessageRef)
        assert ref.stanza == stanza
