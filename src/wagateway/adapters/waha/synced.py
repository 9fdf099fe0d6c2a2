"""What is asked for over REST: people, groups, members and links; see listings.py."""

from collections.abc import Iterator
from datetime import datetime

from wagateway.adapters.waha.envelope import Envelope
from wagateway.adapters.waha.fields import Obj, flag, fold, items, moment, obj, text
from wagateway.adapters.waha.groups import member_links, present_role
from wagateway.adapters.waha.places import link
from wagateway.adapters.waha.refs import address
from wagateway.domain.errors import InvalidInput
from wagateway.domain.events import (
    AnyObservation,
    ContactSeen,
    GroupChanged,
    Member,
    NotArchived,
    NotUnderstood,
    Role,
)
from wagateway.domain.identity import Evidence, Jid, is_lid
from wagateway.domain.text import clean_text


def contact_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read a contact: the names, and its LID beside its phone.

    Raises:
        InvalidInput: no address.
    """
    contact = address(payload.get("id"))
    if contact is None:
        raise InvalidInput("no contact: expected an id like 5511…@c.us")
    name = text(payload.get("name"))
    pushed = text(payload.get("pushname")) or text(payload.get("verifiedName"))
    said: list[AnyObservation] = [
        *link(address(payload.get("lid")), contact, Evidence.LID_API),
        *link(contact, address(payload.get("phoneNumber")), Evidence.LID_API),
    ]
    if name or pushed:
        said.append(ContactSeen(contact=contact, at=env.occurred_at, name=name, push_name=pushed))
    return said or [NotArchived(reason="a contact without a name")]


def lid_observations(payload: Obj, _env: Envelope) -> list[AnyObservation]:
    """Read a pair of LID and phone."""
    pair = link(address(payload.get("lid")), address(payload.get("pn")), Evidence.LID_API)
    return [*pair] or [NotArchived(reason="a hidden id whose phone is not known")]


def members_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read members of a group, as any engine lists them.

    Raises:
        InvalidInput: no group.
    """
    group = address(obj(payload.get("group")).get("id"))
    if group is None:
        raise InvalidInput("no group: expected group.id like 1203…@g.us")
    found, broken = _members(items(payload.get("participants")))
    changed = GroupChanged(group=group, at=env.occurred_at, members=found)
    return [changed, *broken, *member_links(payload)]


def group_observations(payload: Obj, env: Envelope) -> list[AnyObservation]:
    """Read a group of any engine: subject and description; its members are told apart.

    Raises:
        InvalidInput: no group.
    """
    node = fold({**obj(payload.get("groupMetadata")), **payload})
    group = address(node.get("id")) or address(node.get("jid"))
    if group is None:
        raise InvalidInput("no group: expected an id like 1203…@g.us")
    named_at = moment(node.get("subjecttime")) or moment(node.get("namesetat"))
    described_at = moment(node.get("topicsetat"))
    subject = text(node.get("subject")) or text(node.get("name"))
    description = node.get("desc", node.get("topic"))
    said: list[AnyObservation] = [
        GroupChanged(group=group, at=named_at or env.occurred_at, subject=subject),
    ]
    if isinstance(description, str):
        said.append(_described(group, described_at or env.occurred_at, description))
    told = [each for each in said if _says_something(each)]
    return [*told, *_links(node)] or [NotArchived(reason="a group without facts")]


def _described(group: Jid, at: datetime, description: str) -> GroupChanged:
    return GroupChanged(group=group, at=at, description=clean_text(description))


def _says_something(said: AnyObservation) -> bool:
    return isinstance(said, GroupChanged) and (
        said.subject is not None or said.description is not None
    )


def _members(participants: list[object]) -> tuple[tuple[Member, ...], list[AnyObservation]]:
    found: list[Member] = []
    broken: list[AnyObservation] = []
    for each in participants:
        node = fold(obj(each))
        jid = member_address(node) or address(each)
        if jid is None:
            broken.append(NotUnderstood(reason="a group member without an address"))
        else:
            found.append(Member(jid=jid, role=_role(node)))
    return tuple(found), broken


def member_address(node: Obj) -> Jid | None:
    """Return the address of a member, whose keys are in lower case."""
    return address(node.get("id")) or address(node.get("jid")) or address(node.get("pn"))


def _role(node: Obj) -> Role:
    if "role" in node:
        return present_role(node["role"])
    if flag(node.get("issuperadmin")) or node.get("admin") == "superadmin":
        return Role.SUPERADMIN
    if flag(node.get("isadmin")) or node.get("admin") == "admin":
        return Role.ADMIN
    return Role.PARTICIPANT


def _links(group: Obj) -> Iterator[AnyObservation]:
    for each in items(group.get("participants")):
        node = fold(obj(each))
        given = address(node.get("id")) or address(node.get("jid"))
        phone, lid = address(node.get("phonenumber")), address(node.get("lid"))
        yield from link(given, phone, Evidence.GROUP_MEMBER)
        if lid and given and is_lid(lid) and not is_lid(given):
            yield from link(lid, given, Evidence.GROUP_MEMBER)
