"""WhatsApp Web's notices of what happens in groups, as WEBJS passes them on in ``_data``."""

from typing import assert_never

from wagateway.simulator.dice import digest
from wagateway.simulator.group_events import addressing
from wagateway.simulator.happenings import (
    DescriptionChanged,
    GroupJoined,
    GroupLeft,
    JoinRequested,
    MembersChanged,
    OfGroup,
    RuleChanged,
    SubjectChanged,
    jid,
)
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Group, Person

_MEMBERS = {"join": "add", "leave": "leave", "promote": "promote", "demote": "demote"}
_RULES = {
    "membersCanSendMessages": "announce",
    "membersCanAddNewMember": "member_add_mode",
    "newMembersApprovalRequired": "membership_approval_mode",
}


def group_data(happening: OfGroup, account: Person) -> Payload:  # noqa: PLR0911 - one arm per happening
    """Return WhatsApp Web's notice of a group."""
    group, at_ms = happening.group, happening.at_ms
    address = addressing(group)
    match happening:
        case MembersChanged():
            notice = _notice(group, happening.by, at_ms, _MEMBERS[happening.change])
            return {**notice, "recipientIds": [jid(happening.member, address)]}
        case GroupJoined():
            notice = _notice(group, happening.by, at_ms, "add")
            return {**notice, "recipientIds": [jid(account, address)]}
        case GroupLeft():
            kind = "leave" if happening.by == account else "remove"
            notice = _notice(group, happening.by, at_ms, kind)
            return {**notice, "recipientIds": [jid(account, address)]}
        case SubjectChanged():
            notice = _notice(group, happening.by, at_ms, "subject")
            return {**notice, "body": happening.subject, "recipientIds": []}
        case DescriptionChanged():
            notice = _notice(group, happening.by, at_ms, "description")
            return {**notice, "body": happening.description, "recipientIds": []}
        case RuleChanged():
            notice = _notice(group, happening.by, at_ms, _RULES[happening.rule])
            return {**notice, "body": "on" if happening.allowed else "off", "recipientIds": []}
        case JoinRequested():  # not told by WEBJS; WhatsApp Web shows it all the same
            notice = _notice(group, happening.person, at_ms, "membership_approval_request")
            return {**notice, "recipientIds": []}
    assert_never(happening)


def _notice(group: Group, by: Person, at_ms: int, kind: str) -> Payload:
    author = jid(by, addressing(group))
    number = str(int.from_bytes(digest(4, group.jid, at_ms, kind)))
    stamp = at_ms // 1000
    return {
        "id": {
            "fromMe": False,
            "remote": group.jid,
            "id": f"{number}{stamp}",
            "participant": author,
            "_serialized": f"false_{group.jid}_{number}{stamp}_{author}",
        },
        "body": "",
        "type": kind,
        "timestamp": stamp,
        "chatId": group.jid,
        "author": author,
    }
