"""What every turnstile promises."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from tests.support import valkey
from tests.support.valkey import ValkeyServers

from wagateway.adapters.redis.address import RedisServer
from wagateway.adapters.redis.turnstile import open_turnstile
from wagateway.adapters.waha.turnstile import LocalTurnstile
from wagateway.domain.errors import EngineResting
from wagateway.ports.turnstile import Pace, Turnstile

Opened = Callable[[Pace], AbstractAsyncContextManager[Turnstile]]
QUICK = Pace(per_second=10_000, failures=3, rest_s=0.7)
LONG = Pace(per_second=10_000, failures=3, rest_s=60.0)


@pytest.fixture(params=["local", pytest.param("away", id="redis-away"), *valkey.server_params()])
async def opened(
    request: pytest.FixtureRequest, valkey_servers: ValkeyServers
) -> AsyncIterator[Opened]:
    """Open turnstiles of one server, which is asked for the first time."""
    if request.param == "local":
        yield local
    elif request.param == "away":
        yield over(RedisServer(url="redis://127.0.0.1:1/0"))
    else:
        async with valkey.fresh(valkey_servers.get(request.param)) as own:
            yield over(own)


@asynccontextmanager
async def local(pace: Pace) -> AsyncIterator[Turnstile]:
    yield LocalTurnstile(pace)


def over(server: RedisServer) -> Opened:
    return lambda pace: open_turnstile(server, "http://waha:3000", pace, alone=LocalTurnstile(pace))


async def passed_at(turnstile: Turnstile) -> float:
    await turnstile.wait()
    return time.monotonic()


async def left_s(turnstile: Turnstile) -> float:
    """Return how long the server rests still."""
    with pytest.raises(EngineResting) as caught:
        await turnstile.wait()
    return caught.value.wait_s


async def fail(turnstile: Turnstile, times: int) -> None:
    for _ in range(times):
        await turnstile.failed()


async def test_lets_so_many_pass_in_any_second_and_the_rest_as_soon_as_they_may(
    opened: Opened,
) -> None:
    async with opened(Pace(per_second=10, failures=3, rest_s=1.0)) as turnstile:
        began = time.monotonic()
        at = sorted(await asyncio.gather(*(passed_at(turnstile) for _ in range(25))))
    # Half a second, not one: a pass may be noticed late on a busy machine.
    assert all(later - at[n] > 0.5 for n, later in enumerate(at[10:]))
    assert at[-1] - began < 10


async def test_lets_a_server_rest_after_failures_in_a_row(opened: Opened) -> None:
    async with opened(LONG) as turnstile:
        await fail(turnstile, 2)
        await turnstile.wait()
        await fail(turnstile, 1)
        assert 55 < await left_s(turnstile) <= 60


async def test_an_answer_in_between_makes_failures_count_from_nought(opened: Opened) -> None:
    async with opened(LONG) as turnstile:
        for _ in range(3):
            await fail(turnstile, 2)
            await turnstile.answered()
        await turnstile.wait()


async def test_a_late_answer_ends_the_rest(opened: Opened) -> None:
    async with opened(LONG) as turnstile:
        await fail(turnstile, 3)
        await turnstile.answered()
        await turnstile.wait()
        await fail(turnstile, 2)
        await turnstile.wait()


async def test_failures_during_a_rest_prolong_it_not(opened: Opened) -> None:
    async with opened(LONG) as turnstile:
        await fail(turnstile, 3)
        before = await left_s(turnstile)
        await asyncio.sleep(0.05)
        await fail(turnstile, 5)
        assert await left_s(turnstile) < before


async def test_after_its_rest_one_failure_lets_it_rest_again(opened: Opened) -> None:
    async with opened(QUICK) as turnstile:
        await fail(turnstile, 3)
        await asyncio.sleep(await left_s(turnstile) + 0.01)
        await turnstile.wait()
        await fail(turnstile, 1)
        assert 0 < await left_s(turnstile) <= 0.7


async def test_after_its_rest_an_answer_sets_all_right(opened: Opened) -> None:
    async with opened(QUICK) as turnstile:
        await fail(turnstile, 3)
        await asyncio.sleep(await left_s(turnstile) + 0.01)
        await turnstile.wait()
        await turnstile.answered()
        await fail(turnstile, 2)
        await turnstile.wait()
