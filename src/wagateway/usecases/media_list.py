"""The attached files of a backup, line by line."""

from collections.abc import AsyncIterator

from wagateway.domain.backups import MEDIA_LIST, MediaEntry, MediaLines
from wagateway.domain.errors import Rejected
from wagateway.domain.media import MediaKey, thumbnail_key
from wagateway.ports.backups import KeptBackup
from wagateway.usecases.closing import closing

_MOST_BYTES_OF_A_FILE = 2 * 1024
"""A line is an eighth of that; a file has at most two."""


async def listed(backup: KeptBackup) -> AsyncIterator[MediaEntry]:
    """Yield the lines of the media list, by ascending hash of the file; its preview comes after it.

    Raises:
        Rejected: it is damaged.
    """
    most = (backup.manifest.media.files + 1) * _MOST_BYTES_OF_A_FILE
    lines = MediaLines()
    async with closing(backup.read(MEDIA_LIST, most_bytes=most)) as pieces:
        async for piece in pieces:
            for entry in lines.add(piece):
                yield entry
    lines.end()


class KnownPreviews:
    """What an earlier backup says of previews, asked for by ascending hash of the file.

    Previews are not named by their own hash, so each would be read and sent again otherwise. One
    that was made anew since is left as it was: either will do.
    """

    def __init__(self, entries: AsyncIterator[MediaEntry]) -> None:
        """Ask *entries*, in the order of `listed`, which stay the caller's."""
        self._entries = entries
        self._at: MediaEntry | None = None
        self._has_more = True

    async def find(self, sha256: str) -> MediaEntry | None:
        """Return the line of the preview of the file *sha256*; None where it is not known."""
        wanted = _place(thumbnail_key(sha256))
        while self._has_more and (self._at is None or _place(self._at.key) < wanted):
            await self._go_on()
        known = self._at is not None and self._at.key == thumbnail_key(sha256) and self._at.copied
        return self._at if known else None

    async def _go_on(self) -> None:
        try:
            self._at = await anext(self._entries, None)
        except Rejected:  # a damaged list helps no further
            self._at = None
        self._has_more = self._at is not None


def _place(key: MediaKey) -> tuple[str, str]:
    kind, _, rest = key.partition("/")
    return rest, kind
