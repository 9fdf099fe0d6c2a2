"""The disaster drill with real processes: back up, lose everything, restore, and be as before."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from tests.journeys.program import Running, run, running, up
from tests.support.postgres import Servers

from wagateway.entrypoints.cli.endings import ExitCode
from wagateway.simulator.check import Comparison
from wagateway.simulator.faults import Faults
from wagateway.simulator.post import Poster, Retries, judge, limited
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.truth import Truth
from wagateway.simulator.wagateway_api import WagatewayApi

pytestmark = [pytest.mark.slow, pytest.mark.embedded]

SCENARIO = Scenario(seed=20261127, sessions=2, chats=30, faults=Faults.parse("all"))
Condition = Callable[[], Awaitable[bool]]


async def post(gateway: Running, truth: Truth, count: int) -> None:
    """Deliver the same simulated world as ever, and wait until all of it is accepted."""
    poster = Poster(
        f"{gateway.url}/webhooks/messages",
        headers={"X-Whatsapp-Token": gateway.token("webhook_token")},
        retries=Retries(delay_s=0.2, attempts=1000),
        max_connections=16,
        max_open=1000,
        ended=judge(truth),
    )
    await poster.run(limited(simulate(SCENARIO), count))
    assert poster.counts.accepted == count


async def shown(gateway: Running, truth: Truth) -> list[dict[str, Any]]:
    """Return what the API shows, after it was found to be the truth."""
    comparison = Comparison(truth.lines())
    lines = []
    api = WagatewayApi(gateway.url, gateway.token("api_token"))
    async for line in api.lines(comparison.sessions):
        comparison.see(line)
        lines.append(line)
    report = comparison.report()
    assert report.expected > 250
    assert report.perfect, msgspec.json.encode(report.examples).decode()
    return lines


def timeless(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return *lines* without what a repetition moves on: when it came, and by which engine."""
    moved = {"last_event_at", "engine"}
    return [{k: v for k, v in line.items() if k not in moved} for line in lines]


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
        await post(gateway, truth, 1000)
        before = await shown(gateway, truth)
        backup = await backed_up(home, to)
    shutil.rmtree(home / "data")
    await restored(backup, home)
    async with started(home) as gateway:
        assert await shown(gateway, truth) == before
        await post(gateway, Truth(), 1000)  # the engine repeats all of it: nothing doubles
        assert timeless(await shown(gateway, truth)) == timeless(before)


async def test_a_backup_of_a_busy_archive_becomes_the_truth_once_the_rest_is_told(
    tmp_path: Path,
) -> None:
    home, to, truth = tmp_path / "first", tmp_path / "backups", Truth()
    async with started(home) as gateway:
        posting = asyncio.create_task(post(gateway, truth, 2000))
        await asyncio.sleep(0.5)
        backup = await backed_up(home, to)
        under_way = not posting.done()
        await posting
        before = await shown(gateway, truth)
    assert under_way
    other = tmp_path / "second"
    await restored(backup, other)
    async with started(other) as gateway:
        await post(gateway, Truth(), 2000)
        after = await shown(gateway, truth)
    assert len(after) == len(before)


_MANY = """
INSERT INTO whatsapp_gateway.event_log
    (received_at, occurred_at, session, event, source, outcome, body)
SELECT now(), now(), 'vendas', 'message.any', 'webhook', 'ignored',
    convert_to(repeat(md5(n::text), 20), 'UTF8')
FROM generate_series(1, 150000) AS n
"""


async def killed_once(words: tuple[str, ...], url: str, home: Path, begun: Condition) -> None:
    """Run ``wagateway`` with *words*, and kill it as soon as it is in the middle of its work."""
    env = {"WHATSAPP_DATABASE_URL": url}
    async with running(*words, home=home, data_dir=home, port=0, env=env) as process:
        async with asyncio.timeout(60):
            while not await begun():
                assert process.process.returncode is None
                await asyncio.sleep(0.01)
        process.process.kill()
        assert await process.wait() == -signal.SIGKILL


async def test_what_is_killed_half_way_has_done_nothing(
    tmp_path: Path, postgres_servers: Servers
) -> None:
    to = tmp_path / "backups"
    words = ("backup", "--to", str(to))

    async def half_written() -> bool:
        part = next(to.glob(".wagateway-*.part/tables/event_log.tsv.gz"), None)
        return part is not None and part.stat().st_size > 100_000

    async with postgres_servers.migrated() as url, postgres_servers.migrated() as other:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            await conn.execute(_MANY)
        await killed_once(words, url, tmp_path, half_written)
        assert list(to.glob("wagateway-*")) == []
        done = await run(*words, "--json", home=tmp_path, env={"WHATSAPP_DATABASE_URL": url})
        assert done.code == ExitCode.OK, done.err
        assert list(to.glob(".wagateway-*")) == []

        restoring = ("restore", done.json["backup"])

        async def half_loaded() -> bool:
            async with await psycopg.AsyncConnection.connect(other, autocommit=True) as conn:
                size = "SELECT pg_total_relation_size('whatsapp_gateway.event_log')"
                row = await (await conn.execute(size)).fetchone()
            return row is not None and int(row[0]) > 1_000_000

        await killed_once(restoring, other, tmp_path, half_loaded)
        again = await run(*restoring, "--json", home=tmp_path, env={"WHATSAPP_DATABASE_URL": other})
        assert again.code == ExitCode.OK, again.err
        assert again.json["rows"] == done.json["rows"] == 150_000
