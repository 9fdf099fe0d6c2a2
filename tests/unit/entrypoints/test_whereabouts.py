import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.whereabouts import Whereabouts, left_in_folder, whereabouts

HERE = Whereabouts(host="127.0.0.1", port=4500, archive="embedded")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_is_told_while_the_gateway_runs_and_gone_afterwards(settings: Settings) -> None:
    assert whereabouts(settings) is None
    with left_in_folder(settings, "127.0.0.1", 4500):
        assert whereabouts(settings) == HERE
        assert names_in(settings.data_dir) == ["gateway.json"]
        assert (settings.data_dir / "gateway.json").stat().st_mode & 0o777 == 0o600
    assert names_in(settings.data_dir) == []


def test_what_a_killed_one_left_tells_nothing_and_is_replaced(settings: Settings) -> None:
    with left_in_folder(settings, "127.0.0.1", 4400):
        left = (settings.data_dir / "gateway.json").read_bytes()
    (settings.data_dir / "gateway.json").write_bytes(left)
    assert whereabouts(settings) is None
    with left_in_folder(settings, "127.0.0.1", 4500):
        assert whereabouts(settings) == HERE


def test_who_ends_leaves_what_a_later_one_says(settings: Settings) -> None:
    first = left_in_folder(settings, "127.0.0.1", 4400)
    second = left_in_folder(settings, "127.0.0.1", 4500)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert whereabouts(settings) == HERE
    second.__exit__(None, None, None)
    assert names_in(settings.data_dir) == []


def test_a_gateway_of_another_archive_is_not_meant(settings: Settings) -> None:
    other = replace(settings, database_url="postgresql://ana@db.example/archive")
    with left_in_folder(settings, "127.0.0.1", 4500):
        assert whereabouts(other) is None
    with left_in_folder(other, "127.0.0.1", 4500):
        assert whereabouts(settings) is None
        assert whereabouts(other) is not None


def test_a_folder_that_is_absent_is_not_made(settings: Settings) -> None:
    absent = replace(settings, data_dir=settings.data_dir / "data")
    with left_in_folder(absent, "127.0.0.1", 4500):
        assert whereabouts(absent) is None
    assert names_in(settings.data_dir) == []


def test_a_folder_that_refuses_it_does_not_stop_the_gateway(settings: Settings) -> None:
    (settings.data_dir / "gateway.json").mkdir()
    with left_in_folder(settings, "127.0.0.1", 4500):
        assert whereabouts(settings) is None
    assert names_in(settings.data_dir) == ["gateway.json"]


@contextmanager
def held(path: Path, content: bytes, *, mode: int = 0o600) -> Iterator[None]:
    """Write *path*, and lock it as a gateway does that runs."""
    path.write_bytes(content)
    path.chmod(mode)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def told(host: str = "127.0.0.1", port: int = 4500) -> bytes:
    return b'{"host":"%s","port":%d,"archive":"embedded"}' % (host.encode(), port)


def test_what_others_may_have_written_tells_nothing(settings: Settings, tmp_path: Path) -> None:
    path = settings.data_dir / "gateway.json"
    with held(path, told()):
        assert whereabouts(settings) == HERE
    with held(path, told(), mode=0o620):
        assert whereabouts(settings) is None
    with held(path, told()):
        (tmp_path / "second name").hardlink_to(path)
        assert whereabouts(settings) is None
    path.unlink()
    with held(tmp_path / "elsewhere", told()):
        path.symlink_to(tmp_path / "elsewhere")
        assert whereabouts(settings) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may give files away")
def test_what_another_user_wrote_tells_nothing(settings: Settings) -> None:
    """Else tokens would be sent to wherever it says."""
    path = settings.data_dir / "gateway.json"
    with held(path, told()):
        os.chown(path, 12345, 12345)
        assert whereabouts(settings) is None


@pytest.mark.parametrize(
    "content",
    [
        told(host="gateway.example"),
        told(host="127.0.0.1/elsewhere"),
        told(port=0),
        told(port=65536),
        b'{"a":' + b"[" * 4000,
        b"\xff",
        b"",
    ],
)
def test_what_no_gateway_says_tells_nothing(settings: Settings, content: bytes) -> None:
    with held(settings.data_dir / "gateway.json", content):
        assert whereabouts(settings) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may give files away")
def test_root_leaves_it_to_the_owner_of_the_folder(settings: Settings) -> None:
    os.chown(settings.data_dir, 12345, 12345)
    with left_in_folder(settings, "127.0.0.1", 4500):
        assert (settings.data_dir / "gateway.json").stat().st_uid == 12345
