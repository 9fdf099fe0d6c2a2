"""The pace of one process."""

import asyncio
from collections import deque

from typing_extensions import override

from wagateway.ports.turnstile import Pace, Turnstile, resting

_WINDOW_S = 1.0


class LocalTurnstile(Turnstile):
    """Counts what passes in this process."""

    def __init__(self, pace: Pace) -> None:
        """Keep *pace*."""
        self._pace = pace
        self._passed: deque[float] = deque()
        self._failures = 0
        self._rests_until = float("-inf")

    @override
    async def wait(self) -> None:
        while (wait_s := self._wait_s()) > 0:  # noqa: ASYNC110 - only time helps
            await asyncio.sleep(wait_s)

    def _wait_s(self) -> float:
        """Let a request pass and return 0, or return after what time to ask again."""
        now = asyncio.get_running_loop().time()
        if now < self._rests_until:
            raise resting(self._rests_until - now)
        while self._passed and self._passed[0] + _WINDOW_S <= now:
            self._passed.popleft()
        if len(self._passed) >= self._pace.per_second:
            return self._passed[0] + _WINDOW_S - now
        self._passed.append(now)
        return 0.0

    @override
    async def answered(self) -> None:
        self._failures = 0
        self._rests_until = float("-inf")

    @override
    async def failed(self) -> None:
        self._failures += 1
        now = asyncio.get_running_loop().time()
        if self._failures >= self._pace.failures and now >= self._rests_until:
            self._rests_until = now + self._pace.rest_s
