"""What the gateway and the process that looks at files say to each other, over two pipes.

Each frame is its length, four bytes, most significant first, and that many bytes of MessagePack.
First come the terms, answered by `Ready`; then requests, one at a time, each answered by findings
that grow, until one is the last.
"""

import struct
from typing import BinaryIO

import msgspec
from msgspec import Struct

from wagateway.ports.media_inspector import Looked

LARGEST_BYTES = 2**20
_LENGTH = struct.Struct(">I")
LENGTH_BYTES = _LENGTH.size


class Programs(Struct, frozen=True, kw_only=True):
    """Absolute paths of what is installed beside Python; None where it is not."""

    ffmpeg: str | None = None
    ffprobe: str | None = None


class Terms(Struct, frozen=True, kw_only=True):
    """How a process is to look at files.

    Attributes:
        look: ``module:function``, see `looking.look`.
        seconds: for one file, 1 or more.
        memory_bytes: of addresses; asking for more fails.
        files: how many it looks at before another process takes its place.
    """

    look: str
    programs: Programs
    seconds: int
    memory_bytes: int
    files: int


class Ready(Struct, frozen=True, kw_only=True):
    """The process waits for its first request."""


class Request(Struct, frozen=True, kw_only=True):
    """A file to look at; its path as the system has it."""

    path: bytes
    declared: str | None


class Finding(Struct, frozen=True, kw_only=True):
    """What is known of a file so far.

    Attributes:
        is_last: nothing follows for this file.
        leaves: the process ends after this.
    """

    looked: Looked
    is_last: bool = False
    leaves: bool = False


def framed(message: Struct) -> bytes:
    """Return *message* as a frame."""
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


def length(head: bytes) -> int:
    """Return how long the frame is that *head* begins.

    Raises:
        ValueError: longer than any frame of ours.
    """
    found: int = _LENGTH.unpack(head)[0]
    if found > LARGEST_BYTES:
        raise ValueError("no frame of ours")
    return found


def read(source: BinaryIO) -> bytes | None:
    """Return the body of the next frame, None at the end."""
    head = source.read(LENGTH_BYTES)
    return source.read(length(head)) if len(head) == LENGTH_BYTES else None
