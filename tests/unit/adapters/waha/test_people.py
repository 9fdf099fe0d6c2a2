"""What events teach of people: LID and phone of one person, and the names they give themselves."""

import pytest
from tests.unit.adapters.waha.test_bodies import (
    ANA,
    ANA_LID,
    BIA,
    BUILT,
    CHANNEL,
    GROUP,
    ME,
    MY_LID,
    STANZA,
    Json,
    bare,
    body,
    gows,
    message,
    noweb,
    observed,
    read,
    webjs,
)

from wagateway.domain.events import ContactSeen, IdentityLinked, MessageSeen, NotArchived
from wagateway.domain.identity import Evidence, Jid

PHONE = "5511911110001@s.whatsapp.net"
LINK = IdentityLinked(lid=ANA_LID, phone=ANA, evidence=Evidence.ALTERNATIVE)
OWN = IdentityLinked(lid=MY_LID, phone=ME, evidence=Evidence.OWN_ACCOUNT)


def links(payload: Json, **over: object) -> list[IdentityLinked]:
    found = observed("message", payload, **over)
    return [each for each in found if isinstance(each, IdentityLinked)]


def keyed(chat: str = ANA_LID, *, mine: bool = False, **key: object) -> Json:
    whole = {"remoteJid": chat, "id": STANZA, "fromMe": mine} | key
    return bare(chat, mine=mine, body="x", _data={"key": whole, "message": {"conversation": "x"}})


@pytest.mark.parametrize(
    "payload",
    [
        keyed(remoteJidAlt=PHONE),
        keyed(senderPn=PHONE),
        keyed(remoteJidAlt=PHONE, senderPn=PHONE),
        keyed("5511911110001@s.whatsapp.net", remoteJidAlt=ANA_LID),
        keyed("5511911110001@s.whatsapp.net", senderLid="271000000000001:4@lid"),
        keyed(GROUP, participant=ANA_LID, participantAlt=PHONE),
        keyed(GROUP, participant=ANA_LID, participantPn=PHONE),
        keyed(GROUP, participant=PHONE, participantLid=ANA_LID),
        keyed(mine=True, remoteJidAlt=PHONE),
        gows({}, ANA_LID, {"SenderAlt": PHONE}),
        gows({}, GROUP, {"Sender": "5511911110001:7@s.whatsapp.net", "SenderAlt": ANA_LID}),
        gows({}, ANA, {"Sender": ME, "RecipientAlt": ANA_LID, "IsFromMe": True}),
    ],
)
def test_an_alternative_address_links_a_lid_and_a_phone(payload: Json) -> None:
    assert links(payload) == [LINK]


@pytest.mark.parametrize("alternative", ["", None, ANA_LID, "nonsense", 5, GROUP, {}])
def test_what_is_no_counterpart_links_nothing(alternative: object) -> None:
    assert links(keyed(remoteJidAlt=alternative)) == []
    assert links(gows({}, ANA_LID, {"SenderAlt": alternative})) == []


def test_my_own_other_address_is_never_taken_for_the_other_sides() -> None:
    assert links(keyed(mine=True, remoteJidAlt=ME)) == []
    assert links(keyed(ANA, mine=True, remoteJidAlt=MY_LID)) == []
    assert links(keyed(mine=True, senderPn=BIA)) == []
    assert links(gows({}, ANA, {"Sender": ME, "RecipientAlt": MY_LID})) == []


def test_where_my_own_lid_is_unknown_an_own_message_links_nothing() -> None:
    for me in (None, {"id": ME}):
        assert links(keyed(ANA, mine=True, remoteJidAlt=ANA_LID), me=me) == []
        assert links(keyed(ANA, remoteJidAlt=ANA_LID), me=me) == [LINK]


@pytest.mark.parametrize("event", ["message", "presence.update", "session.status", "no.such.event"])
def test_the_account_links_its_own_addresses_whatever_the_event(event: str) -> None:
    payload = bare(body="x") | {"status": "WORKING"}
    assert OWN in read(body(event, payload)).observations
    assert OWN not in read(body(event, payload, me={"id": ME})).observations


def test_stronger_evidence_for_the_same_link_is_the_one_kept() -> None:
    payload = gows({}, GROUP, {"Sender": MY_LID, "SenderAlt": ME, "IsFromMe": True})
    found = read(body("message.any", payload)).observations
    assert [each for each in found if isinstance(each, IdentityLinked)] == [OWN]


@pytest.mark.parametrize(
    "payload",
    [
        bare(_data={"key": {}, "pushName": "Ana", "message": {}}),
        gows({}, ANA, {"PushName": "Ana"}),
        webjs({"notifyName": "Ana"}),
    ],
)
def test_an_incoming_sender_is_named(payload: Json) -> None:
    _, name = observed("message", payload)
    assert name == ContactSeen(contact=ANA, push_name="Ana", at=BUILT)
    assert message(payload).sender_name == "Ana"


@pytest.mark.parametrize(
    "payload",
    [
        bare(mine=True, _data={"key": {}, "pushName": "Me", "message": {}}),
        bare(_data={"key": {}, "pushName": "", "message": {}}),
        bare(_data={"key": {}, "pushName": 5, "message": {}}),
        bare(CHANNEL, _data={"key": {}, "pushName": "Channel", "message": {}}),
        bare(GROUP, _data={"key": {}, "pushName": "Nobody", "message": {}}),
    ],
)
def test_no_other_name_is_taken(payload: Json) -> None:
    assert [type(each) for each in observed("message", payload)] == [MessageSeen]


def test_the_author_is_named_in_a_group() -> None:
    payload = noweb({"conversation": "x"}, GROUP, participant=BIA)
    payload["_data"]["pushName"] = "Bia"
    _, name = observed("message", payload)
    assert name == ContactSeen(contact=Jid(BIA), push_name="Bia", at=BUILT)


def test_links_come_after_the_event_and_names_last() -> None:
    payload = keyed(remoteJidAlt=PHONE)
    payload["_data"]["pushName"] = "Ana"
    found = read(body("message", payload)).observations
    assert [type(each) for each in found] == [
        MessageSeen,
        IdentityLinked,
        IdentityLinked,
        ContactSeen,
    ]
    assert found[1:3] == (OWN, LINK)


def test_even_an_event_of_no_interest_keeps_its_link() -> None:
    first, second = read(body("presence.update", {})).observations
    assert isinstance(first, NotArchived)
    assert second == OWN
