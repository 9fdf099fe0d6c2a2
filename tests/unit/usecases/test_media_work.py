"""A media worker fetches what is due, looks into it, and rests where nothing can be stored."""

import asyncio
import dataclasses
import errno
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from tests.support.deliveries import ANA, SESSION
from tests.support.media_world import HELLO, PLAN, World, sha256_of
from tests.support.within import within
from typing_extensions import override

from wagateway.adapters.memory.downloads import InMemoryDownloadStore
from wagateway.adapters.memory.inspector import InMemoryInspector
from wagateway.adapters.memory.media import InMemoryMediaStore
from wagateway.domain.errors import StoreUnavailable
from wagateway.domain.identity import StanzaId
from wagateway.domain.media import DownloadStatus, MediaKey, file_key, thumbnail_key
from wagateway.domain.messages import MediaFacts, MediaOffer
from wagateway.ports.downloads import DownloadTask
from wagateway.ports.media_inspector import Looked, MediaInspector
from wagateway.ports.media_source import Fetched, MediaSource
from wagateway.usecases.fetch_media import FetchTurn
from wagateway.usecases.inspect_media import InspectMedia
from wagateway.usecases.media_work import MediaWorker

TICK = timedelta(milliseconds=1)


class Previews(MediaInspector):
    """Sees a small picture in everything, unless it breaks."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.looks = 0

    @override
    async def inspect(self, file: Path, *, declared: str | None) -> Looked:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return Looked(mimetype="image/png", width=9, thumbnail=b"small", placeholder=b"tiny")


class Told:
    """What a worker said."""

    def __init__(self) -> None:
        self.turns: list[FetchTurn] = []
        self.troubles: list[str | None] = []
        self.defects: list[Exception] = []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def told() -> Told:
    return Told()


def worker_of(
    world: World, told: Told, folder: Path, inspector: MediaInspector | None = None
) -> MediaWorker:
    inspect = InspectMedia(
        inspector=inspector or InMemoryInspector(),
        media=world.media,
        downloads=world.downloads,
        clock=world.clock,
        folder=folder,
    )
    return MediaWorker(
        fetch=world.fetch,
        inspect=inspect,
        downloads=world.downloads,
        clock=world.clock,
        plan=world.plan,
        told=told.turns.append,
        troubled=told.troubles.append,
        broke=told.defects.append,
        poll=TICK,
        deadline=timedelta(seconds=5),
    )


@asynccontextmanager
async def at_work(worker: MediaWorker) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)


async def test_it_stores_what_is_due_and_looks_into_it(
    world: World, told: Told, tmp_path: Path
) -> None:
    for n in range(20):
        await world.tell(f"A{n}")
    worker = worker_of(world, told, tmp_path, Previews())
    async with at_work(worker):
        await until(lambda: worker.state.stored == 20 and worker.state.inspected == 1)
    assert (worker.state.running, worker.state.failed, worker.state.problem) == (0, 0, None)
    assert worker.state.stored_bytes == 20 * len(HELLO)
    [found] = await world.downloads.stored()
    assert (found.mimetype, found.width, found.placeholder) == ("image/png", 9, b"tiny")
    assert found.has_thumbnail
    assert await world.media.size_bytes(thumbnail_key(found.sha256)) == len(b"small")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "offered"),
    [
        pytest.param("wagateway.usecases.inspect_media.mkdtemp", True, id="looking into a file"),
        pytest.param("pathlib.Path.open", False, id="copying what is stored already"),
        pytest.param("pathlib.Path.unlink", True, id="tidying up"),
    ],
)
async def test_a_disk_that_hangs_holds_up_nothing_else(
    world: World,
    told: Told,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    *,
    offered: bool,
) -> None:
    hangs, goes_on = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        hangs.set()
        goes_on.wait(8)
        raise OSError(errno.EIO, "it is ill")

    if not offered:
        (tmp_path / "file").write_bytes(HELLO)
        await world.media.add(file_key(sha256_of(HELLO)), tmp_path / "file", mimetype="image/png")
    await world.tell(offered=offered, facts=MediaFacts(sha256=sha256_of(HELLO)))
    with monkeypatch.context() as patch:
        patch.setattr(call, hang)
        async with at_work(worker_of(world, told, tmp_path, Previews())):
            with within(5):
                await until(hangs.is_set)
            goes_on.set()


async def test_what_is_slow_holds_nobody_back(world: World, told: Told, tmp_path: Path) -> None:
    """Files that the engine must get from WhatsApp take but their share of the slots."""
    asked = asyncio.Event()

    class Hanging(MediaSource):
        """Never gets what was got again."""

        @override
        async def fetch(self, offer: MediaOffer, into: Path, *, largest_bytes: int) -> Fetched:
            if offer.url == "http://again":
                asked.set()
                await asyncio.Event().wait()
            return await world.source.fetch(offer, into, largest_bytes=largest_bytes)

    again = MediaOffer(offered_at=world.now, url="http://again")
    for n in range(20):
        await world.tell(f"B{n}", offered=False)
        world.engine.again[f"B{n}"] = again
    world.with_parts(source=Hanging())
    worker = worker_of(world, told, tmp_path)
    worker.deadline = TICK
    async with at_work(worker):
        await asked.wait()
        for n in range(30):
            await world.tell(f"A{n}")
        await until(lambda: worker.state.stored == 30)
        assert worker.state.again == PLAN.again


async def test_it_rests_where_nothing_can_be_stored(
    world: World, told: Told, tmp_path: Path
) -> None:
    class Away(InMemoryMediaStore):
        """Takes nothing."""

        @override
        async def add(self, key: MediaKey, file: Path, *, mimetype: str) -> bool:
            raise StoreUnavailable("the bucket cannot be reached")

    world.with_parts(media=Away())
    await world.tell()
    worker = worker_of(world, told, tmp_path)
    async with at_work(worker):
        await until(lambda: told.troubles == ["the bucket cannot be reached"])
        await world.tell("A2")
        await asyncio.sleep(0.02)
        assert len(told.turns) == 1
        worker.fetch = dataclasses.replace(worker.fetch, media=world.media)
        world.now += PLAN.rest
        await until(lambda: worker.state.stored == 2)
        await until(lambda: told.troubles[-1] is None)
    assert worker.state.problem is None
    assert await world.stored() == HELLO


async def test_files_that_the_store_refuses_do_not_stop_the_others(
    world: World, told: Told, tmp_path: Path
) -> None:
    class Choosy(InMemoryMediaStore):
        """Has no room for large files."""

        @override
        async def add(self, key: MediaKey, file: Path, *, mimetype: str) -> bool:
            if file.stat().st_size > 100:
                raise StoreUnavailable("no space left")
            return await super().add(key, file, mimetype=mimetype)

    world.with_parts(media=Choosy(), jitter=lambda: 1.0)
    for number in range(PLAN.concurrent):
        await world.tell(f"L{number}", content=bytes([number]) * 200)
    world.now += timedelta(seconds=1)
    for number in range(30):
        await world.tell(f"S{number}", content=b"small %d" % number)
    worker = worker_of(world, told, tmp_path)
    async with at_work(worker):
        for _ in range(40):
            await asyncio.sleep(0.005)
            world.now += PLAN.rest / 2
        assert worker.state.stored == 30


async def test_a_store_that_is_away_costs_no_look(world: World, told: Told, tmp_path: Path) -> None:
    class Unreadable(InMemoryMediaStore):
        """Takes files, and gives none out."""

        away = True

        @override
        async def read(
            self, key: MediaKey, *, start: int = 0, length: int | None = None
        ) -> AsyncIterator[bytes]:
            if self.away:
                raise StoreUnavailable("the bucket cannot be reached")
            async for piece in super().read(key, start=start, length=length):
                yield piece

    media = Unreadable()
    world.with_parts(media=media)
    world.media = media
    await world.tell()
    worker = worker_of(world, told, tmp_path)
    async with at_work(worker):
        await until(lambda: worker.state.stored == 1)
        for _ in range(30):
            await asyncio.sleep(0.003)
            world.now += timedelta(minutes=1)
        await world.tell("A2", content=b"another")
        await until(lambda: worker.state.stored == 2)  # nobody rests for that
        media.away = False

        def is_inspected() -> bool:
            world.now += timedelta(seconds=5)  # a look that was under way may have ended in vain
            return worker.state.inspected >= 1

        await until(is_inspected)
    [*stored] = await world.downloads.stored()
    assert any(file.inspected_at and file.problem is None for file in stored)


async def test_it_begins_once_there_is_a_place_for_files(
    world: World, told: Told, tmp_path: Path
) -> None:
    class Closed(InMemoryMediaStore):
        """Lets nobody in."""

        @override
        async def prepare(self) -> None:
            raise StoreUnavailable("the bucket does not accept the key")

    world.with_parts(media=Closed())
    await world.tell()
    worker = worker_of(world, told, tmp_path)
    async with at_work(worker):
        await until(lambda: told.troubles == ["the bucket does not accept the key"])
        assert world.download().status is DownloadStatus.PENDING
        worker.fetch = dataclasses.replace(worker.fetch, media=world.media)
        await until(lambda: worker.state.stored == 1)
    assert told.troubles[-1] is None


class AwayDownloads(InMemoryDownloadStore):
    """Cannot be asked for work."""

    @override
    async def claim(self, *_: object, **__: object) -> list[DownloadTask]:
        raise StoreUnavailable("the database is away")


async def test_a_database_that_is_away_is_waited_for(
    world: World, told: Told, tmp_path: Path
) -> None:
    await world.tell()
    worker = worker_of(world, told, tmp_path)
    worker.downloads = AwayDownloads(world.archive)
    async with at_work(worker):
        await until(lambda: told.troubles == ["the database is away"])
        worker.downloads = world.downloads
        await until(lambda: worker.state.stored == 1)
    assert world.download().status is DownloadStatus.COMPLETED
    assert told.troubles == ["the database is away", None]


async def test_a_defect_stops_nobody(world: World, told: Told, tmp_path: Path) -> None:
    await world.tell("A1", content=ValueError("the words of a message"))
    await world.tell("A2")
    worker = worker_of(world, told, tmp_path, Previews(ValueError("the words of a file")))
    async with at_work(worker):
        await until(lambda: worker.state.stored == 1 and bool(told.defects))
    assert [type(turn.defect) for turn in told.turns if turn.defect] == [ValueError]


async def test_a_file_that_no_look_survives_is_left_alone(
    world: World, told: Told, tmp_path: Path
) -> None:
    await world.tell()
    inspector = Previews(ValueError("it broke"))
    worker = worker_of(world, told, tmp_path, inspector)
    async with at_work(worker):
        await until(lambda: worker.state.stored == 1)
        for _ in range(9):
            await asyncio.sleep(0.005)
            world.now += PLAN.lease
        await until(lambda: worker.state.inspected == 1)
    assert inspector.looks == 3
    [found] = await world.downloads.stored()
    assert found.problem == "no look into it came to an end"


async def test_what_the_store_lost_is_said_and_not_looked_for_again(
    world: World, told: Told, tmp_path: Path
) -> None:
    await world.tell()
    await world.turn()
    await world.media.remove(file_key(sha256_of(HELLO)))
    worker = worker_of(world, told, tmp_path)
    async with at_work(worker):
        await until(lambda: worker.state.inspected == 1)
    [found] = await world.downloads.stored()
    assert found.problem == "it is not in the media store"


async def test_what_no_message_has_any_more_is_removed(
    world: World, told: Told, tmp_path: Path
) -> None:
    await world.tell()
    await world.turn()
    await world.downloads.forget(SESSION, [ANA], StanzaId("A1"), problem="a person asked for it")
    worker = worker_of(world, told, tmp_path)
    async with at_work(worker):
        async with asyncio.timeout(10):
            while [file async for file in world.media.files()]:
                await asyncio.sleep(0.001)
    assert await world.downloads.stored() == []


async def test_what_is_under_way_when_it_stops_is_finished(
    world: World, told: Told, tmp_path: Path
) -> None:
    began, goes_on = asyncio.Event(), asyncio.Event()

    class Slow(MediaSource):
        """Waits before the last byte."""

        @override
        async def fetch(self, offer: MediaOffer, into: Path, *, largest_bytes: int) -> Fetched:
            began.set()
            await goes_on.wait()
            return await world.source.fetch(offer, into, largest_bytes=largest_bytes)

    world.with_parts(source=Slow())
    await world.tell(facts=MediaFacts(mimetype="image/jpeg"))
    worker = worker_of(world, told, tmp_path)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await began.wait()
    stop.set()
    await asyncio.sleep(0.01)
    goes_on.set()
    await running
    assert world.download().status is DownloadStatus.COMPLETED


def test_the_plan_leaves_hands_for_what_is_fresh() -> None:
    assert 0 < PLAN.again < PLAN.concurrent
    assert msgspec.structs.replace(PLAN, concurrent=1).again >= 1
