"""What goes wrong with REST calls, each decided by the seed and the number of the call."""

from collections.abc import MutableMapping
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

from wagateway.simulator.dice import Dice
from wagateway.simulator.faults import Faults
from wagateway.simulator.rest_answers import Answer, broken

_RETRY_AFTER_S = 1


class CutShort(Exception):
    """An answer ends in the middle, as a fault: whoever serves closes the connection."""


class Fault(StrEnum):
    """What happens to one call."""

    ERROR = "rest-500"
    LIMITED = "rest-429"
    HANG = "rest-hang"
    SLOW = "rest-slow"
    CUT = "rest-cut"


class RestFaults:
    """Decides which call meets which fault: at most one, and the same for the same seed."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._rates = {
            Fault.ERROR: faults.rest_500,
            Fault.LIMITED: faults.rest_429,
            Fault.HANG: faults.rest_hang,
            Fault.SLOW: faults.rest_slow,
            Fault.CUT: faults.rest_cut,
        }
        self._seed = seed

    def of(self, number: int) -> Fault | None:
        """Return what happens to call *number*, counted from 0."""
        for fault, rate in self._rates.items():
            if rate and Dice(fault, self._seed, number).chance(rate):
                return fault
        return None

    def answer(
        self, fault: Fault | None, scope: MutableMapping[str, Any], engine: str
    ) -> Answer | None:
        """Return the answer that *fault* is, None where it only disturbs the right one."""
        if fault is Fault.ERROR:
            query = scope["query_string"].decode("latin-1")
            return broken(scope["method"], scope["path"], dict(parse_qsl(query)), engine)
        if fault is Fault.LIMITED:
            body = {"message": "ThrottlerException: Too Many Requests", "statusCode": 429}
            return Answer(status=429, body=body, headers=(("retry-after", str(_RETRY_AFTER_S)),))
        return None
