"""Groups: joining, leaving, members, subject, description, and the deprecated events."""

import pytest
from tests.unit.adapters.waha.test_bodies import (
    ANA,
    ANA_LID,
    BIA,
    BUILT,
    GROUP,
    ME,
    SENT,
    SENT_S,
    Json,
    observed,
    said,
)

from wagateway.domain.events import (
    GroupChanged,
    IdentityLinked,
    Member,
    NotArchived,
    NotUnderstood,
    Role,
)
from wagateway.domain.identity import Evidence, Jid


def changing(change: object, participants: object, **over: object) -> Json:
    sides = {"type": change, "participants": participants, "timestamp": SENT_S * 1000}
    return {"group": {"id": GROUP}} | sides | over


def members(payload: Json, event: str = "group.v2.participants") -> list[tuple[str, Role]]:
    (found,) = said(event, payload)
    assert isinstance(found, GroupChanged)
    assert (found.group, found.at) == (GROUP, SENT)
    return [(member.jid, member.role) for member in found.members]


def test_joining_tells_the_group_whole() -> None:
    group = {
        "id": GROUP,
        "subject": "Team",
        "description": "",
        "participants": [
            {"id": ANA_LID, "pn": ANA, "role": "superadmin"},
            {"id": BIA, "role": "admin"},
            {"id": ME},
        ],
    }
    (found,) = said("group.v2.join", {"group": group, "timestamp": SENT_S})
    assert found == GroupChanged(
        group=GROUP,
        at=SENT,
        subject="Team",
        description="",
        members=(
            Member(jid=ANA_LID, role=Role.SUPERADMIN),
            Member(jid=BIA, role=Role.ADMIN),
            Member(jid=ME, role=Role.PARTICIPANT),
        ),
    )


@pytest.mark.parametrize(
    ("change", "given", "role"),
    [
        ("join", "admin", Role.ADMIN),
        ("join", None, Role.PARTICIPANT),
        ("join", "left", Role.PARTICIPANT),
        ("join", "emperor", Role.PARTICIPANT),
        ("join", [], Role.PARTICIPANT),
        ("leave", "participant", Role.LEFT),
        ("promote", "participant", Role.ADMIN),
        ("demote", "admin", Role.PARTICIPANT),
    ],
)
def test_the_type_of_the_change_decides_the_role(change: str, given: object, role: Role) -> None:
    assert members(changing(change, [{"id": BIA, "role": given}])) == [(BIA, role)]


@pytest.mark.parametrize(
    "each",
    [
        BIA,
        "5511922220002:4@s.whatsapp.net",
        {"id": BIA},
        {"id": {"user": "5511922220002", "server": "c.us"}},
        {"user": "5511922220002", "server": "c.us", "_serialized": BIA},
        {"id": None, "pn": BIA},
    ],
)
def test_a_member_may_be_text_or_an_object(each: object) -> None:
    assert members(changing("leave", [each])) == [(BIA, Role.LEFT)]


@pytest.mark.parametrize("broken", [None, 5, "x", {}, [], {"id": "x"}, {"role": "admin"}])
def test_a_broken_member_spoils_no_other(broken: object) -> None:
    first, second = said("group.v2.participants", changing("join", [{"id": ANA}, broken]))
    assert isinstance(first, GroupChanged)
    assert [member.jid for member in first.members] == [ANA]
    assert isinstance(second, NotUnderstood)
    (alone,) = said("group.v2.participants", changing("join", [broken]))
    assert isinstance(alone, NotUnderstood)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        changing("join", None),
        changing("vanish", [{"id": ANA}]),
        changing({"a": []}, [{"id": ANA}]),
        changing(None, [{"id": ANA}]),
        changing("join", [{"id": ANA}], group=None),
        changing("join", [{"id": ANA}], group={"id": ANA}),
    ],
)
def test_a_change_of_nothing_known_is_not_understood(payload: Json) -> None:
    (found,) = said("group.v2.participants", payload)
    assert isinstance(found, NotUnderstood)


def test_no_members_are_no_change() -> None:
    (found,) = said("group.v2.participants", changing("join", []))
    assert isinstance(found, NotArchived)


def test_the_group_may_be_named_by_the_engine_data_alone() -> None:
    for data in ({"id": GROUP}, {"JID": GROUP}):
        assert members(changing("leave", [BIA], group=None, _data=data)) == [(BIA, Role.LEFT)]


def test_leaving_is_my_own_going() -> None:
    payload = {"group": {"id": GROUP}, "timestamp": SENT_S}
    assert members(payload, "group.v2.leave") == [(ME, Role.LEFT)]
    (found,) = said("group.v2.leave", payload, me=None)
    assert isinstance(found, NotArchived)


def test_who_removed_me_may_be_told_by_both_addresses() -> None:
    data = {"author": ANA_LID, "authorPn": ANA}
    payload = {"group": {"id": GROUP}, "timestamp": SENT_S, "_data": data}
    first, second = observed("group.v2.leave", payload)
    assert first == GroupChanged(group=GROUP, at=SENT, members=(Member(jid=ME, role=Role.LEFT),))
    assert second == IdentityLinked(lid=ANA_LID, phone=ANA, evidence=Evidence.GROUP_MEMBER)


@pytest.mark.parametrize(
    ("over", "subject", "description"),
    [
        ({"subject": "New"}, "New", None),
        ({"description": "D\x00"}, None, "D\ufffd"),
        ({"description": ""}, None, ""),
        ({"subject": "New", "description": None}, "New", None),
    ],
)
def test_an_update_has_only_what_changed(
    over: Json, subject: str | None, description: str | None
) -> None:
    (found,) = said("group.v2.update", {"group": {"id": GROUP} | over})
    assert found == GroupChanged(group=GROUP, at=BUILT, subject=subject, description=description)


def test_an_update_of_other_settings_is_not_archived() -> None:
    (found,) = said("group.v2.update", {"group": {"id": GROUP, "membersCanSendMessages": True}})
    assert isinstance(found, NotArchived)
    (lost,) = said("group.v2.update", {"group": {"subject": "x"}})
    assert isinstance(lost, NotUnderstood)


@pytest.mark.parametrize(
    "payload",
    [
        changing("join", [{"id": ANA_LID, "pn": ANA}]),
        changing(
            "join", [{"id": ANA_LID}], _data={"participants": [{"phoneNumber": ANA, "id": ANA_LID}]}
        ),
        changing(
            "join",
            [ANA_LID],
            _data={"Participants": [{"JID": ANA, "LID": ANA_LID, "PhoneNumber": ANA}]},
        ),
        changing("join", [{"id": ANA_LID, "pn": ANA}, {"id": ANA_LID, "pn": ANA}]),
        changing("promote", [{"id": ANA_LID, "pn": "5511911110001:3@s.whatsapp.net"}]),
    ],
)
def test_members_link_their_two_addresses(payload: Json) -> None:
    found = observed("group.v2.participants", payload)[1:]
    assert found == [IdentityLinked(lid=ANA_LID, phone=ANA, evidence=Evidence.GROUP_MEMBER)]


@pytest.mark.parametrize("pn", [None, "", ANA_LID, "x", 5])
def test_no_phone_no_link(pn: object) -> None:
    found = observed("group.v2.participants", changing("join", [{"id": ANA_LID, "pn": pn}]))
    assert len(found) == 1


def test_a_request_to_join_is_worth_its_link_alone() -> None:
    payload = {"group": {"id": GROUP}, "requesterId": ANA_LID, "requesterPn": ANA}
    first, second = observed("group.v2.participants.join-request", payload)
    assert isinstance(first, NotArchived)
    assert second == IdentityLinked(lid=ANA_LID, phone=ANA, evidence=Evidence.GROUP_MEMBER)


@pytest.mark.parametrize(
    ("event", "role"), [("group.join", Role.PARTICIPANT), ("group.leave", Role.LEFT)]
)
def test_the_deprecated_events_in_the_browser_shape(event: str, role: Role) -> None:
    key = {"remote": GROUP, "id": "1", "participant": ANA, "fromMe": False}
    payload = {"recipientIds": [BIA], "timestamp": SENT_S}
    assert members(payload | {"chatId": GROUP}, event) == [(BIA, role)]
    assert members(payload | {"id": key}, event) == [(BIA, role)]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"id": ANA, "subject": "no group", "participants": [{"id": ANA}]},
        {"chatId": GROUP, "recipientIds": "x"},
        {"chatId": GROUP, "recipientIds": []},
        {"chatId": ANA, "recipientIds": [BIA]},
    ],
)
def test_the_deprecated_events_in_other_shapes_are_not_archived(payload: Json) -> None:
    (found,) = said("group.join", payload)
    assert isinstance(found, NotArchived)


def test_a_broken_recipient_of_a_deprecated_event_is_not_understood() -> None:
    payload = {"chatId": GROUP, "recipientIds": [BIA, None]}
    first, second = said("group.leave", payload)
    assert isinstance(first, GroupChanged)
    assert first.members == (Member(jid=Jid(BIA), role=Role.LEFT),)
    assert isinstance(second, NotUnderstood)
