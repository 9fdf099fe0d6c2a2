"""How an entry of the spool lies on disk.

A line that names its form, the SHA-256 of the rest, and the bodies in MessagePack.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from wagateway.domain.errors import StoreUnavailable
from wagateway.ports.spool import SpooledBody

_FORM = b"wagateway spool 1\n"
_FORMS = re.compile(rb"wagateway spool [0-9]{1,9}\n")
_DIGEST_BYTES = hashlib.sha256().digest_size
_NAME = re.compile(r"[0-9]{19}-[0-9a-f]{16}")


def name_at(kept_ns: int) -> str:
    """Return a new name; names sort by *kept_ns*, nanoseconds since 1970."""
    return f"{kept_ns:019d}-{secrets.token_hex(8)}"


def is_name(name: str) -> bool:
    """Tell whether *name* is one of ours."""
    return _NAME.fullmatch(name) is not None


def ns_of(name: str) -> int:
    """Return when the entry *name* was kept, in nanoseconds since 1970."""
    return int(name.partition("-")[0])


def kept_at(name: str) -> datetime:
    """Return when the entry *name* was kept, to the second."""
    return datetime.fromtimestamp(ns_of(name) // 10**9, UTC)


def pack(bodies: Sequence[SpooledBody]) -> bytes:
    """Return what lies on disk for *bodies*."""
    packed = msgspec.msgpack.encode(bodies)
    return _FORM + hashlib.sha256(packed).digest() + packed


def write(path: Path, content: bytes) -> None:
    """Write the new file *path*; return once it is on disk.

    Raises:
        OSError: it cannot be.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)


def read(path: Path) -> tuple[SpooledBody, ...]:
    """Return the bodies that lie in *path*.

    Raises:
        ValueError: it is not what was written.
        StoreUnavailable: a newer version wrote it.
        OSError: it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        content = file.read()
    form, rest = content[: len(_FORM)], content[len(_FORM) :]
    digest, packed = rest[:_DIGEST_BYTES], rest[_DIGEST_BYTES:]
    if form == _FORM and hashlib.sha256(packed).digest() == digest:
        return msgspec.msgpack.decode(packed, type=tuple[SpooledBody, ...])
    if form != _FORM and _FORMS.match(content):
        raise StoreUnavailable("a newer wagateway kept something in the spool: update this one")
    raise ValueError("it is damaged")
