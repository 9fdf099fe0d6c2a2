"""Several processes over one database and one Redis: who learns at once of what others did."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import structlog
from structlog.testing import LogCapture
from tests.support.deliveries import delivery, seen
from tests.support.postgres import Servers
from tests.support.valkey import ValkeyServer, needs_valkey, valkey

from wagateway.domain.errors import EngineResting, EngineUnavailable, Rejected
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.redis_use import open_wake_ups
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.workers import open_waha
from wagateway.ports.engine import Engine
from wagateway.ports.feed import WakeUp
from wagateway.usecases.live import Stream

SOON_S = 5.0
LONG_S = 30.0


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with valkey() as running:
        yield running


@pytest.fixture
async def url(postgres_servers: Servers) -> AsyncIterator[str]:
    async with postgres_servers.migrated() as fresh:
        yield fresh


@pytest.fixture
def logs() -> LogCapture:
    found = LogCapture()
    structlog.configure(processors=[found], cache_logger_on_first_use=False)
    return found


def told_of_redis(logs: LogCapture) -> list[str]:
    return [entry["event"] for entry in logs.entries if entry["event"].startswith("redis_")]


@asynccontextmanager
async def two(url: str, server: ValkeyServer) -> AsyncIterator[tuple[Services, Services]]:
    """Yield what two processes call, which find by looking only what nobody told them."""
    settings = Settings(
        database_url=url,
        auto_migrate=False,
        pool_size=4,
        redis_enabled=True,
        redis_port=server.port,
    )
    async with open_services(settings) as one, open_services(settings) as other:
        await one.archive.record([delivery()])
        for each in (one, other):
            each.live._look_every_s = LONG_S  # noqa: SLF001 - else looking hides what it was told
            for wake_up in (each.wake_ups.feed, each.wake_ups.files, each.wake_ups.sync):
                await wake_up.wait(LONG_S)  # whoever begins looks once
        yield one, other


async def rests(engine: Engine) -> bool:
    """Ask an engine that is down; return whether it was left alone instead."""
    with pytest.raises(EngineUnavailable) as caught:
        await engine.version()
    return isinstance(caught.value, EngineResting)


async def next_id(stream: Stream) -> str | None:
    async with asyncio.timeout(LONG_S):
        while not (found := await stream.next(LONG_S)):
            assert found is not None
    return found[0].id


async def woken_s(services: Services) -> list[float]:
    """Return when each of the wake-ups woke, in seconds from now."""
    ups = services.wake_ups
    began = time.monotonic()

    async def woken(wake_up: WakeUp) -> float:
        await wake_up.wait(LONG_S)
        return time.monotonic() - began

    return [await each for each in map(woken, (ups.feed, ups.files, ups.sync))]


@needs_valkey
@pytest.mark.embedded
class TestTwoProcesses:
    async def test_who_follows_one_is_told_at_once_what_the_other_took(
        self, url: str, server: ValkeyServer
    ) -> None:
        async with two(url, server) as (one, other):
            stream = await other.live.follow()
            assert await stream.next(0.2) == []  # it follows, and waits to be woken
            for stanza in ("A1", "A2", "A3"):
                began = time.monotonic()
                await one.archive.record([delivery(seen(stanza=stanza))])
                assert await next_id(stream) == stanza
                assert time.monotonic() - began < SOON_S
            stream.close()

    async def test_workers_of_the_other_look_at_once(self, url: str, server: ValkeyServer) -> None:
        async with two(url, server) as (one, other):
            await one.archive.record([delivery(seen())])
            one.wake_ups.sync.wake()
            assert max(await woken_s(other)) < SOON_S

    async def test_while_redis_is_away_all_is_found_by_looking(
        self, url: str, server: ValkeyServer, logs: LogCapture
    ) -> None:
        async with two(url, server) as (one, other):
            stream = await other.live.follow()
            await one.archive.record([delivery(seen(stanza="A1"))])
            assert await next_id(stream) == "A1"
            server.kill()
            async with asyncio.timeout(LONG_S):
                while len(told_of_redis(logs)) < 2:
                    await asyncio.sleep(0.02)
            other.live._look_every_s = 0.2  # noqa: SLF001 - as it usually is, about
            other.wake_ups.feed.wake()
            await one.archive.record([delivery(seen(stanza="A2"))])
            assert await next_id(stream) == "A2"
            other.live._look_every_s = LONG_S  # noqa: SLF001
            server.start()
            async with asyncio.timeout(LONG_S):
                while len(told_of_redis(logs)) < 4:
                    await asyncio.sleep(0.02)
            began = time.monotonic()
            await one.archive.record([delivery(seen(stanza="A3"))])
            assert await next_id(stream) == "A3"
            assert time.monotonic() - began < SOON_S
            stream.close()
        assert sorted(told_of_redis(logs)) == ["redis_goes_on"] * 2 + ["redis_is_away"] * 2


@needs_valkey
async def test_who_found_an_engine_down_spares_the_others_the_wait(server: ValkeyServer) -> None:
    settings = Settings(redis_enabled=True, redis_port=server.port, engine_url="http://127.0.0.1:1")
    async with open_waha(settings) as one, open_waha(settings) as other:
        async with asyncio.timeout(LONG_S):
            while not await rests(one):
                pass
        assert await rests(other)


@pytest.mark.embedded
async def test_services_open_while_redis_is_away(url: str, logs: LogCapture) -> None:
    settings = Settings(
        database_url=url,
        auto_migrate=False,
        redis_enabled=True,
        redis_url="redis://:s3same@127.0.0.1:1/0",
    )
    async with open_services(settings) as services:
        stream = await services.live.follow()
        await services.archive.record([delivery(seen(stanza="A1"))])
        assert await next_id(stream) is None  # the session itself
        stream.close()
        async with asyncio.timeout(LONG_S):
            while not told_of_redis(logs):
                await asyncio.sleep(0.02)
    assert "s3same" not in str(logs.entries)


async def test_a_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wagateway.adapters.redis.wake_up", None)
    async with open_wake_ups(Settings()):
        pass
    with pytest.raises(Rejected, match=r"wagateway\[redis\]"):
        async with open_wake_ups(Settings(redis_enabled=True)):
            pass
