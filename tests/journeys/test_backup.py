"""The disaster drill with real processes: back up, lose everything, restore, and be as before."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.journeys.program import Running, run, up

from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.simulator.check import Comparison
from wagateway.simulator.faults import Faults
from wagateway.simulator.post import Poster, Retries, judge, limited
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.truth import Truth
from wagateway.simulator.wagateway_api import WagatewayApi

pytestmark = [pytest.mark.slow, pytest.mark.embedded]

SCENARIO = Scenario(seed=20261127, sessions=2, chats=30, faults=Faults.parse("all"))
DELIVERIES = 2000


async def post(gateway: Running, truth: Truth) -> None:
    """Deliver the same simulated world as ever, and wait until all of it is accepted."""
    poster = Poster(
        f"{gateway.url}/webhooks/messages",
        headers={"X-Whatsapp-Token": gateway.token("webhook_token")},
        retries=Retries(delay_s=0.2, attempts=1000),
        max_connections=16,
        max_open=1000,
        ended=judge(truth),
    )
    await poster.run(limited(simulate(SCENARIO), DELIVERIES))
    assert poster.counts.accepted == DELIVERIES


async def shown(gateway: Running, truth: Truth) -> list[dict[str, Any]]:
    """Return what the API shows, after it was found to be the truth."""
    comparison = Comparison(truth.lines())
    lines = []
    api = WagatewayApi(gateway.url, gateway.token("api_token"))
    async for line in api.lines(comparison.sessions):
        comparison.see(line)
        lines.append(line)
    report = comparison.report()
    assert report.expected > 500
    assert report.perfect, msgspec.json.encode(report.examples).decode()
    return lines


def timeless(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return *lines* without the one thing that a repetition moves on: when it came."""
    return [{k: v for k, v in line.items() if k != "last_event_at"} for line in lines]


@asynccontextmanager
async def started(home: Path) -> AsyncIterator[Running]:
    home.mkdir(exist_ok=True)
    async with up(home) as gateway:
        yield gateway
        assert await gateway.stop() == ExitCode.OK


async def backed_up(home: Path, to: Path) -> str:
    words = ("backup", "--to", str(to), "--media", "--json", "--data-dir", str(home / "data"))
    done = await run(*words, home=home)
    assert done.code == ExitCode.OK, done.err
    return str(done.json["backup"])


async def restored(backup: str, home: Path) -> None:
    home.mkdir(exist_ok=True)
    verified = await run("backup", "verify", backup, "--json", home=home)
    assert verified.code == ExitCode.OK, verified.out + verified.err
    assert verified.json["restored"] is True
    done = await run("restore", backup, "--data-dir", str(home / "data"), home=home)
    assert done.code == ExitCode.OK, done.err


async def test_a_lost_archive_comes_back_as_it_was(tmp_path: Path) -> None:
    home, to, truth = tmp_path / "first", tmp_path / "backups", Truth()
    async with started(home) as gateway:
        await post(gateway, truth)
        before = await shown(gateway, truth)
        backup = await backed_up(home, to)
    shutil.rmtree(home / "data")
    await restored(backup, home)
    async with started(home) as gateway:
        assert await shown(gateway, truth) == before
        await post(gateway, Truth())  # the engine repeats all of it: nothing doubles
        assert timeless(await shown(gateway, truth)) == timeless(before)


async def test_a_backup_of_a_busy_archive_becomes_the_truth_once_the_rest_is_told(
    tmp_path: Path,
) -> None:
    home, to, truth = tmp_path / "first", tmp_path / "backups", Truth()
    async with started(home) as gateway:
        posting = asyncio.create_task(post(gateway, truth))
        await asyncio.sleep(0.5)
        backup = await backed_up(home, to)
        under_way = not posting.done()
        await posting
        before = await shown(gateway, truth)
    assert under_way
    other = tmp_path / "second"
    await restored(backup, other)
    async with started(other) as gateway:
        await post(gateway, Truth())
        after = await shown(gateway, truth)
    assert len(after) == len(before)
