"""Stands in for what looks at a file: what is in it says how the process is to be broken."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NoReturn

from wagateway.adapters.inspection.frames import Programs
from wagateway.ports.media_inspector import Looked

_MORE_THAN_THERE_IS = 2**40


def look(file: BinaryIO, declared: str | None, programs: Programs) -> Iterator[Looked]:
    """Yield what is known, do what the file says, and tell of this process.

    The width is the length of the file, the height the id of the process, and the problem, where
    that is asked for, the names of its variables.
    """
    yield Looked(mimetype="image/jpeg", width=7)
    content = file.read()
    if act := _ACTS.get(content):
        act()
        return
    told = " ".join(sorted(os.environ)) if content == b"environment" else None
    yield Looked(mimetype="image/jpeg", width=len(content), height=os.getpid(), problem=told)


def _hang() -> None:
    time.sleep(3600)


def _compute() -> NoReturn:
    while True:
        pass


def _die() -> None:
    os.kill(os.getpid(), 9)


def _eat() -> None:
    bytearray(_MORE_THAN_THERE_IS)


def _talk() -> None:
    os.write(1, b"x" * 1000)  # where libraries print


def _babble() -> None:
    for handle in range(3, 16):  # one of them is the pipe
        with suppress(OSError):
            os.write(handle, b"\xff" * 1000)


def _fail() -> NoReturn:
    raise RuntimeError("words of the file")


def _write() -> None:
    place = Path(f"/tmp/wagateway-{os.getpid()}")
    try:
        place.write_bytes(b"x")
    finally:
        place.unlink()


def _leave_a_child() -> None:
    if os.fork() == 0:
        os.execv("/bin/sleep", ["sleep", "3600"])
    time.sleep(3600)


_ACTS: dict[bytes, Callable[[], None]] = {
    b"hang": _hang,
    b"compute": _compute,
    b"die": _die,
    b"eat": _eat,
    b"talk": _talk,
    b"babble": _babble,
    b"raise": _fail,
    b"write": _write,
    b"leave a child": _leave_a_child,
}
