"""What happens in the world, whichever engine tells of it: the simulator's own truth.

Instants are epoch milliseconds, because that is the finest unit WhatsApp and WAHA use.
"""

from enum import IntEnum, StrEnum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from wagateway.simulator.contents import (
    Attachment,
    Ballot,
    Card,
    Cards,
    Content,
    Gathering,
    LivePlace,
    Menu,
    Place,
    Timer,
    Ware,
    Words,
)
from wagateway.simulator.world import Channel, Group, Person

STORIES_JID = "status@broadcast"


class Address(StrEnum):
    """How a message names its sender and, in a direct chat, the chat."""

    PHONE = "phone"
    LID = "lid"
    """By hidden id, with the phone beside it where the engine has a place for that."""
    LID_ALONE = "lid-alone"
    """By hidden id, the phone not known yet."""


class AckLevel(IntEnum):
    """How far a message got, with WAHA's numbers."""

    PENDING = 0
    SERVER = 1
    DEVICE = 2
    READ = 3
    PLAYED = 4


class Direct(Struct, frozen=True, kw_only=True):
    """The chat with one person."""

    person: Person


class Stories(Struct, frozen=True, kw_only=True):
    """Where status posts go."""


Chat = Direct | Group | Channel | Stories


class Note(Struct, frozen=True, kw_only=True):
    """One message.

    Attributes:
        stanza: the id that its sender's client gave it.
        author: None in a channel.
        source: ``api`` or ``app``: how the account sent it; others always use the app.
        late_s: how much later than usual its webhook comes, for instance after a failed attempt.
        forwarded: how often it was passed on, as WhatsApp counts; 0 for what was not.
        disappears_s: seconds after which WhatsApp forgets it; 0 for never.
    """

    stanza: str
    at_ms: int
    chat: Chat
    author: Person | None
    from_me: bool
    content: Content
    address: Address = Address.PHONE
    source: str = "app"
    quotes: "Note | None" = None
    mentions: tuple[Person, ...] = ()
    late_s: float = 0.0
    forwarded: int = 0
    disappears_s: int = 0

    @property
    def many_recipients(self) -> bool:
        """Whether ids of this chat's messages end with who wrote them."""
        return isinstance(self.chat, Group | Stories)

    @property
    def chat_jid(self) -> str:
        """Where the message is, as WAHA writes it."""
        if isinstance(self.chat, Direct):
            return jid(self.chat.person, self.address)
        return STORIES_JID if isinstance(self.chat, Stories) else self.chat.jid

    @property
    def text(self) -> str | None:
        """The text, caption, or name of an event, or None."""
        match self.content:
            case Words() | Menu():
                return self.content.text
            case Attachment() | Ware():
                return self.content.caption
            case Gathering():
                return self.content.name
            case Place() | LivePlace() | Card() | Cards() | Ballot() | Timer():
                return None
        assert_never(self.content)


def reworded(note: Note, text: str) -> Note:
    """Return *note* with another text, or a file with another caption."""
    file = note.content
    if isinstance(file, Attachment):
        return replace(note, content=replace(file, caption=text))
    return replace(note, content=Words(text=text))


def attached(happening: "AnyHappening") -> Attachment | None:
    """Return the file of the message that is sent; None where none is."""
    if not isinstance(happening, Sent) or not isinstance(happening.note.content, Attachment):
        return None
    return happening.note.content


def jid(person: Person, address: Address) -> str:
    """Return the address of *person*, as WAHA writes it."""
    return person.phone_jid if address is Address.PHONE else person.lid_jid


class Happening(Struct, frozen=True, kw_only=True, tag=True):
    """Base of all that can happen.

    Attributes:
        scene: number of the conversation that it belongs to.
    """

    at_ms: int
    scene: int


class Sent(Happening, frozen=True, kw_only=True):
    """A message was sent, by the account or by somebody else."""

    note: Note


class Awaited(Happening, frozen=True, kw_only=True):
    """A message came that cannot be decrypted yet; it is Sent later. WEBJS alone tells it."""

    note: Note


class Edited(Happening, frozen=True, kw_only=True):
    """The author changed the text or caption; *stanza* is the id of the edit itself."""

    note: Note
    stanza: str
    text: str


class Revoked(Happening, frozen=True, kw_only=True):
    """The message was deleted for everyone: by its author, or by *by*, a group's admin."""

    note: Note
    stanza: str
    by: Person | None = None


class Reacted(Happening, frozen=True, kw_only=True):
    """Somebody reacted; the empty emoji takes their reaction back. *by* None is the account."""

    note: Note
    stanza: str
    by: Person | None
    emoji: str


class Acked(Happening, frozen=True, kw_only=True):
    """A message got further.

    Attributes:
        recipient: whose device tells, in a group; None for a direct chat.
    """

    note: Note
    level: AckLevel
    recipient: Person | None = None


class Voted(Happening, frozen=True, kw_only=True):
    """Somebody chose in a poll, instead of what they chose before; nothing takes the vote back.

    Attributes:
        readable: False when the engine cannot decrypt the vote.
    """

    note: Note
    stanza: str
    by: Person
    options: tuple[str, ...]
    readable: bool = True


class Answered(Happening, frozen=True, kw_only=True):
    """Somebody said whether they come to a Gathering, instead of what they said before.

    GOWS alone tells it.

    Attributes:
        response: ``GOING``, ``NOT_GOING`` or ``MAYBE``.
        guests: whom they bring along.
        readable: False when the engine cannot decrypt it.
    """

    note: Note
    stanza: str
    by: Person
    response: str
    guests: int = 0
    readable: bool = True


class MembersChanged(Happening, frozen=True, kw_only=True):
    """A member joined, left, or got another rank (``join, leave, promote, demote``)."""

    group: Group
    change: str
    member: Person
    by: Person


class SubjectChanged(Happening, frozen=True, kw_only=True):
    """A group has a new name."""

    group: Group
    subject: str
    by: Person


class DescriptionChanged(Happening, frozen=True, kw_only=True):
    """A group has a new description; the empty one takes it away."""

    group: Group
    description: str
    by: Person


class RuleChanged(Happening, frozen=True, kw_only=True):
    """A group's setting was changed, which the archive does not keep.

    Attributes:
        rule: WAHA's name of the setting, such as ``membersCanSendMessages``.
    """

    group: Group
    rule: str
    allowed: bool
    by: Person


class GroupJoined(Happening, frozen=True, kw_only=True):
    """The account came into a group.

    Attributes:
        members: all of it, the account last; the first is the owner.
    """

    group: Group
    subject: str
    description: str
    members: tuple[Person, ...]
    by: Person


class GroupLeft(Happening, frozen=True, kw_only=True):
    """The account left a group, or *by* removed it."""

    group: Group
    by: Person


class JoinRequested(Happening, frozen=True, kw_only=True):
    """Somebody asks to be let into a group; WEBJS does not tell.

    Attributes:
        action: ``created``, ``rejected`` or ``revoked``.
    """

    group: Group
    person: Person
    action: str


class PresenceChanged(Happening, frozen=True, kw_only=True):
    """Somebody is ``online``, ``offline``, ``typing``, ``recording`` or ``paused`` in a chat."""

    chat: Direct | Group
    person: Person
    state: str
    address: Address


class SessionChanged(Happening, frozen=True, kw_only=True):
    """The session got another status.

    Attributes:
        statuses: the latest three with their instants, the new one last.
    """

    statuses: tuple[tuple[str, int], ...]


class CallState(StrEnum):
    """How far a call is, in WAHA's words; whoever does not answer rejects it in the end."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Called(Happening, frozen=True, kw_only=True):
    """Somebody rings, or their call was taken or not; of the latter WEBJS does not tell.

    Attributes:
        number: WhatsApp's id of the call.
        group: the group that is called, if it is one.
    """

    number: str
    person: Person
    address: Address
    state: CallState
    video: bool
    group: Group | None = None


class Label(Struct, frozen=True, kw_only=True):
    """A tag of WhatsApp Business; *color* counts from 0."""

    number: str
    name: str
    color: int


class LabelChanged(Happening, frozen=True, kw_only=True):
    """A label was made or renamed, or deleted. WEBJS does not tell."""

    label: Label
    deleted: bool


class LabelPut(Happening, frozen=True, kw_only=True):
    """A label was put on a chat, or taken off it. WEBJS does not tell."""

    label: Label
    chat: Direct | Group
    removed: bool


class ChatArchived(Happening, frozen=True, kw_only=True):
    """A chat went into WhatsApp's own archive or came out of it. WEBJS alone tells it.

    Attributes:
        last_ms: when the chat's latest message was sent.
    """

    chat: Direct | Group
    archived: bool
    last_ms: int


OfMessage = Sent | Awaited | Edited | Revoked | Reacted | Acked | Voted | Answered
OfGroup = (
    MembersChanged
    | SubjectChanged
    | DescriptionChanged
    | RuleChanged
    | GroupJoined
    | GroupLeft
    | JoinRequested
)
OfAccount = SessionChanged | Called | LabelChanged | LabelPut | ChatArchived
AnyHappening = OfMessage | OfGroup | OfAccount | PresenceChanged
