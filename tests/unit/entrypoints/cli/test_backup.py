"""``wagateway backup``, ``backup verify`` and ``restore``: what they print, and how they end."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from tests.support.media_world import HELLO, sha256_of
from tests.support.postgres import Servers, fresh_database
from tests.support.s3 import S3Server

from wagateway.adapters.filesystem.media import FilesystemMediaStore
from wagateway.adapters.timescale.migrate import migrate
from wagateway.domain.media import file_key
from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.entrypoints.cli.program import program
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.settings import Settings

pytestmark = pytest.mark.embedded

ANA = "5511987650102@c.us"
BODY = {
    "event": "message",
    "session": "vendas",
    "engine": "GOWS",
    "me": {"id": "5511912340001@c.us"},
    "payload": {
        "id": f"false_{ANA}_A1",
        "timestamp": 1790000000,
        "from": ANA,
        "fromMe": False,
        "body": "Bom dia!",
    },
}
_STORED = """
INSERT INTO whatsapp_gateway.media_objects (sha256, size_bytes, mimetype, stored_at, uses)
VALUES (%s, %s, 'image/jpeg', now(), 1)
"""


@pytest.fixture
async def url(postgres_servers: Servers, tmp_path: Path) -> AsyncIterator[str]:
    """An archive of a message and a file."""
    async with postgres_servers.migrated() as fresh:
        settings = Settings(database_url=fresh, media_dir=tmp_path / "media")
        async with open_services(settings) as services:
            await services.ingest(msgspec.json.encode(BODY))
            await _store(services.media, tmp_path)
            pool = services.reader._pool  # type: ignore[attr-defined]  # noqa: SLF001
            async with pool.connection() as conn:
                await conn.execute(_STORED, [sha256_of(HELLO), len(HELLO)])
        yield fresh


async def _store(media: object, folder: Path) -> None:
    assert isinstance(media, FilesystemMediaStore)
    (folder / "file").write_bytes(HELLO)
    await media.add(file_key(sha256_of(HELLO)), folder / "file", mimetype="image/jpeg")


async def run(url: str, *words: str, media: Path | None = None, **env: str) -> Result:
    given = {"WHATSAPP_DATABASE_URL": url, **{f"WHATSAPP_{k}": v for k, v in env.items()}}
    if media is not None:
        given["WHATSAPP_MEDIA_DIR"] = str(media)
    return await asyncio.to_thread(CliRunner().invoke, program, words, env=given)


async def backed_up(url: str, tmp_path: Path, *words: str) -> Path:
    to = ("backup", "--to", str(tmp_path / "to"), "--media", "--json", *words)
    done = await run(url, *to, media=tmp_path / "media")
    assert done.exit_code == ExitCode.OK, done.output
    return Path(json.loads(done.stdout)["backup"])


class TestBackup:
    async def test_says_what_it_holds(self, url: str, tmp_path: Path) -> None:
        to = ("backup", "--to", str(tmp_path / "to"))
        done = await run(url, *to, media=tmp_path / "media")
        assert done.exit_code == ExitCode.OK
        assert "rows of 22 tables" in done.stdout
        assert "1 attached file only listed: --media copies them." in done.stdout
        done = await run(url, *to, "--media", media=tmp_path / "media")
        assert "1 attached file (18 bytes). Copied now, previews included: 1 file (18 bytes)." in (
            done.stdout
        )

    async def test_counts_for_scripts(self, url: str, tmp_path: Path) -> None:
        to = ("backup", "--to", str(tmp_path / "to"), "--json")
        told = json.loads((await run(url, *to, media=tmp_path / "media")).stdout)
        assert told["tables"]["messages"] == 1
        assert (told["files"], told["copied"], told["encrypted"]) == (1, False, False)

    async def test_files_that_are_lost_are_a_failure(self, url: str, tmp_path: Path) -> None:
        to = ("backup", "--to", str(tmp_path / "to"), "--media")
        done = await run(url, *to, media=tmp_path / "elsewhere")
        assert done.exit_code == ExitCode.FAILED
        assert "1 file missing or damaged in the media store" in done.stdout
        assert list((tmp_path / "to").glob("wagateway-*"))

    async def test_the_folder_may_come_from_the_settings(self, url: str, tmp_path: Path) -> None:
        done = await run(url, "backup", media=tmp_path / "media", BACKUP_DIR=str(tmp_path / "to"))
        assert done.exit_code == ExitCode.OK
        done = await run(url, "backup", media=tmp_path / "media")
        assert done.exit_code == ExitCode.USAGE
        assert "WHATSAPP_BACKUP_DIR" in done.stderr

    async def test_a_place_that_is_none_is_told(self, url: str, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        done = await run(url, "backup", "--to", str(tmp_path / "file"), media=tmp_path / "media")
        assert done.exit_code == ExitCode.USAGE
        assert "is no folder" in done.stderr

    async def test_memory_has_nothing_to_keep(self, tmp_path: Path) -> None:
        done = await run("memory://", "backup", "--to", str(tmp_path))
        assert done.exit_code == ExitCode.FAILED


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is missing")
async def test_it_is_read_without_wagateway_as_the_page_says(url: str, tmp_path: Path) -> None:
    backup = await backed_up(url, tmp_path)
    page = (Path(__file__).parents[4] / "docs" / "BACKUP.md").read_text("utf-8")
    [commands] = re.findall(r"```sh\n(cd .*?)```", page, re.DOTALL)
    script = re.sub(r"^cd .*$", f"cd '{backup}'", commands, count=1, flags=re.MULTILINE)
    done = await asyncio.to_thread(
        subprocess.run, ["sh", "-euc", script], capture_output=True, encoding="utf-8", check=True
    )
    assert "manifest.json: OK" in done.stdout
    assert "Bom dia!" in done.stdout


class TestVerify:
    async def test_restores_it_aside(self, url: str, tmp_path: Path) -> None:
        backup = await backed_up(url, tmp_path)
        done = await run(url, "backup", "verify", str(backup))
        assert done.exit_code == ExitCode.OK, done.output
        assert done.stdout.startswith(f"{backup} is whole: ")
        assert "restored aside without a difference" in done.stdout

    async def test_may_use_a_database_that_is_named(
        self, url: str, postgres_server: str, tmp_path: Path
    ) -> None:
        backup = str(await backed_up(url, tmp_path))
        async with fresh_database(postgres_server) as scratch:
            for _ in range(2):  # it is left as empty as it was
                done = await run(url, "backup", "verify", backup, "--database", scratch, "--json")
                assert done.exit_code == ExitCode.OK, done.output
                assert json.loads(done.stdout)["restored"] is True
        for wrong in ("memory://", "secret@host"):
            done = await run(url, "backup", "verify", backup, "--database", wrong)
            assert done.exit_code == ExitCode.USAGE
            assert "secret" not in done.stderr
        done = await run(url, "backup", "verify", backup, "--database", url)
        assert done.exit_code == ExitCode.CONFLICT
        assert "name an empty one" in done.stderr

    async def test_names_what_is_damaged(self, url: str, tmp_path: Path) -> None:
        backup = await backed_up(url, tmp_path)
        (backup / "tables/messages.tsv.gz").unlink()
        done = await run(url, "backup", "verify", str(backup), "--json")
        assert done.exit_code == ExitCode.FAILED
        first, last = map(json.loads, done.stdout.splitlines())
        assert first == {"file": "tables/messages.tsv.gz", "problem": "is missing"}
        assert (last["whole"], last["restored"]) == (False, False)
        done = await run(url, "backup", "verify", str(backup), "--hashes")
        assert "tables/messages.tsv.gz  is missing\n" in done.stdout
        assert f"{backup} is damaged" in done.stdout

    async def test_looks_at_hashes_alone(self, url: str, tmp_path: Path) -> None:
        backup = await backed_up(url, tmp_path)
        done = await run(url, "backup", "verify", str(backup) + "/", "--hashes")
        assert done.exit_code == ExitCode.OK
        assert "restored" not in done.stdout

    @pytest.mark.parametrize("name", ["nothing", "wagateway-20261127T063000Z", "..", "/"])
    async def test_what_is_none_is_told(self, url: str, tmp_path: Path, name: str) -> None:
        done = await run(url, "backup", "verify", str(tmp_path / name))
        assert done.exit_code == ExitCode.FAILED, done.output
        assert str(tmp_path / name) in done.stderr


class TestRestore:
    async def test_brings_rows_and_files_back(
        self, url: str, postgres_server: str, tmp_path: Path
    ) -> None:
        backup = str(await backed_up(url, tmp_path))
        async with fresh_database(postgres_server) as other:
            done = await run(other, "restore", backup, "--json", media=tmp_path / "there")
            assert done.exit_code == ExitCode.OK, done.output
            told = json.loads(done.stdout)
            assert (told["files"], told["files_left"]) == (1, 0)
            store = FilesystemMediaStore(tmp_path / "there")
            assert await store.size_bytes(file_key(sha256_of(HELLO))) == len(HELLO)
            again = await run(other, "restore", backup, media=tmp_path / "there")
            assert again.exit_code == ExitCode.CONFLICT
            assert "holds an archive already" in again.stderr
            assert f"The backup {backup} was not put back into the archive in" in again.stderr

    async def test_says_what_is_left_to_do(
        self, url: str, postgres_server: str, tmp_path: Path
    ) -> None:
        backup = str(await backed_up(url, tmp_path))
        async with fresh_database(postgres_server) as other:
            await migrate(other)
            words = ("restore", backup, "--without-media")
            done = await run(other, *words, media=tmp_path / "there")
            assert done.exit_code == ExitCode.OK, done.output
            assert "1 file not in the backup" in done.stdout
            assert "the same as in the backup" in done.stdout
            assert "set WHATSAPP_CORE_URL to WAHA's address" in done.stderr

    async def test_names_the_backup_the_archive_and_the_time_with_its_zone(
        self, url: str, tmp_path: Path
    ) -> None:
        backup = str(await backed_up(url, tmp_path))
        folder = tmp_path / "data"
        words = ("restore", backup, "--data-dir", str(folder))
        done = await run(url, *words, CORE_URL="http://127.0.0.1:3000", TZ="America/Sao_Paulo")
        assert done.exit_code == ExitCode.OK, done.output
        told = re.match(
            rf"{re.escape(backup)} is back in the embedded archive in {re.escape(str(folder))}, "
            r"as it was at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-03:00): ",
            done.stdout,
        )
        assert told
        assert f"Sync reads from WAHA what came after {told[1]}." in done.stderr

    async def test_makes_an_embedded_archive_where_a_folder_is_named(
        self, url: str, tmp_path: Path
    ) -> None:
        backup = str(await backed_up(url, tmp_path))
        words = ("restore", backup, "--data-dir", str(tmp_path / "data"))
        done = await run(url, *words)
        assert done.exit_code == ExitCode.OK, done.output
        assert (tmp_path / "data/pg").is_dir()
        assert list((tmp_path / "data/media/incoming").iterdir()) == []

    async def test_a_damaged_backup_makes_no_archive(self, url: str, tmp_path: Path) -> None:
        backup = await backed_up(url, tmp_path)
        (backup / "manifest.json").unlink()
        done = await run(url, "restore", str(backup), "--data-dir", str(tmp_path / "data"))
        assert done.exit_code == ExitCode.FAILED
        assert not (tmp_path / "data").exists()


class TestEncryption:
    async def test_goes_all_the_way(self, url: str, postgres_server: str, tmp_path: Path) -> None:
        secret = {"BACKUP_PASSPHRASE": "six words chosen by dice"}
        to = ("backup", "--to", str(tmp_path / "to"), "--media", "--json")
        done = await run(url, *to, media=tmp_path / "media", **secret)
        assert done.exit_code == ExitCode.OK, done.output
        told = json.loads(done.stdout)
        assert told["encrypted"] is True
        async with fresh_database(postgres_server) as other:
            words = ("restore", told["backup"])
            careless = await run(other, *words, media=tmp_path / "there")
            assert careless.exit_code == ExitCode.FAILED
            assert "WHATSAPP_BACKUP_PASSPHRASE" in careless.stderr
            done = await run(other, *words, media=tmp_path / "there", **secret)
            assert done.exit_code == ExitCode.OK, done.output


@pytest.mark.s3
class TestInS3:
    async def test_goes_there_and_back(
        self, url: str, postgres_server: str, s3_server: S3Server, tmp_path: Path
    ) -> None:
        with s3_server.fresh_bucket() as bucket:
            there = {
                "MINIO_URL": bucket.url,
                "MINIO_ROOT_USER": bucket.access_key,
                "MINIO_ROOT_PASSWORD": bucket.secret_key,
            }
            to = ("backup", "--to", f"s3://{bucket.name}/daily/", "--media", "--json")
            done = await run(url, *to, media=tmp_path / "media", **there)
            assert done.exit_code == ExitCode.OK, done.output
            backup = json.loads(done.stdout)["backup"]
            assert backup.startswith(f"s3://{bucket.name}/daily/wagateway-")
            done = await run(url, "backup", "verify", backup, "--hashes", media=None, **there)
            assert done.exit_code == ExitCode.OK, done.output
            async with fresh_database(postgres_server) as other:
                words = ("restore", backup, "--json")
                done = await run(other, *words, media=tmp_path / "there", **there)
                assert done.exit_code == ExitCode.OK, done.output
                assert json.loads(done.stdout)["files"] == 1

    async def test_needs_what_opens_it(self, url: str, tmp_path: Path) -> None:
        done = await run(url, "backup", "--to", "s3://my-backups/x", media=tmp_path / "media")
        assert done.exit_code == ExitCode.USAGE
        assert "WHATSAPP_MINIO_ROOT_USER" in done.stderr

    @pytest.mark.parametrize("to", ["s3:", "s3://", "s3://A/x", "s3://bucket/../x", "s3:/bucket"])
    async def test_other_addresses_are_none(self, url: str, tmp_path: Path, to: str) -> None:
        done = await run(url, "backup", "--to", to, media=tmp_path / "media")
        assert done.exit_code == ExitCode.USAGE
        assert "accepted is a folder, or s3://bucket/prefix" in done.stderr
