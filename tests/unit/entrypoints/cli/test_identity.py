import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from tests.support.postgres import Servers

from wagateway.entrypoints.cli.program import program
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.settings import Settings

pytestmark = pytest.mark.embedded

SAMPLES = Path(__file__).parents[3] / "data" / "waha" / "events"
LID = "271000000000199@lid"
ANA = "+55 11 98765-0102"
BIA = "5511987650103@c.us"


@pytest.fixture
async def url(postgres_servers: Servers) -> AsyncIterator[str]:
    async with postgres_servers.migrated() as fresh:
        async with open_services(Settings(database_url=fresh)) as services:
            await services.ingest((SAMPLES / "noweb-message-text.json").read_bytes())
        yield fresh


async def identity(url: str, *words: str, timezone: str = "UTC") -> str:
    env = {"WHATSAPP_DATABASE_URL": url, "WHATSAPP_TZ": timezone}
    done = await asyncio.to_thread(CliRunner().invoke, program, ["identity", *words], env=env)
    assert done.exit_code == 0, done.output
    return done.stdout


async def test_says_whom_a_link_replaces_and_who_comes_back(url: str) -> None:
    assert await identity(url, "link", "vendas", LID, ANA) == (
        f"{LID} is 5511987650102 now; messages that moved: 0\n"
    )
    assert await identity(url, "link", "vendas", LID, BIA) == (
        f"{LID} is 5511987650103 now, and no longer 5511987650102; messages that moved: 0\n"
    )
    assert "replaced by a later one" in await identity(url, "list", "vendas")
    assert await identity(url, "unlink", "vendas", LID) == (
        f"{LID} is no longer 5511987650103, but 5511987650102 again; messages that moved: 0\n"
    )
    assert await identity(url, "unlink", "vendas", LID) == (
        f"{LID} is no longer 5511987650102, but somebody of their own; messages that moved: 0\n"
    )


async def test_scripts_are_told_the_same(url: str) -> None:
    told = json.loads(await identity(url, "link", "vendas", LID, BIA, "--json"))
    assert told == {"moved": 0, "before": None, "now": BIA}


async def test_times_are_those_of_the_zone_of_the_settings(url: str) -> None:
    await identity(url, "link", "vendas", LID, BIA)
    line = await identity(url, "list", "vendas", timezone="Pacific/Kiritimati")  # 14 hours ahead
    shown = next(part for part in line.splitlines() if LID in part)
    ahead = datetime.now(UTC).astimezone(ZoneInfo("Pacific/Kiritimati"))
    assert re.search(rf"{ahead:%Y-%m-%d} \d\d:\d\d \+14 ", shown)
