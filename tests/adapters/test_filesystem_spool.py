"""A spool in a folder: what the disk, a crash and other processes do to it."""

import asyncio
import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest

from wagateway.adapters.filesystem import _spool_folder
from wagateway.adapters.filesystem import spool as filesystem_spool
from wagateway.adapters.filesystem.spool import FilesystemSpool, names_of_folders
from wagateway.domain.errors import StoreUnavailable
from wagateway.ports.spool import SpooledBody

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MANY = 10**9

KILLED = """
import asyncio, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from wagateway.adapters.filesystem.spool import FilesystemSpool
from wagateway.ports.spool import SpooledBody

async def main():
    spool = FilesystemSpool(Path(sys.argv[1]), max_bytes=10**9)
    for n in range(50):
        await spool.put([SpooledBody(body=b"%d" % n, received_at=datetime.now(UTC))])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
async def spool(folder: Path) -> AsyncIterator[FilesystemSpool]:
    kept = FilesystemSpool(folder, max_bytes=MANY)
    yield kept
    await kept.aclose()


def body(text: str) -> SpooledBody:
    return SpooledBody(body=text.encode(), received_at=NOON)


async def texts(spool: FilesystemSpool) -> list[str]:
    return [each.body.decode() for entry in await spool.oldest(limit=999) for each in entry.bodies]


def files(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / kind).iterdir())


async def test_a_process_that_is_killed_loses_nothing_that_it_kept(
    spool: FilesystemSpool, folder: Path
) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert await texts(spool) == [str(n) for n in range(50)]


async def test_is_for_its_owner_alone(spool: FilesystemSpool, folder: Path) -> None:
    await spool.put([body("a")])
    [kept] = files(folder, "waiting")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


async def test_a_clock_that_was_set_back_changes_no_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, clock in (("first", 2_000_000_000), ("second", 1_000_000_000)):
        monkeypatch.setattr(time, "time_ns", lambda clock=clock: clock * 10**9)
        spool = FilesystemSpool(folder, max_bytes=MANY)  # as after a restart
        await spool.put([body(text)])
    assert await texts(spool) == ["first", "second"]
    await spool.aclose()


async def test_a_deep_folder_is_not_listed_for_each_round(
    spool: FilesystemSpool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(200):
        await spool.put([body(str(n))])
    listed: list[Path] = []
    scandir = os.scandir

    def listing(path: Path) -> Any:  # noqa: ANN401 - as os.scandir has it
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", listing)
    drained = []
    for _ in range(5):
        entries = await spool.oldest(limit=20)
        drained += [each.body.decode() for entry in entries for each in entry.bodies]
        await spool.let_go([entry.key for entry in entries])
    assert drained == [str(n) for n in range(100)]
    assert listed.count(folder / "waiting") == 1
    assert (await spool.depth()).entries == 100


async def test_who_asks_twice_at_once_gets_it_and_lets_go_of_it(
    spool: FilesystemSpool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that was given up goes on beside the next one, when the disk does."""
    await spool.put([body("a")])
    flock = fcntl.flock

    def slow(handle: int, how: int) -> None:
        try:
            flock(handle, how)
        except BlockingIOError:
            time.sleep(0.05)  # so that who did not get it has the last word
            raise

    monkeypatch.setattr(fcntl, "flock", slow)
    await asyncio.gather(*(spool.oldest(limit=9) for _ in range(2)))
    assert await texts(spool) == ["a"]
    await spool.release()
    other = FilesystemSpool(folder, max_bytes=MANY)
    assert await texts(other) == ["a"]
    await other.aclose()


class TestHanging:
    """A disk that does not answer."""

    @pytest.fixture
    def hang(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
        goes_on = threading.Event()
        fsync = os.fsync

        def hanging(handle: int) -> None:
            goes_on.wait(60)
            fsync(handle)

        monkeypatch.setattr(os, "fsync", hanging)
        yield goes_on
        goes_on.set()

    async def test_puts_are_given_up_and_others_have_their_threads(
        self, folder: Path, hang: threading.Event
    ) -> None:
        spool = FilesystemSpool(folder, max_bytes=MANY, put_within_s=0.05)
        before = threading.active_count()
        puts = [spool.put([body(str(n))]) for n in range(30)]
        ended = await asyncio.gather(*puts, return_exceptions=True)
        assert all(isinstance(each, StoreUnavailable) for each in ended)
        assert all("does not answer in time" in str(each) for each in ended)
        assert threading.active_count() <= before + 4
        assert await asyncio.to_thread(lambda: "others go on") == "others go on"
        hang.set()
        async with asyncio.timeout(20):
            while threading.active_count() > before + 1:  # one is that of to_thread
                await asyncio.sleep(0.01)
        await spool.put([body("after")])
        assert "after" in await texts(spool)
        await spool.aclose()

    def test_a_process_ends_all_the_same(self, folder: Path) -> None:
        hung = "import os, time\nos.fsync = lambda _: time.sleep(600)\n"
        one = (
            "async def main():\n"
            "    spool = FilesystemSpool(Path(sys.argv[1]), max_bytes=10**9, put_within_s=0.1)\n"
            "    body = SpooledBody(body=b'a', received_at=datetime.now(UTC))\n"
            "    await spool.put([body])\n"
        )
        start, _, _ = KILLED.partition("async def main():")
        code = start + hung + one + "asyncio.run(main())\n"
        ended = subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 1
        assert "does not answer in time" in ended.stderr


async def test_what_a_crash_left_half_written_is_never_given(
    spool: FilesystemSpool, folder: Path
) -> None:
    await spool.put([body("a")])
    [kept] = files(folder, "waiting")
    fresh = folder / "new" / f"{1:019d}-{'0' * 16}"
    old = folder / "new" / f"{2:019d}-{'0' * 16}"
    for path in (fresh, old):
        path.write_bytes(kept.read_bytes()[:20])
    os.utime(old, (1, 1))
    assert await texts(spool) == ["a"]
    assert files(folder, "new") == [fresh]  # that may be under way in another process


async def test_files_of_others_and_links_are_no_entries(
    spool: FilesystemSpool, folder: Path, tmp_path: Path
) -> None:
    await spool.put([body("a")])
    [kept] = files(folder, "waiting")
    (folder / "waiting" / "README").write_text("hello")
    (tmp_path / "elsewhere").write_bytes(kept.read_bytes())
    (folder / "waiting" / f"{3:019d}-{'0' * 16}").symlink_to(tmp_path / "elsewhere")
    assert await texts(spool) == ["a"]
    assert (await spool.depth()).entries == 1


async def test_one_process_drains_and_the_next_when_it_is_done(
    spool: FilesystemSpool, folder: Path
) -> None:
    other = FilesystemSpool(folder, max_bytes=MANY)
    await spool.put([body("a")])
    await other.put([body("b")])
    [first, second] = await spool.oldest(limit=10)
    assert await other.oldest(limit=10) == []
    assert (await other.depth()).entries == 2
    await spool.let_go([first.key])
    assert await other.oldest(limit=10) == []
    await spool.let_go([second.key])
    assert await spool.oldest(limit=10) == []
    await other.put([body("c")])
    assert await texts(other) == ["c"]
    assert await spool.oldest(limit=10) == []
    await other.release()
    assert await texts(spool) == ["c"]


async def test_what_other_processes_keep_there_counts(folder: Path) -> None:
    one, two = (FilesystemSpool(folder, max_bytes=20_000) for _ in range(2))
    await one.put([body("x" * 15_000)])
    with pytest.raises(StoreUnavailable, match="full"):
        await two.put([body("x" * 15_000)])


async def test_what_cannot_be_read_stays_and_stops_no_other(
    spool: FilesystemSpool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spool.put([body("ill")])
    await spool.put([body("well")])
    ill, _ = files(folder, "waiting")
    opened = os.open

    def open_or_fail(path: Path, *more: Any) -> int:  # noqa: ANN401 - as os.open takes it
        if path == ill:
            raise OSError(errno.EIO, "Input/output error")
        return opened(path, *more)

    monkeypatch.setattr(os, "open", open_or_fail)
    [entry] = await spool.oldest(limit=9)
    assert entry.bodies[0].body == b"well"
    await spool.let_go([entry.key])
    with pytest.raises(StoreUnavailable, match="look at its disk"):
        await spool.oldest(limit=9)
    assert ill.exists()


@pytest.mark.parametrize("fails", [True, False])
async def test_what_a_disk_tries_to_read_for_long_stops_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """A disk that is ill may try for half a minute before it gives up."""
    monkeypatch.setattr(filesystem_spool, "_OTHERS_WITHIN_S", 0.5)
    monkeypatch.setattr(_spool_folder, "_LONG_S", 0.1)
    spool = FilesystemSpool(folder, max_bytes=MANY)
    await spool.put([body("ill")])
    await spool.put([body("well")])
    ill, _ = files(folder, "waiting")
    opened, gives_up = os.open, threading.Event()

    def open_for_long(path: Path, *more: Any) -> int:  # noqa: ANN401 - as os.open takes it
        if path == ill:
            gives_up.wait(60)
            raise OSError(errno.EIO, "Input/output error")
        return opened(path, *more)

    monkeypatch.setattr(os, "open", open_for_long)
    try:
        with pytest.raises(StoreUnavailable, match="in time"):
            await spool.oldest(limit=9)
        if fails:
            gives_up.set()
            await asyncio.sleep(0.1)
        [entry] = await spool.oldest(limit=9)
        assert entry.bodies[0].body == b"well"
        await spool.let_go([entry.key])
        with pytest.raises(StoreUnavailable, match="in time"):
            await spool.oldest(limit=9)
    finally:
        gives_up.set()
        await spool.aclose()
    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(_spool_folder, "_ILL_S", 0.0)
    again = FilesystemSpool(folder, max_bytes=MANY)
    assert await texts(again) == ["ill"]
    await again.aclose()


async def test_of_what_a_newer_version_kept_only_the_form_is_read(
    spool: FilesystemSpool, folder: Path
) -> None:
    """Else those behind it would not be come to in time, where much of it waits."""
    await spool.put([body("newer")])
    [newer] = files(folder, "waiting")
    with newer.open("wb") as file:
        file.write(b"wagateway spool 2\n")
        file.truncate(2**44)  # no disk has it
    await spool.put([body("a")])
    assert await texts(spool) == ["a"]


async def test_what_cannot_be_removed_stays_and_stops_no_other(
    spool: FilesystemSpool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        await spool.put([body(str(n))])
    stuck = files(folder, "waiting")[0]
    unlink = Path.unlink

    def unlink_or_fail(path: Path, *, missing_ok: bool = False) -> None:
        if path == stuck:
            raise OSError(errno.EPERM, "Operation not permitted")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_or_fail)
    keys = [entry.key for entry in await spool.oldest(limit=9)]
    with pytest.raises(StoreUnavailable, match="not permitted"):
        await spool.let_go(keys)
    assert files(folder, "waiting") == [stuck]
    assert await spool.oldest(limit=9, without=keys) == []


async def test_a_file_of_which_nothing_can_be_told_stops_no_other(
    spool: FilesystemSpool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(2):
        await spool.put([body(str(n))])
    ill, _ = files(folder, "waiting")
    lstat = Path.lstat

    def lstat_or_fail(path: Path) -> os.stat_result:
        if path == ill:
            raise OSError(errno.EUCLEAN, "Structure needs cleaning")
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", lstat_or_fail)
    fresh = FilesystemSpool(folder, max_bytes=MANY)
    await fresh.put([body("2")])
    assert (await fresh.depth()).entries == 3
    assert await texts(fresh) == ["0", "1", "2"]
    await fresh.aclose()


async def test_a_disk_that_became_read_only_is_read_and_told_with_what_to_do(
    spool: FilesystemSpool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spool.put([body("a")])
    opened = os.open

    def open_or_fail(path: Path, flags: int, *more: Any) -> int:  # noqa: ANN401 - as os.open takes it
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, flags, *more)

    monkeypatch.setattr(os, "open", open_or_fail)
    assert await texts(FilesystemSpool(folder, max_bytes=MANY)) == ["a"]
    with pytest.raises(
        StoreUnavailable, match=r"\(Read-only file system\): mount its disk for writ"
    ):
        await spool.put([body("b")])


async def test_where_nothing_can_be_read_others_may_try(
    spool: FilesystemSpool, folder: Path
) -> None:
    await spool.put([body("newer")])
    [newer] = files(folder, "waiting")
    whole = newer.read_bytes()
    newer.write_bytes(b"wagateway spool 2\nwhatever")
    with pytest.raises(StoreUnavailable):
        await spool.oldest(limit=9)
    newer.write_bytes(whole)
    other = FilesystemSpool(folder, max_bytes=MANY)
    assert await texts(other) == ["newer"]
    await other.aclose()


async def test_of_what_a_newer_version_kept_only_the_beginning_is_read(
    spool: FilesystemSpool, folder: Path
) -> None:
    """It is met at each look, which has its time; many large ones would let it do nothing else."""
    await spool.put([body("ours")])
    newer = folder / "waiting" / f"{1:019d}-{'0' * 16}"
    newer.write_bytes(b"wagateway spool 2\n" + bytes(32 * 2**20))
    tracemalloc.start()
    try:
        assert await texts(spool) == ["ours"]
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 4 * 2**20


async def test_a_folder_that_was_removed_is_made_anew(spool: FilesystemSpool, folder: Path) -> None:
    await spool.put([body("a")])
    (folder / "aside").rmdir()
    [entry] = await spool.oldest(limit=9)
    await spool.set_aside(entry.key)
    assert (await spool.depth()).set_aside == 1
    shutil.rmtree(folder)
    await spool.put([body("b")])
    assert await texts(spool) == ["b"]


async def test_what_others_recorded_meanwhile_is_not_looked_for(
    spool: FilesystemSpool, folder: Path
) -> None:
    other = FilesystemSpool(folder, max_bytes=MANY)
    for n in range(30):
        await spool.put([body(str(n))])
    await spool.oldest(limit=10)
    await spool.release()
    await other.let_go([entry.key for entry in await other.oldest(limit=99)])
    await other.put([body("new")])
    await other.release()
    assert [entry.bodies for entry in await spool.oldest(limit=10)] == [(body("new"),)]


async def test_links_and_folders_of_others_are_no_spools(
    spool: FilesystemSpool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spool.put([body("a")])
    (folder.parent / "link").symlink_to(folder)
    for name in ("lost+found", "empty"):
        (folder.parent / name).mkdir()
    is_dir = Path.is_dir

    def is_dir_or_fail(path: Path) -> bool:
        if path.parent.name == "lost+found":
            raise PermissionError(errno.EACCES, "Permission denied")
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", is_dir_or_fail)
    assert await names_of_folders(folder.parent) == [folder.name]


async def test_large_entries_come_a_few_at_a_time(spool: FilesystemSpool) -> None:
    for _ in range(3):
        await spool.put([body("x" * 10 * 2**20)])
    assert len(await spool.oldest(limit=99)) == 2


async def test_a_write_that_fails_leaves_nothing(
    spool: FilesystemSpool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spool.put([body("before")])

    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            await spool.put([body("lost")])
    assert files(folder, "new") == []
    assert await texts(spool) == ["before"]
    await spool.put([body("after")])
    assert await texts(spool) == ["before", "after"]


async def test_a_place_that_is_no_folder_is_told(folder: Path) -> None:
    folder.write_text("a file")
    spool = FilesystemSpool(folder, max_bytes=MANY)
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        await spool.put([body("a")])
    with pytest.raises(StoreUnavailable, match="WHATSAPP_SPOOL_DIR"):
        await spool.prepare()


async def test_keys_of_others_are_refused(spool: FilesystemSpool) -> None:
    for key in ("../lock", "", "x", f"{1:019d}-{'g' * 16}"):
        with pytest.raises(ValueError, match="no key"):
            await spool.let_go([key])
        with pytest.raises(ValueError, match="no key"):
            await spool.set_aside(key)
