"""How a spool writes down what it keeps, wherever that lies, so that each version knows its own.

A line that names the form, the SHA-256 of the rest, and the bodies in MessagePack.
"""

import hashlib
import re
from collections.abc import Sequence

import msgspec

from wagateway.domain.errors import StoreUnavailable
from wagateway.ports.spool import SpooledBody

FORM = b"wagateway spool 1\n"
"""How everything begins that this version keeps."""
HEAD_BYTES = 32
"""Of the beginning, enough for the form of any version."""
_FORMS = re.compile(rb"wagateway spool [0-9]{1,9}\n")
_DIGEST_BYTES = hashlib.sha256().digest_size


def pack(bodies: Sequence[SpooledBody]) -> bytes:
    """Return what is kept for *bodies*."""
    packed = msgspec.msgpack.encode(bodies)
    return FORM + hashlib.sha256(packed).digest() + packed


def unpack(content: bytes) -> tuple[SpooledBody, ...]:
    """Return the bodies that pack() was given for *content*.

    Raises:
        ValueError: it is not what was kept.
        StoreUnavailable: a newer version kept it.
    """
    form, rest = content[: len(FORM)], content[len(FORM) :]
    digest, packed = rest[:_DIGEST_BYTES], rest[_DIGEST_BYTES:]
    if form == FORM and hashlib.sha256(packed).digest() == digest:
        return msgspec.msgpack.decode(packed, type=tuple[SpooledBody, ...])
    if is_newer(content):
        raise newer_waits()
    raise ValueError("it is damaged")


def is_newer(head: bytes) -> bool:
    """Tell whether a newer version kept what begins with *head*, HEAD_BYTES of it or more."""
    return not head.startswith(FORM) and _FORMS.match(head) is not None


def newer_waits() -> StoreUnavailable:
    """Return what is told where nothing waits but what a newer version kept."""
    return StoreUnavailable("a newer wagateway kept something in the spool: update this one")
