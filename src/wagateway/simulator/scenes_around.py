"""Scenes of what happens around the messages: calls, groups, labels, and the session itself."""

from wagateway.simulator.casting import a_customer, a_group
from wagateway.simulator.happenings import Address, CallState, Direct, Label
from wagateway.simulator.occasions import (
    describe,
    end_ringing,
    enter,
    exit_from,
    make_label,
    put_away,
    put_label,
    request,
    ring,
    set_rule,
)
from wagateway.simulator.stage import Stage
from wagateway.simulator.topics import COMMUNITIES, DESCRIPTIONS, LABELS
from wagateway.simulator.world import Group, Person

_RULES = ("membersCanSendMessages", "membersCanAddNewMember", "newMembersApprovalRequired")
_CHEERS = ("👍", "❤️", "😂", "🎉", "👏", "🔥", "🥐", "👍🏽", "👩🏽‍🍳")


def calls(stage: Stage) -> None:
    """Somebody calls and is taken; somebody calls in vain and writes; a group is called."""
    customer = a_customer(stage)
    call = ring(stage, customer, video=stage.dice.chance(0.3))
    stage.wait(3, 20)
    end_ringing(stage, call, CallState.ACCEPTED)
    stage.wait(30, 60)
    other = a_customer(stage)
    call = ring(stage, other, address=Address.LID)
    stage.wait(20, 45)
    end_ringing(stage, call, CallState.REJECTED)
    stage.wait(5, 20)
    chat = Direct(person=other)
    asked = stage.say(chat, other, stage.phrase(other.language, lambda p: p.orders))
    stage.wait(10, 40)
    stage.answer(asked, stage.phrase(other.language, lambda p: p.answers))
    stage.wait(5, 20)
    group, _ = a_group(stage)
    call = ring(stage, stage.dice.pick(stage.cast.members[group.jid]), video=True, group=group)
    stage.wait(20, 45)
    end_ringing(stage, call, CallState.REJECTED)


def labels(stage: Stage) -> None:
    """A label is made, put on chats, renamed, taken off one, and deleted."""
    number = str(stage.dice.number(1, 20))
    label = Label(number=number, name=stage.dice.pick(LABELS), color=stage.dice.number(0, 6))
    make_label(stage, label)
    customer = a_customer(stage)
    chat = Direct(person=customer)
    stage.wait(2, 9)
    put_label(stage, label, chat)
    group, _ = a_group(stage)
    put_label(stage, label, group)
    stage.wait(5, 20)
    stage.say(chat, customer, stage.phrase(customer.language, lambda p: p.replies))
    stage.wait(20, 60)
    renamed = Label(number=number, name=f"{label.name} ({customer.name})", color=label.color)
    make_label(stage, renamed)
    stage.wait(5, 20)
    put_label(stage, renamed, chat, removed=True)
    stage.wait(5, 20)
    make_label(stage, renamed, deleted=True)


def tidying(stage: Stage) -> None:
    """A finished conversation is put away, and comes back when the customer writes again."""
    customer = a_customer(stage)
    chat = Direct(person=customer)
    note = stage.say(chat, customer, stage.phrase(customer.language, lambda p: p.replies))
    stage.wait(10, 40)
    answer = stage.answer(note, stage.phrase(customer.language, lambda p: p.answers))
    stage.wait(20, 60)
    put_away(stage, chat, answer, archived=True)
    stage.wait(30, 90)
    again = stage.say(chat, customer, stage.phrase(customer.language, lambda p: p.orders))
    stage.wait(1, 4)
    put_away(stage, chat, again, archived=False)
    group, language = a_group(stage)
    author = stage.dice.pick(stage.cast.members[group.jid])
    noise = stage.say(group, author, stage.phrase(language, lambda p: p.replies))
    stage.wait(5, 20)
    put_away(stage, group, noise, archived=True)


def waiting(stage: Stage) -> None:
    """Messages come that the engine cannot decrypt before a while has passed."""
    customer = a_customer(stage)
    chat = Direct(person=customer)
    hidden_s = stage.dice.between(5, 25)
    text = stage.phrase(customer.language, lambda p: p.orders)
    asked = stage.say(chat, customer, text, hidden_s=hidden_s)
    stage.wait(30, 50)
    stage.answer(asked, stage.phrase(customer.language, lambda p: p.answers))
    stage.wait(5, 20)
    group, language = a_group(stage)
    author = stage.dice.pick(stage.cast.members[group.jid])
    line = stage.phrase(language, lambda p: p.replies)
    stage.say(group, author, line, hidden_s=stage.dice.between(5, 25))


def newcomer(stage: Stage) -> None:
    """The account is brought into a group, becomes admin, clears up, and leaves or is removed."""
    account = stage.world.account
    visible = [person for person in stage.world.people if not person.hidden]
    group = Group(
        jid=f"1203630{stage.dice.number(10**9, 10**10 - 1)}1@g.us",
        subjects=(stage.dice.pick(COMMUNITIES),),
        by_lid=stage.dice.chance(0.5),
        members=tuple(stage.dice.sample(visible, stage.dice.number(3, 6))),
        languages=(visible[0].language,),
    )
    owner, *others = group.members
    enter(stage, group, stage.fill(stage.dice.pick(DESCRIPTIONS)))
    stage.wait(5, 20)
    stage.say(group, owner, stage.phrase(owner.language, lambda p: p.stories))
    stage.wait(5, 20)
    stage.say(group, account, stage.phrase(owner.language, lambda p: p.replies))
    stage.wait(5, 20)
    _rank(stage, group, "promote", account)
    spam = stage.say(group, others[0], stage.phrase(others[0].language, lambda p: p.regrets))
    stage.wait(10, 40)
    stage.revoke(spam, by=account)
    stage.wait(10, 40)
    _rank(stage, group, "demote", account)
    stage.wait(20, 60)
    exit_from(stage, group, stage.dice.pick((account, owner)))


def rules(stage: Stage) -> None:
    """A group gets a description and other settings, a new admin who deletes, and applicants."""
    group, language = a_group(stage)
    owner, member = group.members[:2]
    describe(stage, group, stage.fill(stage.dice.pick(DESCRIPTIONS)), owner)
    stage.wait(5, 20)
    set_rule(stage, group, stage.dice.pick(_RULES), owner, allowed=stage.dice.chance(0.5))
    stage.wait(5, 20)
    _rank(stage, group, "promote", member)
    stage.wait(5, 20)
    author = stage.dice.pick(group.members[2:] or group.members)
    note = stage.say(group, author, stage.phrase(language, lambda p: p.regrets))
    stage.wait(10, 40)
    stage.revoke(note, by=member)
    stage.wait(5, 20)
    _rank(stage, group, "demote", member)
    inside = stage.cast.members[group.jid]
    outside = [p for p in stage.world.people if p not in inside and not p.hidden]
    applicant = stage.dice.pick(outside or stage.world.people)
    for action in ("created", stage.dice.pick(("rejected", "revoked"))):
        stage.wait(20, 60)
        request(stage, group, applicant, action)


def applause(stage: Stage) -> None:
    """In a group somebody types and sends; everybody reacts, some think better of it."""
    group, language = a_group(stage)
    members = stage.cast.members[group.jid]
    author = stage.dice.pick(members)
    address = Address.LID if group.by_lid else Address.PHONE
    stage.typing(group, author, address, "typing")
    stage.wait(2, 6)
    note = stage.say(group, author, stage.phrase(language, lambda p: p.stories))
    stage.typing(group, author, address, "paused")
    fans = [member for member in members if member is not author]
    for fan in fans:
        stage.wait(1, 9)
        stage.react(note, fan, stage.dice.pick(_CHEERS))
    stage.react(note, stage.world.account, "❤️")
    stage.wait(5, 20)
    stage.react(note, fans[0], "")
    stage.react(note, fans[-1], stage.dice.pick(_CHEERS))


def comings(stage: Stage) -> None:
    """Somebody comes online, records, thinks better of it, and is gone."""
    customer = a_customer(stage)
    chat = Direct(person=customer)
    for state in ("online", "recording", "paused", "offline"):
        stage.typing(chat, customer, Address.PHONE, state)
        stage.wait(3, 12)


def outage(stage: Stage) -> None:
    """Somebody stops the session and starts it again."""
    _statuses(stage, "STOPPED", "STARTING", "WORKING")


def repairing(stage: Stage) -> None:
    """The phone logs the session out; it fails, shows its codes, and is linked again."""
    _statuses(stage, "FAILED", "STARTING", "SCAN_QR_CODE", "SCAN_QR_CODE", "WORKING")


def _statuses(stage: Stage, *statuses: str) -> None:
    for status in statuses:
        stage.session(status)
        stage.wait(2, 20)


def _rank(stage: Stage, group: Group, change: str, member: Person) -> None:
    stage.change_member(group, change, member)
    stage.wait(2, 9)
