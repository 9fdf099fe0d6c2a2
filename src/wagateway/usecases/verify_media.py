"""Compare the media store with the database, file by file, and mend what a person wants mended.

Both list their files in the order of keys, so they are merged: memory stays the same however many
there are. Files come and go meanwhile, so whatever differs is looked at again before it is told.
"""

import hashlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from wagateway.domain.errors import NotFound, Rejected, StoreUnavailable
from wagateway.domain.media import MediaKey, MediaObject, file_key, thumbnail_key
from wagateway.ports.clock import Clock
from wagateway.ports.downloads import DownloadStore
from wagateway.ports.media_store import MediaStore, StoredFile
from wagateway.usecases.closing import closing

_PAGE = 500
_HASH_CHARS = 64
_YOUNG = timedelta(hours=1)
"""So long a file may lie in the store before its download is saved."""
_MOST_UNREADABLE = 3
"""In a row; more are no ill files but an ill store."""
_SAMPLE = 20
"""Files that are looked for before all; a store that has none of them is another one."""


class Problem(StrEnum):
    """What can be wrong with a stored file."""

    MISSING = "missing"
    """The database has it, the store has not."""
    DAMAGED = "damaged"
    """Its content is another than its name says."""
    WRONG_SIZE = "wrong-size"
    """Its size is not that of the database."""
    UNREADABLE = "unreadable"
    """The store has it, and cannot read it."""
    ORPHAN = "orphan"
    """The store has it, the database does not know it."""
    NO_PREVIEW = "no-preview"
    """The database says that it has a preview, and the store has none."""


class Mended(StrEnum):
    """What was done about a problem."""

    DUE = "fetched-again"
    """The downloads that have the file are due again."""
    LOOK = "inspected-again"
    """A worker makes its preview anew."""
    REMOVED = "removed"
    """It is no longer in the store."""


class Finding(Struct, frozen=True, kw_only=True):
    """One file that is not as it should be.

    Attributes:
        key: of the file, or of its preview.
        size_bytes: in the store; of a missing file in the database.
        messages: how many have it.
        mended: what was done; None: nothing.
        downloads: how many are due because of that.
    """

    problem: Problem
    key: MediaKey
    size_bytes: int
    messages: int = 0
    mended: Mended | None = None
    downloads: int = 0


class Checked(Struct, frozen=True, kw_only=True):
    """One file was looked at.

    Attributes:
        key: of it.
        read_bytes: how much of it was read.
        finding: what is wrong with it; None: nothing.
    """

    key: MediaKey
    read_bytes: int
    finding: Finding | None


class Verification(Struct, frozen=True, kw_only=True):
    """How the store is looked at.

    Attributes:
        quick: only whether files are there and how large they are; none is read.
        repair: what is missing or damaged is fetched again, a preview made again.
        remove_orphans: what nobody knows is removed.
        all_lost: a store that has none of the files is no mistake.
    """

    quick: bool = False
    repair: bool = False
    remove_orphans: bool = False
    all_lost: bool = False


class _Expected(Struct, frozen=True, kw_only=True):
    key: MediaKey
    file: MediaObject


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyMedia:
    """Looks at every stored file."""

    media: MediaStore
    downloads: DownloadStore
    clock: Clock

    async def __call__(self, how: Verification) -> AsyncIterator[Checked]:
        """Yield each file of the store and of the database, in the order of their keys.

        Nothing is removed or fetched again unless *how* says so. Stopped at any time it leaves
        nothing half done.

        Raises:
            StoreUnavailable: the store or the database is away, or the store is not there any
                more; nothing is told as missing because of that.
            Rejected: the store has none of the files that the database knows.
        """
        async with closing(_Run(parts=self, how=how).checked()) as found:
            async for each in found:
                yield each


@dataclass(slots=True, kw_only=True)
class _Run:
    """One look at everything.

    Attributes:
        listed: the latest keys that the store listed, without those that we removed.
        unreadable: files in a row that could not be read.
    """

    parts: VerifyMedia
    how: Verification
    listed: deque[MediaKey] = field(default_factory=lambda: deque(maxlen=16))
    unreadable: int = 0

    async def checked(self) -> AsyncIterator[Checked]:
        async with closing(self._listed()) as listing, closing(self._expected()) as expecting:
            there, expected = await anext(listing, None), await anext(expecting, None)
            if not self.how.all_lost and expected is not None:
                await self._require_same_store(is_empty=there is None)
            while there is not None or expected is not None:
                if there is not None and expected is not None and there.key == expected.key:
                    yield await self._both(there, expected)
                    there, expected = await anext(listing, None), await anext(expecting, None)
                elif there is not None and (expected is None or there.key < expected.key):
                    yield await self._orphan(there)
                    there = await anext(listing, None)
                elif expected is not None:
                    yield await self._absent(expected)
                    expected = await anext(expecting, None)

    async def _listed(self) -> AsyncIterator[StoredFile]:
        async with closing(self.parts.media.files()) as files:
            async for file in files:
                self.listed.append(file.key)
                yield file

    async def _expected(self) -> AsyncIterator[_Expected]:
        """Yield what the store must have, in the order of keys: files, then previews."""
        async for file in self._known():
            yield _Expected(key=file_key(file.sha256), file=file)
        async for file in self._known():
            if file.has_thumbnail:
                yield _Expected(key=thumbnail_key(file.sha256), file=file)

    async def _known(self) -> AsyncIterator[MediaObject]:
        after = ""
        while page := await self.parts.downloads.stored(after=after, limit=_PAGE):
            for file in page:
                yield file
            after = page[-1].sha256

    # What there may be

    async def _absent(self, expected: _Expected) -> Checked:
        """Look at what the store did not list: it may have come, or gone from both, meanwhile."""
        key, file = expected.key, await self._file(expected.file.sha256)
        is_preview = key != file_key(expected.file.sha256)
        if file is None or (is_preview and not file.has_thumbnail) or await self._has(key):
            return _well(key)
        await self._require_store()
        if is_preview:
            return await self._without_preview(key, file)
        return await self._lost(Problem.MISSING, key, file, size_bytes=file.size_bytes)

    async def _orphan(self, there: StoredFile) -> Checked:
        sha256 = there.key[-_HASH_CHARS:]
        young = self.parts.clock() - there.stored_at < _YOUNG
        if young or await self._file(sha256) is not None:
            return _well(there.key)  # of a known file, a preview that is about to be told of
        removed = self.how.remove_orphans and await self._remove_orphan(there.key, sha256)
        finding = Finding(
            problem=Problem.ORPHAN,
            key=there.key,
            size_bytes=there.size_bytes,
            mended=Mended.REMOVED if removed else None,
        )
        return Checked(key=there.key, read_bytes=0, finding=finding)

    async def _remove_orphan(self, orphan: MediaKey, sha256: str) -> bool:
        async def remove(key: MediaKey) -> None:
            if key == orphan:  # its preview, or its file, may be younger: each has its own turn
                await self._remove(key)

        return await self.parts.downloads.remove_unknown(sha256, remove)

    async def _both(self, there: StoredFile, expected: _Expected) -> Checked:
        file = expected.file
        if there.key != file_key(file.sha256):  # nobody knows what a preview must be
            return _well(there.key)
        wrong = Problem.WRONG_SIZE if there.size_bytes != file.size_bytes else None
        # What is about to be removed is read first, so that nothing whole is.
        if self.how.quick and not (wrong and self.how.repair):
            return _checked(there, file, wrong)
        try:
            return await self._read(there, file, wrong)
        except NotFound:
            return await self._absent(expected)

    async def _read(self, there: StoredFile, file: MediaObject, wrong: Problem | None) -> Checked:
        try:
            sha256, read = await self._hashed_patiently(there.key)
        except StoreUnavailable as exc:
            return await self._unreadable(there, file, exc)
        self.unreadable = 0
        if sha256 == file.sha256:
            return _checked(there, file, wrong, read=read)
        now = await self._file(file.sha256)
        if now is None:
            return _well(there.key, read)
        problem = wrong or Problem.DAMAGED
        return await self._lost(problem, there.key, now, size_bytes=there.size_bytes, read=read)

    async def _hashed_patiently(self, key: MediaKey) -> tuple[str, int]:
        try:
            return await self._hashed(key)
        except StoreUnavailable:
            return await self._hashed(key)

    async def _hashed(self, key: MediaKey) -> tuple[str, int]:
        found, read = hashlib.sha256(), 0
        async with closing(self.parts.media.read(key)) as pieces:
            async for piece in pieces:
                found.update(piece)
                read += len(piece)
        return found.hexdigest(), read

    async def _unreadable(
        self, there: StoredFile, file: MediaObject, exc: StoreUnavailable
    ) -> Checked:
        """Tell one file that cannot be read from a store that is away.

        Raises:
            StoreUnavailable: it is the store.
        """
        self.unreadable += 1
        if self.unreadable > _MOST_UNREADABLE:
            raise exc
        await self.parts.media.size_bytes(there.key)
        return _checked(there, file, Problem.UNREADABLE)

    # What is done about it

    async def _lost(
        self, problem: Problem, key: MediaKey, file: MediaObject, *, size_bytes: int, read: int = 0
    ) -> Checked:
        finding = Finding(problem=problem, key=key, size_bytes=size_bytes, messages=file.uses)
        if self.how.repair:
            is_there = problem is not Problem.MISSING
            downloads = await self.parts.downloads.fetch_again(
                file.sha256,
                self._remove if is_there else None,
                now=self.parts.clock(),
                problem=f"the stored file was {'damaged' if is_there else 'missing'}",
            )
            finding = replace(finding, mended=Mended.DUE, downloads=downloads)
        return Checked(key=key, read_bytes=read, finding=finding)

    async def _without_preview(self, key: MediaKey, file: MediaObject) -> Checked:
        finding = Finding(problem=Problem.NO_PREVIEW, key=key, size_bytes=0, messages=file.uses)
        if self.how.repair:
            await self.parts.downloads.inspect_again(file.sha256, now=self.parts.clock())
            finding = replace(finding, mended=Mended.LOOK)
        return Checked(key=key, read_bytes=0, finding=finding)

    async def _remove(self, key: MediaKey) -> None:
        with suppress(ValueError):
            self.listed.remove(key)
        await self.parts.media.remove(key)

    # What is so now

    async def _has(self, key: MediaKey) -> bool:
        try:
            await self.parts.media.size_bytes(key)
        except NotFound:
            return False
        return True

    async def _file(self, sha256: str) -> MediaObject | None:
        """Return what the database knows of a file now."""
        # Behind its beginning there are at most sixteen, one for each last digit.
        found = await self.parts.downloads.stored(after=sha256[:-1], limit=16)
        return next((file for file in found if file.sha256 == sha256), None)

    async def _require_same_store(self, *, is_empty: bool) -> None:
        """Return when the store has one of the first files that the database knows, or few are.

        Raises:
            Rejected: it has none.
        """
        known = await self.parts.downloads.stored(limit=_SAMPLE)
        if not is_empty and len(known) < _SAMPLE:
            return
        for file in known:
            if await self._has(file_key(file.sha256)):
                return
        raise Rejected(_ANOTHER_STORE)

    async def _require_store(self) -> None:
        """Return when the store has one of the files that it listed.

        Raises:
            StoreUnavailable: it has none of them any more, such as a disk that was taken away.
        """
        for key in reversed(self.listed):
            if await self._has(key):
                return
        if self.listed:
            raise StoreUnavailable(
                "the media store has lost what it listed a moment ago: is its disk still there?"
            )


_ANOTHER_STORE = (
    "The media store has none of the files that the database knows. Most likely the settings name "
    "another folder or bucket than those of the gateway (WHATSAPP_MEDIA_STORE, WHATSAPP_MEDIA_DIR, "
    "WHATSAPP_MINIO_BUCKET), or a disk is not mounted; so nothing is called missing. If all files "
    "are lost indeed, say so with --all-lost."
)


def _checked(
    there: StoredFile, file: MediaObject, problem: Problem | None, *, read: int = 0
) -> Checked:
    if problem is None:
        return _well(there.key, read)
    finding = Finding(
        problem=problem, key=there.key, size_bytes=there.size_bytes, messages=file.uses
    )
    return Checked(key=there.key, read_bytes=read, finding=finding)


def _well(key: MediaKey, read: int = 0) -> Checked:
    return Checked(key=key, read_bytes=read, finding=None)
