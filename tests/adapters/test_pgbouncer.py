"""Everything through a real PgBouncer in transaction mode, where one is installed.

The whole contract suites run through it with WAGATEWAY_TEST_PGBOUNCER_URL=installed.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import chain
from pathlib import Path

import msgspec
import pytest
from tests.contracts.archives import in_memory
from tests.support.backups import FakeClock, nobody
from tests.support.deliveries import ANA, GROUP, NOON, SECOND, SESSION, delivery, seen
from tests.support.media_world import photo
from tests.support.pgbouncer import PgBouncer, program
from tests.support.postgres import fresh_database

from wagateway.adapters.filesystem.backups import FilesystemBackups
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.backup_turns import TimescaleBackupTurns
from wagateway.adapters.timescale.copies import TimescaleTables
from wagateway.adapters.timescale.downloads import TimescaleDownloadStore
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import Delivery
from wagateway.domain.media import DownloadStatus, Rules
from wagateway.domain.messages import MediaOffer
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.settings import Settings
from wagateway.usecases.back_up import BackUp

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(program() is None, reason="PgBouncer is not installed"),
]

CLIENTS = 12
"""Connections of each pool: three times as many as PgBouncer has to the server."""


@pytest.fixture(scope="module")
async def pooler(embedded_server: str) -> AsyncIterator[PgBouncer]:
    async with PgBouncer.running(embedded_server) as found:
        yield found


@pytest.fixture
async def direct(embedded_server: str) -> AsyncIterator[str]:
    """An empty database, not through PgBouncer."""
    async with fresh_database(embedded_server) as url:
        yield url


def told(number: int) -> Delivery:
    chat = ANA if number % 3 else GROUP
    return delivery(seen(stanza=f"A{number}", chat=chat), at=NOON + number * SECOND)


async def test_many_clients_share_few_connections(pooler: PgBouncer, direct: str) -> None:
    await migrate(direct)
    url, deliveries = pooler.url(direct), [told(number) for number in range(240)]
    async with open_pool(url, max_size=CLIENTS) as one, open_pool(url, max_size=CLIENTS) as other:
        archives = [TimescaleArchive(one), TimescaleArchive(other)]
        groups = [deliveries[begin : begin + 5] for begin in range(0, 240, 5)]
        twice = [*groups, *reversed(groups)]
        await asyncio.gather(*(archives[n % 2].record(group) for n, group in enumerate(twice)))
        await archives[0].record(deliveries)  # by COPY
        expected = in_memory()
        await expected.record(*deliveries)
        readers = [TimescaleReader(pool) for pool in (one, other)]
        for chat in (ANA, GROUP):
            theirs = await expected.reader.messages(SESSION, [chat], limit=500)
            pages = await asyncio.gather(
                *(readers[n % 2].messages(SESSION, [chat], limit=500) for n in range(30))
            )
            assert all(page.messages == theirs.messages for page in pages)


async def test_work_is_claimed_once(pooler: PgBouncer, direct: str) -> None:
    await migrate(direct)
    rules = Rules()
    async with open_pool(pooler.url(direct), max_size=CLIENTS) as pool:
        offers = [
            MediaOffer(offered_at=NOON, url=f"http://waha/api/files/{number}.jpeg")
            for number in range(40)
        ]
        told = [photo(f"A{number}", offer=offer) for number, offer in enumerate(offers)]
        await TimescaleArchive(pool).record([delivery(each, at=NOON) for each in told])
        store = TimescaleDownloadStore(pool)

        async def claim() -> list[str]:
            tasks = await store.claim(
                NOON + SECOND, rules=rules, lease=timedelta(minutes=1), limit=5
            )
            for task in tasks:
                skipped = msgspec.structs.replace(task.download, status=DownloadStatus.SKIPPED)
                await store.save(msgspec.structs.replace(task, download=skipped), now=NOON + SECOND)
            return [task.stanza for task in tasks]

        rounds = await asyncio.gather(*(claim() for _ in range(20)))
        claimed = list(chain.from_iterable(rounds))
        while found := await claim():
            claimed += found
    assert sorted(claimed) == sorted(f"A{number}" for number in range(40))


async def test_what_is_acknowledged_outlives_a_pooler_that_is_killed(
    pooler: PgBouncer, direct: str
) -> None:
    await migrate(direct)
    acknowledged: list[str] = []
    async with open_pool(pooler.url(direct), max_size=CLIENTS, timeout_s=10) as pool:
        archive = TimescaleArchive(pool)

        async def deliver(number: int) -> None:
            await asyncio.sleep(number / 200)
            try:
                await archive.record([told(number)])
            except StoreUnavailable:
                return
            acknowledged.append(f"A{number}")

        async def kill() -> None:
            await asyncio.sleep(0.3)
            await pooler.kill()
            await pooler.start()

        await asyncio.gather(kill(), *(deliver(number) for number in range(200)))
        reader = TimescaleReader(pool)
        pages = [await reader.messages(SESSION, [chat], limit=500) for chat in (ANA, GROUP)]
    kept = [message.id for page in pages for message in page.messages]
    assert len(acknowledged) > 100
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))


async def test_migrations_take_the_direct_line(pooler: PgBouncer, direct: str) -> None:
    settings = Settings(database_url=pooler.url(direct), direct_url=direct)
    async with open_services(settings) as services:
        assert (await services.ingest(told(1).body)).stored == 0
        await services.archive.record([told(1)])
        assert [view.session for view in await services.reader.sessions()] == [SESSION]


async def test_a_backup_is_of_one_instant_and_has_one_maker(
    pooler: PgBouncer, direct: str, tmp_path: Path
) -> None:
    await migrate(direct)
    url = pooler.url(direct)
    async with open_pool(url, max_size=CLIENTS) as pool:
        await TimescaleArchive(pool).record([told(number) for number in range(20)])
        turns = [TimescaleBackupTurns(pool) for _ in range(CLIENTS)]
        claimed = await asyncio.gather(*(each.claim(NOON, until=NOON + SECOND) for each in turns))
        assert sum(claimed) == 1
    place = FilesystemBackups(tmp_path, FakeClock())
    making = BackUp(
        source=TimescaleTables(url), media=InMemoryMediaStore(), clock=FakeClock(), version="0"
    )
    made = await making(place, with_media=False, told=nobody)
    rows = {table.name: table.rows for table in made.manifest.tables}
    assert (rows["messages"], rows["message_state"], rows["event_log"]) == (20, 20, 20)
