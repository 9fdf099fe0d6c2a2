"""What every wake-up promises to the waiter of its own process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support import valkey
from tests.support.valkey import ValkeyServers

from wagateway.adapters.memory.feed import InProcessWakeUp
from wagateway.adapters.redis.address import RedisServer
from wagateway.adapters.redis.wake_up import open_broadcast
from wagateway.ports.feed import WakeUp

LONG_S = 20.0
SOON_S = 5.0


@pytest.fixture(
    params=["memory", pytest.param("away", id="redis-away"), *valkey.server_params()],
)
async def wake_up(
    request: pytest.FixtureRequest, valkey_servers: ValkeyServers
) -> AsyncIterator[WakeUp]:
    if request.param == "memory":
        yield InProcessWakeUp()
    elif request.param == "away":
        async with opened(RedisServer(url="redis://127.0.0.1:1/0")) as found:
            yield found
    else:
        async with valkey.fresh(valkey_servers.get(request.param)) as own, opened(own) as found:
            yield found


@asynccontextmanager
async def opened(server: RedisServer) -> AsyncIterator[WakeUp]:
    async with open_broadcast(server, ["feed"], troubled=lambda _: None) as broadcast:
        found = broadcast.about("feed")
        await found.wait(0.3)  # whoever begins looks once
        yield found


async def waited_s(wake_up: WakeUp, timeout_s: float) -> float:
    began = time.monotonic()
    await wake_up.wait(timeout_s)
    return time.monotonic() - began


async def test_wakes_who_waits(wake_up: WakeUp) -> None:
    waiting = asyncio.create_task(waited_s(wake_up, LONG_S))
    await asyncio.sleep(0)
    wake_up.wake()
    assert await waiting < SOON_S


async def test_what_came_before_the_wait_counts_once(wake_up: WakeUp) -> None:
    wake_up.wake()
    wake_up.wake()
    assert await waited_s(wake_up, LONG_S) < SOON_S
    assert await waited_s(wake_up, 0.2) >= 0.19


async def test_gives_up_after_a_while(wake_up: WakeUp) -> None:
    assert 0.19 <= await waited_s(wake_up, 0.2) < SOON_S
