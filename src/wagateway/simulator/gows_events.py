"""What whatsmeow says of groups and calls, as GOWS passes it on in ``_data``."""

from typing import Any, assert_never

from wagateway.simulator.gows_data import rfc3339
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
from wagateway.simulator.shapes import engine_jid, other_jid
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Group, Person

_ACTIONS = {"join": "Join", "leave": "Leave", "promote": "Promote", "demote": "Demote"}
_TAGS = {
    CallState.RECEIVED: "offer",
    CallState.ACCEPTED: "accept",
    CallState.REJECTED: "terminate",
}


def group_data(happening: OfGroup, account: Person) -> Payload:
    """Return whatsmeow's own event of a group."""
    if isinstance(happening, GroupJoined):
        return _joined(happening)
    by = happening.person if isinstance(happening, JoinRequested) else happening.by
    event = _info(happening.group, by, happening.at_ms)
    address = addressing(happening.group)
    match happening:
        case MembersChanged():
            event[_ACTIONS[happening.change]] = [engine_jid(happening.member, address)]
        case GroupLeft():
            event["Leave"] = [engine_jid(account, address)]
        case SubjectChanged():
            event["Name"] = {"Name": happening.subject, **_set(event, "Name")}
        case DescriptionChanged():
            event["Topic"] = {
                "Topic": happening.description,
                "TopicID": f"3EB0{happening.at_ms:X}",
                **_set(event, "Topic"),
                "TopicDeleted": not happening.description,
            }
        case RuleChanged():
            event |= _rule(happening)
        case JoinRequested():
            event |= _requests(happening)
        case _:
            assert_never(happening)
    return event


def call_data(happening: Called) -> Payload:
    """Return whatsmeow's own event of a call."""
    caller = engine_jid(happening.person, happening.address)
    reason = "timeout" if happening.state is CallState.REJECTED else ""
    remote = {"RemotePlatform": "android", "RemoteVersion": "2.26.35.77"}
    media = "video" if happening.video else "audio"
    return {
        "From": caller,
        "Timestamp": rfc3339(happening.at_ms),
        "CallCreator": caller,
        "CallCreatorAlt": other_jid(happening.person, happening.address) or "",
        "CallID": happening.number,
        "GroupJID": happening.group.jid if happening.group else "",
        **({"Reason": reason} if reason else remote),
        "Data": {
            "Tag": _TAGS[happening.state],
            "Attrs": {
                "call-id": happening.number,
                "call-creator": caller,
                "media": media,
                **({"reason": reason} if reason else {}),
            },
            "Content": None,
        },
    }


def _info(group: Group, by: Person, at_ms: int) -> Payload:
    """Return whatsmeow's event of a changed group, with nothing changed yet."""
    changes = ("Name", "Topic", "Locked", "Announce", "Ephemeral", "MembershipApprovalMode")
    more = ("Delete", "Link", "Unlink", "NewInviteLink")
    nothing: dict[str, Any] = dict.fromkeys((*changes, *more))
    return {
        "JID": group.jid,
        "Notify": "",
        "Sender": engine_jid(by, addressing(group)),
        "SenderPN": engine_jid(by, Address.PHONE),
        "Timestamp": rfc3339(at_ms),
        **nothing,
        "PrevParticipantVersionID": str(at_ms // 1000 - 1),
        "ParticipantVersionID": str(at_ms // 1000),
        "JoinReason": "",
        **dict.fromkeys(("Join", "Leave", "Promote", "Demote")),
        "UnknownChanges": [],
    }


def _set(event: Payload, what: str) -> Payload:
    return {
        f"{what}SetAt": event["Timestamp"],
        f"{what}SetBy": event["Sender"],
        f"{what}SetByPN": event["SenderPN"],
    }


def _rule(happening: RuleChanged) -> Payload:
    version = str(happening.at_ms // 1000)
    if happening.rule == "membersCanSendMessages":
        return {"Announce": {"IsAnnounce": not happening.allowed, "AnnounceVersionID": version}}
    if happening.rule == "newMembersApprovalRequired":
        mode = "request_required" if happening.allowed else ""
        return {
            "MembershipApprovalMode": {
                "IsJoinApprovalRequired": happening.allowed,
                "DefaultMembershipApprovalMode": mode,
            }
        }
    mode = "all_member_add" if happening.allowed else "admin_add"
    return {"UnknownChanges": [{"Tag": "member_add_mode", "Attrs": {}, "Content": mode}]}


def _requests(happening: JoinRequested) -> Payload:
    asks = engine_jid(happening.person, addressing(happening.group))
    tag = f"{happening.action}_membership_requests"
    attrs = {"request_method": REQUEST_METHOD, "requestor": asks}
    return {"UnknownChanges": [{"Tag": tag, "Attrs": attrs, "Content": None}]}


def _joined(happening: GroupJoined) -> Payload:
    group, owner = happening.group, happening.members[0]
    address = addressing(group)
    made = rfc3339(happening.at_ms - 5_000_000_000)
    who = engine_jid(owner, address)
    return {
        "Reason": "",
        "Type": "",
        "CreateKey": "",
        "Sender": engine_jid(happening.by, address),
        "SenderPN": engine_jid(happening.by, Address.PHONE),
        "Notify": happening.by.name,
        "JID": group.jid,
        "OwnerJID": who,
        "OwnerPN": engine_jid(owner, Address.PHONE),
        "Name": happening.subject,
        "NameSetAt": made,
        "NameSetBy": who,
        "Topic": happening.description,
        "TopicID": "3EB0C0FFEE",
        "TopicSetAt": made,
        "TopicSetBy": who,
        "TopicDeleted": False,
        "IsLocked": False,
        "IsAnnounce": False,
        "AnnounceVersionID": "",
        "IsEphemeral": False,
        "DisappearingTimer": 0,
        "IsIncognito": False,
        "IsParent": False,
        "DefaultMembershipApprovalMode": "",
        "LinkedParentJID": "",
        "IsDefaultSubGroup": False,
        "IsJoinApprovalRequired": False,
        "AddressingMode": "lid" if group.by_lid else "pn",
        "GroupCreated": made,
        "CreatorCountryCode": "BR",
        "ParticipantVersionID": str(happening.at_ms // 1000),
        "Participants": [_participant(member, address, owner) for member in happening.members],
        "MemberAddMode": "all_member_add",
    }


def _participant(member: Person, address: Address, owner: Person) -> Payload:
    return {
        "JID": engine_jid(member, address),
        "PhoneNumber": engine_jid(member, Address.PHONE),
        "LID": engine_jid(member, Address.LID),
        "IsAdmin": member is owner,
        "IsSuperAdmin": member is owner,
        "DisplayName": "",
        "Error": 0,
        "AddRequest": None,
    }
