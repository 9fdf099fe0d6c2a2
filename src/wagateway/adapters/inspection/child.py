"""The process that looks at files: ``python -m wagateway.adapters.inspection.child``.

It reads hostile files with libraries that are written in C, so it has nothing to lose: no secrets,
little memory, no files to write. It ends with its input, which the gateway holds open.
"""

import os
import signal
import stat
from collections.abc import Iterator
from importlib import import_module
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from wagateway.adapters.inspection.frames import Finding, Ready, Request, Terms, framed, read
from wagateway.adapters.inspection.limits import allow_cpu, confine, most_memory_bytes
from wagateway.adapters.inspection.looking import Look
from wagateway.adapters.inspection.unreadable import Unreadable
from wagateway.domain.mimetype import UNKNOWN
from wagateway.ports.media_inspector import Looked

_GRACE_S = 5
"""The gateway ends what takes too long; this is for when there is no gateway any more."""

_DAMAGED = "the file is damaged"
_TOO_MUCH_MEMORY = "the file takes too much memory to read"
_NO_FILE = "it is not a regular file that can be opened"


def main() -> None:
    """Answer requests until there are no more, or another process is to take over."""
    source, target = _pipes()
    told = read(source)
    if told is None:
        return
    terms = msgspec.msgpack.decode(told, type=Terms)
    look = _function(terms.look)
    confine(terms.memory_bytes)
    # Counted from here: some systems count what the gateway had when it started this process.
    enough_bytes = max(most_memory_bytes(), terms.memory_bytes // 2)
    _send(target, framed(Ready()))
    for count in range(1, terms.files + 1):
        body = read(source)
        if body is None:
            return
        request = msgspec.msgpack.decode(body, type=Request)
        allow_cpu(terms.seconds)
        signal.alarm(terms.seconds + _GRACE_S)
        known, is_well = _found(request, look, terms, target)
        leaves = not is_well or count == terms.files or most_memory_bytes() > enough_bytes
        _send(target, framed(Finding(looked=known, is_last=True, leaves=leaves)))
        signal.alarm(0)
        if leaves:
            return


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take the pipes away from where libraries would write into them."""
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return source, target


def _function(name: str) -> Look:
    module, _, function = name.partition(":")
    found: Look = getattr(import_module(module), function)
    return found


def _send(target: BinaryIO, frame: bytes) -> None:
    target.write(frame)
    target.flush()


def _found(request: Request, look: Look, terms: Terms, target: BinaryIO) -> tuple[Looked, bool]:
    """Return all that is found, and whether this process may go on; send it while it grows."""
    known = Looked(mimetype=UNKNOWN)
    try:
        for known in _looked(request, look, terms):
            _send(target, framed(Finding(looked=known)))
    except Unreadable as exc:
        return replace(known, problem=str(exc)), True
    except MemoryError:
        return replace(known, problem=_TOO_MUCH_MEMORY), False
    except Exception:  # noqa: BLE001 - hostile files make libraries raise anything
        return replace(known, problem=_DAMAGED), True
    return known, True


def _looked(request: Request, look: Look, terms: Terms) -> Iterator[Looked]:
    with _opened(request.path) as file:
        yield from look(file, request.declared, terms.programs)


def _opened(path: bytes) -> BinaryIO:
    """Open a regular file; nothing else is even waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as exc:
        raise Unreadable(_NO_FILE) from exc
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise Unreadable(_NO_FILE)


if __name__ == "__main__":
    main()
