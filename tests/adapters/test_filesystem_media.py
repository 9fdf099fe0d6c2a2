"""What only a folder does: rights, crashes, links that lead elsewhere, and a disk that fails."""

import asyncio
import os
import stat
import threading
from pathlib import Path

import pytest

from wagateway.adapters.filesystem import media
from wagateway.adapters.filesystem.media import FilesystemMediaStore
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.media import MediaKey, file_key

KEY = file_key("ab" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "media"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "file"
    found.write_bytes(b"hello")
    return found


async def test_all_is_for_its_owner_alone(folder: Path, file: Path) -> None:
    old = os.umask(0)
    try:
        await FilesystemMediaStore(folder).add(KEY, file, mimetype="text/plain")
    finally:
        os.umask(old)
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize(
    ("mode", "told"), [(0o700, False), (0o750, False), (0o701, True), (0o704, True), (0o777, True)]
)
async def test_a_folder_that_others_can_reach_into_is_told(
    folder: Path, mode: int, *, told: bool
) -> None:
    store = FilesystemMediaStore(folder)
    await store.prepare()
    folder.chmod(mode)
    assert await store.readable_by_anyone() is told


async def test_a_folder_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await FilesystemMediaStore(folder).readable_by_anyone()


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", f"sha256/../../{'ab' * 32}", "/etc/passwd", "", "sha256"]
)
async def test_no_key_leads_out_of_the_folder(folder: Path, file: Path, key: str) -> None:
    store = FilesystemMediaStore(folder)
    with pytest.raises(ValueError, match="no key of ours"):
        await store.add(MediaKey(key), file, mimetype="text/plain")
    with pytest.raises(ValueError, match="no key of ours"):
        await store.remove(MediaKey(key))
    with pytest.raises(ValueError, match="no key of ours"):
        _ = [piece async for piece in store.read(MediaKey(key))]


async def test_a_link_that_somebody_laid_is_not_followed(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (folder / KEY).parent.mkdir(parents=True)
    (folder / KEY).symlink_to(secret)
    with pytest.raises(StoreUnavailable):
        _ = [piece async for piece in FilesystemMediaStore(folder).read(KEY)]


async def test_what_breaks_off_is_never_seen(
    folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = FilesystemMediaStore(folder)
    await store.add(KEY, file, mimetype="text/plain")
    await store.remove(KEY)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            await store.add(KEY, file, mimetype="text/plain")
    assert [each async for each in store.files()] == []
    assert list((folder / "new").iterdir()) == []
    assert await store.add(KEY, file, mimetype="text/plain")


async def test_every_folder_that_is_new_is_made_durable(
    folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(media, "_sync_folder", synced.append)
    await FilesystemMediaStore(folder).add(KEY, file, mimetype="text/plain")
    made = [folder, *(folder / KEY).parents[:3]]
    assert {path.parent for path in made} | {(folder / KEY).parent} <= set(synced)
    synced.clear()
    assert not await FilesystemMediaStore(folder).add(KEY, file, mimetype="text/plain")
    assert synced == [(folder / KEY).parent]


async def test_a_folder_that_lies_deep_is_made(tmp_path: Path, file: Path) -> None:
    store = FilesystemMediaStore(tmp_path / "a" / "b" / "media")
    assert await store.add(KEY, file, mimetype="text/plain")


async def test_a_given_file_that_is_gone_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="the file that was given"):
        await FilesystemMediaStore(folder).add(KEY, tmp_path / "no", mimetype="text/plain")


async def test_foreign_files_are_left_out(folder: Path, file: Path) -> None:
    store = FilesystemMediaStore(folder)
    await store.add(KEY, file, mimetype="text/plain")
    (folder / KEY).with_name("notes.txt").write_bytes(b"mine")
    assert [each.key async for each in store.files()] == [KEY]


async def test_an_error_names_no_path(file: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"")
    with pytest.raises(StoreUnavailable) as caught:
        await FilesystemMediaStore(blocked).add(KEY, file, mimetype="text/plain")
    assert str(tmp_path) not in str(caught.value)


async def test_a_disk_that_hangs_keeps_no_thread_from_others(
    folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else no name is looked up meanwhile, so that no connection to a database can be had."""
    store = FilesystemMediaStore(folder)
    goes_on = threading.Event()
    monkeypatch.setattr(media, "_make", lambda _: goes_on.wait(30))
    adding = [asyncio.create_task(store.add(KEY, file, mimetype="text/plain")) for _ in range(100)]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await asyncio.get_running_loop().getaddrinfo("localhost", 5432)
    finally:
        monkeypatch.undo()
        goes_on.set()
        await asyncio.gather(*adding)


async def test_a_reader_that_goes_away_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FilesystemMediaStore(tmp_path / "media")
    file, key = tmp_path / "file", file_key("ab" * 32)
    file.write_bytes(b"x" * 1000)
    await store.add(key, file, mimetype="image/png")
    entered, goes_on = threading.Event(), threading.Event()
    usual = os.read

    def slow(handle: int, most_bytes: int) -> bytes:
        entered.set()
        goes_on.wait(5)
        return usual(handle, most_bytes)

    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(os, "read", slow)
    pieces = store.read(key)
    reading = asyncio.ensure_future(anext(pieces))
    await asyncio.to_thread(entered.wait, 5)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await pieces.aclose()  # type: ignore[attr-defined] # a generator
    goes_on.set()
    async with asyncio.timeout(5):
        while len(list(Path("/proc/self/fd").iterdir())) > before:
            await asyncio.sleep(0.01)
