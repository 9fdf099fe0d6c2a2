"""How much a worker does at once, and how it rests and stops."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta


class Hands:
    """So many things at the same time, and no more."""

    def __init__(self, most: int) -> None:
        """Do up to *most* at once, 1 or more."""
        self._most = most
        self._running: set[asyncio.Task[None]] = set()

    @property
    def free(self) -> int:
        """How many more things can be begun."""
        return self._most - len(self._running)

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Begin *work*, which tells by itself how it ended."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def rest(self, stop: asyncio.Event, longest: timedelta) -> None:
        """Wait until something ended, *stop* is set, or *longest* is over."""
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait(
                {stopping, *self._running},
                timeout=longest.total_seconds(),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            stopping.cancel()

    async def finish(self, deadline: timedelta) -> None:
        """Let what runs come to its end; break off what did not by the *deadline*."""
        if self._running:
            await asyncio.wait(self._running, timeout=deadline.total_seconds())
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=1.0)
