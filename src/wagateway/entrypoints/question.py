"""A question that may stay without an answer: asked once at a time, and not waited for too long."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from wagateway.domain.errors import Unavailable

Answer = TypeVar("Answer")


class Question(Generic[Answer]):
    """A question to the store, or to a disk, that is open once, however many ask it."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Answer]], timeout_s: float) -> None:
        """Let *ask* take *timeout_s*."""
        self._ask = ask
        self._timeout_s = timeout_s
        self._asked: asyncio.Task[Answer] | None = None

    async def __call__(self) -> asyncio.Task[Answer]:
        """Return the question: answered, failed, or not answered in time."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(self._ask())
        mine = self._asked
        await asyncio.wait({mine}, timeout=self._timeout_s)
        if not mine.done():
            mine.cancel()  # not waited for: a driver may take long to let go
        return mine


def trouble(asked: asyncio.Task[Any]) -> str | None:
    """Return why nobody answered, None where somebody did.

    Raises:
        Exception: what nobody expects of a store.
    """
    if not asked.done() or asked.cancelled():
        return "no answer in time"
    error = asked.exception()
    if error is not None and not isinstance(error, Unavailable):
        raise error
    return None if error is None else f"{type(error).__name__}: {error}"
