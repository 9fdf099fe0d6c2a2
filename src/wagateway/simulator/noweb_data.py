"""What Baileys says of groups and calls, as NOWEB passes it on in ``_data``."""

from datetime import UTC, datetime
from typing import assert_never

from wagateway.simulator.group_events import REQUEST_METHOD, addressing
from wagateway.simulator.happenings import (
    Address,
    Called,
    CallState,
    DescriptionChanged,
    GroupJoined,
    GroupLeft,
    JoinRequested,
    MembersChanged,
    OfGroup,
    RuleChanged,
    SubjectChanged,
)
from wagateway.simulator.shapes import engine_jid
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Group, Person

_ACTIONS = {"join": "add", "leave": "remove", "promote": "promote", "demote": "demote"}
_CALL_STATUSES = {
    CallState.RECEIVED: "offer",
    CallState.ACCEPTED: "accept",
    CallState.REJECTED: "timeout",
}
_RULES = {
    "membersCanSendMessages": "announce",
    "membersCanAddNewMember": "memberAddMode",
    "newMembersApprovalRequired": "joinApprovalMode",
}


def group_data(happening: OfGroup, account: Person) -> Payload:  # noqa: PLR0911 - one arm per happening
    """Return Baileys' own data of a group event."""
    group = happening.group
    match happening:
        case MembersChanged():
            admin = "admin" if happening.change == "promote" else None
            return {
                **_by(group, happening.by),
                "participants": [_participant(group, happening.member, admin)],
                "action": _ACTIONS[happening.change],
            }
        case GroupLeft():
            return {
                **_by(group, happening.by),
                "participants": [_participant(group, account, None)],
                "action": "remove",
            }
        case SubjectChanged():
            return _update(group, happening.by, "subject", happening.subject)
        case DescriptionChanged():
            return _update(group, happening.by, "desc", happening.description)
        case RuleChanged():
            return _update(group, happening.by, _RULES[happening.rule], happening.allowed)
        case GroupJoined():
            return _metadata(happening)
        case JoinRequested():
            return _request(happening)
    assert_never(happening)


def call_data(happening: Called) -> Payload:
    """Return Baileys' own data of a call."""
    caller = engine_jid(happening.person, happening.address)
    group = happening.group
    phone = engine_jid(happening.person, Address.PHONE)
    return {
        "chatId": group.jid if group else caller,
        "from": caller,
        **({} if happening.address is Address.PHONE else {"callerPn": phone}),
        "id": happening.number,
        "date": datetime.fromtimestamp(happening.at_ms // 1000, UTC).strftime(
            "%Y-%m-%dT%H:%M:%S.000Z"
        ),
        "offline": False,
        "status": _CALL_STATUSES[happening.state],
        "isVideo": happening.video,
        "isGroup": group is not None,
        **({"groupJid": group.jid} if group else {}),
    }


def _by(group: Group, author: Person) -> Payload:
    return {
        "id": group.jid,
        "author": engine_jid(author, addressing(group)),
        "authorPn": engine_jid(author, Address.PHONE),
    }


def _participant(group: Group, member: Person, admin: str | None) -> Payload:
    return {
        "id": engine_jid(member, addressing(group)),
        "phoneNumber": engine_jid(member, Address.PHONE),
        "admin": admin,
    }


def _update(group: Group, by: Person, key: str, value: str | bool) -> Payload:  # noqa: FBT001 - as told
    return {"id": group.jid, key: value, "author": engine_jid(by, addressing(group))}


def _metadata(happening: GroupJoined) -> Payload:
    group, owner = happening.group, happening.members[0]
    made = happening.at_ms // 1000 - 5_000_000
    return {
        "id": group.jid,
        "addressingMode": "lid" if group.by_lid else "pn",
        "subject": happening.subject,
        "subjectOwner": engine_jid(owner, addressing(group)),
        "subjectTime": made,
        "size": len(happening.members),
        "creation": made,
        "owner": engine_jid(owner, addressing(group)),
        "ownerPn": engine_jid(owner, Address.PHONE),
        "desc": happening.description,
        "restrict": False,
        "announce": False,
        "isCommunity": False,
        "isCommunityAnnounce": False,
        "joinApprovalMode": False,
        "memberAddMode": True,
        "participants": [
            _participant(group, member, "superadmin" if member is owner else None)
            for member in happening.members
        ],
        "author": engine_jid(happening.by, addressing(group)),
    }


def _request(happening: JoinRequested) -> Payload:
    group, person = happening.group, happening.person
    return {
        **_by(group, person),
        "participant": engine_jid(person, addressing(group)),
        "participantPn": engine_jid(person, Address.PHONE),
        "action": happening.action,
        "method": REQUEST_METHOD,
    }
