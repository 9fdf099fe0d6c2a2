"""The media store against the database: what is found, and what is done about it."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.media_world import DAY, HELLO, World, sha256_of
from typing_extensions import override

from wagateway.adapters.filesystem.media import FilesystemMediaStore
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.domain.errors import Rejected, StoreUnavailable
from wagateway.domain.media import (
    DownloadStatus,
    Inspection,
    MediaKey,
    file_key,
    thumbnail_key,
)
from wagateway.domain.messages import MediaOffer
from wagateway.ports.media_store import MediaStore, StoredFile
from wagateway.usecases.verify_media import (
    Checked,
    Finding,
    Mended,
    Problem,
    Verification,
    VerifyMedia,
)

LOOK = Verification()
REPAIR = Verification(repair=True)
OTHER = b"another picture"


class Archive(World):
    """Stored files in a folder, where they can be harmed."""

    def __init__(self, folder: Path, *, media: MediaStore | None = None) -> None:
        incoming = folder / "incoming"
        incoming.mkdir()
        super().__init__(incoming)
        self.folder = folder / "media"
        self.media = media or FilesystemMediaStore(self.folder)  # type: ignore[assignment]
        self.with_parts(media=self.media)
        self.later = datetime.now(UTC) + timedelta(hours=2)

    async def keep(self, *contents: bytes) -> None:
        for n, content in enumerate(contents):
            await self.tell(f"A{n}", content=content)
        await self.settle()

    def path(self, content: bytes) -> Path:
        return self.folder / file_key(sha256_of(content))

    async def add(self, content: bytes, *, preview_of: bytes | None = None) -> MediaKey:
        """Put a file into the store that the database does not know."""
        source = self.folder.parent / "source"
        source.write_bytes(content)
        key = thumbnail_key(sha256_of(preview_of)) if preview_of else file_key(sha256_of(content))
        await self.media.add(key, source, mimetype="image/jpeg")
        return key

    async def checked(
        self, how: Verification = LOOK, *, media: MediaStore | None = None
    ) -> list[Checked]:
        verify = VerifyMedia(
            media=media or self.media, downloads=self.downloads, clock=lambda: self.later
        )
        return [each async for each in verify(how)]

    async def found(
        self, how: Verification = LOOK, *, media: MediaStore | None = None
    ) -> list[Finding]:
        checked = await self.checked(how, media=media)
        return [each.finding for each in checked if each.finding is not None]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def harm(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


def contents(number: int) -> list[bytes]:
    """Return as many contents, in the order of their hashes."""
    return sorted((f"file {n}".encode() for n in range(number)), key=sha256_of)


class TestLook:
    async def test_nothing_is_wrong_with_what_was_just_stored(self, archive: Archive) -> None:
        await archive.keep(*contents(5))
        checked = await archive.checked()
        assert [each.key for each in checked] == [file_key(sha256_of(c)) for c in contents(5)]
        assert sum(each.read_bytes for each in checked) == 5 * len(b"file 0")
        assert await archive.found() == []

    async def test_an_empty_archive_is_well(self, archive: Archive) -> None:
        assert await archive.checked() == []

    @pytest.mark.parametrize("gone", range(3))
    async def test_a_missing_file_is_told(self, archive: Archive, gone: int) -> None:
        await archive.keep(*contents(3))
        archive.path(contents(3)[gone]).unlink()
        [finding] = await archive.found()
        assert finding == Finding(
            problem=Problem.MISSING,
            key=file_key(sha256_of(contents(3)[gone])),
            size_bytes=6,
            messages=1,
        )
        assert archive.download(f"A{gone}").status is DownloadStatus.COMPLETED

    async def test_a_damaged_file_is_told_unless_nothing_is_read(self, archive: Archive) -> None:
        await archive.keep(HELLO, OTHER)
        harm(archive.path(HELLO), HELLO[::-1])
        [finding] = await archive.found()
        assert (finding.problem, finding.key) == (Problem.DAMAGED, file_key(sha256_of(HELLO)))
        assert await archive.found(Verification(quick=True)) == []
        assert archive.path(HELLO).read_bytes() == HELLO[::-1]

    @pytest.mark.parametrize("quick", [False, True])
    async def test_a_wrong_size_is_told(self, archive: Archive, quick: bool) -> None:  # noqa: FBT001
        await archive.keep(HELLO, OTHER)
        harm(archive.path(HELLO), HELLO[:-1])
        checked = await archive.checked(Verification(quick=quick))
        [finding] = [each.finding for each in checked if each.finding]
        assert (finding.problem, finding.size_bytes) == (Problem.WRONG_SIZE, len(HELLO) - 1)
        assert (sum(each.read_bytes for each in checked) == 0) is quick

    async def test_a_file_that_nobody_knows_is_told_once_it_is_an_hour_old(
        self, archive: Archive
    ) -> None:
        await archive.keep(HELLO)
        key = await archive.add(OTHER)
        archive.later = datetime.now(UTC) + timedelta(minutes=59)
        assert await archive.found() == []
        archive.later = datetime.now(UTC) + timedelta(minutes=61)
        [finding] = await archive.found()
        assert finding == Finding(problem=Problem.ORPHAN, key=key, size_bytes=len(OTHER))
        assert archive.path(OTHER).exists()

    async def test_previews_are_looked_for_too(self, archive: Archive) -> None:
        await archive.keep(HELLO, OTHER)
        seen = Inspection(mimetype="image/jpeg", has_thumbnail=True)
        for content in (HELLO, OTHER):
            await archive.downloads.save_inspection(sha256_of(content), seen, now=archive.now)
        await archive.add(b"webp", preview_of=HELLO)
        unknown = await archive.add(b"webp", preview_of=b"unknown")
        assert [(each.problem, each.key) for each in await archive.found()] == sorted(
            [
                (Problem.NO_PREVIEW, thumbnail_key(sha256_of(OTHER))),
                (Problem.ORPHAN, unknown),
            ],
            key=lambda pair: pair[1],
        )

    async def test_many_pages_are_merged(self, archive: Archive) -> None:
        many = contents(603)
        for content in many:
            await archive.add(content)
        for n, content in enumerate(many):
            await archive.tell(f"A{n}", content=content)
        await archive.settle(most=5000)
        for content in many[::100]:
            archive.path(content).unlink()
        found = await archive.found(Verification(quick=True))
        assert [each.key for each in found] == [file_key(sha256_of(c)) for c in many[::100]]


class TestStoreThatIsAway:
    async def test_an_empty_store_is_taken_for_another_one(self, archive: Archive) -> None:
        await archive.keep(HELLO)
        archive.path(HELLO).unlink()
        with pytest.raises(Rejected, match="--all-lost"):
            await archive.found(REPAIR)
        assert archive.download("A0").status is DownloadStatus.COMPLETED
        [finding] = await archive.found(Verification(all_lost=True))
        assert finding.problem is Problem.MISSING

    async def test_so_is_one_that_has_none_of_many(self, archive: Archive) -> None:
        await archive.keep(*contents(20))
        for content in contents(20):
            archive.path(content).unlink()
        await archive.add(HELLO)
        with pytest.raises(Rejected, match="WHATSAPP_MEDIA_DIR"):
            await archive.found(REPAIR)
        assert len(await archive.found(Verification(all_lost=True))) == 21

    async def test_a_disk_that_goes_away_is_no_missing_file(self, archive: Archive) -> None:
        await archive.keep(*contents(30))
        verify = VerifyMedia(
            media=archive.media, downloads=archive.downloads, clock=lambda: archive.later
        )
        found: list[Checked] = []

        async def look() -> None:
            async for each in verify(REPAIR):
                found.append(each)
                if len(found) == 10:
                    archive.folder.rename(archive.folder.with_name("elsewhere"))

        with pytest.raises(StoreUnavailable, match="disk"):
            await look()
        assert [each.finding for each in found] == [None] * 10
        assert all(archive.download(f"A{n}").sha256 for n in range(30))

    @pytest.mark.parametrize(("method", "left"), [("files", 10), ("read", 10), ("size_bytes", 1)])
    async def test_a_store_that_fails_in_the_middle_is_no_missing_file(
        self, tmp_path: Path, method: str, left: int
    ) -> None:
        media = FailingStore(method)
        archive = Archive(tmp_path, media=media)
        await archive.keep(*contents(30))
        await media.remove(file_key(sha256_of(contents(30)[20])))
        media.left = left
        with pytest.raises(StoreUnavailable):
            await archive.found(REPAIR)
        media.left = None
        [finding] = await archive.found()
        assert finding.key == file_key(sha256_of(contents(30)[20]))
        assert all(archive.download(f"A{n}").sha256 for n in range(30))

    async def test_a_file_that_cannot_be_read_stops_no_look_at_the_others(
        self, archive: Archive
    ) -> None:
        await archive.keep(*contents(5))
        for content in (contents(5)[1], contents(5)[3]):
            archive.path(content).unlink()
            archive.path(content).symlink_to(archive.folder.parent / "elsewhere")
        found = await archive.found(REPAIR)
        assert [each.problem for each in found] == [Problem.UNREADABLE] * 2
        assert [each.mended for each in found] == [None] * 2
        assert archive.path(contents(5)[1]).is_symlink()


class FailingStore(InMemoryMediaStore):
    """Fails at a method from some call on.

    Attributes:
        left: how often the method still works; None: always.
    """

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = method
        self.left: int | None = None

    def _call(self, method: str) -> None:
        if method == self._method and self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise StoreUnavailable("the file store answers 500")

    @override
    async def size_bytes(self, key: MediaKey) -> int:
        self._call("size_bytes")
        return await super().size_bytes(key)

    @override
    async def read(
        self, key: MediaKey, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        self._call("read")
        async for piece in super().read(key, start=start, length=length):
            yield piece

    @override
    async def files(self) -> AsyncIterator[StoredFile]:
        async for file in super().files():
            self._call("files")
            yield file


class TestRepair:
    @pytest.mark.parametrize("harmed", ["missing", "damaged", "cut"])
    async def test_what_is_lost_is_fetched_again(self, archive: Archive, harmed: str) -> None:
        await archive.tell("B1")
        await archive.keep(HELLO, OTHER)
        if harmed == "missing":
            archive.path(HELLO).unlink()
        else:
            harm(archive.path(HELLO), HELLO[::-1] if harmed == "damaged" else HELLO[:-1])
        [finding] = await archive.found(Verification(quick=harmed == "cut", repair=True))
        assert (finding.mended, finding.downloads) == (Mended.DUE, 2)
        assert not archive.path(HELLO).exists()
        state = archive.download("A0")
        assert (state.status, state.sha256) == (DownloadStatus.PENDING, None)
        assert state.problem in {"the stored file was missing", "the stored file was damaged"}
        archive.now = archive.later
        archive.engine.again |= {"A0": _offer(archive, "A0"), "B1": _offer(archive, "B1")}
        turns = await archive.settle()
        assert [turn.problem for turn in turns] == [None, None]
        assert archive.path(HELLO).read_bytes() == HELLO
        assert await archive.found() == []
        assert {each.sha256: each.uses for each in await archive.downloads.stored()} == {
            sha256_of(HELLO): 2,
            sha256_of(OTHER): 1,
        }

    async def test_a_quick_repair_removes_nothing_that_is_whole(self, archive: Archive) -> None:
        await archive.keep(HELLO)
        [known] = await archive.downloads.stored()
        archive.archive.objects[known.sha256] = type(known)(
            sha256=known.sha256, size_bytes=1, mimetype="image/jpeg", stored_at=known.stored_at
        )
        [finding] = await archive.found(Verification(quick=True, repair=True))
        assert (finding.problem, finding.mended) == (Problem.WRONG_SIZE, None)
        assert archive.path(HELLO).exists()

    async def test_orphans_are_left_alone(self, archive: Archive) -> None:
        await archive.keep(HELLO)
        await archive.add(OTHER)
        [finding] = await archive.found(REPAIR)
        assert (finding.problem, finding.mended) == (Problem.ORPHAN, None)
        assert archive.path(OTHER).exists()

    async def test_a_lost_preview_is_made_again(self, archive: Archive) -> None:
        await archive.keep(HELLO)
        seen = Inspection(mimetype="image/jpeg", has_thumbnail=True)
        await archive.downloads.save_inspection(sha256_of(HELLO), seen, now=archive.now)
        [finding] = await archive.found(REPAIR)
        assert (finding.problem, finding.mended) == (Problem.NO_PREVIEW, Mended.LOOK)
        [due] = await archive.downloads.claim_inspections(archive.later, lease=DAY, limit=9)
        assert due.sha256 == sha256_of(HELLO)

    async def test_many_in_a_row_can_be_mended(self, archive: Archive) -> None:
        await archive.keep(*contents(30))
        for content in contents(30)[:28]:
            harm(archive.path(content), content[::-1])
        archive.path(contents(30)[28]).unlink()
        found = await archive.found(REPAIR)
        assert [each.problem for each in found] == [Problem.DAMAGED] * 28 + [Problem.MISSING]
        assert {each.mended for each in found} == {Mended.DUE}
        assert len(await archive.downloads.stored()) == 1


class TestRemoveOrphans:
    async def test_removes_what_nobody_knows(self, archive: Archive) -> None:
        await archive.keep(HELLO)
        await archive.add(OTHER)
        preview = await archive.add(b"webp", preview_of=b"unknown")
        found = await archive.found(Verification(remove_orphans=True))
        assert {each.mended for each in found} == {Mended.REMOVED}
        assert len(found) == 2
        assert not archive.path(OTHER).exists()
        assert not (archive.folder / preview).exists()
        assert archive.path(HELLO).exists()
        assert await archive.found() == []

    async def test_but_no_file_beside_an_old_preview(self, archive: Archive) -> None:
        await archive.keep(HELLO)
        preview = await archive.add(b"webp", preview_of=OTHER)
        await archive.add(OTHER)
        hours_ago = datetime.now(UTC).timestamp() - 7200
        os.utime(archive.folder / preview, (hours_ago, hours_ago))
        archive.later = datetime.now(UTC)
        [finding] = await archive.found(Verification(remove_orphans=True))
        assert finding.key == preview
        assert archive.path(OTHER).exists()

    async def test_and_mends_nothing_else(self, archive: Archive) -> None:
        await archive.keep(HELLO, OTHER)
        harm(archive.path(HELLO), HELLO[::-1])
        [finding] = await archive.found(Verification(remove_orphans=True))
        assert (finding.problem, finding.mended) == (Problem.DAMAGED, None)
        assert archive.path(HELLO).exists()


class TestMeanwhile:
    async def test_what_is_stored_while_it_looks_is_well(self, archive: Archive) -> None:
        first, second = sorted([HELLO, OTHER], key=sha256_of)
        await archive.keep(second)

        class Later(FilesystemMediaStore):
            """Lists what was there before, as a listing that takes long does."""

            @override
            async def files(self) -> AsyncIterator[StoredFile]:
                listed = [each async for each in super().files()]
                await archive.tell("B1", content=first)
                await archive.settle()
                for each in listed:
                    yield each

        assert await archive.found(media=Later(archive.folder)) == []
        assert len(await archive.downloads.stored()) == 2

    async def test_what_is_purged_while_it_looks_is_not_missing(self, archive: Archive) -> None:
        await archive.keep(*contents(3))
        verify = VerifyMedia(
            media=archive.media, downloads=archive.downloads, clock=lambda: archive.later
        )
        found = []
        async for each in verify(REPAIR):
            found.append(each.finding)
            gone = sha256_of(contents(3)[2])
            if gone in archive.archive.objects:
                del archive.archive.objects[gone]
                archive.path(contents(3)[2]).unlink()
        assert found == [None] * 3


def _offer(archive: Archive, stanza: str) -> MediaOffer:
    url = f"http://localhost:3000/api/files/{stanza}.jpeg"
    return MediaOffer(offered_at=archive.now, url=url)
