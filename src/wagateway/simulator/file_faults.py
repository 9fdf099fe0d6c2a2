"""What goes wrong with requests for files: the seed, the file and the request's number decide."""

from collections import Counter
from enum import StrEnum

from wagateway.simulator.dice import Dice
from wagateway.simulator.faults import Faults

_MOST_SPOILED = 2


class FileFault(StrEnum):
    """What happens to one request."""

    ERROR = "file-500"
    BUSY = "file-503"
    CUT = "file-cut"
    CUT_CHUNKED = "file-cut-chunked"
    SLOW = "file-slow"
    HANG = "file-hang"
    REDIRECT = "file-redirect"
    EMPTY = "file-empty"
    WRONG = "file-wrong"


_VARIANTS = {
    FileFault.ERROR: (FileFault.ERROR, FileFault.BUSY),
    FileFault.CUT: (FileFault.CUT, FileFault.CUT_CHUNKED),
}


class FileFaults:
    """Decides which request meets which fault: at most one, and the same for the same seed."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._of_requests = {
            FileFault.HANG: faults.file_hang,
            FileFault.ERROR: faults.file_500,
            FileFault.REDIRECT: faults.file_redirect,
            FileFault.CUT: faults.file_cut,
            FileFault.SLOW: faults.file_slow,
        }
        self._of_files = {
            FileFault.EMPTY: faults.file_empty,
            FileFault.WRONG: faults.file_wrong,
        }
        self._seed = seed
        self._number = 0
        self._bodies: Counter[tuple[str, str]] = Counter()

    def of(self, session: str, name: str) -> FileFault | None:
        """Return what happens to the next request for the file of this *name*."""
        self._number += 1
        for fault, rate in self._of_requests.items():
            dice = Dice(fault, self._seed, self._number)
            if rate and dice.chance(rate):
                return dice.pick(_VARIANTS.get(fault, (fault,)))
        before = self._bodies[session, name]
        self._bodies[session, name] += 1
        for fault, rate in self._of_files.items():
            dice = Dice(fault, self._seed, session, name)
            if rate and dice.chance(rate) and before < dice.number(1, _MOST_SPOILED):
                return fault
        return None
