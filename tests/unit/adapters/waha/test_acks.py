"""Acks: of the message as a whole, of one recipient among many, and WEBJS's complete messages."""

from datetime import UTC, datetime

import pytest
from tests.unit.adapters.waha.test_bodies import (
    ANA,
    ANA_LID,
    BIA,
    BUILT,
    GROUP,
    ME,
    MY_LID,
    SENT,
    SENT_S,
    STANZA,
    STATUS,
    Json,
    bare,
    observed,
    said,
    seen,
    webjs,
)

from wagateway.domain.events import (
    AckAdvanced,
    IdentityLinked,
    MessageSeen,
    NotArchived,
    NotUnderstood,
)
from wagateway.domain.identity import Evidence, Jid
from wagateway.domain.messages import Ack

READ_AT = datetime(2027, 1, 15, 8, 1, tzinfo=UTC)
READ_S = SENT_S + 60


def ack(over: Json, event: str = "message.ack", **envelope: object) -> AckAdvanced:
    (found,) = said(event, direct() | over, **envelope)
    assert isinstance(found, AckAdvanced)
    return found


def direct() -> Json:
    return {"id": f"true_{ANA}_{STANZA}", "from": ANA, "fromMe": True, "ack": 3, "ackName": "READ"}


def of_group(**over: object) -> Json:
    sides = {"from": GROUP, "to": GROUP, "participant": ANA_LID, "fromMe": True}
    return {"id": f"true_{GROUP}_{STANZA}_{ME}", "ack": 3, "ackName": "READ"} | sides | over


@pytest.mark.parametrize(
    ("number", "name", "level"),
    [
        (-1, "ERROR", Ack.ERROR),
        (0, "PENDING", Ack.PENDING),
        (1, "SERVER", Ack.SERVER),
        (2, "DEVICE", Ack.DEVICE),
        (3, "READ", Ack.READ),
        (4, "PLAYED", Ack.PLAYED),
        (3.0, None, Ack.READ),
        (None, "READ", Ack.READ),
        ("?", "played", Ack.PLAYED),
        (None, "UNKNOWN", None),
        (None, None, None),
        (9, "NEW", None),
        (True, None, None),
        ([], {}, None),
    ],
)
def test_levels(number: object, name: object, level: Ack | None) -> None:
    assert seen(bare(body="x", ack=number, ackName=name)).ack == level
    (found,) = said("message.ack", direct() | {"ack": number, "ackName": name})
    if level is None:
        assert isinstance(found, NotArchived)
    else:
        assert isinstance(found, AckAdvanced)
        assert found.ack is level


def test_a_direct_ack_is_of_the_message_and_at_the_time_of_the_event() -> None:
    found = ack({})
    assert (found.ref.chat, found.ref.stanza, found.ref.from_me) == (ANA, STANZA, True)
    assert (found.recipient, found.ref.participant, found.at) == (None, None, BUILT)


@pytest.mark.parametrize(
    ("level", "data"),
    [
        (3, {"key": {}, "receipt": {"readTimestamp": READ_S, "receiptTimestamp": SENT_S}}),
        (2, {"key": {}, "receipt": {"readTimestamp": SENT_S, "receiptTimestamp": str(READ_S)}}),
        (4, {"receipt": {"playedTimestamp": {"low": READ_S, "high": 0}, "readTimestamp": SENT_S}}),
        (4, {"receipt": {"readTimestamp": READ_S}}),
        (3, {"Chat": ANA, "Timestamp": "2027-01-15T05:01:00-03:00", "Type": "read"}),
        (3, {"tag": "receipt", "attrs": {"t": str(READ_S), "type": "read"}}),
    ],
)
def test_the_receipt_has_its_own_time(level: int, data: Json) -> None:
    assert ack({"ack": level, "_data": data}).at == READ_AT


def test_a_group_ack_is_of_one_recipient() -> None:
    found = ack(of_group(), "message.ack.group")
    assert (found.recipient, found.ref.participant) == (ANA_LID, ME)
    assert (found.ref.chat, found.ref.from_me) == (GROUP, True)


@pytest.mark.parametrize(
    ("over", "recipient"),
    [
        ({"participant": "5511911110001:7@s.whatsapp.net"}, ANA),
        ({"participant": None, "_data": {"receipt": {"userJid": ANA}}}, ANA),
        ({"participant": ME}, None),
        ({"participant": MY_LID}, None),
        ({"participant": None}, None),
        ({"participant": "x"}, None),
        ({"fromMe": False, "id": f"false_{GROUP}_{STANZA}_{ANA}"}, None),
        ({"id": f"true_{STATUS}_{STANZA}_{ME}", "from": STATUS, "to": STATUS}, ANA_LID),
        ({"id": f"true_123@broadcast_{STANZA}", "from": "123@broadcast"}, ANA_LID),
    ],
)
def test_the_recipient_is_another_who_got_my_message(over: Json, recipient: str | None) -> None:
    assert ack(of_group(**over), "message.ack.group").recipient == recipient


def test_an_ack_of_an_incoming_message_says_that_i_read_it_elsewhere() -> None:
    found = ack({"id": f"false_{ANA_LID}_{STANZA}", "from": ANA_LID, "fromMe": False})
    assert (found.ref.chat, found.ref.from_me, found.ack) == (ANA_LID, False, Ack.READ)


@pytest.mark.parametrize(
    ("over", "chat"),
    [
        ({"id": STANZA, "from": ANA}, ANA),
        ({"id": STANZA, "from": ME, "to": ANA}, ANA),
        ({"id": STANZA, "from": ANA, "to": GROUP}, GROUP),
    ],
)
def test_a_bare_id_takes_its_chat_from_the_sides(over: Json, chat: str) -> None:
    found = ack(over | {"fromMe": None})
    assert (found.ref.chat, found.ref.stanza, found.ref.from_me) == (chat, STANZA, True)


def test_an_ack_without_chat_is_not_understood() -> None:
    (found,) = said("message.ack", {"id": STANZA, "ack": 3})
    assert isinstance(found, NotUnderstood)


def test_a_complete_message_is_seen_too_and_its_time_is_not_the_acks() -> None:
    payload = webjs({"body": "oi", "ack": 3}, mine=True, body="oi", ack=3, ackName="READ")
    first, second = said("message.ack", payload, engine="WEBJS")
    assert isinstance(first, AckAdvanced)
    assert (first.at, first.recipient, first.ack) == (BUILT, None, Ack.READ)
    assert isinstance(second, MessageSeen)
    assert (second.message.sent_at, second.message.text, second.ack) == (SENT, "oi", Ack.READ)


def test_the_participant_of_a_complete_message_is_its_author_not_a_recipient() -> None:
    payload = webjs({"type": "image"}, GROUP, mine=True, participant=BIA, ack=2)
    first, second = said("message.ack", payload, engine="WEBJS")
    assert isinstance(first, AckAdvanced)
    assert first.recipient is None
    assert isinstance(second, MessageSeen)
    assert second.ref.participant == BIA


def test_a_complete_message_without_a_level_is_still_seen() -> None:
    payload = webjs({"body": "oi"}, body="oi", ack=None, ackName="UNKNOWN")
    (found,) = said("message.ack", payload, engine="WEBJS")
    assert isinstance(found, MessageSeen)
    assert found.ack is None


def test_a_receipt_links_its_sender() -> None:
    data = {"Chat": GROUP, "Sender": ANA_LID, "SenderAlt": "5511911110001:2@s.whatsapp.net"}
    found = observed("message.ack.group", of_group(_data=data))
    assert found[1:] == [IdentityLinked(lid=ANA_LID, phone=Jid(ANA), evidence=Evidence.ALTERNATIVE)]
