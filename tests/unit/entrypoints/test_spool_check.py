"""What `wagateway doctor` says of the spool."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.valkey import ValkeyServers, fresh, needs_valkey, valkey

from wagateway.adapters.filesystem.spool import FilesystemSpool
from wagateway.domain.errors import StoreUnavailable
from wagateway.entrypoints.findings import Verdict
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.spool_check import spool_finding
from wagateway.entrypoints.stores import spool_name
from wagateway.ports.spool import SpooledBody

POSTGRES = "postgresql://nobody@127.0.0.1:1/none"
BODY = SpooledBody(body=b"{", received_at=datetime(2026, 1, 5, tzinfo=UTC))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "spool"
    found.mkdir(mode=0o700)
    return found


async def test_one_that_is_empty_is_well(folder: Path) -> None:
    found = await spool_finding(Settings(spool_dir=folder))
    assert (found.hop, found.verdict) == ("spool", Verdict.OK)
    assert "none wait" in found.found
    assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_one_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    found = await spool_finding(Settings(data_dir=tmp_path / "data"))
    assert found.verdict is Verdict.SKIPPED
    assert not (tmp_path / "data").exists()


async def test_what_waits_is_told(folder: Path) -> None:
    await FilesystemSpool(folder / spool_name(Settings()), max_bytes=10**6).put([BODY])
    found = await spool_finding(Settings(spool_dir=folder))
    assert found.verdict is Verdict.WARN
    assert found.found.startswith(
        f"webhooks wait in the folder {folder}, groups of them: 1, since 2"
    )


async def test_what_was_set_aside_is_told(folder: Path) -> None:
    spool = FilesystemSpool(folder / spool_name(Settings()), max_bytes=10**6)
    await spool.put([BODY])
    [entry] = await spool.oldest(limit=1)
    await spool.set_aside(entry.key)
    await spool.aclose()
    found = await spool_finding(Settings(spool_dir=folder))
    assert found.verdict is Verdict.WARN
    assert "were set aside: 1 in the folder" in found.found
    assert "--retry" in (found.mend or "")


async def test_what_was_set_aside_under_another_address_is_not_said_to_wait(folder: Path) -> None:
    spool = FilesystemSpool(folder / "db-1-0f3a9c21", max_bytes=10**6)
    await spool.put([BODY])
    [entry] = await spool.oldest(limit=1)
    await spool.set_aside(entry.key)
    await spool.aclose()
    found = await spool_finding(Settings(spool_dir=folder))
    assert found.found.endswith("were set aside: 1 in filesystem:db-1-0f3a9c21")


async def test_one_that_is_full_is_broken(folder: Path) -> None:
    settings = Settings(spool_dir=folder, spool_max_bytes=2**20)
    full = SpooledBody(body=b"x" * (2**20 - 2000), received_at=BODY.received_at)
    await FilesystemSpool(folder / spool_name(settings), max_bytes=2**20).put([full])
    found = await spool_finding(settings)
    assert found.verdict is Verdict.FAIL
    assert "is full" in found.found
    assert "WHATSAPP_SPOOL_MAX_BYTES" in (found.mend or "")


async def test_what_waits_under_another_address_is_told(folder: Path) -> None:
    await FilesystemSpool(folder / "db-1-0f3a9c21", max_bytes=10**6).put([BODY])
    found = await spool_finding(Settings(spool_dir=folder))
    assert found.verdict is Verdict.WARN
    assert "db-1-0f3a9c21" in found.found
    assert "--adopt" in (found.mend or "")


async def test_what_is_no_folder_is_broken(folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    found = await spool_finding(Settings(spool_dir=folder / "file"))
    assert found.verdict is Verdict.FAIL
    assert "WHATSAPP_SPOOL_DIR" in (found.mend or "")


async def test_one_that_hangs_is_broken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: FilesystemSpool) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(FilesystemSpool, "prepare", hang)
    found = await spool_finding(Settings(spool_dir=folder), patience_s=0.01)
    assert found.verdict is Verdict.FAIL
    assert "does not answer" in found.found


async def test_a_full_disk_is_broken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_: FilesystemSpool) -> None:
        raise StoreUnavailable("no space left")

    monkeypatch.setattr(FilesystemSpool, "prepare", full)
    found = await spool_finding(Settings(spool_dir=folder))
    assert (found.verdict, "no space left" in found.found) == (Verdict.FAIL, True)


async def test_without_one_a_warning_says_what_is_lost(tmp_path: Path) -> None:
    found = await spool_finding(Settings(data_dir=tmp_path, spool="off"))
    assert found.verdict is Verdict.WARN
    assert "refused" in found.found


async def test_memory_needs_none() -> None:
    assert (await spool_finding(Settings.in_memory())).verdict is Verdict.SKIPPED


@needs_valkey
class TestRedis:
    async def test_one_that_proves_its_disk_is_well(self, valkey_servers: ValkeyServers) -> None:
        async with fresh(valkey_servers.get("valkey")) as server:
            settings = Settings(redis_enabled=True, redis_url=server.url, database_url=POSTGRES)
            found = await spool_finding(settings)
        assert (found.verdict, found.found) == (
            Verdict.OK,
            "Redis takes webhooks while the database is away; none wait",
        )

    async def test_one_that_keeps_no_file_is_broken(self) -> None:
        with valkey(appendonly="no") as server:
            settings = Settings(
                redis_enabled=True, redis_url=server.address.url, database_url=POSTGRES
            )
            found = await spool_finding(settings)
        assert found.verdict is Verdict.FAIL
        assert "appendonly yes" in found.found
        assert "WHATSAPP_SPOOL=filesystem" in (found.mend or "")
