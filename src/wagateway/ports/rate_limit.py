"""How often somebody may do something."""

from abc import ABC, abstractmethod


class RateLimit(ABC):
    """So many in a minute, for each who does it; what is beyond that has to wait.

    All of a minute may come at once; then one more is let through as soon as it is due. It is a
    brake and no account: one that knows too many to remember all may let some of them begin anew.
    """

    @abstractmethod
    async def take(self, who: str) -> float:
        """Let *who* do it once, where that is due.

        Returns:
            0.0 where it is done and counted; else after how many seconds it is due, and nothing is
            counted.
        """

    @abstractmethod
    async def wait_s(self, who: str) -> float:
        """Return what take() would, without doing it."""
