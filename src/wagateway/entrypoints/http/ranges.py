"""Which part of a file a request wants, and whether it has it already. Source: RFC 9110."""

import re

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.IGNORECASE | re.ASCII)
_MOST_DIGITS = 18


class NothingThere(Exception):
    """The range begins behind the end of the file."""


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first and last byte that are wanted; None: all of them.

    Several ranges, and what is no range, are answered with the whole, as is allowed.

    Args:
        header: ``Range``, None where it was not sent.
        size: of the file, 0 or more.

    Raises:
        NothingThere: no byte of the file is in the range.
    """
    match = _RANGE.fullmatch((header or "").strip())
    if match is None or max(map(len, match.groups())) > _MOST_DIGITS:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        return _last_bytes(int(last), size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise NothingThere
    return int(first), min(int(last), size - 1) if last else size - 1


def _last_bytes(count: int, size: int) -> tuple[int, int]:
    if count == 0 or size == 0:
        raise NothingThere
    return max(0, size - count), size - 1


def is_held(header: str | None, etag: str) -> bool:
    """Tell whether the sender of ``If-None-Match`` holds the version *etag* already."""
    held = [each.strip() for each in (header or "").split(",")]
    return "*" in held or etag in held or f"W/{etag}" in held


def range_applies(header: str | None, etag: str) -> bool:
    """Tell whether a range is of the version that the sender of ``If-Range`` has begun to read."""
    return header is None or header.strip() == etag
