"""What every spool promises."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.valkey import ValkeyServers, fresh, server_params

from wagateway.adapters.filesystem.spool import FilesystemSpool
from wagateway.adapters.memory.spool import InMemorySpool
from wagateway.adapters.redis.client import open_client
from wagateway.adapters.redis.spool import open_redis_spool
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.events import Source
from wagateway.ports.spool import Spool, SpoolDepth, SpooledBody
from wagateway.ports.spool_form import pack

MOST = 200_000
NOON = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)
NEWER = b"wagateway spool 2\nwhatever that may be"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(params=["memory", "filesystem", *server_params()])
async def spool(
    request: pytest.FixtureRequest, tmp_path: Path, valkey_servers: ValkeyServers
) -> AsyncIterator[Spool]:
    """An empty spool that holds about MOST bytes; its place is not there yet."""
    match request.param:
        case "memory":
            yield InMemorySpool(now, max_bytes=MOST)
        case "filesystem":
            kept = FilesystemSpool(tmp_path / "spool", max_bytes=MOST)
            yield kept
            await kept.aclose()
        case kind:
            async with (
                fresh(valkey_servers.get(kind)) as server,
                open_redis_spool(server, max_bytes=MOST) as opened,
            ):
                yield opened


def body(text: str, *, source: Source = Source.WEBHOOK) -> SpooledBody:
    return SpooledBody(body=text.encode(), received_at=NOON, source=source)


async def texts(spool: Spool, *, limit: int = 100) -> list[list[str]]:
    found = await spool.oldest(limit=limit)
    return [[each.body.decode() for each in entry.bodies] for entry in found]


async def test_its_place_is_prepared_once_and_again(spool: Spool) -> None:
    await spool.prepare()
    await spool.put([body("a")])
    await spool.prepare()
    assert await texts(spool) == [["a"]]
    assert (await spool.depth()).entries == 1


async def test_gives_back_what_it_was_given(spool: Spool) -> None:
    bodies = [
        SpooledBody(body=bytes(range(256)), received_at=NOON, source=Source.IMPORT),
        SpooledBody(body=b"", received_at=NOON - timedelta(days=3000)),
    ]
    await spool.put(bodies)
    [entry] = await spool.oldest(limit=10)
    assert list(entry.bodies) == bodies


async def test_keeps_the_order_of_arrival(spool: Spool) -> None:
    for n in range(20):
        await spool.put([body(f"{n} a"), body(f"{n} b")])
    assert await texts(spool) == [[f"{n} a", f"{n} b"] for n in range(20)]


async def test_gives_the_oldest_again_until_they_are_let_go(spool: Spool) -> None:
    for n in range(5):
        await spool.put([body(str(n))])
    assert await texts(spool, limit=2) == [["0"], ["1"]]
    first, second = await spool.oldest(limit=2)
    await spool.let_go([second.key])
    assert await texts(spool, limit=2) == [["0"], ["2"]]
    await spool.let_go([first.key, second.key])
    assert await texts(spool) == [["2"], ["3"], ["4"]]
    await spool.let_go([])
    assert await texts(spool, limit=1) == [["2"]]


async def test_passes_over_what_is_not_wanted(spool: Spool) -> None:
    for n in range(30):
        await spool.put([body(str(n))])
    keys = [entry.key for entry in await spool.oldest(limit=25)]
    found = await spool.oldest(limit=4, without=keys)
    assert [entry.bodies[0].body for entry in found] == [b"25", b"26", b"27", b"28"]
    assert await spool.oldest(limit=1, without=[*keys, *(entry.key for entry in found)])
    assert await texts(spool, limit=1) == [["0"]]


async def test_what_is_set_aside_is_out_of_the_way_and_counted(spool: Spool) -> None:
    await spool.put([body("broken")])
    await spool.put([body("good")])
    broken, _ = await spool.oldest(limit=10)
    for _ in range(2):
        await spool.set_aside(broken.key)
    assert await texts(spool) == [["good"]]
    depth = await spool.depth()
    assert (depth.entries, depth.set_aside) == (1, 1)


async def test_what_is_put_back_waits_again(spool: Spool) -> None:
    assert await spool.put_back() == 0
    for n in range(50):
        await spool.put([body(str(n))])
    for entry in await spool.oldest(limit=45):
        await spool.set_aside(entry.key)
    assert await spool.put_back() == 45
    depth = await spool.depth()
    assert (depth.entries, depth.set_aside) == (50, 0)
    assert sorted(await texts(spool)) == sorted([str(n)] for n in range(50))
    await spool.let_go([entry.key for entry in await spool.oldest(limit=99)])
    assert await spool.depth() == SpoolDepth(max_bytes=MOST)


async def test_who_releases_it_may_have_it_again(spool: Spool) -> None:
    await spool.release()
    await spool.put([body("a")])
    for _ in range(2):
        assert await texts(spool) == [["a"]]
        await spool.release()


async def test_tells_what_waits(spool: Spool) -> None:
    assert await spool.depth() == SpoolDepth(max_bytes=MOST)
    before = now() - timedelta(seconds=1)  # of what is told in whole seconds
    await spool.put([body("a" * 1000)])
    await spool.put([body("b" * 1000)])
    depth = await spool.depth()
    assert depth.entries == 2
    assert 2000 <= depth.size_bytes < 3000
    assert depth.oldest_at is not None
    assert before <= depth.oldest_at <= now()
    await spool.let_go([entry.key for entry in await spool.oldest(limit=10)])
    assert await spool.depth() == SpoolDepth(max_bytes=MOST)


async def test_is_full_at_its_limit_and_takes_again_when_something_went(spool: Spool) -> None:
    half = "x" * (MOST // 2 - 1000)
    await spool.put([body(half)])
    await spool.put([body(half)])
    with pytest.raises(StoreUnavailable, match="full"):
        await spool.put([body(half)])
    assert (await spool.depth()).is_full
    assert [len(each) for each in await texts(spool)] == [1, 1]
    first, _ = await spool.oldest(limit=2)
    await spool.let_go([first.key])
    assert not (await spool.depth()).is_full
    await spool.put([body(half)])


@dataclass(frozen=True)
class Place:
    """Where a spool outlives the processes that use it, also those of another version.

    Attributes:
        spool: ours, there.
        keep: lets another process keep something of any form there, behind all that waits.
    """

    spool: Spool
    keep: Callable[[bytes], Awaitable[None]]


@pytest.fixture(params=["filesystem", *server_params()])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, valkey_servers: ValkeyServers
) -> AsyncIterator[Place]:
    match request.param:
        case "filesystem":
            folder = tmp_path / "spool"
            kept = FilesystemSpool(folder, max_bytes=MOST)

            async def keep_file(content: bytes) -> None:
                await kept.prepare()
                name = f"{time.time_ns():019d}-{uuid4().hex[:16]}"
                (folder / "waiting" / name).write_bytes(content)

            yield Place(kept, keep_file)
            await kept.aclose()
        case kind:
            async with (
                fresh(valkey_servers.get(kind)) as server,
                open_client(server) as client,
                open_redis_spool(server, max_bytes=MOST) as opened,
            ):

                async def keep_row(content: bytes) -> None:
                    row = {"bodies": content, "bytes": len(content)}
                    await client.xadd(f"{server.prefix}spool:entries", row)  # type: ignore[arg-type] # its types are too narrow

                yield Place(opened, keep_row)


class TestPlace:
    """What lies there may be of another version, or damaged."""

    async def test_what_a_newer_version_kept_waits_and_stops_no_other(self, place: Place) -> None:
        for _ in range(5):
            await place.keep(NEWER)
        for n in range(5):
            await place.spool.put([body(str(n))])
        assert await texts(place.spool, limit=3) == [["0"], ["1"], ["2"]]
        found = await place.spool.oldest(limit=9)
        assert [entry.problem for entry in found] == [None] * 5
        await place.spool.let_go([entry.key for entry in found])
        depth = await place.spool.depth()
        assert (depth.entries, depth.set_aside) == (5, 0)

    async def test_where_nothing_else_waits_it_is_told(self, place: Place) -> None:
        await place.keep(NEWER)
        await place.spool.put([body("ours")])
        [ours] = await place.spool.oldest(limit=9)
        with pytest.raises(StoreUnavailable, match="update this one"):
            await place.spool.oldest(limit=9, without=[ours.key])
        await place.spool.let_go([ours.key])
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="update this one"):
                await place.spool.oldest(limit=9)
        assert (await place.spool.depth()).entries == 1

    @pytest.mark.parametrize("change", ["nothing", "nonsense", "flip", "cut", "form"])
    async def test_what_is_damaged_is_told_and_stops_no_other(
        self, place: Place, change: str
    ) -> None:
        whole = pack([body("damaged")])
        changed = {
            "nothing": b"",
            "nonsense": b"nonsense",
            "flip": whole[:-1] + bytes([whole[-1] ^ 1]),
            "cut": whole[:-1],
            "form": whole.replace(b"wagateway", b"Wagateway"),
        }
        await place.keep(changed[change])
        await place.spool.put([body("whole")])
        damaged, entry = await place.spool.oldest(limit=9)
        assert (damaged.bodies, damaged.problem) == ((), "it is damaged")
        assert (entry.bodies, entry.problem) == ((body("whole"),), None)
        await place.spool.set_aside(damaged.key)
        assert await texts(place.spool) == [["whole"]]
        assert (await place.spool.depth()).set_aside == 1


async def test_nothing_waits_in_one_that_was_never_used(spool: Spool) -> None:
    assert await spool.oldest(limit=1) == []
    await spool.let_go([])
