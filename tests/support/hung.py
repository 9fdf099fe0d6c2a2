"""Databases that hang: they are there, and say nothing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from tests.support.listener import listening


@contextmanager
def frozen(server_pid: int) -> Iterator[None]:
    """Stop a PostgreSQL server and all of its processes, and let them go on at the end."""
    os.kill(server_pid, signal.SIGSTOP)  # first, so that it starts no more
    family = [server_pid, *_children(server_pid)]
    try:
        for pid in family[1:]:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(family):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = stat.read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid:
                found.append(int(stat.parent.name))
    return found


@asynccontextmanager
async def silent_listener() -> AsyncIterator[str]:
    """Yield the URL of something that takes connections and never says a word."""

    async def say_nothing(*_: object) -> None:
        await asyncio.Event().wait()

    async with listening(say_nothing) as port:
        yield f"postgresql://nobody@127.0.0.1:{port}/none"
