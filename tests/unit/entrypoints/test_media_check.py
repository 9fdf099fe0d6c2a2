import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.ill import ill_server
from tests.support.s3 import S3Server, needs_s3

from wagateway.entrypoints.findings import Verdict
from wagateway.entrypoints.media_check import media_finding
from wagateway.entrypoints.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "media"
    found.mkdir(mode=0o700)
    return found


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class TestFolder:
    async def test_one_that_keeps_files_is_well_and_holds_none_afterwards(
        self, folder: Path
    ) -> None:
        found = await media_finding(Settings(media_dir=folder))
        assert (found.hop, found.verdict) == ("media", Verdict.OK)
        assert str(folder) in found.found
        assert files_in(folder) == []

    async def test_one_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        found = await media_finding(Settings(data_dir=tmp_path / "data"))
        assert found.verdict is Verdict.SKIPPED
        assert not (tmp_path / "data").exists()

    async def test_one_that_others_can_read_is_broken(self, folder: Path) -> None:
        folder.chmod(0o755)
        found = await media_finding(Settings(media_dir=folder))
        assert found.verdict is Verdict.FAIL
        assert found.mend == f"Run `chmod go-rwx {folder}`."
        assert files_in(folder) == []

    async def test_what_is_no_folder_is_broken(self, folder: Path) -> None:
        (folder / "file").write_bytes(b"")
        found = await media_finding(Settings(media_dir=folder / "file"))
        assert found.verdict is Verdict.FAIL
        assert "WHATSAPP_MEDIA_DIR" in (found.mend or "")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
    async def test_root_makes_nothing_in_a_folder_of_somebody_else(self, folder: Path) -> None:
        os.chown(folder, 12345, 12345)
        found = await media_finding(Settings(media_dir=folder))
        assert found.verdict is Verdict.SKIPPED
        assert "12345" in found.found
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "settings", [Settings.in_memory(), Settings(media_enabled=False)], ids=["memory", "off"]
)
async def test_where_nothing_is_kept_nothing_is_tried(settings: Settings) -> None:
    assert (await media_finding(settings)).verdict is Verdict.SKIPPED


class TestBucket:
    pytestmark = needs_s3

    @pytest.fixture
    def settings(self, s3_server: S3Server) -> Iterator[Settings]:
        with s3_server.fresh_bucket() as bucket:
            yield Settings(
                media_store="minio",
                minio_url=bucket.url,
                minio_bucket=bucket.name,
                minio_user=bucket.access_key,
                minio_password=bucket.secret_key,
            )

    async def test_one_that_keeps_files_is_well_and_holds_none_afterwards(
        self, settings: Settings, s3_server: S3Server
    ) -> None:
        found = await media_finding(settings)
        assert found.verdict is Verdict.OK
        assert settings.minio_bucket in found.found
        left = s3_server.client().list_objects(bucket_name=settings.minio_bucket, recursive=True)
        assert list(left) == []

    async def test_one_that_anyone_can_read_is_broken(
        self, settings: Settings, s3_server: S3Server
    ) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{settings.minio_bucket}/*",
        }
        client = s3_server.client()
        client.make_bucket(bucket_name=settings.minio_bucket)
        client.set_bucket_policy(
            bucket_name=settings.minio_bucket,
            policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        found = await media_finding(settings)
        assert found.verdict is Verdict.FAIL
        assert "anyone can read" in found.found
        assert f"mc anonymous set none ALIAS/{settings.minio_bucket}" in (found.mend or "")

    async def test_wrong_keys_are_told_and_not_shown(self, settings: Settings) -> None:
        wrong = replace(settings, minio_password="s3same-but-wrong")
        found = await media_finding(wrong)
        assert found.verdict is Verdict.FAIL
        assert "keys are wrong" in found.found
        assert "s3same" not in f"{found.found} {found.mend}"


async def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    async def silence(*_: object) -> None:
        await asyncio.sleep(60)

    async with ill_server(silence) as url:
        settings = Settings(
            media_store="minio", minio_url=url, minio_user="ana", minio_password="s3same"
        )
        found = await media_finding(settings, patience_s=0.3)
    assert found.verdict is Verdict.FAIL
    assert "does not answer within 0.3 s" in found.found


async def test_an_sdk_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wagateway.adapters.minio.media", None)
    settings = Settings(media_store="minio", minio_user="ana", minio_password="s3same")
    found = await media_finding(settings)
    assert found.verdict is Verdict.FAIL
    assert "wagateway[s3]" in found.found
