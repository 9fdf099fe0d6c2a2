"""What WAHA says of groups in the same words whichever engine speaks."""

from typing import assert_never

from wagateway.simulator.happenings import (
    Address,
    DescriptionChanged,
    GroupJoined,
    GroupLeft,
    JoinRequested,
    MembersChanged,
    OfGroup,
    RuleChanged,
    SubjectChanged,
)
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Group, Person

ROLES = {"join": "participant", "leave": "left", "promote": "admin", "demote": "participant"}
REQUEST_METHOD = "invite_link"


def addressing(group: Group) -> Address:
    """Return how *group* addresses its members."""
    return Address.LID if group.by_lid else Address.PHONE


def group_event(happening: OfGroup) -> str:
    """Return the name of the event that tells of *happening*."""
    match happening:
        case MembersChanged():
            return "group.v2.participants"
        case SubjectChanged() | DescriptionChanged() | RuleChanged():
            return "group.v2.update"
        case GroupJoined():
            return "group.v2.join"
        case GroupLeft():
            return "group.v2.leave"
        case JoinRequested():
            return "group.v2.participants.join-request"
    assert_never(happening)


def group_payload(happening: OfGroup, *, timestamp: int, role: str, data: Payload) -> Payload:
    """Return the payload of a group event.

    Args:
        happening: what happened.
        timestamp: in the engine's unit.
        role: which role a demoted member has now.
        data: the engine's own.
    """
    named = {"id": happening.group.jid}
    match happening:
        case MembersChanged():
            now = role if happening.change == "demote" else ROLES[happening.change]
            return {
                "group": named,
                "type": happening.change,
                "timestamp": timestamp,
                "participants": [_member(happening.group, happening.member, now)],
                "_data": data,
            }
        case GroupJoined():
            return {"timestamp": timestamp, "group": _whole(happening), "_data": data}
        case GroupLeft():
            return {"timestamp": timestamp, "group": named, "_data": data}
        case JoinRequested():
            return {"group": named, **_request(happening), "timestamp": timestamp, "_data": data}
        case SubjectChanged():
            changed: Payload = {"subject": happening.subject}
        case DescriptionChanged():
            changed = {"description": happening.description}
        case RuleChanged():
            changed = {happening.rule: happening.allowed}
        case _:
            assert_never(happening)
    return {"timestamp": timestamp, "group": {**named, **changed}, "_data": data}


def _whole(happening: GroupJoined) -> Payload:
    owner = happening.members[0]
    return {
        "id": happening.group.jid,
        "subject": happening.subject,
        "description": happening.description,
        "participants": [
            _member(happening.group, member, "superadmin" if member is owner else "participant")
            for member in happening.members
        ],
        "membersCanAddNewMember": True,
        "membersCanSendMessages": True,
        "newMembersApprovalRequired": False,
    }


def _member(group: Group, member: Person, role: str) -> Payload:
    address = member.lid_jid if group.by_lid else member.phone_jid
    return {"id": address, "pn": member.phone_jid, "role": role}


def _request(happening: JoinRequested) -> Payload:
    person, by_lid = happening.person, happening.group.by_lid
    return {
        "action": happening.action,
        "requesterId": person.lid_jid if by_lid else person.phone_jid,
        "requesterPn": person.phone_jid,
        "requestMethod": REQUEST_METHOD,
    }
