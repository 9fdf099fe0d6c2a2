"""Which store keeps files, and which spool keeps webhooks that wait."""

import re
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from wagateway.adapters.filesystem.spool import FilesystemSpool
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.minio.media import MinioMediaStore
from wagateway.adapters.redis.spool import RedisSpool
from wagateway.domain.errors import Rejected
from wagateway.domain.media import file_key
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import open_media, open_spool, spool_name

KEY = file_key("ab" * 32)
MINIO = Settings(
    media_store="minio",
    minio_url="http://127.0.0.1:1",
    minio_public_url="https://files.example",
    minio_user="ana",
    minio_password="s3same",
    minio_bucket="ours",
    minio_region="sa-east-1",
)


async def test_files_are_kept_in_a_folder_beside_the_database(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"hello")
    async with open_media(Settings(data_dir=tmp_path / "data")) as store:
        assert not (tmp_path / "data").exists()
        await store.add(KEY, file, mimetype="text/plain")
    assert (tmp_path / "data" / "media" / KEY).read_bytes() == b"hello"


async def test_an_archive_that_keeps_nothing_keeps_no_files() -> None:
    async with open_media(Settings.in_memory()) as store:
        assert isinstance(store, InMemoryMediaStore)


async def test_a_bucket_is_opened_without_asking_the_server() -> None:
    async with open_media(MINIO) as store:
        assert isinstance(store, MinioMediaStore)
        link = store.link(
            KEY, lifetime=timedelta(hours=1), filename=None, mimetype="a/b", inline=False
        )
    assert link
    assert link.startswith(f"https://files.example/ours/{KEY}?")
    assert "ana%2F" in link
    assert "%2Fsa-east-1%2Fs3%2F" in link


async def test_an_sdk_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wagateway.adapters.minio.media", None)
    with pytest.raises(Rejected, match=r"wagateway\[s3\]"):
        async with open_media(MINIO):
            pass


REDIS = Settings(
    database_url="postgresql://nobody@127.0.0.1:1/none",
    redis_enabled=True,
    redis_url="redis://127.0.0.1:1/0",
)


async def test_webhooks_wait_in_a_folder_that_is_made_when_it_is_needed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    async with open_spool(settings) as spool:
        assert isinstance(spool, FilesystemSpool)
        assert not (tmp_path / "data").exists()
        await spool.prepare()
    assert (tmp_path / "data" / "spool" / spool_name(settings) / "waiting").is_dir()


def test_each_address_of_a_database_has_a_spool_of_its_own() -> None:
    base = "postgresql://ana:secret@db.example:5432/archive"
    others = (
        "postgresql://ana:secret@db.example:5433/archive",
        "postgresql://ana:secret@db.example/archive",
        "postgresql://ana:secret@db.example:5432/other",
        "postgresql://ana:secret@db-example:5432/archive",
        "postgresql://ana:secret@/archive?host=db.example&port=54&hostaddr=32",
        "postgresql://ana@db.example",
        "postgresql://bruno@db.example",
        "postgresql://?service=one",
        "postgresql://?service=two",
    )
    names = [spool_name(Settings(database_url=url)) for url in (base, *others)]
    assert len(set(names)) == len(names)
    assert names[0].startswith("db.example-5432-archive-")
    assert all(re.fullmatch(r"[A-Za-z0-9.-]{9,70}", name) for name in names)
    assert not any("secret" in name for name in names)
    folders = {spool_name(Settings(data_dir=Path(each))) for each in ("/srv/a", "/srv/b")}
    assert len(folders) == 2
    same = "postgresql://bruno:another@db.example:5432/archive?application_name=x"
    assert spool_name(Settings(database_url=same)) == names[0]


@pytest.mark.parametrize("settings", [Settings.in_memory(), Settings(spool="off")])
async def test_webhooks_wait_nowhere(settings: Settings) -> None:
    async with open_spool(settings) as spool:
        assert spool is None


async def test_webhooks_wait_in_redis_which_is_opened_without_asking_it() -> None:
    async with open_spool(REDIS) as spool:
        assert isinstance(spool, RedisSpool)


async def test_a_client_of_redis_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "wagateway.adapters.redis.spool", None)
    with pytest.raises(Rejected, match=r"wagateway\[redis\]"):
        async with open_spool(REDIS):
            pass
