"""What becomes of the file of one message: whether it can be had again, and what its address is."""

from enum import StrEnum

from msgspec import Struct

from wagateway.simulator.dice import Dice
from wagateway.simulator.faults import Faults


class Gone(StrEnum):
    """How WAHA says that WhatsApp has a file no longer."""

    ERROR = "error"
    """``media.error``, and no address."""
    SILENT = "silent"
    """No address, and no error."""
    NOT_FOUND = "404"
    """The whole answer is a 404; in lists as `ERROR`."""
    EXPIRED = "410"
    """The whole answer is a 410; in lists as `ERROR`."""


class Trick(StrEnum):
    """What is wrong with the address in an event. The first one only is about the right file."""

    HOST = "host"
    """Another host; the path is WAHA's."""
    FOREIGN = "foreign"
    """Another host and another path, such as those where clouds give away their keys."""
    FOREIGN_CLIMB = "foreign-climb"
    """Another host, and a path that leaves WAHA's files."""
    CLIMB = "climb"
    """WAHA's host, and a path that leaves WAHA's files."""
    HIDDEN_CLIMB = "hidden-climb"
    """The same, with escaped slashes."""
    TWICE_HIDDEN_CLIMB = "twice-hidden-climb"
    """The same, escaped twice."""
    USER = "user"
    """WAHA's host is the name of a user at another one."""
    LOCAL = "local"
    """A file of the machine that reads it."""


_BAITS = [trick for trick in Trick if trick is not Trick.HOST]


class Fate(Struct, frozen=True, kw_only=True):
    """What becomes of one file.

    Attributes:
        gone: WhatsApp has it no longer when it is asked for again, and how WAHA says so.
        second: WAHA gets it at the second request only.
        later: WAHA tells of the message before it has the file, and once more when it has.
        early: WAHA loses what it saved for the event before it tells of it.
        trick: what is wrong with the address in the event; later answers have the right one.
    """

    gone: Gone | None = None
    second: bool = False
    later: bool = False
    early: bool = False
    trick: Trick | None = None

    @property
    def misleads(self) -> bool:
        """Whether the address in the event must not be asked at all."""
        return self.trick not in {None, Trick.HOST}


NO_FATE = Fate()


def fate_of(faults: Faults, *key: object) -> Fate:
    """Return what *faults* do to the file of the message that *key* names."""
    rates = {
        "gone": faults.file_gone,
        "second": faults.file_second,
        "later": faults.file_later,
        "early": faults.file_early,
        "host": faults.file_host,
        "bait": faults.file_bait,
    }
    if not any(rates.values()):
        return NO_FATE
    meets = {name for name, rate in rates.items() if rate and Dice("fate", name, *key).chance(rate)}
    dice = Dice("fate", *key)
    how, bait = dice.pick(list(Gone)), dice.pick(_BAITS)
    honest = Trick.HOST if "host" in meets else None
    return Fate(
        gone=how if "gone" in meets else None,
        second="second" in meets,
        later="later" in meets,
        early="early" in meets,
        trick=bait if "bait" in meets else honest,
    )
