"""How long to wait after work failed: soon again a few times, then seldom, and never given up."""

from datetime import timedelta

from msgspec import Struct

_MOST_DOUBLINGS = 20


class Patience(Struct, frozen=True, kw_only=True):
    """How failures are answered.

    Attributes:
        max_retries: failures in a row that are soon followed by another try, 0 or more; with one
            more the work counts as failed.
        first: the pause after the first failure; it doubles each time.
        longest: the longest of these pauses.
        failed: how long work that failed waits before each further try.
    """

    max_retries: int = 3
    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(minutes=5)
    failed: timedelta = timedelta(hours=1)

    def is_at_its_end(self, failures: int) -> bool:
        """Tell whether work counts as failed after so many failures in a row."""
        return failures > self.max_retries

    def pause(self, failures: int) -> timedelta:
        """Return how long to wait after so many failures in a row, 1 or more."""
        if self.is_at_its_end(failures):
            return self.failed
        doubled: timedelta = self.first * 2 ** min(failures - 1, _MOST_DOUBLINGS)
        return min(doubled, self.longest)
