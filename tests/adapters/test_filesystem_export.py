"""The folder of an export: whole files alone, and nothing of others touched."""

import errno
import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.domain.test_exports import view

from wagateway.adapters.filesystem.export import LIST, open_export_folder
from wagateway.domain.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from wagateway.domain.exports import ExportedFile, exported
from wagateway.ports.export_folder import There

HELLO = b"hello" * 100_000
NAME = "2026-10-03_120000_5511987650102_a_12345678.jpg"


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), 100_000):
        yield content[begin : begin + 100_000]


async def add(path: Path, name: str = NAME, content: bytes = HELLO) -> bool:
    async with open_export_folder(path) as folder:
        return await folder.add(name, pieces(content), sha256_of(content))


async def look(path: Path, name: str = NAME, content: bytes = HELLO) -> There:
    async with open_export_folder(path) as folder:
        return await folder.look(name, sha256_of(content))


def entry(name: str = NAME) -> ExportedFile:
    return exported(view("a.jpg"), "ab" * 32, name)


async def note(path: Path, *names: str) -> None:
    async with open_export_folder(path) as folder:
        for name in names:
            await folder.note(entry(name))


def listed(path: Path) -> list[str]:
    return [json.loads(line)["name"] for line in (path / LIST).read_text().splitlines()]


def others(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir() if each.name != LIST)


class TestFiles:
    async def test_a_file_is_there_for_its_owner_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "folder"
        assert await look(path) is There.NOTHING
        assert await add(path)
        assert await look(path) is There.SAME
        assert (path / NAME).read_bytes() == HELLO
        assert others(path) == [NAME]
        assert (path / NAME).stat().st_mode & 0o777 == 0o600
        assert path.stat().st_mode & 0o777 == 0o700

    async def test_another_file_is_never_replaced(self, tmp_path: Path) -> None:
        (tmp_path / NAME).write_bytes(b"mine")
        assert await look(tmp_path) is There.OTHER
        assert not await add(tmp_path)
        assert (tmp_path / NAME).read_bytes() == b"mine"
        assert others(tmp_path) == [NAME]

    @pytest.mark.parametrize("target", ["../outside", "nowhere"])
    async def test_a_link_is_not_followed(self, tmp_path: Path, target: str) -> None:
        path = tmp_path / "folder"
        path.mkdir()
        (tmp_path / "outside").write_bytes(HELLO)
        (path / NAME).symlink_to(target)
        assert await look(path) is There.OTHER
        assert not await add(path, content=b"other")
        assert (path / NAME).is_symlink()
        assert (tmp_path / "outside").read_bytes() == HELLO
        assert not (path / "nowhere").exists()

    async def test_a_pipe_or_a_folder_stops_nothing(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / NAME)
        (tmp_path / "folder").mkdir()
        assert await look(tmp_path) is There.OTHER
        assert await look(tmp_path, "folder") is There.OTHER

    async def test_what_is_not_the_content_is_not_kept(self, tmp_path: Path) -> None:
        async with open_export_folder(tmp_path) as folder:
            with pytest.raises(InvalidInput):
                await folder.add(NAME, pieces(b"other"), sha256_of(HELLO))
        assert others(tmp_path) == []

    async def test_what_breaks_off_is_not_kept(self, tmp_path: Path) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield b"half"
            raise NotFound("gone")

        async with open_export_folder(tmp_path) as folder:
            with pytest.raises(NotFound):
                await folder.add(NAME, broken(), sha256_of(HELLO))
        assert others(tmp_path) == []

    async def test_what_an_export_that_died_left_is_removed(self, tmp_path: Path) -> None:
        (tmp_path / ".wagateway-0123456789abcdef.part").write_bytes(b"half")
        (tmp_path / ".wagateway-mine.part").write_bytes(b"mine")
        async with open_export_folder(tmp_path):
            pass
        assert others(tmp_path) == [".wagateway-mine.part"]

    @pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden", LIST, "a\x00b"])
    async def test_a_name_is_one_of_a_file(self, tmp_path: Path, name: str) -> None:
        async with open_export_folder(tmp_path) as folder:
            with pytest.raises(ValueError, match="no name"):
                await folder.add(name, pieces(HELLO), sha256_of(HELLO))
            with pytest.raises(ValueError, match="no name"):
                await folder.look(name, sha256_of(HELLO))

    async def test_a_file_system_without_links_will_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def link(*_: object, **__: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
        assert await add(tmp_path)
        assert (tmp_path / NAME).read_bytes() == HELLO
        assert not await add(tmp_path, content=b"other")
        assert (tmp_path / NAME).read_bytes() == HELLO
        assert others(tmp_path) == [NAME]

    async def test_a_full_disk_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written = os.write

        def write(handle: int, content: bytes) -> int:
            if len(content) > 50_000:
                return written(handle, content[:50_000])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", write)
        async with open_export_folder(tmp_path) as folder:
            with pytest.raises(StoreUnavailable, match="is full: make room"):
                await folder.add(NAME, pieces(HELLO), sha256_of(HELLO))
            with pytest.raises(StoreUnavailable, match="full"):
                await folder.note(entry())
        assert others(tmp_path) == []
        assert (tmp_path / LIST).read_bytes() == b""


class TestList:
    async def test_has_a_line_for_each_file_once(self, tmp_path: Path) -> None:
        await note(tmp_path, "a.jpg", "b.jpg", "a.jpg")
        await note(tmp_path, "b.jpg", "c.jpg")
        assert listed(tmp_path) == ["a.jpg", "b.jpg", "c.jpg"]
        [line, *_] = (tmp_path / LIST).read_text().splitlines()
        assert json.loads(line) == {
            "session": "vendas",
            "chat": "5511987650102@c.us",
            "message": "A1",
            "waha_id": "false_5511987650102@c.us_A1",
            "sent_at": "2026-10-03T12:00:00Z",
            "from_me": False,
            "kind": "image",
            "sha256": "ab" * 32,
            "size_bytes": None,
            "mimetype": "image/jpeg",
            "filename": "a.jpg",
            "name": "a.jpg",
        }

    @pytest.mark.parametrize("cut", [1, 5, 40, 200])
    @pytest.mark.parametrize("whole", [0, 2])
    async def test_one_that_was_cut_in_a_line_is_mended(
        self, tmp_path: Path, cut: int, whole: int
    ) -> None:
        names = ["a.jpg", "b.jpg"][:whole]
        await note(tmp_path, *names, "c.jpg")
        whole_list = (tmp_path / LIST).read_bytes()
        (tmp_path / LIST).write_bytes(whole_list[: -len(whole_list.splitlines()[-1]) - 1 + cut])
        await note(tmp_path)
        assert listed(tmp_path) == names
        await note(tmp_path, "c.jpg")
        assert (tmp_path / LIST).read_bytes() == whole_list

    @pytest.mark.parametrize("content", [b"my notes\n", b"my notes", b'{"a": 1}\n', b"\xff\n"])
    async def test_one_of_somebody_else_is_left_alone(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / LIST).write_bytes(content)
        with pytest.raises(Conflict, match=LIST):
            await note(tmp_path)
        assert (tmp_path / LIST).read_bytes() == content

    @pytest.mark.parametrize("kind", ["link", "hard link", "folder", "pipe"])
    async def test_a_link_is_no_list(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "folder"
        path.mkdir()
        (tmp_path / "outside").write_bytes(b"")
        if kind == "link":
            (path / LIST).symlink_to(tmp_path / "outside")
        elif kind == "hard link":
            (path / LIST).hardlink_to(tmp_path / "outside")
        elif kind == "folder":
            (path / LIST).mkdir()
        else:
            os.mkfifo(path / LIST)
        with pytest.raises(Conflict, match=LIST):
            await note(path, "a.jpg")
        assert (tmp_path / "outside").read_bytes() == b""


class TestFolder:
    async def test_one_export_at_a_time_writes_there(self, tmp_path: Path) -> None:
        async with open_export_folder(tmp_path):
            with pytest.raises(Conflict, match="another export"):
                await note(tmp_path)
        await note(tmp_path)

    async def test_a_file_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"mine")
        for path in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(InvalidInput, match="no folder"):
                await note(path)
