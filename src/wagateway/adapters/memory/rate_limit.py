"""A rate limit of one process, in constant memory."""

import time
from collections import OrderedDict
from collections.abc import Callable

from typing_extensions import override

from wagateway.ports.rate_limit import RateLimit

_SECOND = 10**9
_MINUTE = 60 * _SECOND
_MOST = 10_000


class InMemoryRateLimit(RateLimit):
    """Keeps one number for each who was seen lately: when all of a minute is due again."""

    def __init__(
        self,
        per_minute: int,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        most: int = _MOST,
    ) -> None:
        """Let everyone do it *per_minute* times.

        Args:
            per_minute: 1 or more.
            clock_ns: never goes back.
            most: who are remembered; beyond that, whoever did it the longest ago is forgotten.
        """
        self._each = _MINUTE // per_minute
        self._clock_ns = clock_ns
        self._most = most
        self._whole_at: OrderedDict[str, int] = OrderedDict()

    @override
    async def take(self, who: str) -> float:
        now = self._clock_ns()
        left = self._left(who, now)
        if left > 0:
            return left / _SECOND
        self._whole_at[who] = max(now, self._whole_at.get(who, now)) + self._each
        self._whole_at.move_to_end(who)
        if len(self._whole_at) > self._most:
            self._whole_at.popitem(last=False)
        return 0.0

    @override
    async def wait_s(self, who: str) -> float:
        return max(0, self._left(who, self._clock_ns())) / _SECOND

    def _left(self, who: str, now: int) -> int:
        return max(now, self._whole_at.get(who, now)) + self._each - _MINUTE - now
