"""When a server may be asked: so often, and not for a while after it failed several times."""

from abc import ABC, abstractmethod

from msgspec import Struct

from wagateway.domain.errors import EngineResting


class Pace(Struct, frozen=True, kw_only=True):
    """How a server is spared.

    Attributes:
        per_second: requests in any second, at most; 1 or more.
        failures: in a row that let it rest; 1 or more.
        rest_s: for how long.
    """

    per_second: int
    failures: int
    rest_s: float


class Turnstile(ABC):
    """Lets requests to one server pass at its pace, whoever asks; it never raises but as it says.

    After enough failures in a row nobody passes until the server had its rest. Then the next
    failure lets it rest again, and an answer sets all right.
    """

    @abstractmethod
    async def wait(self) -> None:
        """Return when the next request may go.

        Raises:
            EngineResting: the server rests; it says for how long still.
        """

    @abstractmethod
    async def answered(self) -> None:
        """Take note that the server answered, whatever it said: failures count from nought."""

    @abstractmethod
    async def failed(self) -> None:
        """Take note that a request failed through the server; a rest under way grows no longer."""


def resting(wait_s: float) -> EngineResting:
    """Return the error of a server that rests for *wait_s* still."""
    return EngineResting("the engine failed several times; it is left alone a while", wait_s=wait_s)
