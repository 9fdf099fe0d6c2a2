"""What happens in the world, whichever engine tells of it: the simulator's own truth.

Instants are epoch milliseconds, because that is the finest unit WhatsApp and WAHA use.
"""

from enum import IntEnum, StrEnum

from msgspec import Struct

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


class Words(Struct, frozen=True, kw_only=True, tag=True):
    """A text; *link* is an address in it that WhatsApp shows a preview of."""

    text: str
    link: str | None = None
    link_title: str | None = None


class AttachmentKind(StrEnum):
    """What sort of file is attached."""

    IMAGE = "image"
    VIDEO = "video"
    VOICE = "voice"
    DOCUMENT = "document"
    STICKER = "sticker"


class Attachment(Struct, frozen=True, kw_only=True, tag=True):
    """A file, of which only the facts exist.

    Attributes:
        extension: as WAHA names the file, without a dot.
        filename: of documents only.
        seconds: length of what plays, else 0.
        width, height: pixels, else 0.
    """

    kind: AttachmentKind
    mimetype: str
    extension: str
    size_bytes: int
    caption: str | None = None
    filename: str | None = None
    seconds: int = 0
    width: int = 0
    height: int = 0
    pages: int = 0


class Place(Struct, frozen=True, kw_only=True, tag=True):
    """A location in degrees."""

    latitude: float
    longitude: float
    name: str
    street: str


class Card(Struct, frozen=True, kw_only=True, tag=True):
    """A contact card."""

    name: str
    vcard: str


class Ballot(Struct, frozen=True, kw_only=True, tag=True):
    """A poll; *selectable* 0 means any number of options."""

    question: str
    options: tuple[str, ...]
    selectable: int


Content = Words | Attachment | Place | Card | Ballot


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
        """The text or caption, or None."""
        if isinstance(self.content, Words):
            return self.content.text
        return self.content.caption if isinstance(self.content, Attachment) else None


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


class Edited(Happening, frozen=True, kw_only=True):
    """The author changed the text; *stanza* is the id of the edit itself."""

    note: Note
    stanza: str
    text: str


class Revoked(Happening, frozen=True, kw_only=True):
    """The author deleted the message for everyone."""

    note: Note
    stanza: str


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


class MembersChanged(Happening, frozen=True, kw_only=True):
    """A member joined, left or was promoted (``join``, ``leave``, ``promote``)."""

    group: Group
    change: str
    member: Person
    by: Person


class SubjectChanged(Happening, frozen=True, kw_only=True):
    """A group has a new name."""

    group: Group
    subject: str
    by: Person


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


OfMessage = Sent | Edited | Revoked | Reacted | Acked | Voted
AnyHappening = OfMessage | MembersChanged | SubjectChanged | PresenceChanged | SessionChanged
