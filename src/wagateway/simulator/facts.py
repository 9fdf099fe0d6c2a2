"""What one webhook request tells, for those who keep the truth."""

from msgspec import Struct

from wagateway.simulator.happenings import AnyHappening
from wagateway.simulator.world import Person


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
    sure: bool = True
