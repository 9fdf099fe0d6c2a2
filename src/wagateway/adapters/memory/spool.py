"""A spool in memory: for tests, and for what keeps nothing anyway."""

from collections.abc import Collection, Sequence
from datetime import datetime

from typing_extensions import override

from wagateway.domain.errors import StoreUnavailable
from wagateway.ports.clock import Clock
from wagateway.ports.spool import Spool, SpoolDepth, SpooledBody, SpoolEntry


class InMemorySpool(Spool):
    """Entries in the order of their arrival; durable for as long as the process lives."""

    def __init__(self, clock: Clock, *, max_bytes: int = 2**30) -> None:
        """Begin empty; *max_bytes* of bodies may wait."""
        self._clock = clock
        self._max_bytes = max_bytes
        self._waiting: dict[str, tuple[datetime, SpoolEntry]] = {}
        self._aside: dict[str, tuple[datetime, SpoolEntry]] = {}
        self._last = 0

    @override
    async def prepare(self) -> None:
        """Do nothing: memory is there."""

    @override
    async def put(self, bodies: Sequence[SpooledBody]) -> None:
        if self._size() + sum(len(each.body) for each in bodies) > self._max_bytes:
            raise StoreUnavailable("the spool is full")
        self._last += 1
        entry = SpoolEntry(key=str(self._last), bodies=tuple(bodies))
        self._waiting[entry.key] = (self._clock(), entry)

    @override
    async def oldest(self, *, limit: int, without: Collection[str] = ()) -> Sequence[SpoolEntry]:
        found = [entry for key, (_, entry) in self._waiting.items() if key not in without]
        return found[:limit]

    @override
    async def release(self) -> None:
        """Do nothing: nobody shares it."""

    @override
    async def let_go(self, keys: Collection[str]) -> None:
        for key in keys:
            self._waiting.pop(key, None)

    @override
    async def set_aside(self, key: str) -> None:
        if key in self._waiting:
            self._aside[key] = self._waiting.pop(key)

    @override
    async def put_back(self) -> int:
        moved = len(self._aside)
        self._waiting = dict(
            sorted((self._waiting | self._aside).items(), key=lambda each: int(each[0]))
        )
        self._aside = {}
        return moved

    @override
    async def depth(self) -> SpoolDepth:
        return SpoolDepth(
            entries=len(self._waiting),
            size_bytes=self._size(),
            oldest_at=min((at for at, _ in self._waiting.values()), default=None),
            set_aside=len(self._aside),
            max_bytes=self._max_bytes,
        )

    def _size(self) -> int:
        return sum(len(each.body) for _, entry in self._waiting.values() for each in entry.bodies)
