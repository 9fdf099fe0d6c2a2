"""Which message a payload is, in which chat, and by whom."""

from typing import Any

import pytest
from tests.unit.adapters.waha.test_bodies import (
    ANA,
    ANA_LID,
    BIA,
    CHANNEL,
    GROUP,
    ME,
    STANZA,
    STATUS,
    Json,
    bare,
    gows,
    message,
    noweb,
    said,
    seen,
    webjs,
)

from wagateway.domain.events import NotUnderstood

BAILEYS_AUTHOR = {"key": {"remoteJid": GROUP, "id": STANZA, "participant": "5511911110001:7@lid"}}


@pytest.mark.parametrize(
    ("payload", "over", "sender"),
    [
        (bare(ANA), {}, ANA),
        (bare(ANA_LID), {}, ANA_LID),
        (bare(ANA, mine=True), {}, ME),
        (bare(ANA, mine=True), {"me": None}, None),
        (bare(GROUP, author=ANA), {}, ANA),
        (bare(GROUP, author=ANA_LID, participant=BIA), {}, BIA),
        (bare(GROUP, mine=True), {}, ME),
        (bare(GROUP, mine=True, author=ANA_LID), {}, ANA_LID),
        (bare(GROUP), {}, None),
        (bare(STATUS, author=ANA), {}, ANA),
        (bare("1234@broadcast", author=ANA), {}, ANA),
        (bare(CHANNEL), {}, None),
        (bare(CHANNEL, mine=True), {}, None),
    ],
)
def test_the_sender(payload: Json, over: Json, sender: str | None) -> None:
    assert message(payload | {"body": "x"}, **over).sender == sender


@pytest.mark.parametrize(
    ("payload", "participant"),
    [
        (bare(ANA, author=BIA, participant=BIA), None),
        (bare(CHANNEL, author=BIA, participant=BIA), None),
        (bare(GROUP, author=ANA), ANA),
        (bare(GROUP, participant="5511911110001:7@s.whatsapp.net"), ANA),
        (bare(GROUP, author="no@jid@here"), None),
        (bare(GROUP, _data=BAILEYS_AUTHOR), "5511911110001@lid"),
        (bare(GROUP, _data={"key": {}, "participant": ANA}), ANA),
        (gows({}, GROUP, {"Sender": "5511911110001:7@s.whatsapp.net"}), ANA),
        (webjs({"author": {"server": "c.us", "user": "5511911110001"}}, GROUP), ANA),
        (webjs({"author": ANA}, GROUP), ANA),
        (webjs({"id": {"remote": GROUP, "id": STANZA, "participant": ANA}}, GROUP), ANA),
        (bare(GROUP, mine=True), None),
    ],
)
def test_the_author_is_told_where_a_chat_has_many(payload: Json, participant: str | None) -> None:
    assert seen(payload).ref.participant == participant


@pytest.mark.parametrize(
    ("id_", "chat", "stanza"),
    [
        (f"false_{ANA}_{STANZA}", ANA, STANZA),
        (f"false_5511911110001:4@s.whatsapp.net_{STANZA}", ANA, STANZA),
        (f"false_{ANA}_MY_OWN_ID", ANA, "MY_OWN_ID"),
        (f"false_{GROUP}_MY_OWN_ID_{BIA}", GROUP, "MY_OWN_ID"),
        (f"false_{GROUP}_{STANZA}_not-a-jid", GROUP, f"{STANZA}_not-a-jid"),
        (f"false_{ANA}_../../etc/passwd", ANA, "../../etc/passwd"),
        (f"false_{ANA}_'; DROP TABLE messages;--", ANA, "'; DROP TABLE messages;--"),
        (f"false_{ANA}_a\x00b\ud800%", ANA, "a%0000b%D800%0025"),
        ({"fromMe": False, "remote": ANA, "id": STANZA}, ANA, STANZA),
        ({"remote": {"user": "5511911110001", "server": "c.us"}, "id": STANZA}, ANA, STANZA),
        ({"_serialized": f"false_{ANA}_{STANZA}", "id": "other"}, ANA, STANZA),
        ({"_serialized": "new format", "remote": ANA, "id": STANZA}, ANA, STANZA),
    ],
)
def test_the_id_names_chat_and_message(id_: object, chat: str, stanza: str) -> None:
    ref = seen(bare(id=id_) | {"from": BIA}).ref
    assert (ref.chat, ref.stanza, ref.from_me) == (chat, stanza, False)


@pytest.mark.parametrize("id_", [None, "", STANZA, "true_", "_" * 300, "other", 5, [], {}])
@pytest.mark.parametrize(
    "payload", [noweb({"conversation": "x"}), gows({"conversation": "x"}), webjs({"body": "x"})]
)
def test_without_a_serialised_id_the_engine_data_names_it(payload: Json, id_: object) -> None:
    ref = seen(payload | {"id": id_, "from": BIA, "to": BIA}).ref
    assert (ref.chat, ref.stanza, ref.from_me) == (ANA, STANZA, False)


@pytest.mark.parametrize(
    ("engine", "mine", "sides", "chat"),
    [
        ("NOWEB", True, {"from": ANA}, ANA),
        ("GOWS", True, {"from": ANA, "to": None}, ANA),
        ("GOWS", False, {"from": GROUP, "to": BIA}, GROUP),
        ("WEBJS", True, {"from": ME, "to": ANA}, ANA),
        ("WPP", False, {"from": ANA, "to": ME}, ANA),
        (None, True, {"from": ME, "to": ANA}, ANA),
        (None, True, {"from": ANA, "to": ME}, ANA),
    ],
)
def test_without_any_id_of_a_chat_the_sides_tell_it(
    engine: str | None, sides: Json, chat: str, *, mine: bool
) -> None:
    payload = bare(id=STANZA, fromMe=mine) | sides
    assert seen(payload, engine=engine, environment=None).ref.chat == chat


@pytest.mark.parametrize(
    ("over", "mine"),
    [
        ({}, False),
        ({"fromMe": True}, True),
        ({"fromMe": None, "id": f"true_{ANA}_{STANZA}"}, True),
        ({"fromMe": "true"}, True),
        ({"fromMe": None, "id": STANZA, "from": ME}, True),
        ({"fromMe": None, "id": STANZA}, False),
    ],
)
def test_whether_it_is_mine(over: Json, *, mine: bool) -> None:
    found = seen(bare() | over)
    assert (found.ref.from_me, found.message.from_me) == (mine, mine)


@pytest.mark.parametrize(
    ("id_", "waha_id"),
    [
        (f"false_{ANA}_{STANZA}", f"false_{ANA}_{STANZA}"),
        (f"false_5511911110001:4@c.us_{STANZA}", f"false_5511911110001:4@c.us_{STANZA}"),
        ({"remote": ANA, "id": STANZA}, f"false_{ANA}_{STANZA}"),
        ({"_serialized": f"false_{ANA}_{STANZA}"}, f"false_{ANA}_{STANZA}"),
        (f"false_{ANA}_{STANZA}_{'x' * 3000}@c.us", f"false_{ANA}_{STANZA}"),
    ],
)
def test_the_id_for_calls_to_the_engine_is_kept_as_given(id_: object, waha_id: str) -> None:
    assert message(bare(id=id_)).waha_id == waha_id


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"id": "false_nonsense_ABC"},
        {"id": f"false_{ANA}_{'A' * 513}"},
        {"id": "A" * 513, "from": ANA},
        {"id": f"false_{ANA}_"},
        {"from": ANA},
        {"id": STANZA},
        {"id": STANZA, "from": "me"},
    ],
)
@pytest.mark.parametrize("event", ["message", "message.ack", "message.edited", "message.reaction"])
def test_what_names_no_message_is_not_understood(payload: Json, event: str) -> None:
    (found,) = said(event, payload | {"ack": 2, "editedMessageId": "A"})
    assert isinstance(found, NotUnderstood)
    assert found.known_event


def test_different_ids_never_become_equal_by_cleaning() -> None:
    raw = ("A\ud800", "A%D800", "A\ufffd", "A\x00", "A%0000")
    ids = {seen(bare(id=f"false_{ANA}_{each}")).ref.stanza for each in raw}
    assert len(ids) == len(raw)


def test_the_engine_time_counts_where_the_payload_has_none() -> None:
    times: list[Any] = [
        message(noweb({"conversation": "x"}, timestamp=None)).sent_at,
        message(gows({}, info={"Timestamp": "2027-01-15T05:00:00-03:00"}, timestamp=0)).sent_at,
        message(webjs({"body": "x"}, timestamp=None)).sent_at,
    ]
    assert {each.isoformat() for each in times} == {"2027-01-15T08:00:00+00:00"}
