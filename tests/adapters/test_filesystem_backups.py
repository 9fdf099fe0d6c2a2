"""A folder of backups: whole or not there, and read with distrust."""

import asyncio
import errno
import gzip
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from tests.support.backups import (
    MORNING,
    PICTURE,
    PREVIEW,
    VOICE,
    FakeTables,
    World,
    sha256_of,
    stored,
)
from typing_extensions import override

from wagateway.adapters.filesystem import backup_draft
from wagateway.adapters.filesystem._folders import Folder
from wagateway.adapters.filesystem.backups import FilesystemBackups
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.domain.backups import BackupName, backup_name
from wagateway.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Rejected,
    StoreUnavailable,
)
from wagateway.domain.media import file_key, thumbnail_key

NAME = backup_name(MORNING)
SHA = sha256_of(PICTURE)


@pytest.fixture
async def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    await found.fill()
    return found


def empty() -> FakeTables:
    return FakeTables({"chats": [], "messages": []})


def media_file(world: World, content: bytes = PICTURE) -> Path:
    sha256 = sha256_of(content)
    return world.folder / "media" / sha256[:2] / sha256[2:4] / sha256


def left(world: World) -> list[str]:
    return sorted(path.name for path in world.folder.iterdir())


async def content_of(store: InMemoryMediaStore, key: str) -> bytes:
    return b"".join([piece async for piece in store.read(key)])  # type: ignore[arg-type]


class TestMaking:
    async def test_a_backup_comes_back_as_it_was(self, world: World) -> None:
        made = await world.back_up()
        target, store = empty(), InMemoryMediaStore()
        restored = await world.restore(made.manifest, target, store)
        assert (restored.rows, restored.files, restored.files_left) == (4, 3, 0)
        assert target.rows == world.tables.rows
        assert target.settled == world.tables.counters
        assert target.finished
        assert await content_of(store, file_key(SHA)) == PICTURE
        assert await content_of(store, thumbnail_key(SHA)) == PREVIEW
        assert list(world.spare.iterdir()) == []

    async def test_only_its_owner_can_read_it(self, world: World) -> None:
        await world.back_up()
        for path in (world.folder, *world.folder.rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path

    async def test_common_programs_check_and_read_it(self, world: World) -> None:
        await world.back_up()
        backup = world.folder / NAME
        subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=backup, check=True)
        assert gzip.decompress((backup / "tables/chats.tsv.gz").read_bytes()) == b"1\tAna\n"
        assert media_file(world).read_bytes() == PICTURE

    async def test_files_are_copied_once_for_all_backups(self, world: World) -> None:
        first = await world.back_up()
        assert (first.new_files, first.manifest.media.missing) == (3, 0)
        before = media_file(world).stat().st_ino
        second = await world.back_up()
        assert second.manifest.name == f"{NAME}-2"
        assert media_file(world).stat().st_ino == before
        assert (second.new_files, second.new_bytes) == (0, 0)
        assert await world.check(second.manifest) == []

    async def test_without_files_they_are_listed(self, world: World) -> None:
        made = await world.back_up(with_media=False)
        assert not (world.folder / "media").exists()
        assert (made.manifest.media.files, made.manifest.media.copied) == (2, False)
        restored = await world.restore(made.manifest, empty(), InMemoryMediaStore())
        assert (restored.files, restored.files_left) == (0, 2)

    async def test_lost_and_damaged_files_are_told(self, world: World) -> None:
        await world.store.remove(file_key(sha256_of(VOICE)))
        await world.store.remove(file_key(SHA))
        (world.spare / "other").write_bytes(b"other")
        await world.store.add(file_key(SHA), world.spare / "other", mimetype="image/jpeg")
        made = await world.back_up()
        assert made.manifest.media.missing == 2
        assert not media_file(world).exists()
        assert await world.check(made.manifest) == []

    async def test_a_list_that_is_damaged_only_costs_a_reading(self, world: World) -> None:
        await world.back_up()
        flip("media.jsonl.gz", 12)(world.folder / NAME)
        made = await world.back_up()
        assert made.new_files == 1  # the preview, which has no hash of its own
        assert await world.check(made.manifest) == []

    async def test_a_preview_that_the_folder_lost_is_copied_again(self, world: World) -> None:
        await world.back_up()
        media_file(world, PREVIEW).unlink()
        made = await world.back_up()
        assert made.new_files == 1
        assert media_file(world, PREVIEW).read_bytes() == PREVIEW

    async def test_a_cut_off_copy_is_copied_again(self, world: World) -> None:
        await world.back_up()
        media_file(world).write_bytes(PICTURE[:100])
        made = await world.back_up()
        assert made.new_files == 1
        assert media_file(world).read_bytes() == PICTURE

    async def test_a_link_in_place_of_a_file_is_replaced(
        self, world: World, tmp_path: Path
    ) -> None:
        await world.back_up()
        (tmp_path / "mine").write_bytes(PICTURE)
        media_file(world).unlink()
        media_file(world).symlink_to(tmp_path / "mine")
        await world.back_up()
        assert not media_file(world).is_symlink()

    async def test_no_link_leads_elsewhere(self, world: World, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        world.folder.mkdir()
        (world.folder / "media").symlink_to(elsewhere)
        with pytest.raises(StoreUnavailable):
            await world.back_up()
        assert list(elsewhere.iterdir()) == []


class TestBreakingOff:
    async def test_a_failure_leaves_nothing(self, world: World) -> None:
        world.tables.failure = StoreUnavailable("the database is away")
        with pytest.raises(StoreUnavailable, match="database"):
            await world.back_up()
        assert left(world) == ["backup.lock"]
        assert await world.place.names() == []

    async def test_a_cancelled_one_leaves_nothing(self, world: World) -> None:
        class Endless(FakeTables):
            @override
            async def read(self, table: object) -> AsyncIterator[bytes]:
                while True:
                    yield b"row\n" * 1000

        world.tables = Endless({"messages": []})
        task = asyncio.create_task(world.back_up())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left(world) == ["backup.lock"]

    async def test_what_a_crash_left_is_no_backup_and_goes(self, world: World) -> None:
        await world.back_up()
        crashed = world.folder / ".wagateway-0123456789abcdef.part"
        shutil.copytree(world.folder / NAME, crashed)
        assert await world.place.names() == [NAME]
        await world.back_up()
        assert not crashed.exists()

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
    async def test_a_full_disk_is_told(
        self, world: World, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        def full(_: object, content: bytes) -> int:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(backup_draft._Hashed, "write", full)  # noqa: SLF001
        with pytest.raises(StoreUnavailable, match="is full: make room"):
            await world.back_up()
        assert left(world) == ["backup.lock"]

    async def test_a_really_full_disk_is_told(self, world: World) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full")
        world.folder.mkdir()
        await world.back_up()

        real = Folder.create

        def create(folder: Folder, name: str) -> object:
            real(folder, name).close()
            return open("/dev/full", "wb")  # noqa: PTH123

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Folder, "create", create)
            with pytest.raises(StoreUnavailable, match="is full: make room"):
                await world.back_up()
        assert await world.place.names() == [NAME]

    async def test_one_at_a_time(self, world: World) -> None:
        async with world.place.draft():
            with pytest.raises(Conflict, match="another backup is being made"):
                await world.back_up()

    async def test_a_file_is_no_place(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        for path in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(InvalidInput, match="is no folder"):
                async with FilesystemBackups(path, world.clock).draft():
                    pass

    async def test_a_closed_place_is_told(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def closed(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        world.folder.mkdir()
        monkeypatch.setattr(os, "mkdir", closed)  # as for who is not root
        with pytest.raises(StoreUnavailable, match="cannot be used by this user"):
            await world.back_up()
        assert left(world) == ["backup.lock"]


Damaging = Callable[[Path], object]


def flip(name: str, at: int = -20) -> Damaging:
    def act(backup: Path) -> None:
        content = bytearray((backup / name).read_bytes())
        content[at] ^= 1
        (backup / name).write_bytes(content)

    return act


def cut(name: str) -> Damaging:
    return lambda backup: os.truncate(backup / name, (backup / name).stat().st_size - 1)


def swap(one: str, other: str) -> Damaging:
    def act(backup: Path) -> None:
        (backup / one).rename(backup / "aside")
        (backup / other).rename(backup / one)
        (backup / "aside").rename(backup / other)

    return act


def link(name: str) -> Damaging:
    def act(backup: Path) -> None:
        (backup / name).rename(backup.parent / "real")
        (backup / name).symlink_to(backup.parent / "real")

    return act


def fifo(name: str) -> Damaging:
    def act(backup: Path) -> None:
        (backup / name).unlink()
        os.mkfifo(backup / name)

    return act


def rewrite(change: Callable[[dict[str, object]], object]) -> Damaging:
    """Change the manifest, and its hash with it: what only somebody who means harm does."""

    def act(backup: Path) -> None:
        path = backup / "manifest.json"
        manifest = msgspec.json.decode(path.read_bytes())
        change(manifest)
        content = msgspec.json.encode(manifest)
        sums = (backup / "SHA256SUMS").read_text()
        old = sha256_of(path.read_bytes())
        path.write_bytes(content)
        (backup / "SHA256SUMS").write_text(sums.replace(old, sha256_of(content)))

    return act


MESSAGES = "tables/messages.tsv.gz"


class TestHostileBackups:
    @pytest.mark.parametrize(
        "damage",
        [
            flip(MESSAGES),
            cut(MESSAGES),
            lambda backup: (backup / MESSAGES).unlink(),
            swap(MESSAGES, "tables/chats.tsv.gz"),
            link(MESSAGES),
            fifo(MESSAGES),
            flip("media.jsonl.gz"),
        ],
        ids=["flipped", "cut", "missing", "swapped", "link", "fifo", "list"],
    )
    async def test_damaged_files_are_found_and_never_restored(
        self, world: World, damage: Damaging
    ) -> None:
        made = await world.back_up()
        damage(world.folder / NAME)
        assert await world.check(made.manifest)
        target = empty()
        with pytest.raises(Rejected, match="is damaged"):
            await world.restore(made.manifest, target)
        assert target.rows == {"chats": [], "messages": []}

    @pytest.mark.parametrize(
        "damage",
        [
            flip("manifest.json", 30),
            cut("manifest.json"),
            flip("SHA256SUMS", 3),
            lambda backup: (backup / "manifest.json").unlink(),
            lambda backup: (backup / "SHA256SUMS").unlink(),
            link("manifest.json"),
            fifo("manifest.json"),
            lambda backup: (backup / "manifest.json").write_bytes(b"x" * (17 * 2**20)),
            rewrite(lambda m: m.update(name="wagateway-20251127T063000Z")),
            rewrite(lambda m: m.update(format=2)),
            rewrite(lambda m: m.update(format="1")),
            rewrite(lambda m: m.update(encrypted=True)),
            rewrite(lambda m: m["files"][0].update(name="../../../etc/passwd")),  # type: ignore[index]
            rewrite(lambda m: m["files"][0].update(size_bytes=2**70)),  # type: ignore[index]
            rewrite(lambda m: m["tables"][0].update(name="../x")),  # type: ignore[index]
            rewrite(lambda m: m["tables"].append(m["tables"][0])),  # type: ignore[attr-defined,index]
        ],
    )
    async def test_a_manifest_that_cannot_be_trusted_is_refused(
        self, world: World, damage: Damaging
    ) -> None:
        made = await world.back_up()
        damage(world.folder / NAME)
        with pytest.raises(Rejected):
            await world.check(made.manifest)

    @pytest.mark.parametrize("count", ["rows", "size_bytes"])
    async def test_other_counts_than_the_rows_are_refused(self, world: World, count: str) -> None:
        made = await world.back_up()
        rewrite(lambda m: m["tables"][1].update({count: 1}))(world.folder / NAME)  # type: ignore[index]
        target = empty()
        with pytest.raises(Rejected):
            await world.restore(made.manifest, target)
        assert target.rows["chats"] == []

    async def test_a_bomb_is_not_unpacked(self, world: World) -> None:
        """Rows that unpack to far more than the manifest says are cut off there."""
        made = await world.back_up()
        bomb = gzip.compress(bytes(50_000_000))
        path = world.folder / NAME / MESSAGES
        before = path.read_bytes()
        path.write_bytes(bomb)
        change = {"size_bytes": len(bomb), "sha256": sha256_of(bomb)}
        for fact in made.manifest.files:
            if fact.sha256 == sha256_of(before):
                rewrite(
                    lambda m, name=fact.name: next(  # type: ignore[misc]
                        f for f in m["files"] if f["name"] == name
                    ).update(change)
                )(world.folder / NAME)
        with pytest.raises(Rejected, match="unpacks to more"):
            await world.restore(made.manifest, empty())

    @pytest.mark.parametrize("content", [b"", b"x", PICTURE[:-1], PICTURE + b"x", VOICE])
    async def test_damaged_attached_files_are_found(self, world: World, content: bytes) -> None:
        made = await world.back_up()
        media_file(world).write_bytes(content)
        (found,) = await world.check(made.manifest)
        assert found.file == f"media/{SHA}"
        with pytest.raises(Rejected, match=SHA):
            await world.restore(made.manifest, empty(), InMemoryMediaStore())

    async def test_attached_files_are_looked_at_where_a_table_is_damaged(
        self, world: World
    ) -> None:
        made = await world.back_up()
        flip("tables/messages.tsv.gz")(world.folder / NAME)
        media_file(world).unlink()
        found = [each.file for each in await world.check(made.manifest)]
        assert found == ["tables/messages.tsv.gz", f"media/{SHA}"]

    async def test_a_link_is_no_attached_file(self, world: World, tmp_path: Path) -> None:
        made = await world.back_up()
        media_file(world).rename(tmp_path / "mine")
        media_file(world).symlink_to(tmp_path / "mine")
        (found,) = await world.check(made.manifest)
        assert found.problem == "is missing"

    @pytest.mark.parametrize("name", ["..", "", "media", "wagateway-20261127T063001Z", "\x00"])
    async def test_other_folders_are_no_backups(self, world: World, name: str) -> None:
        await world.back_up()
        with pytest.raises(NotFound):
            async with world.place.kept(BackupName(name)):
                pass

    async def test_a_link_is_no_backup(self, world: World, tmp_path: Path) -> None:
        made = await world.back_up()
        (world.folder / NAME).rename(tmp_path / NAME)
        (world.folder / NAME).symlink_to(tmp_path / NAME)
        assert await world.place.names() == []
        with pytest.raises(NotFound):
            await world.check(made.manifest)

    async def test_a_renamed_one_is_refused(self, world: World) -> None:
        await world.back_up()
        other = BackupName("wagateway-20261128T063000Z")
        (world.folder / NAME).rename(world.folder / other)
        with pytest.raises(Rejected, match="give it its own name back"):
            async with world.place.kept(other):
                pass


class TestRemoving:
    async def test_files_go_with_the_last_that_lists_them(self, world: World) -> None:
        first = await world.back_up()
        world.clock.pass_(timedelta(hours=1))
        world.tables.objects = [stored(PICTURE)]
        second = await world.back_up()
        await world.place.remove(first.manifest.name)
        assert await world.place.names() == [second.manifest.name]
        assert media_file(world).exists()
        assert not media_file(world, VOICE).exists()
        assert not media_file(world, PREVIEW).exists()
        assert await world.check(second.manifest) == []

    async def test_nothing_goes_where_one_cannot_be_read(self, world: World) -> None:
        first = await world.back_up()
        second = await world.back_up()
        flip("media.jsonl.gz", 12)(world.folder / second.manifest.name)
        with pytest.raises(Rejected, match=f"since {second.manifest.name} cannot be read"):
            await world.place.remove(first.manifest.name)
        assert media_file(world).exists()
        assert len(await world.place.names()) == 2

    async def test_what_is_none_of_ours_stays(self, world: World) -> None:
        made = await world.back_up()
        (world.folder / "wagateway-20261127T063000Z-9").mkdir()
        (world.folder / "notes.txt").write_text("mine")
        assert await world.place.names() == [made.manifest.name]
        await world.place.remove(made.manifest.name)
        assert (world.folder / "notes.txt").exists()
        assert (world.folder / "wagateway-20261127T063000Z-9").exists()

    async def test_an_absent_one_is_not_found(self, world: World) -> None:
        await world.back_up()
        with pytest.raises(NotFound):
            await world.place.remove(BackupName("wagateway-20250101T000000Z"))


class TestRestoring:
    async def test_into_what_holds_rows_is_refused(self, world: World) -> None:
        made = await world.back_up()
        target = FakeTables({"chats": [b"1\tBruno"], "messages": []})
        store = InMemoryMediaStore()
        with pytest.raises(Conflict):
            await world.restore(made.manifest, target, store)
        assert [file async for file in store.files()] == []

    async def test_a_database_that_keeps_something_else_is_noticed(self, world: World) -> None:
        class Forgetful(FakeTables):
            @override
            async def load(self, table: object, rows: AsyncIterator[bytes]) -> int:
                count = await super().load(table, rows)  # type: ignore[arg-type]
                assert self._loading is not None
                self._loading = {name: rows[:1] for name, rows in self._loading.items()}
                return count

        made = await world.back_up()
        target = Forgetful({"chats": [], "messages": []})
        with pytest.raises(Rejected, match="is not the same in the database"):
            await world.restore(made.manifest, target)
        assert target.rows == {"chats": [], "messages": []}

    async def test_files_that_are_there_are_not_copied_again(self, world: World) -> None:
        made = await world.back_up()
        restored = await world.restore(made.manifest, empty(), world.store)
        assert restored.files == 3
