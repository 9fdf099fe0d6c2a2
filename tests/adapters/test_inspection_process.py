"""What becomes of the process that looks at files when a file breaks it, and of the next file."""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.support.media_files import encoded, picture

from wagateway.adapters.inspection.inspector import ProcessInspector, open_inspector
from wagateway.domain.errors import Rejected, Unavailable
from wagateway.ports.media_inspector import Looked

HOSTILE = "tests.support.hostile_looks:look"
FIRST_SEEN = ("image/jpeg", 7)


@asynccontextmanager
async def opened(**options: object) -> AsyncIterator[ProcessInspector]:
    options = {"look": HOSTILE, "timeout_s": 10.0, **options}
    async with open_inspector(**options) as inspector:  # type: ignore[arg-type]
        assert isinstance(inspector, ProcessInspector)
        yield inspector


async def looked(inspector: ProcessInspector, folder: Path, content: str) -> Looked:
    file = folder / "file"
    file.write_text(content)
    return await inspector.inspect(file, declared="image/jpeg")


async def is_gone(pid: int) -> bool:
    """Tell whether the process ends within ten seconds."""
    for _ in range(200):
        if not is_running(pid):
            return True
        await asyncio.sleep(0.05)
    return False


def is_running(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        # A zombie has ended; whoever started it has only not asked yet.
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.mark.parametrize(
    ("content", "problem", "timeout_s"),
    [
        ("hang", "it takes longer than 1 s to read", 1.0),
        ("die", "the program that reads files ended over this one", 10.0),
        ("babble", "the program that reads files ended over this one", 10.0),
        ("eat", "the file takes too much memory to read", 10.0),
        ("raise", "the file is damaged", 10.0),
        ("write", "the file is damaged", 10.0),
    ],
)
async def test_the_next_file_is_looked_at_all_the_same(
    tmp_path: Path, content: str, problem: str, timeout_s: float
) -> None:
    async with opened(timeout_s=timeout_s) as inspector:
        before = await looked(inspector, tmp_path, "abc")
        broken = await looked(inspector, tmp_path, content)
        after = await looked(inspector, tmp_path, "abcde")
    assert (before.width, before.problem) == (3, None)
    assert (broken.mimetype, broken.width) == FIRST_SEEN
    assert broken.problem == problem
    assert (after.width, after.problem) == (5, None)


@linux
@pytest.mark.parametrize("content", ["hang", "die", "eat", "babble"])
async def test_what_was_broken_is_replaced(tmp_path: Path, content: str) -> None:
    async with opened(timeout_s=1.0) as inspector:
        before = await looked(inspector, tmp_path, "abc")
        await looked(inspector, tmp_path, content)
        assert before.height is not None
        assert await is_gone(before.height)
        assert (await looked(inspector, tmp_path, "abc")).height != before.height


@linux
async def test_what_computes_without_end_is_ended(tmp_path: Path) -> None:
    async with opened(timeout_s=1.0) as inspector:
        found = await looked(inspector, tmp_path, "compute")
        assert found.problem == "it takes longer than 1 s to read"
        assert (await looked(inspector, tmp_path, "abc")).width == 3


async def test_what_libraries_print_disturbs_nothing(tmp_path: Path) -> None:
    async with opened() as inspector:
        found = await looked(inspector, tmp_path, "talk")
        assert ((found.mimetype, found.width), found.problem) == (FIRST_SEEN, None)
        assert (await looked(inspector, tmp_path, "abc")).width == 3


async def test_one_process_looks_at_many_files(tmp_path: Path) -> None:
    async with opened(files_per_process=3) as inspector:
        pids = [(await looked(inspector, tmp_path, "abc")).height for _ in range(7)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


async def test_who_ended_between_two_files_is_not_the_second_ones_fault(tmp_path: Path) -> None:
    async with opened() as inspector:
        first = await looked(inspector, tmp_path, "abc")
        assert first.height is not None
        os.kill(first.height, 9)
        second = await looked(inspector, tmp_path, "abc")
    assert (second.width, second.problem) == (3, None)
    assert second.height != first.height


async def test_files_that_wait_meanwhile_are_looked_at(tmp_path: Path) -> None:
    contents = ["abc", "die", "abcd", "raise", "eat", "abcde"]
    async with opened() as inspector:
        for number, content in enumerate(contents):
            (tmp_path / str(number)).write_text(content)
        asked = (inspector.inspect(tmp_path / str(n), declared=None) for n in range(len(contents)))
        found = await asyncio.gather(*asked)
    assert [each.width for each in found if each.problem is None] == [3, 4, 5]


async def test_a_caller_who_leaves_disturbs_no_other(tmp_path: Path) -> None:
    async with opened() as inspector:
        (tmp_path / "slow").write_text("hang")
        asked = asyncio.create_task(inspector.inspect(tmp_path / "slow", declared=None))
        await asyncio.sleep(0.5)
        asked.cancel()
        with suppress(asyncio.CancelledError):
            await asked
        assert (await looked(inspector, tmp_path, "abc")).width == 3


async def test_the_process_knows_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHATSAPP_CORE_API_KEY", "secret")
    async with opened() as inspector:
        found = await looked(inspector, tmp_path, "environment")
    assert found.problem == "LC_ALL MALLOC_ARENA_MAX PYTHONPATH"


@linux
async def test_its_limits_are_set(tmp_path: Path) -> None:
    async with opened(memory_bytes=2**29) as inspector:
        found = await looked(inspector, tmp_path, "abc")
        limits = Path(f"/proc/{found.height}/limits").read_text()
    told = {line[:25].strip(): line[25:].split()[:2] for line in limits.splitlines()[1:]}
    assert told["Max address space"] == [str(2**29)] * 2
    assert told["Max open files"] == ["64", "64"]
    assert told["Max file size"] == ["0", "0"]
    assert told["Max core file size"] == ["0", "0"]
    assert int(told["Max cpu time"][0]) in range(10, 15)


@linux
async def test_nothing_runs_before_the_first_file_nor_after_the_last(tmp_path: Path) -> None:
    async with opened() as inspector:
        assert inspector.pid is None
        pid = (await looked(inspector, tmp_path, "abc")).height
        assert inspector.pid == pid
    assert pid is not None
    assert not is_running(pid)


@linux
@pytest.mark.parametrize("content", ["hang", "leave a child"])
async def test_closing_ends_all_that_was_started(tmp_path: Path, content: str) -> None:
    (tmp_path / "slow").write_text(content)
    async with opened() as inspector:
        asked = asyncio.create_task(inspector.inspect(tmp_path / "slow", declared=None))
        while inspector.pid is None or not (members := group(inspector.pid)):
            await asyncio.sleep(0.02)
        for _ in range(100):
            members = group(inspector.pid or 0)
            if len(members) == 1 + (content == "leave a child"):
                break
            await asyncio.sleep(0.05)
        assert len(members) == 1 + (content == "leave a child")
    with pytest.raises(Unavailable, match="closed"):
        await asked
    assert all([await is_gone(pid) for pid in members])


def group(leader: int) -> list[int]:
    """Return the processes of the group that *leader* leads."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[2]) == leader:
                found.append(int(entry.name))
    return found


async def test_a_closed_inspector_says_so(tmp_path: Path) -> None:
    async with opened() as inspector:
        pass
    with pytest.raises(Unavailable, match="closed"):
        await looked(inspector, tmp_path, "abc")


PARENT = """
import asyncio, sys
from pathlib import Path
from wagateway.adapters.inspection.inspector import open_inspector
async def main():
    async with open_inspector(look=sys.argv[1], timeout_s=1.0) as inspector:
        print((await inspector.inspect(Path(sys.argv[2]), declared=None)).height, flush=True)
        if sys.argv[3]:
            asyncio.ensure_future(inspector.inspect(Path(sys.argv[3]), declared=None))
            await asyncio.sleep(0.3)
        print("kill me", flush=True)
        await asyncio.sleep(3600)
asyncio.run(main())
"""


@linux
@pytest.mark.parametrize("busy_with", ["", "slow"], ids=["idle", "hanging"])
async def test_the_process_ends_when_the_gateway_is_killed(tmp_path: Path, busy_with: str) -> None:
    (tmp_path / "file").write_text("abc")
    (tmp_path / "slow").write_text("hang")
    busy = str(tmp_path / busy_with) if busy_with else ""
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, HOSTILE, str(tmp_path / "file"), busy],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.stdout.readline()
        assert is_running(pid)
        parent.kill()
    assert await is_gone(pid)


async def test_no_start_is_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as inspector:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", str(tmp_path / "python"))
            with pytest.raises(Unavailable, match="could not be started"):
                await looked(inspector, tmp_path, "abc")
        assert (await looked(inspector, tmp_path, "abc")).width == 3


async def test_nor_is_a_start_that_breaks_off(tmp_path: Path) -> None:
    async with opened(look="tests.support.hostile_looks:absent") as inspector:
        with pytest.raises(Unavailable, match="could not be started"):
            await looked(inspector, tmp_path, "abc")
    gc.collect()  # nothing was left open: it would warn


@pytest.mark.parametrize("absent", ["PIL", "puremagic", "pypdfium2"])
async def test_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(Rejected, match=rf"{absent}.*pip install 'wagateway\[media\]'"):
        async with opened():
            pass


async def test_what_is_in_the_folder_it_starts_in_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit('run')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    (tmp_path / "file").write_bytes(encoded(picture(64, 48), "JPEG"))
    async with open_inspector() as inspector:
        found = await inspector.inspect(tmp_path / "file", declared=None)
    assert (found.mimetype, found.width) == ("image/jpeg", 64)
