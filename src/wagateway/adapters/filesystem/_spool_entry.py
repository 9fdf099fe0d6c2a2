"""The file of one entry of a spool: how it is named, written durably, and read."""

import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

from wagateway.ports.spool import SpooledBody
from wagateway.ports.spool_form import HEAD_BYTES, is_newer, newer_waits, unpack

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
    """Return the bodies that lie in *path*; of what a newer version wrote only the form is read.

    Raises:
        ValueError: it is not what was written.
        StoreUnavailable: a newer version wrote it.
        OSError: it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if is_newer(file.peek(HEAD_BYTES)[:HEAD_BYTES]):  # it may be large, and be met each second
            raise newer_waits()
        return unpack(file.read())
