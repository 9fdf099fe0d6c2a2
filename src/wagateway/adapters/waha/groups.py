"""Groups: joining, leaving, members, subject and description."""

from collections.abc import Iterator
from datetime import datetime

from wagateway.adapters.waha.envelope import Envelope
from wagateway.adapters.waha.fields import Obj, fold, items, moment, obj, text
from wagateway.adapters.waha.places import link
from wagateway.adapters.waha.refs import address, parts
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import (
    AnyObservation,
    GroupChanged,
    IdentityLinked,
    Member,
    NotArchived,
    NotUnderstood,
    Role,
)
from wagateway.domain.identity import ChatType, Evidence, Jid, chat_type
from wagateway.domain.text import clean_text

_ROLES = {role.value: role for role in Role}
_CHANGES = {"leave": Role.LEFT, "promote": Role.ADMIN, "demote": Role.PARTICIPANT}
_NAMED_PAIRS = (
    ("author", "authorpn"),
    ("owner", "ownerpn"),
    ("ownerjid", "ownerpn"),
    ("sender", "senderpn"),
    ("subjectowner", "subjectownerpn"),
    ("descowner", "descownerpn"),
)
"""Of the engine's own data about a group: an address, and the phone beside it."""
_MALFORMED = "a group member without an address"


def join_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``group.v2.join``: I came into a group, which is told whole.

    Raises:
        InvalidInput: no group.
    """
    group = obj(payload.get("group"))
    people, broken = members(group.get("participants"), None)
    changed = GroupChanged(
        group=_group(payload),
        at=_at(payload, env),
        subject=text(group.get("subject")),
        description=_description(group),
        members=people,
    )
    return [changed, *broken, *member_links(payload)]


def leave_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``group.v2.leave``: I left or was removed.

    Raises:
        InvalidInput: no group.
    """
    group = _group(payload)
    if env.phone is None:
        return [NotArchived(reason="left a group, but the envelope names no account")]
    me = Member(jid=env.phone, role=Role.LEFT)
    changed = GroupChanged(group=group, at=_at(payload, env), members=(me,))
    return [changed, *member_links(payload)]


def members_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``group.v2.participants``; NOWEB's demote says ``admin``, so the type decides the role.

    Raises:
        InvalidInput: no group, no array of participants, or a type that we do not know.
    """
    group, change = _group(payload), text(payload.get("type")) or ""
    if change not in {"join", *_CHANGES} or not isinstance(payload.get("participants"), list):
        raise InvalidInput("expected participants and a type: join, leave, promote or demote")
    people, broken = members(payload.get("participants"), _CHANGES.get(change))
    said: list[AnyObservation] = [*broken]
    if people:
        said.insert(0, GroupChanged(group=group, at=_at(payload, env), members=people))
    return [*(said or [NotArchived(reason="no participants")]), *member_links(payload)]


def update_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``group.v2.update``, which has only the changed keys.

    Raises:
        InvalidInput: no group.
    """
    group = obj(payload.get("group"))
    subject, description = text(group.get("subject")), _description(group)
    changed: AnyObservation = GroupChanged(
        group=_group(payload), at=_at(payload, env), subject=subject, description=description
    )
    if subject is None and description is None:
        changed = NotArchived(reason="group settings other than subject and description")
    return [changed, *member_links(payload)]


def join_request_observations(payload: Obj, _env: Envelope) -> list[AnyObservation]:
    """Read ``group.v2.participants.join-request`` for the address pair that it gives away."""
    requester, phone = address(payload.get("requesterId")), address(payload.get("requesterPn"))
    return [
        NotArchived(reason="requests to join a group are not archived"),
        *link(requester, phone, Evidence.GROUP_MEMBER),
    ]


def old_join_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``group.join``, deprecated: WEBJS's notice of members, or NOWEB's whole group."""
    if isinstance(payload.get("participants"), list) and _is_group(address(payload.get("id"))):
        return join_observations({"group": payload}, env)
    return _old(payload, Role.PARTICIPANT, env)


def old_leave_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read ``group.leave``, deprecated; only WEBJS's shape is known."""
    return _old(payload, Role.LEFT, env)


def _old(payload: Obj, role: Role, env: Envelope) -> list[AnyObservation]:
    group = address(payload.get("chatId")) or parts(payload.get("id")).chat
    recipients = payload.get("recipientIds")
    if not _is_group(group) or group is None or not isinstance(recipients, list):
        return [NotArchived(reason="a deprecated group event of a shape of its own")]
    people, broken = members(recipients, role)
    if not people:
        return list(broken) or [NotArchived(reason="no participants")]
    return [GroupChanged(group=group, at=_at(payload, env), members=people), *broken]


def _group(payload: Obj) -> Jid:
    data = fold(obj(payload.get("_data")))
    given = obj(payload.get("group")).get("id")
    for candidate in (given, payload.get("groupId"), data.get("jid"), data.get("id")):
        found = address(candidate)
        if found and _is_group(found):
            return found
    raise InvalidInput("no group: expected group.id like 1203…@g.us")


def _is_group(found: Jid | None) -> bool:
    return found is not None and chat_type(found) is ChatType.GROUP


def _at(payload: Obj, env: Envelope) -> datetime:
    return moment(payload.get("timestamp")) or env.occurred_at


def _description(group: Obj) -> str | None:
    """Return the description; the empty one took it away."""
    given = group.get("description", group.get("desc"))
    return clean_text(given) if isinstance(given, str) else None


def members(
    participants: object, role: Role | None
) -> tuple[tuple[Member, ...], list[AnyObservation]]:
    """Return the members and one NotUnderstood per element that is none; *role* None: as given."""
    found: list[Member] = []
    broken: list[AnyObservation] = []
    for each in items(participants):
        jid = _member_address(each)
        if jid is None:
            broken.append(NotUnderstood(reason=_MALFORMED))
        else:
            found.append(Member(jid=jid, role=role or present_role(obj(each).get("role"))))
    return tuple(found), broken


def _member_address(each: object) -> Jid | None:
    node = obj(each)
    if not node or "_serialized" in node:
        return address(each)
    return address(node.get("id")) or address(node.get("pn"))


def present_role(value: object) -> Role:
    """Return a present member's role; who is named is there, so ``left`` says nothing."""
    role = _ROLES.get(value, Role.PARTICIPANT) if isinstance(value, str) else Role.PARTICIPANT
    return Role.PARTICIPANT if role is Role.LEFT else role


def member_links(payload: Obj) -> Iterator[IdentityLinked]:
    """Tell each pair in the participants, and in the engine's own list of them."""
    data = fold(obj(payload.get("_data")))
    lists = (
        payload.get("participants"),
        obj(payload.get("group")).get("participants"),
        data.get("participants"),
    )
    for each in (each for list_ in lists for each in items(list_)):
        node = fold(obj(each))
        given = address(node.get("id")) or address(node.get("jid"))
        lid = address(node.get("lid"))
        for other in (lid, address(node.get("pn")), address(node.get("phonenumber"))):
            yield from link(lid or given, other, Evidence.GROUP_MEMBER)
            yield from link(given, other, Evidence.GROUP_MEMBER)
    for one, phone in _NAMED_PAIRS:
        yield from link(address(data.get(one)), address(data.get(phone)), Evidence.GROUP_MEMBER)
