"""Backups in a real bucket: whole or not there, and the same as in a folder."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.adapters.test_age import OpenKeys
from tests.support.backups import PICTURE, VOICE, FakeTables, World, sha256_of, stored
from tests.support.s3 import S3Server

from wagateway.adapters.filesystem.backups import FilesystemBackups
from wagateway.adapters.filesystem.kept_backup import media_path
from wagateway.adapters.filesystem.remote_backups import RemoteBackups
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.minio.objects import MinioObjects, open_objects
from wagateway.domain.backups import BackupName
from wagateway.domain.errors import Conflict, NotFound, Rejected, StoreUnavailable
from wagateway.ports.seal import Keys

pytestmark = pytest.mark.s3

MEDIA = f"media/{media_path(sha256_of(PICTURE))}"


@pytest.fixture
async def objects(s3_server: S3Server) -> AsyncIterator[MinioObjects]:
    with s3_server.fresh_bucket() as bucket:
        async with open_objects(bucket, "whatsapp/daily") as found:
            yield found


@pytest.fixture(params=[None, OpenKeys()], ids=["readable", "encrypted"])
def keys(request: pytest.FixtureRequest) -> Keys | None:
    found: Keys | None = request.param
    return found


async def filled(objects: MinioObjects, keys: Keys | None, root: Path) -> World:
    world = World(root)
    await world.fill()
    world.place = RemoteBackups(objects, world.clock, keys)
    return world


def empty() -> FakeTables:
    return FakeTables({"chats": [], "messages": []})


async def names(objects: MinioObjects) -> list[str]:
    return [name async for name in objects.names("")]


async def test_a_backup_comes_back_as_it_was(
    objects: MinioObjects, keys: Keys | None, tmp_path: Path
) -> None:
    world = await filled(objects, keys, tmp_path)
    made = await world.back_up()
    assert await world.place.names() == [made.manifest.name]
    assert await world.check(made.manifest) == []
    target, store = empty(), InMemoryMediaStore()
    restored = await world.restore(made.manifest, target, store)
    assert (restored.rows, restored.files, restored.files_left) == (4, 3, 0)
    assert target.rows == world.tables.rows


async def test_files_are_sent_once_and_go_with_the_last(
    objects: MinioObjects, keys: Keys | None, tmp_path: Path
) -> None:
    world = await filled(objects, keys, tmp_path)
    first = await world.back_up()
    world.tables.objects = [stored(PICTURE)]
    world.clock.pass_(timedelta(hours=1))
    second = await world.back_up()
    assert (first.new_files, second.new_files) == (3, 0)
    await world.place.remove(first.manifest.name)
    assert await world.place.names() == [second.manifest.name]
    left = await names(objects)
    suffix = ".age" if keys else ""
    assert MEDIA + suffix in left
    assert f"media/{media_path(sha256_of(VOICE))}{suffix}" not in left
    assert not [name for name in left if name.startswith(first.manifest.name)]
    assert await world.check(second.manifest) == []


async def test_a_copy_of_the_bucket_is_a_folder_of_backups(
    objects: MinioObjects, keys: Keys | None, tmp_path: Path
) -> None:
    world = await filled(objects, keys, tmp_path)
    made = await world.back_up()
    for name in await names(objects):
        path = tmp_path / "copy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert await objects.get(name, path)
    world.place = FilesystemBackups(tmp_path / "copy", world.clock, keys)
    assert await world.check(made.manifest) == []


async def test_a_failure_leaves_no_backup(objects: MinioObjects, tmp_path: Path) -> None:
    world = await filled(objects, None, tmp_path)
    world.tables.failure = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await world.back_up()
    assert await names(objects) == []


async def test_what_lacks_its_sums_is_no_backup(objects: MinioObjects, tmp_path: Path) -> None:
    world = await filled(objects, None, tmp_path)
    made = await world.back_up()
    await objects.remove(f"{made.manifest.name}/SHA256SUMS")
    assert await world.place.names() == []
    with pytest.raises(NotFound):
        await world.check(made.manifest)
    assert (await world.back_up()).manifest.name == f"{made.manifest.name}-2"


@pytest.mark.parametrize("name", ["tables/messages.tsv.gz", MEDIA])
async def test_damage_is_found(objects: MinioObjects, tmp_path: Path, name: str) -> None:
    world = await filled(objects, None, tmp_path)
    made = await world.back_up()
    there = name if name == MEDIA else f"{made.manifest.name}/{name}"
    (tmp_path / "other").write_bytes(b"other")
    await objects.put(there, tmp_path / "other")
    (found,) = await world.check(made.manifest)
    assert found.problem.startswith("has ")
    await objects.remove(there)
    (found,) = await world.check(made.manifest)
    assert found.problem == "is missing"
    with pytest.raises(Rejected, match="is damaged"):
        await world.restore(made.manifest, empty(), InMemoryMediaStore())


async def test_the_key_is_not_made_twice(objects: MinioObjects, tmp_path: Path) -> None:
    world = await filled(objects, OpenKeys(), tmp_path)
    await world.back_up()
    await world.back_up()
    careless = RemoteBackups(objects, world.clock)
    with pytest.raises(Conflict, match="WHATSAPP_BACKUP_PASSPHRASE"):
        async with careless.draft():
            pass
    await objects.remove("key.age")
    with pytest.raises(Conflict, match="is missing: copy"):
        await world.back_up()


async def test_who_begins_to_encrypt_goes_on_in_the_same_place(
    objects: MinioObjects, tmp_path: Path
) -> None:
    world = await filled(objects, None, tmp_path)
    made = await world.back_up()
    world.place = RemoteBackups(objects, world.clock, OpenKeys())
    with pytest.raises(Rejected, match="is not encrypted"):
        await world.check(made.manifest)
    second = await world.back_up()
    await world.place.remove(made.manifest.name)
    assert await world.check(second.manifest) == []


@pytest.mark.parametrize("name", ["..", "", "wagateway-20250101T000000Z"])
async def test_others_are_no_backups(objects: MinioObjects, tmp_path: Path, name: str) -> None:
    world = await filled(objects, None, tmp_path)
    await world.back_up()
    with pytest.raises(NotFound):
        async with world.place.kept(BackupName(name)):
            pass
    with pytest.raises(NotFound):
        await world.place.remove(BackupName(name))
