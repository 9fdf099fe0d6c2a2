"""Which store keeps files, and which spool keeps webhooks that wait."""

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
from wagateway.entrypoints.stores import open_media, open_spool

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
    async with open_spool(Settings(data_dir=tmp_path / "data")) as spool:
        assert isinstance(spool, FilesystemSpool)
        assert not (tmp_path / "data").exists()
        await spool.prepare()
    assert (tmp_path / "data" / "spool" / "waiting").is_dir()


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
