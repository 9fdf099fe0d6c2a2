"""What happens on a stage beside messages: calls, labels, archived chats, groups that change."""

from wagateway.simulator.dice import digest
from wagateway.simulator.happenings import (
    Address,
    Called,
    CallState,
    ChatArchived,
    DescriptionChanged,
    Direct,
    GroupJoined,
    GroupLeft,
    JoinRequested,
    Label,
    LabelChanged,
    LabelPut,
    Note,
    RuleChanged,
)
from wagateway.simulator.stage import Stage
from wagateway.simulator.world import Group, Person

_CALL_BYTES = 14


def ring(
    stage: Stage,
    person: Person,
    *,
    video: bool = False,
    group: Group | None = None,
    address: Address = Address.PHONE,
) -> Called:
    """Let *person* call the account, or *group* as a whole."""
    number = digest(_CALL_BYTES, "call", person.phone, stage.now_ms, stage.scene).hex().upper()
    call = Called(
        at_ms=stage.now_ms,
        scene=stage.scene,
        number=number,
        person=person,
        address=address,
        state=CallState.RECEIVED,
        video=video,
        group=group,
    )
    stage.happenings.append(call)
    return call


def end_ringing(stage: Stage, call: Called, state: CallState) -> None:
    """Let *call* be taken, or not."""
    stage.happenings.append(
        Called(
            at_ms=stage.now_ms,
            scene=stage.scene,
            number=call.number,
            person=call.person,
            address=call.address,
            state=state,
            video=call.video,
            group=call.group,
        )
    )


def make_label(stage: Stage, label: Label, *, deleted: bool = False) -> None:
    """Make or rename *label*, or delete it."""
    stage.happenings.append(
        LabelChanged(at_ms=stage.now_ms, scene=stage.scene, label=label, deleted=deleted)
    )


def put_label(stage: Stage, label: Label, chat: Direct | Group, *, removed: bool = False) -> None:
    """Put *label* on *chat*, or take it off."""
    stage.happenings.append(
        LabelPut(at_ms=stage.now_ms, scene=stage.scene, label=label, chat=chat, removed=removed)
    )


def put_away(stage: Stage, chat: Direct | Group, latest: Note, *, archived: bool) -> None:
    """Put *chat*, with its *latest* message, into WhatsApp's archive or take it out."""
    stage.happenings.append(
        ChatArchived(
            at_ms=stage.now_ms,
            scene=stage.scene,
            chat=chat,
            archived=archived,
            last_ms=latest.at_ms,
        )
    )


def enter(stage: Stage, group: Group, description: str) -> None:
    """Let the owner of *group* bring the account in."""
    account = stage.world.account
    stage.cast.members[group.jid] = list(group.members)
    stage.happenings.append(
        GroupJoined(
            at_ms=stage.now_ms,
            scene=stage.scene,
            group=group,
            subject=group.subjects[0],
            description=description,
            members=(*group.members, account),
            by=group.members[0],
        )
    )


def exit_from(stage: Stage, group: Group, by: Person) -> None:
    """Let the account leave *group* for good, or *by* remove it."""
    del stage.cast.members[group.jid]
    stage.happenings.append(GroupLeft(at_ms=stage.now_ms, scene=stage.scene, group=group, by=by))


def describe(stage: Stage, group: Group, description: str, by: Person) -> None:
    """Give *group* another description."""
    stage.happenings.append(
        DescriptionChanged(
            at_ms=stage.now_ms, scene=stage.scene, group=group, description=description, by=by
        )
    )


def set_rule(stage: Stage, group: Group, rule: str, by: Person, *, allowed: bool) -> None:
    """Change a setting of *group*."""
    stage.happenings.append(
        RuleChanged(
            at_ms=stage.now_ms, scene=stage.scene, group=group, rule=rule, allowed=allowed, by=by
        )
    )


def request(stage: Stage, group: Group, person: Person, action: str) -> None:
    """Let *person* ask to be let into *group*, or end that request."""
    stage.happenings.append(
        JoinRequested(
            at_ms=stage.now_ms, scene=stage.scene, group=group, person=person, action=action
        )
    )
