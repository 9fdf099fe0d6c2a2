"""Blocking calls to a disk that may hang."""

import asyncio
import errno
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import ParamSpec, TypeVar

Params = ParamSpec("Params")
Result = TypeVar("Result")


class DaemonThreads:
    """A thread for each call, of which a few run at once: a disk that hangs holds up nothing else.

    They do not use the event loop's own threads, which others need, and the process ends without
    waiting for them.
    """

    def __init__(self, *, at_once: int) -> None:
        """Let *at_once* calls be under way; those that hang count, and others wait for them."""
        self._free = asyncio.Semaphore(at_once)

    async def run(
        self,
        within_s: float,
        call: Callable[Params, Result],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Return what *call* does.

        Raises:
            TimeoutError: it is not done within *within_s* seconds; it may yet be.
            OSError: no thread can be started.
            Exception: what *call* raises.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Result] = loop.create_future()

        def settle(done: Future[Result]) -> None:
            self._free.release()
            if outcome.done():  # nobody waits for it any more
                return
            error = done.exception()
            if error is None:
                outcome.set_result(done.result())
            else:
                outcome.set_exception(error)

        def work() -> None:
            done: Future[Result] = Future()
            try:
                done.set_result(call(*args, **kwargs))
            except BaseException as exc:  # noqa: BLE001 - it is raised where it is waited for
                done.set_exception(exc)
            with suppress(RuntimeError):  # the loop is gone, and so is whoever asked
                loop.call_soon_threadsafe(settle, done)

        async with asyncio.timeout(within_s):
            await self._free.acquire()
            try:
                threading.Thread(target=work, name="wagateway-disk", daemon=True).start()
            except RuntimeError as exc:
                self._free.release()
                raise OSError(errno.EAGAIN, "no thread can be started") from exc
            return await outcome
