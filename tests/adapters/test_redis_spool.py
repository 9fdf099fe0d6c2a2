"""What only a spool in Redis does: proof of its disk, a limit on the server, one at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from itertools import count

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from tests.support.valkey import ValkeyServer, fresh, needs_valkey, valkey
from tests.support.within import within

from wagateway.adapters.redis.address import RedisServer
from wagateway.adapters.redis.client import open_client
from wagateway.adapters.redis.spool import RedisSpool, names_of_spools, open_redis_spool
from wagateway.domain.errors import StoreUnavailable
from wagateway.ports.spool import Spool, SpoolDepth, SpooledBody

pytestmark = needs_valkey

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOM = 2**20

Ask = Callable[[RedisSpool], Awaitable[object]]
ASKED: dict[str, Ask] = {
    "prepare": lambda spool: spool.prepare(),
    "put": lambda spool: spool.put([body()]),
    "oldest": lambda spool: spool.oldest(limit=1),
    "let go": lambda spool: spool.let_go(["1-1"]),
    "set aside": lambda spool: spool.set_aside("1-1"),
    "depth": lambda spool: spool.depth(),
}
every = pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """A server whose settings a test may change, if it sets them right again."""
    with valkey() as running:
        yield running


@pytest.fixture
async def address(server: ValkeyServer) -> AsyncIterator[RedisServer]:
    async with fresh(server.address) as own:
        yield own


@pytest.fixture
async def spool(address: RedisServer) -> AsyncIterator[RedisSpool]:
    async with open_redis_spool(address, max_bytes=ROOM) as opened:
        yield opened


@pytest.fixture
async def client(address: RedisServer) -> AsyncIterator[Redis]:
    async with open_client(address) as opened:
        yield opened


@asynccontextmanager
async def configured(server: ValkeyServer, name: str, value: str) -> AsyncIterator[None]:
    """Let the server have another setting for a while."""
    before = server.asked("CONFIG", "GET", name)
    assert isinstance(before, dict)
    server.asked("CONFIG", "SET", name, value)
    try:
        yield
    finally:
        server.asked("CONFIG", "SET", name, before[name.encode()].decode())


@contextmanager
def user(server: ValkeyServer, address: RedisServer, denied: str) -> Iterator[RedisServer]:
    """Yield *address* as a user who may do all but what is *denied*."""
    server.asked("ACL", "SETUSER", "ana", "reset", "on", ">word", "~*", "&*", "+@all", denied)
    try:
        yield replace(address, url=f"redis://ana:word@127.0.0.1:{server.port}/0")
    finally:
        server.asked("ACL", "DELUSER", "ana")


def body(text: str = "{}") -> SpooledBody:
    return SpooledBody(body=text.encode(), received_at=NOON)


async def texts(spool: Spool, *, limit: int = 10_000) -> list[str]:
    return [one.body.decode() for e in await spool.oldest(limit=limit) for one in e.bodies]


class TestDurability:
    async def test_nothing_that_was_taken_is_lost_when_the_server_is_killed(self) -> None:
        taken: list[str] = []
        names = count()
        with valkey() as server:
            async with open_redis_spool(server.address, max_bytes=64 * ROOM) as spool:

                async def deliver() -> None:
                    while True:
                        name = str(next(names))
                        await spool.put([body(name)])
                        taken.append(name)

                delivering = [asyncio.create_task(deliver()) for _ in range(4)]
                async with asyncio.timeout(30):
                    while len(taken) < 12:
                        await asyncio.sleep(0.01)
                server.kill()
                ended = await asyncio.gather(*delivering, return_exceptions=True)
                assert {type(each) for each in ended} == {StoreUnavailable}
                server.start()
                found = await texts(spool)
        assert set(taken) <= set(found)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("appendonly", "no"),
            ("appendfsync", "no"),
            ("appendfsync", "everysec"),
            ("maxmemory-policy", "allkeys-lru"),
        ],
    )
    async def test_a_server_that_may_lose_it_is_refused_before_it_gets_it(
        self, server: ValkeyServer, spool: RedisSpool, name: str, value: str
    ) -> None:
        await spool.put([body("before")])
        async with configured(server, name, value):
            with pytest.raises(StoreUnavailable, match=f"Redis may lose .*set {name} "):
                await spool.put([body("after")])
            with pytest.raises(StoreUnavailable, match="Redis may lose"):
                await spool.prepare()
        await spool.prepare()
        assert await texts(spool) == ["before"]

    async def test_one_that_does_not_tell_how_it_syncs_is_refused(
        self, server: ValkeyServer, address: RedisServer
    ) -> None:
        with user(server, address, "-config") as blind:
            async with open_redis_spool(blind, max_bytes=ROOM) as spool:
                with pytest.raises(StoreUnavailable, match="set appendfsync always"):
                    await spool.put([body()])

    async def test_who_may_not_ask_for_the_proof_keeps_nothing(
        self, server: ValkeyServer, address: RedisServer
    ) -> None:
        with user(server, address, "-waitaof") as somebody:
            async with open_redis_spool(somebody, max_bytes=ROOM) as spool:
                with pytest.raises(StoreUnavailable, match="its user may not do that"):
                    await spool.put([body()])

    async def test_what_waits_outlives_a_restart_together_with_its_bytes(self) -> None:
        with valkey() as server:
            async with open_redis_spool(server.address, max_bytes=ROOM) as spool:
                await spool.put([body("a"), body("b")])
                await spool.put([body("c")])
                [first, _] = await spool.oldest(limit=2)
                await spool.set_aside(first.key)
                before = await spool.depth()
                server.kill()
                server.start()
                assert await spool.depth() == before
                assert (before.entries, before.set_aside) == (1, 1)
                assert await texts(spool) == ["c"]


class TestRoom:
    async def test_more_than_may_wait_is_refused_until_some_is_let_go(
        self, address: RedisServer, client: Redis
    ) -> None:
        spool = RedisSpool(client, address.prefix, max_bytes=1000)
        await spool.put([body("a" * 800)])
        with pytest.raises(StoreUnavailable, match="full: it may hold 1,000 bytes"):
            await spool.put([body("b" * 800)])
        await spool.put([body("c")])
        [first, _] = await spool.oldest(limit=2)
        await spool.let_go([first.key])
        await spool.put([body("d" * 800)])
        assert [text[0] for text in await texts(spool)] == ["c", "d"]

    async def test_what_was_set_aside_takes_no_room(
        self, address: RedisServer, client: Redis
    ) -> None:
        spool = RedisSpool(client, address.prefix, max_bytes=1000)
        for _ in range(2):
            await spool.put([body("a" * 800)])
            [entry] = await spool.oldest(limit=1)
            await spool.set_aside(entry.key)
        assert await spool.depth() == SpoolDepth(set_aside=2, max_bytes=1000)

    async def test_a_count_of_bytes_that_got_lost_is_right_again_once_it_is_empty(
        self, address: RedisServer, client: Redis
    ) -> None:
        spool = RedisSpool(client, address.prefix, max_bytes=1000)
        await spool.put([body("a" * 800)])
        await client.delete(address.prefix + "spool:entries")
        assert await spool.depth() == SpoolDepth(max_bytes=1000)
        await spool.put([body("b" * 800)])
        assert (await spool.depth()).size_bytes < 1000

    async def test_a_full_memory_takes_nothing_and_gives_everything(
        self, server: ValkeyServer, spool: RedisSpool
    ) -> None:
        for name in ("a", "b", "c"):
            await spool.put([body(name)])
        async with configured(server, "maxmemory", "1"):
            with pytest.raises(StoreUnavailable, match="memory is full"):
                await spool.put([body("d")])
            first, second, _ = await spool.oldest(limit=3)
            await spool.let_go([first.key])
            await spool.set_aside(second.key)
            depth = await spool.depth()
            assert (depth.entries, depth.set_aside) == (1, 1)
        await spool.put([body("e")])
        assert await texts(spool) == ["c", "e"]

    async def test_large_entries_come_a_few_at_a_time(self, address: RedisServer) -> None:
        async with open_redis_spool(address, max_bytes=64 * ROOM) as spool:
            for name in ("a", "b", "c"):
                await spool.put([body(name * 9 * ROOM)])
            first = await spool.oldest(limit=10)
            assert [entry.bodies[0].body[:1] for entry in first] == [b"a", b"b"]
            await spool.let_go([entry.key for entry in first])
            [last] = await spool.oldest(limit=10)
            assert last.bodies[0].body[:1] == b"c"


class TestHolder:
    async def test_another_gets_nothing_while_one_is_at_it(
        self, address: RedisServer, spool: RedisSpool
    ) -> None:
        await spool.put([body("a")])
        await spool.put([body("b")])
        async with open_redis_spool(address, max_bytes=ROOM) as other:
            [entry] = await spool.oldest(limit=1)
            assert await other.oldest(limit=1) == []
            await spool.let_go([entry.key])
            assert await other.oldest(limit=1) == []

    async def test_another_goes_on_once_it_ends_or_all_is_done(
        self, address: RedisServer, spool: RedisSpool
    ) -> None:
        await spool.put([body("a")])
        async with open_redis_spool(address, max_bytes=ROOM) as other:
            [entry] = await other.oldest(limit=1)
            await other.let_go([entry.key])
            await spool.put([body("b")])
            assert await texts(spool) == ["b"]
            assert await other.oldest(limit=1) == []
            await spool.release()
            assert await texts(other) == ["b"]
        assert await texts(spool) == ["b"]

    async def test_another_goes_on_when_one_died(
        self, address: RedisServer, client: Redis, spool: RedisSpool
    ) -> None:
        dead = RedisSpool(client, address.prefix, max_bytes=ROOM, lease_s=0.2)
        await dead.put([body("a")])
        assert await texts(dead) == ["a"]
        assert await texts(spool) == []
        async with asyncio.timeout(10):
            while not await texts(spool):
                await asyncio.sleep(0.02)

    async def test_who_finds_nothing_that_it_can_read_lets_others_try(
        self, address: RedisServer, client: Redis, spool: RedisSpool
    ) -> None:
        await spool.put([body("a")])
        newer = {"bodies": b"wagateway spool 2\nwhatever", "bytes": 1}
        await client.xadd(address.prefix + "spool:entries", newer)  # type: ignore[arg-type] # its types are too narrow
        [entry] = await spool.oldest(limit=2)
        with pytest.raises(StoreUnavailable, match="update this one"):
            await spool.oldest(limit=2, without=[entry.key])
        async with open_redis_spool(address, max_bytes=ROOM) as other:
            assert await texts(other) == ["a"]

    async def test_keys_of_others_are_no_spools(
        self, address: RedisServer, client: Redis, spool: RedisSpool
    ) -> None:
        await spool.put([body("a")])
        for name in (b"\xff\xfe", b"x y", b"a:b"):
            await client.set(address.prefix.encode() + name + b":spool:entries", "theirs")
        own = replace(address, prefix=f"{address.prefix}db-1:")
        async with open_redis_spool(own, max_bytes=ROOM) as other:
            await other.put([body("b")])
        assert await names_of_spools(address) == ["db-1"]


class TestIllServers:
    @every
    async def test_one_that_is_away_is_unavailable(self, ask: Ask) -> None:
        away = RedisServer(url="redis://127.0.0.1:1/0")
        async with open_redis_spool(away, max_bytes=ROOM) as spool:
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                await ask(spool)

    async def test_one_that_hangs_is_not_waited_for_long(self) -> None:
        with valkey() as server:
            async with open_redis_spool(server.address, max_bytes=ROOM) as spool:
                await spool.put([body("before")])
                with server.frozen(), within(5), pytest.raises(StoreUnavailable):
                    await spool.put([body("meanwhile")])
                await spool.put([body("after")])
                found = await texts(spool)
        assert [text for text in found if text != "meanwhile"] == ["before", "after"]

    async def test_a_spool_can_be_closed_while_it_hangs(self) -> None:
        with valkey() as server:
            async with open_redis_spool(server.address, max_bytes=ROOM) as spool:
                await spool.put([body()])
                freezing = server.frozen()
                freezing.__enter__()
                began = time.monotonic()
            assert time.monotonic() - began < 5
            freezing.__exit__(None, None, None)

    async def test_a_replica_takes_nothing(self, server: ValkeyServer, spool: RedisSpool) -> None:
        server.asked("REPLICAOF", "127.0.0.1", "1")
        try:
            with pytest.raises(StoreUnavailable):
                await spool.put([body()])
        finally:
            server.asked("REPLICAOF", "NO", "ONE")

    async def test_a_key_of_something_else_is_no_defect(
        self, address: RedisServer, client: Redis, spool: RedisSpool
    ) -> None:
        await client.set(address.prefix + "spool:entries", "something else")
        for ask in (ask for name, ask in ASKED.items() if name != "prepare"):
            with pytest.raises(StoreUnavailable):
                await ask(spool)
