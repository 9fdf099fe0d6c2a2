"""Bytes that make a file as long as it should be, and different from every other one."""

from collections.abc import Iterator
from hashlib import shake_128

_BLOCK_BYTES = 65_536
_COUNTER_BYTES = 8


class Filler:
    """So many bytes that depend on a key only; any part of them is made without what is before.

    Args:
        key: what the bytes depend on.
        size_bytes: how many there are.
    """

    def __init__(self, key: str, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._pattern = shake_128(key.encode()).digest(
            min(size_bytes, _BLOCK_BYTES - _COUNTER_BYTES)
        )

    def parts(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from *start* to just before *stop*, in pieces of up to 64 KiB."""
        end = self.size_bytes if stop is None else min(stop, self.size_bytes)
        while start < end:
            number, skipped = divmod(start, _BLOCK_BYTES)
            block = number.to_bytes(_COUNTER_BYTES) + self._pattern
            part = block[skipped : skipped + end - start]
            yield part
            start += len(part)

    def whole(self) -> bytes:
        """Return all of them at once: only of a small file."""
        return b"".join(self.parts())
