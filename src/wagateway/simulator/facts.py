"""What one webhook request tells, for those who keep the truth."""

from enum import IntEnum

from msgspec import Struct

from wagateway.simulator.happenings import AnyHappening
from wagateway.simulator.world import Person


class Listing(Struct, frozen=True, kw_only=True):
    """How an engine's message list shows a message in the end.

    Attributes:
        edits: the later texts, oldest first; the list shows the last one alone.
        marked: the list says that it was edited, and when.
        restamped: an edited message lost its own time in the list, and all but its text.
        revoked: the list shows that it was deleted, and not what it was.
        first_ack, ack: WAHA's numbers when the message came into the list, and in the end; None
            where the list tells none.
    """

    edits: tuple[str, ...] = ()
    marked: bool = False
    restamped: bool = False
    revoked: bool = False
    first_ack: int | None = None
    ack: int | None = None


class Promise(IntEnum):
    """Whether the file of a message can be had by who does all that can be done."""

    NO = 0
    PERHAPS = 1
    """It depends on who is quick enough, or asks at the right time."""
    YES = 2


class Fact(Struct, frozen=True, kw_only=True):
    """One happening, as an engine told it.

    Attributes:
        session: WAHA's session name.
        account: who had the session when it happened.
        happening: with the address that the engine used.
        kind: what the archive calls the message that is told; None where none is.
        ack: the level in the payload, with WAHA's number; None where there is none.
        revealed: people whose phone and hidden id stand together in the event.
        repeats: the event repeats the whole content of the message that it is about.
        broken: what names the event, where a broken copy of it is sent too; else None.
        listing: for a message that is told by the message list instead of an event.
        promise: whether the attached file can be had by what is told; None where there is none, or
            nobody serves files.
        sure: False for what is not told well enough to be archived for certain.
    """

    session: str
    account: Person
    happening: AnyHappening
    kind: str | None = None
    ack: int | None = None
    revealed: tuple[Person, ...] = ()
    repeats: bool = False
    broken: str | None = None
    listing: Listing | None = None
    promise: Promise | None = None
    sure: bool = True
