"""What an engine knows of an account beside messages: people, groups, labels."""

from msgspec import Struct, field

from wagateway.simulator.facts import Fact
from wagateway.simulator.happenings import (
    AnyHappening,
    DescriptionChanged,
    GroupJoined,
    GroupLeft,
    Label,
    LabelChanged,
    LabelPut,
    MembersChanged,
    OfMessage,
    SubjectChanged,
)
from wagateway.simulator.world import Group, Person, World

SUPERADMIN, ADMIN, MEMBER = "superadmin", "admin", "participant"


class Circle(Struct, kw_only=True):
    """A group as it is now.

    Attributes:
        members: with their ranks, the account among them, by phone.
    """

    group: Group
    subject: str
    description: str = ""
    members: dict[str, tuple[Person, str]] = field(default_factory=dict)


class Surroundings:
    """All that events told so far of one account, whether their webhooks arrived or not.

    Attributes:
        linked: people whose phone and hidden id the engine knows to be one, by hidden id.
        circles: the groups that the account is in, by JID.
        labels: by number.
        labelled: the keys of chats that have a label, by its number.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.linked: dict[str, Person] = {world.account.lid_jid: world.account}
        self.circles = {group.jid: _circle(group, world.account) for group in world.groups}
        self.labels: dict[str, Label] = {}
        self.labelled: dict[str, set[str]] = {}
        self._told_ms: dict[str, int] = {}

    def take(self, fact: Fact) -> None:
        """Take in what an event tells."""
        for person in fact.revealed:
            self.linked[person.lid_jid] = person
        if fact.sure and not isinstance(fact.happening, OfMessage):
            self._happen(fact.happening)

    def person(self, jid: str) -> Person | None:
        """Return who has this address, of all people there are."""
        bare = jid.replace("@s.whatsapp.net", "@c.us")
        everybody = (self.world.account, *self.world.people)
        return next((p for p in everybody if bare in (p.phone_jid, p.lid_jid)), None)

    def knows(self, person: Person) -> bool:
        """Tell whether the engine knows both addresses of *person* to be one."""
        return person.lid_jid in self.linked

    def _happen(self, happening: AnyHappening) -> None:
        match happening:
            case GroupJoined():
                circle = _circle(happening.group, self.world.account)
                circle.subject, circle.description = happening.subject, happening.description
                self.circles[happening.group.jid] = circle
            case GroupLeft():
                self.circles.pop(happening.group.jid, None)
            case MembersChanged() | SubjectChanged() | DescriptionChanged():
                self._change(happening)
            case LabelChanged():
                self._relabel(happening)
            case LabelPut():
                self._put_label(happening)
            case _:
                pass

    def _change(self, happening: MembersChanged | SubjectChanged | DescriptionChanged) -> None:
        circle = self.circles.get(happening.group.jid)
        if circle is None:
            return
        match happening:
            case MembersChanged():
                _change_member(circle, happening)
            case SubjectChanged() if self._is_news(happening.group.jid, happening.at_ms):
                circle.subject = happening.subject
            case DescriptionChanged():
                circle.description = happening.description
            case _:
                pass

    def _is_news(self, about: str, at_ms: int) -> bool:
        """Tell whether nothing later was told of it: events come in any order."""
        if at_ms < self._told_ms.get(about, at_ms):
            return False
        self._told_ms[about] = at_ms
        return True

    def _relabel(self, happening: LabelChanged) -> None:
        label = happening.label
        if happening.deleted:
            self.labels.pop(label.number, None)
            self.labelled.pop(label.number, None)
        else:
            self.labels[label.number] = label

    def _put_label(self, happening: LabelPut) -> None:
        chat = happening.chat
        key = chat.jid if isinstance(chat, Group) else chat.person.phone_jid
        chats = self.labelled.setdefault(happening.label.number, set())
        if happening.removed:
            chats.discard(key)
        else:
            chats.add(key)


def _circle(group: Group, account: Person) -> Circle:
    owner, *others = group.members
    members = {owner.phone: (owner, SUPERADMIN)}
    members |= {person.phone: (person, MEMBER) for person in (*others, account)}
    return Circle(group=group, subject=group.subjects[0], members=members)


def _change_member(circle: Circle, happening: MembersChanged) -> None:
    member = happening.member
    if happening.change == "leave":
        circle.members.pop(member.phone, None)
        return
    rank = ADMIN if happening.change == "promote" else MEMBER
    circle.members[member.phone] = (member, rank)
