"""Stands in for what looks at a file: what is in it says how the process is to be broken."""

import os
import time
from collections.abc import Iterator
from typing import BinaryIO

from wagateway.adapters.inspection.frames import Programs
from wagateway.ports.media_inspector import Looked

_FREE_TO_TAKE = 2**40


def look(file: BinaryIO, declared: str | None, programs: Programs) -> Iterator[Looked]:
    known = Looked(mimetype="image/jpeg", width=7)
    yield known
    match file.read():
        case b"hang":
            time.sleep(3600)
        case b"compute":
            while True:
                pass
        case b"die":
            os.kill(os.getpid(), 9)
        case b"eat":
            bytearray(_FREE_TO_TAKE)
        case b"talk":
            os.write(1, b"x" * 1000)  # where libraries print
        case b"babble":
            for handle in range(3, 16):  # one of them is the pipe
                _babble(handle)
        case b"raise":
            raise RuntimeError(f"secret words of {declared}")
        case b"environment":
            yield Looked(mimetype="text/plain", problem=" ".join(sorted(os.environ)))
        case b"write":
            with open(f"/tmp/wagateway-{os.getpid()}", "wb", 0) as target:  # noqa: PTH123
                target.write(b"x")
        case b"leave a child":
            if os.fork() == 0:
                os.execv("/bin/sleep", ["sleep", "3600"])
            time.sleep(3600)
        case other:
            yield Looked(mimetype="image/jpeg", width=len(other), height=os.getpid())


def _babble(handle: int) -> None:
    try:
        os.write(handle, b"\xff" * 1000)
    except OSError:
        return
