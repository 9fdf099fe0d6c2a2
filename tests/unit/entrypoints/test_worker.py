"""Workers of a process: what runs whatever is switched on."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.support.postgres import Servers

from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.gateway import Gateway
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.worker import run_worker, working

ANA = "5511987650102@c.us"


def body(stanza: str, age: timedelta) -> bytes:
    payload = {
        "id": f"false_{ANA}_{stanza}",
        "timestamp": int((datetime.now(UTC) - age).timestamp()),
        "from": ANA,
        "fromMe": False,
        "body": "Bom dia!",
    }
    return msgspec.json.encode(
        {"event": "message", "session": "vendas", "engine": "GOWS", "payload": payload}
    )


async def kept(settings: Settings) -> list[str]:
    """Return which of an old and a new message are left once the workers ran."""
    async with open_services(settings) as services:
        gateway = Gateway(services)
        await gateway.ingest(body("A1", timedelta(days=3)))
        await gateway.ingest(body("A2", timedelta(hours=1)))
        async with working(settings, services) as workers:
            assert (workers.sync, workers.media) == (None, None)
            for _ in range(100):
                await asyncio.sleep(0.01)
                if len(found := (await gateway.messages("vendas", ANA)).messages) == 1:
                    break
        return [message.id for message in found]


async def test_upkeep_runs_without_an_engine() -> None:
    with capture_logs() as logs:
        assert await kept(Settings(database_url="memory://", retention_days=2)) == ["A2"]
    told = [log for log in logs if log["event"] == "purged"]
    assert [(log["messages"], log["log_level"]) for log in told] == [(1, "info")]


async def test_without_a_retention_everything_is_kept() -> None:
    assert await kept(Settings.in_memory()) == ["A2", "A1"]


async def test_a_worker_that_breaks_is_logged_without_what_its_error_says() -> None:
    class Breaking:
        async def run(self, stop: asyncio.Event) -> None:
            stop.set()
            raise ValueError(f"segredo of {ANA}")

    with capture_logs() as logs:
        await run_worker(Breaking(), asyncio.Event())
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("a worker failed and begins again", "warning"),
        ("defect", "error"),
    ]
    assert logs[0]["worker"] == "Breaking"
    assert any("in run" in place for place in logs[1]["trace"])
    assert "segredo" not in str(logs)


@pytest.mark.embedded
async def test_backups_are_made_beside_everything_else(
    postgres_servers: Servers, tmp_path: Path
) -> None:
    async with postgres_servers.migrated() as url:
        settings = Settings(
            database_url=url,
            media_dir=tmp_path / "media",
            backup_dir=str(tmp_path / "backups"),
            backup_every_hours=1,
        )
        with capture_logs() as logs:
            async with open_services(settings) as services, working(settings, services):
                async with asyncio.timeout(10):
                    while not any(log["event"] == "backed_up" for log in logs):
                        await asyncio.sleep(0.02)
            async with open_services(settings) as services, working(settings, services):
                await asyncio.sleep(0.2)  # it is not due yet, whoever works
    (made,) = [log for log in logs if log["event"] == "backed_up"]
    assert [path.name for path in (tmp_path / "backups").glob("wagateway-*")] == [made["name"]]


async def test_what_keeps_nothing_is_not_backed_up(tmp_path: Path) -> None:
    settings = Settings(
        database_url="memory://", backup_dir=str(tmp_path / "backups"), backup_every_hours=1
    )
    async with open_services(settings) as services, working(settings, services):
        await asyncio.sleep(0.05)
    assert not (tmp_path / "backups").exists()
