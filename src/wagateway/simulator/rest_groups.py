"""Groups of the simulated WAHA's REST API, in the shape of each engine."""

from wagateway.simulator.engine import EngineName
from wagateway.simulator.gows_data import rfc3339
from wagateway.simulator.group_events import addressing
from wagateway.simulator.happenings import Address, jid
from wagateway.simulator.rest_answers import Answer, refused
from wagateway.simulator.rest_call import Call, Route
from wagateway.simulator.rest_query import in_order
from wagateway.simulator.rest_rows import picture
from wagateway.simulator.shapes import engine_jid, wid
from wagateway.simulator.surroundings import MEMBER, SUPERADMIN, Circle, Surroundings
from wagateway.simulator.wire import Payload
from wagateway.simulator.world import Person

_FOUNDED_S = 1_700_000_000


def group_row(
    engine: EngineName, around: Surroundings, circle: Circle, *, members: bool
) -> Payload:
    """Return a group as ``/groups`` tells of it.

    Phones of members stand beside their hidden ids where the engine knows them.
    """
    match engine:
        case EngineName.NOWEB:
            return _noweb(around, circle, members=members)
        case EngineName.GOWS:
            return _gows(around, circle, members=members)
        case EngineName.WEBJS:
            return _webjs(circle, members=members)


def _noweb(around: Surroundings, circle: Circle, *, members: bool) -> Payload:
    group = circle.group
    owner, _ = _owner(circle)
    who = engine_jid(owner, addressing(group))
    phone = {"Pn": engine_jid(owner, Address.PHONE)} if _is_shown(around, circle, owner) else {}
    row: Payload = {
        "id": group.jid,
        "addressingMode": "lid" if group.by_lid else "pn",
        "subject": circle.subject,
        "subjectOwner": who,
        **{f"subjectOwner{key}": value for key, value in phone.items()},
        "subjectTime": _FOUNDED_S,
        "size": len(circle.members),
        "creation": _FOUNDED_S,
        "owner": who,
        **{f"owner{key}": value for key, value in phone.items()},
        "desc": circle.description,
        "descId": "3EB0C0FFEE",
        "restrict": False,
        "announce": False,
        "isCommunity": False,
        "isCommunityAnnounce": False,
        "joinApprovalMode": False,
        "memberAddMode": True,
    }
    if members:
        row["participants"] = [
            {
                "id": engine_jid(person, addressing(group)),
                **(
                    {"phoneNumber": engine_jid(person, Address.PHONE)}
                    if _is_shown(around, circle, person)
                    else {}
                ),
                "admin": None if rank == MEMBER else rank,
            }
            for person, rank in circle.members.values()
        ]
    return row


def _gows(around: Surroundings, circle: Circle, *, members: bool) -> Payload:
    group = circle.group
    owner, _ = _owner(circle)
    who, made = engine_jid(owner, addressing(group)), rfc3339(_FOUNDED_S * 1000)
    shown = _is_shown(around, circle, owner)
    return {
        "JID": group.jid,
        "OwnerJID": who,
        "OwnerPN": engine_jid(owner, Address.PHONE) if shown else "",
        "Name": circle.subject,
        "NameSetAt": made,
        "NameSetBy": who,
        "Topic": circle.description,
        "TopicID": "3EB0C0FFEE",
        "TopicSetAt": made,
        "TopicSetBy": who,
        "TopicDeleted": not circle.description,
        **dict.fromkeys(("IsLocked", "IsAnnounce"), False),
        "AnnounceVersionID": "",
        "IsEphemeral": False,
        "DisappearingTimer": 0,
        **dict.fromkeys(("IsIncognito", "IsParent"), False),
        "DefaultMembershipApprovalMode": "",
        "LinkedParentJID": "",
        **dict.fromkeys(("IsDefaultSubGroup", "IsJoinApprovalRequired"), False),
        "AddressingMode": "lid" if group.by_lid else "pn",
        "GroupCreated": made,
        "CreatorCountryCode": "BR",
        "ParticipantVersionID": str(_FOUNDED_S),
        "Participants": _gows_members(around, circle) if members else None,
        "MemberAddMode": "all_member_add",
    }


def _gows_members(around: Surroundings, circle: Circle) -> list[Payload]:
    by_lid = circle.group.by_lid
    return [
        {
            "JID": engine_jid(person, addressing(circle.group)),
            "PhoneNumber": engine_jid(person, Address.PHONE)
            if _is_shown(around, circle, person)
            else "",
            "LID": person.lid_jid if by_lid or around.knows(person) else "",
            "IsAdmin": rank != MEMBER,
            "IsSuperAdmin": rank == SUPERADMIN,
            "DisplayName": "",
            "Error": 0,
            "AddRequest": None,
        }
        for person, rank in circle.members.values()
    ]


def _webjs(circle: Circle, *, members: bool) -> Payload:
    group, address = circle.group, addressing(circle.group)
    owner, _ = _owner(circle)
    metadata: Payload = {
        "id": wid(group.jid),
        "creation": _FOUNDED_S,
        "owner": wid(jid(owner, address)),
        "subject": circle.subject,
        "subjectTime": _FOUNDED_S,
        "desc": circle.description,
        "restrict": False,
        "announce": False,
    }
    if members:
        metadata["participants"] = [
            {
                "id": wid(jid(person, address)),
                "isAdmin": rank != MEMBER,
                "isSuperAdmin": rank == SUPERADMIN,
            }
            for person, rank in circle.members.values()
        ]
    return {
        "id": wid(group.jid),
        "name": circle.subject,
        "isGroup": True,
        "isReadOnly": False,
        "unreadCount": 0,
        "timestamp": _FOUNDED_S,
        "archived": False,
        "pinned": False,
        "isMuted": False,
        "muteExpiration": 0,
        "groupMetadata": metadata,
    }


def _owner(circle: Circle) -> tuple[Person, str]:
    return circle.group.members[0], SUPERADMIN


def _is_shown(around: Surroundings, circle: Circle, person: Person) -> bool:
    """Tell whether the phone of *person* is known in the group."""
    return not circle.group.by_lid or around.knows(person)


def _groups(call: Call) -> Answer:
    hosted = call.session
    excluded = (call.query.text("exclude") or "").split(",")
    page = call.query.page(sorts=("id", "subject"), descending=False)
    circles = in_order(
        list(hosted.around.circles.values()),
        page,
        lambda c: (c.subject if page.sort_by == "subject" else c.group.jid,),
    )
    rows = [_shown(call, circle, members="participants" not in excluded) for circle in circles]
    if hosted.engine.name is EngineName.NOWEB:
        return Answer(body={row["id"]: row for row in rows})
    return Answer(body=rows)


def _group(call: Call) -> Answer:
    return Answer(body=_shown(call, _circle(call), members=True))


def _shown(call: Call, circle: Circle, *, members: bool) -> Payload:
    call.session.show_subject(circle)
    return group_row(call.session.engine.name, call.session.around, circle, members=members)


def _participants(call: Call) -> Answer:
    circle, around = _circle(call), call.session.around
    address = addressing(circle.group)
    return Answer(
        body=[
            {
                "id": jid(person, address),
                "pn": person.phone_jid if _is_shown(around, circle, person) else None,
                "role": rank,
            }
            for person, rank in circle.members.values()
        ]
    )


def _count(call: Call) -> Answer:
    return Answer(body={"count": len(call.session.around.circles)})


def _picture(call: Call) -> Answer:
    return Answer(body={"url": picture(call.params["id"])})


def _circle(call: Call) -> Circle:
    circle = call.session.around.circles.get(call.params["id"])
    if circle is None:
        raise refused(404, "Group not found")
    return circle


GROUPS: tuple[Route, ...] = (
    Route(method="GET", path="/api/{session}/groups", handle=_groups),
    Route(method="GET", path="/api/{session}/groups/count", handle=_count),
    Route(method="GET", path="/api/{session}/groups/{id}", handle=_group),
    Route(method="GET", path="/api/{session}/groups/{id}/participants/v2", handle=_participants),
    Route(method="GET", path="/api/{session}/groups/{id}/picture", handle=_picture),
)
