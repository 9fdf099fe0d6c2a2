"""Wake-ups across processes: a short stream that each process adds to, and follows.

It only makes others look sooner. While Redis is away they look from time to time, as without it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NoReturn
from uuid import uuid4

from redis.asyncio import Redis
from typing_extensions import override

from wagateway.adapters.redis._errors import translated_errors
from wagateway.adapters.redis.address import RedisServer
from wagateway.adapters.redis.client import Patience, open_client
from wagateway.domain.errors import WagatewayError
from wagateway.ports.feed import WakeUp

_KEPT = 100
"""Entries of the stream; who reads falls behind by a few at most, or is woken anyway."""
_BLOCK_MS = 2000
_ANSWER_S = 3.0
"""Above the time that a read blocks, which would count as no answer otherwise."""
_REST_S = 0.02
"""Between two entries of one process at least, however often it wakes others."""
_AGAIN_S = 1.0
_FINISH_WITHIN_S = 0.5
_CANCEL_AGAIN_S = 0.05
_PATIENCE = Patience(connect_s=1.0, answer_s=_ANSWER_S, retries=0)


class RedisWakeUp(WakeUp):
    """Wakes the waiter of this process at once, and those of the others over Redis."""

    def __init__(self, tell: Callable[[], None]) -> None:
        """Have *tell* tell the other processes; it never waits and never fails."""
        self._tell = tell
        self._woken = asyncio.Event()

    @override
    def wake(self) -> None:
        self._woken.set()
        self._tell()

    def heard(self) -> None:
        """Wake the waiter of this process alone."""
        self._woken.set()

    @override
    async def wait(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        self._woken.clear()


class Broadcast:
    """All wake-ups of one process, by what they are about."""

    def __init__(
        self,
        client: Redis,
        prefix: str,
        subjects: Collection[str],
        *,
        troubled: Callable[[str | None], None],
    ) -> None:
        """Share *subjects* with all processes under *prefix*.

        Args:
            client: stays the caller's.
            prefix: how the name of the stream begins.
            subjects: names without spaces.
            troubled: is told why others cannot be reached, once; None: it goes on.
        """
        self._client = client
        self._key = f"{prefix}wake"
        self._me = uuid4().hex.encode()
        self._troubled = troubled
        self._troubles: dict[str, str] = {}
        self._to_tell: set[str] = set()
        self._telling = asyncio.Event()
        self._told = asyncio.Event()
        self._told.set()
        self._wake_ups = {each: RedisWakeUp(partial(self._tell, each)) for each in subjects}

    async def finish(self) -> None:
        """Wait until others were told what they are woken for, unless they cannot be reached."""
        if not self._troubles:
            await self._told.wait()

    def about(self, subject: str) -> RedisWakeUp:
        """Return the wake-up of *subject*; it has one waiter."""
        return self._wake_ups[subject]

    async def tell(self) -> NoReturn:
        """Tell others what they are woken for, those wake-ups together that came meanwhile."""
        while True:
            await self._telling.wait()
            self._telling.clear()
            subjects, self._to_tell = self._to_tell, set()
            try:
                with translated_errors("waking other processes"):
                    async with asyncio.timeout(_ANSWER_S):
                        await self._add(" ".join(sorted(subjects)))
            except WagatewayError as exc:
                self._trouble("tell", str(exc))
                await asyncio.sleep(_AGAIN_S)
                self._to_tell |= subjects
                self._telling.set()
            else:
                self._trouble("tell", None)
                if not self._to_tell:
                    self._told.set()
                await asyncio.sleep(_REST_S)

    async def _add(self, subjects: str) -> None:
        await self._client.xadd(
            self._key, {"by": self._me, "of": subjects}, maxlen=_KEPT, approximate=False
        )

    async def listen(self) -> NoReturn:
        """Wake the waiters of this process for what others tell."""
        after: bytes | None = None
        while True:
            try:
                with translated_errors("following other processes"):
                    if after is None:
                        after = await self._last()
                        self._wake_all()  # for whatever was told before
                    after = await self._heard(after)
            except WagatewayError as exc:
                self._trouble("listen", str(exc))
                after = None  # a server that lost its stream counts anew
                await asyncio.sleep(_AGAIN_S)
            else:
                self._trouble("listen", None)

    def _tell(self, subject: str) -> None:
        self._to_tell.add(subject)
        self._told.clear()
        self._telling.set()

    async def _last(self) -> bytes:
        rows: Any = await self._client.xrevrange(self._key, count=1)
        last: bytes = rows[0][0] if rows else b"0-0"
        return last

    async def _heard(self, after: bytes) -> bytes:
        """Wait for what comes after an entry, and return where to go on."""
        streams: Any = await self._client.xread({self._key: after}, block=_BLOCK_MS)
        for _, entries in streams:
            for key, fields in entries:
                after = key
                if fields.get(b"by") != self._me:
                    self._wake(fields.get(b"of", b"").decode(errors="replace").split())
        return after

    def _wake(self, subjects: Collection[str]) -> None:
        for subject in self._wake_ups.keys() & set(subjects):
            self._wake_ups[subject].heard()

    def _wake_all(self) -> None:
        self._wake(self._wake_ups.keys())

    def _trouble(self, whose: str, problem: str | None) -> None:
        was = bool(self._troubles)
        if problem is None:
            self._troubles.pop(whose, None)
        else:
            self._troubles[whose] = problem
        if was != bool(self._troubles):
            self._troubled(problem)


@asynccontextmanager
async def open_broadcast(
    server: RedisServer,
    subjects: Collection[str],
    *,
    troubled: Callable[[str | None], None],
) -> AsyncIterator[Broadcast]:
    """Share wake-ups with all processes that use *server*, while the context is open.

    Args:
        server: may be away, for ever.
        subjects: what wake-ups are about: names without spaces.
        troubled: is told why others cannot be reached, once; None: it goes on.

    Raises:
        InvalidInput: the server's address cannot be used.
    """
    async with open_client(server, patience=_PATIENCE) as client:
        broadcast = Broadcast(client, server.prefix, subjects, troubled=troubled)
        tasks = [asyncio.create_task(run()) for run in (broadcast.tell, broadcast.listen)]
        try:
            yield broadcast
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FINISH_WITHIN_S):
                    await broadcast.finish()
            await _end(tasks)


async def _end(tasks: Collection[asyncio.Task[NoReturn]]) -> None:
    """Cancel *tasks* until they end: one that takes a connection from its pool may not notice."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_CANCEL_AGAIN_S)
