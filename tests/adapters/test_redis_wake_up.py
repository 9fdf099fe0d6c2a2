"""Wake-ups of other processes over Redis, and doing without it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from redis.asyncio import Redis
from tests.support.valkey import ValkeyServer, fresh, needs_valkey, valkey

from wagateway.adapters.redis.address import RedisServer
from wagateway.adapters.redis.client import open_client
from wagateway.adapters.redis.wake_up import Broadcast, open_broadcast

pytestmark = needs_valkey

SUBJECTS = ("feed", "sync")
LONG_S = 20.0
SOON_S = 2.0


class Troubles(list[str | None]):
    """What is said of Redis; a reason is kept as it is."""

    async def come(self, count: int) -> None:
        async with asyncio.timeout(LONG_S):
            while len(self) < count:
                await asyncio.sleep(0.02)


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with valkey() as running:
        yield running


@asynccontextmanager
async def broadcasts(server: RedisServer, *troubles: Troubles) -> AsyncIterator[list[Broadcast]]:
    """Yield as many processes' broadcasts as there are *troubles*, each of which listens."""
    async with AsyncExitStack() as stack:
        found = [
            await stack.enter_async_context(open_broadcast(server, SUBJECTS, troubled=each.append))
            for each in troubles
        ]
        for each in found:
            for subject in SUBJECTS:  # whoever begins looks once
                assert await woken(each, subject)
        yield found


async def woken(broadcast: Broadcast, subject: str = "feed", *, within_s: float = LONG_S) -> bool:
    began = time.monotonic()
    await broadcast.about(subject).wait(within_s)
    return time.monotonic() - began < within_s


async def test_others_are_woken_for_what_concerns_them(server: ValkeyServer) -> None:
    async with broadcasts(server.address, Troubles(), Troubles(), Troubles()) as (one, two, three):
        one.about("feed").wake()
        assert await woken(two, within_s=SOON_S)
        assert await woken(three, within_s=SOON_S)
        assert not await woken(two, "sync", within_s=0.1)


async def test_nobody_wakes_itself_over_redis(server: ValkeyServer) -> None:
    async with broadcasts(server.address, Troubles(), Troubles()) as (one, two):
        one.about("feed").wake()
        assert await woken(one)
        assert await woken(two)
        assert not await woken(one, within_s=0.2)


async def test_other_archives_are_left_alone(server: ValkeyServer) -> None:
    async with (
        fresh(server.address) as own,
        fresh(server.address) as others,
        broadcasts(own, Troubles()) as (one,),
        broadcasts(others, Troubles()) as (two,),
    ):
        one.about("feed").wake()
        assert not await woken(two, within_s=0.2)


async def test_many_wake_ups_are_few_entries_and_few_are_kept(server: ValkeyServer) -> None:
    async with (
        broadcasts(server.address, Troubles(), Troubles()) as (one, two),
        open_client(server.address) as client,
    ):
        for _ in range(1000):
            one.about("feed").wake()
            one.about("sync").wake()
        assert await woken(two)
        assert await woken(two, "sync")
        assert await client.xlen("wagateway:wake") == 1
        for n in range(500):
            await client.xadd("wagateway:wake", {"n": n})
        one.about("feed").wake()
        assert await woken(two)
        assert await client.xlen("wagateway:wake") == 100


async def test_who_ends_tells_others_before(server: ValkeyServer) -> None:
    async with broadcasts(server.address, Troubles()) as (other,):
        async with open_broadcast(server.address, SUBJECTS, troubled=Troubles().append) as brief:
            brief.about("sync").wake()
        assert await woken(other, "sync", within_s=SOON_S)


async def test_who_ends_waits_for_no_server_that_is_away() -> None:
    away, troubles = RedisServer(url="redis://127.0.0.1:1/0"), Troubles()
    async with open_broadcast(away, SUBJECTS, troubled=troubles.append) as brief:
        await troubles.come(1)
        brief.about("sync").wake()
        began = time.monotonic()
    assert time.monotonic() - began < SOON_S


async def test_a_server_that_dies_and_comes_back_is_said_once_and_used_again(
    server: ValkeyServer,
) -> None:
    troubles = [Troubles(), Troubles()]
    async with broadcasts(server.address, *troubles) as (one, two):
        assert troubles == [[], []]
        server.kill()
        for each in troubles:
            await each.come(1)
        one.about("feed").wake()
        assert await woken(one, within_s=SOON_S)  # here at once
        assert not await woken(two, within_s=0.2)  # there by looking
        server.start()
        for each in troubles:
            await each.come(2)
        assert await woken(two)  # for what it may have missed
        one.about("feed").wake()
        assert await woken(two, within_s=SOON_S)
    for each in troubles:
        assert "Redis is unavailable" in (each[0] or "")
        assert each[1:] == [None]


async def test_a_server_that_forgot_everything_is_followed(server: ValkeyServer) -> None:
    async with broadcasts(server.address, Troubles(), Troubles()) as (one, two):
        one.about("feed").wake()
        assert await woken(two)
        server.asked("FLUSHALL")
        one.about("feed").wake()
        assert await woken(two, within_s=SOON_S)


async def test_a_server_that_hangs_is_said_and_used_again(server: ValkeyServer) -> None:
    troubles = Troubles()
    async with broadcasts(server.address, troubles) as (one,):
        with server.frozen():
            await troubles.come(1)
            began = time.monotonic()
            one.about("feed").wake()
            assert await woken(one)
            assert time.monotonic() - began < SOON_S
        await troubles.come(2)
    assert troubles[1:] == [None]


async def test_a_server_that_takes_nothing_is_said_while_it_is_heard(server: ValkeyServer) -> None:
    mine, others = Troubles(), Troubles()
    async with broadcasts(server.address, mine, others) as (one, _):
        server.asked("CONFIG", "SET", "maxmemory", "1")
        one.about("feed").wake()
        await mine.come(1)
        assert "memory is full" in (mine[0] or "")
        server.asked("CONFIG", "SET", "maxmemory", "0")
        one.about("feed").wake()
        await mine.come(2)
    assert mine[1:] == [None]
    assert others == []


async def test_what_others_put_there_is_no_trouble(server: ValkeyServer) -> None:
    troubles = Troubles()
    async with broadcasts(server.address, troubles) as (one,):
        async with open_client(server.address) as client:
            await odd_entries(client)
        assert await woken(one, within_s=SOON_S)
    assert troubles == []


async def odd_entries(client: Redis) -> None:
    await client.xadd("wagateway:wake", {"x": "y"})
    for of in (b"\xff\xfe", b"unheard-of", b" feed  sync "):
        await client.xadd("wagateway:wake", {"of": of})
