"""Attached files in memory: for tests, and to try without a disk."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from typing_extensions import override

from wagateway.domain.errors import NotFound
from wagateway.domain.media import MediaKey
from wagateway.ports.media_store import MediaStore, StoredFile

_PIECE = 256 * 1024


class InMemoryMediaStore(MediaStore):
    """Files in a dict."""

    def __init__(self) -> None:
        """Begin empty."""
        self._held: dict[MediaKey, tuple[bytes, datetime]] = {}

    @override
    async def prepare(self) -> None:
        pass

    @override
    async def add(self, key: MediaKey, file: Path, *, mimetype: str) -> bool:
        content = await asyncio.to_thread(file.read_bytes)
        if key in self._held:
            return False
        self._held[key] = (content, datetime.now(UTC).replace(microsecond=0))
        return True

    @override
    async def size_bytes(self, key: MediaKey) -> int:
        return len(self._content(key))

    @override
    async def read(
        self, key: MediaKey, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        content = self._content(key)
        end = len(content) if length is None else min(start + length, len(content))
        for begin in range(start, end, _PIECE):
            yield content[begin : min(begin + _PIECE, end)]

    @override
    async def remove(self, key: MediaKey) -> bool:
        return self._held.pop(key, None) is not None

    @override
    async def files(self) -> AsyncIterator[StoredFile]:
        for key, (content, stored_at) in sorted(self._held.items()):
            yield StoredFile(key=key, size_bytes=len(content), stored_at=stored_at)

    @override
    def link(
        self,
        key: MediaKey,
        *,
        lifetime: timedelta,
        filename: str | None,
        mimetype: str,
        inline: bool,
    ) -> str | None:
        return None

    @override
    async def readable_by_anyone(self) -> bool:
        return False

    def _content(self, key: MediaKey) -> bytes:
        try:
            return self._held[key][0]
        except KeyError:
            raise NotFound("this file is not stored") from None
