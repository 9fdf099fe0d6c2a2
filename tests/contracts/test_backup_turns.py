"""What every store of the backup's turn promises."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.contracts.archives import BACKENDS
from tests.support.deliveries import NOON, SECOND
from tests.support.postgres import Servers

from wagateway.adapters.memory.backup_turns import InMemoryBackupTurns
from wagateway.adapters.timescale.backup_turns import TimescaleBackupTurns
from wagateway.adapters.timescale.pool import open_pool
from wagateway.ports.backup_turns import BackupTurns


@pytest.fixture(params=BACKENDS)
async def turns(
    request: pytest.FixtureRequest, postgres_servers: Servers
) -> AsyncIterator[BackupTurns]:
    if request.param == "memory":
        yield InMemoryBackupTurns()
        return
    async with postgres_servers.migrated(request.param) as url:
        through = await postgres_servers.pooled(url) if request.param == "pooled" else url
        async with open_pool(through, max_size=4) as pool:
            yield TimescaleBackupTurns(pool)


async def test_is_due_at_once_and_given_to_one(turns: BackupTurns) -> None:
    asked = (turns.claim(NOON, until=NOON + SECOND) for _ in range(8))
    assert sum(await asyncio.gather(*asked)) == 1


async def test_a_lease_that_ends_passes_to_another(turns: BackupTurns) -> None:
    assert await turns.claim(NOON, until=NOON + 2 * SECOND)
    assert not await turns.claim(NOON + SECOND, until=NOON + 9 * SECOND)
    assert await turns.claim(NOON + 2 * SECOND, until=NOON + 9 * SECOND)
    assert not await turns.claim(NOON + 3 * SECOND, until=NOON + 9 * SECOND)


async def test_is_due_when_it_was_put_off_to(turns: BackupTurns) -> None:
    assert await turns.claim(NOON, until=NOON + SECOND)
    await turns.put_off(NOON + 5 * SECOND)
    assert not await turns.claim(NOON + 4 * SECOND, until=NOON + 9 * SECOND)
    assert await turns.claim(NOON + 5 * SECOND, until=NOON + 9 * SECOND)


async def test_putting_off_what_was_never_claimed_makes_nothing(turns: BackupTurns) -> None:
    await turns.put_off(NOON + SECOND)
    assert await turns.claim(NOON, until=NOON + SECOND)
