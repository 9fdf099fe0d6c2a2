"""What a worker does at once, and how it rests and stops."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from wagateway.ports.feed import WakeUp

_UNDISTURBED_S = 0.2
"""Of each rest, for what wakes may come with every commit."""


class TaskSlots:
    """Tasks that run at the same time, up to so many."""

    def __init__(self, most: int) -> None:
        """Do up to *most* at once, 1 or more."""
        self._most = most
        self._running: set[asyncio.Task[None]] = set()

    @property
    def free(self) -> int:
        """How many more can be begun."""
        return self._most - len(self._running)

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Begin *work*, which tells by itself how it ended."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def rest(
        self, stop: asyncio.Event, longest: timedelta, wake_up: WakeUp | None = None
    ) -> None:
        """Wait until something ended, *stop* is set, *wake_up* wakes, or *longest* is over."""
        longest_s = longest.total_seconds()
        waiting: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
        if wake_up is not None:
            waiting.append(asyncio.create_task(_woken(wake_up, longest_s)))
        try:
            await asyncio.wait(
                {*waiting, *self._running},
                timeout=longest_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for each in waiting:
                each.cancel()

    async def finish(self, deadline: timedelta) -> None:
        """Let what runs come to its end; break off what did not by the *deadline*."""
        if self._running:
            await asyncio.wait(self._running, timeout=deadline.total_seconds())
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=1.0)


async def _woken(wake_up: WakeUp, longest_s: float) -> None:
    await asyncio.sleep(_UNDISTURBED_S)
    await wake_up.wait(longest_s)
