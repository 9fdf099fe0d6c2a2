"""One pace for several processes over Redis, and each process's own without it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tests.support.valkey import ValkeyServer, needs_valkey, valkey
from tests.support.within import within

from wagateway.adapters.redis.address import RedisServer
from wagateway.adapters.redis.turnstile import open_turnstile
from wagateway.adapters.waha.turnstile import LocalTurnstile
from wagateway.domain.errors import EngineResting
from wagateway.ports.turnstile import Pace, Turnstile

pytestmark = needs_valkey

WAHA = "http://waha:3000"
PACE = Pace(per_second=10, failures=3, rest_s=60.0)
PATIENT = Pace(per_second=10_000, failures=3, rest_s=60.0)


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with valkey() as running:
        yield running


@asynccontextmanager
async def turnstiles(
    server: RedisServer, *engines: str, pace: Pace = PATIENT
) -> AsyncIterator[list[Turnstile]]:
    """Yield the turnstile of a process for each of *engines*, which it asks."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                open_turnstile(server, each, pace, alone=LocalTurnstile(pace))
            )
            for each in engines
        ]


async def passed_at(turnstile: Turnstile) -> float:
    await turnstile.wait()
    return time.monotonic()


async def rests(turnstile: Turnstile) -> bool:
    try:
        await turnstile.wait()
    except EngineResting:
        return True
    return False


async def fail(turnstile: Turnstile, times: int) -> None:
    for _ in range(times):
        await turnstile.failed()


async def test_processes_share_the_rate(server: ValkeyServer) -> None:
    async with turnstiles(server.address, WAHA, WAHA, WAHA, pace=PACE) as found:
        waiting = [passed_at(each) for each in found for _ in range(8)]
        at = sorted(await asyncio.gather(*waiting))
    assert len(at) == 24
    assert all(later - at[n] > 0.5 for n, later in enumerate(at[10:]))


async def test_processes_share_failures_and_answers(server: ValkeyServer) -> None:
    async with turnstiles(server.address, WAHA, WAHA + "/") as (one, other):
        await fail(one, 2)
        await other.answered()
        await fail(one, 2)
        assert not await rests(one)
        await fail(other, 1)
        assert await rests(one)
        assert await rests(other)
        await other.answered()
        assert not await rests(one)


async def test_other_engines_have_a_pace_of_their_own(server: ValkeyServer) -> None:
    async with turnstiles(server.address, WAHA, "http://other:3000") as (one, other):
        await fail(one, 3)
        assert await rests(one)
        assert not await rests(other)


async def test_each_goes_on_alone_while_it_is_away(server: ValkeyServer) -> None:
    async with turnstiles(server.address, WAHA, WAHA, pace=PACE) as (one, other):
        await fail(one, 3)
        assert await rests(other)
        server.kill()
        began = time.monotonic()
        assert await rests(one)  # it knows by itself
        assert not await rests(other)
        at = sorted(await asyncio.gather(*(passed_at(other) for _ in range(12))))
        assert time.monotonic() - began < 5.0
        assert at[-1] - at[0] > 0.5


async def test_who_went_on_alone_joins_again(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wagateway.adapters.redis.turnstile._AGAIN_S", 0.1)
    async with turnstiles(server.address, WAHA, WAHA) as (one, other):
        server.kill()
        assert not await rests(one)
        server.start()
        await asyncio.sleep(0.1)
        await fail(one, 3)
        assert await rests(other)


async def test_one_that_hangs_is_waited_for_once(server: ValkeyServer) -> None:
    async with turnstiles(server.address, WAHA) as (one,):
        await one.wait()
        with server.frozen(), within(10):
            for _ in range(50):
                await one.wait()
                await one.answered()


async def test_times_of_a_clock_that_was_set_back_are_not_believed(server: ValkeyServer) -> None:
    async with turnstiles(server.address, WAHA, pace=PACE) as (one,):
        await one.wait()
        await fail(one, 3)
        passed, failures = sorted(server.asked("KEYS", "wagateway:engine:*"), reverse=True)  # type: ignore[call-overload]
        future = str((int(time.time()) + 3600) * 1_000_000)
        server.asked("HSET", failures.decode(), "until", future)
        server.asked("DEL", passed.decode())
        for _ in range(10):
            server.asked("RPUSH", passed.decode(), future)
        with within(10):
            assert not await rests(one)


async def test_little_is_left_in_redis(server: ValkeyServer) -> None:
    async with turnstiles(server.address, WAHA) as (one,):
        for _ in range(100):
            await one.wait()
        await fail(one, 1)
        keys = server.asked("KEYS", "*")
        assert isinstance(keys, list)
        lifetimes = [server.asked("PTTL", key.decode()) for key in keys]
    assert len(keys) == 2
    assert all(isinstance(each, int) and 0 < each <= 3_600_000 for each in lifetimes)
