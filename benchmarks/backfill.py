"""Reading the history of all chats, end to end, beside fetching alone and storing alone.

The REST API is that of the simulator in a process of its own. The limit of requests per second
that a real WAHA is treated with is lifted.
"""

import asyncio
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import psycopg

from harness import Findings, Goal, Scale, ended, middle, progress, scratch
from pages import empty_database
from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.pool import Pool, open_pool
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.adapters.timescale.sync import TimescaleSyncStore
from wagateway.adapters.waha.client import WahaEngine, open_engine
from wagateway.adapters.waha.transport import Manners
from wagateway.domain.events import Delivery
from wagateway.domain.sync import SyncStatus
from wagateway.ports.sync import SyncTask
from wagateway.usecases.find_sessions import FindSessions
from wagateway.usecases.sync import SyncTurn
from wagateway.usecases.sync_people import SyncPeople
from wagateway.usecases.sync_plan import SyncPlan
from wagateway.usecases.sync_work import SyncWorker

_PAGE = 100
_AT_ONCE = 5
_AIM = 0.75
_STUCK_S = 120.0
UNHURRIED = Manners(per_second=1_000_000, at_once=_AT_ONCE)


async def run(scale: Scale) -> Findings:
    """Do all three in turns."""
    past = 2_000 if scale.quick else 40_000
    found: dict[str, list[float]] = {"fetch": [], "store": [], "both": []}
    with scratch() as folder:
        async with (
            EmbeddedPostgres.running(folder / "data") as database,
            simulated(past) as address,
            open_engine(address, None, clock=now, manners=UNHURRIED) as engine,
        ):
            for number in range(scale.rounds):
                progress(f"back-fill, round {number + 1}: fetching")
                took, read = await fetch(engine)
                count = sum(map(len, read))
                found["fetch"].append(count / took)
                progress(f"back-fill, round {number + 1}: storing")
                async with empty_database(database.url, "stored") as url:
                    found["store"].append(count / await store(url, read))
                progress(f"back-fill, round {number + 1}: both")
                async with empty_database(database.url, "synced") as url:
                    took = await both(url, engine)
                    found["both"].append(await messages(url) / took)
    fetched, stored, synced = (middle(found[way], float) for way in ("fetch", "store", "both"))
    slower = min(fetched, stored)
    findings = Findings([f"{past:,} messages of some 200 chats, pages of {_PAGE}.", ""])
    findings.table(
        ("what", "messages/s", "of the slower part"),
        [
            ("fetching and reading alone", f"{fetched:,.0f}", f"{fetched / slower:.2f}"),
            ("storing alone", f"{stored:,.0f}", f"{stored / slower:.2f}"),
            ("back-fill end to end", f"{synced:,.0f}", f"{synced / slower:.2f}"),
        ],
    )
    findings.goals.append(Goal.at_least("back-fill / the slower part", _AIM, synced / slower))
    return findings


def now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


@asynccontextmanager
async def simulated(past: int) -> AsyncIterator[str]:
    """Yield the address of a simulated WAHA with *past* messages."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (sys.executable, "-m", "wagateway.entrypoints.cli", "simulate")
    options = ("--engine", "gows", "--chats", "200", "--faults", "none", "--past", str(past))
    process = await asyncio.create_subprocess_exec(
        *command,
        *(*options, "--count", "1", "--serve", f"127.0.0.1:{port}"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(1200):
                try:
                    if (await client.get("/ping")).is_success:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
            else:
                sys.exit("the simulated WAHA does not answer")
        yield f"http://127.0.0.1:{port}"
    finally:
        await ended(process, "the simulated WAHA")


async def fetch(engine: WahaEngine) -> tuple[float, list[Sequence[Delivery]]]:
    """Return the seconds that all pages of all chats take, and what was read."""
    [session] = await engine.sessions()
    chats = await engine.chats(session, limit=1000, offset=0)
    pages: list[Sequence[Delivery]] = []
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(chat: object) -> None:
        offset = 0
        async with gate:
            while rows := await engine.messages(session, chat, limit=_PAGE, offset=offset):  # type: ignore[arg-type]
                pages.append([row.delivery for row in rows])
                offset += _PAGE

    began = time.perf_counter()
    await asyncio.gather(*(one(each.chat) for each in chats))
    return time.perf_counter() - began, pages


async def store(url: str, pages: Sequence[Sequence[Delivery]]) -> float:
    """Return the seconds that the archive takes for *pages*, as many at once as a worker has."""
    async with open_pool(url, max_size=_AT_ONCE, prepare_threshold=5) as pool:
        archive, gate = TimescaleArchive(pool), asyncio.Semaphore(_AT_ONCE)

        async def one(page: Sequence[Delivery]) -> None:
            async with gate:
                await archive.record(page)

        began = time.perf_counter()
        await asyncio.gather(*(one(page) for page in pages))
        return time.perf_counter() - began


async def both(url: str, engine: WahaEngine) -> float:
    """Return the seconds until a worker has read every chat."""
    async with open_pool(url, max_size=10, prepare_threshold=5) as pool:
        stop, began = asyncio.Event(), time.perf_counter()
        running = asyncio.create_task(worker_of(pool, engine).run(stop))
        await until_read(pool)
        took = time.perf_counter() - began
        stop.set()
        await running
        return took


def worker_of(pool: Pool, engine: WahaEngine) -> SyncWorker:
    """Return a worker that reads all chats of *engine*, as one process has it."""
    plan = SyncPlan(batch=_PAGE, concurrent=_AT_ONCE)
    archive = TimescaleArchive(pool)
    sync = TimescaleSyncStore(pool, archive)
    people = SyncPeople(engine=engine, archive=archive, store=sync)
    return SyncWorker(
        find=FindSessions(
            engine=engine,
            archive=archive,
            reader=TimescaleReader(pool),
            store=sync,
            clock=now,
        ),
        turn=SyncTurn(engine=engine, store=sync, people=people, clock=now, plan=plan),
        store=sync,
        clock=now,
        plan=plan,
        poll=timedelta(milliseconds=50),
        told=lambda turn: _complain(turn.problem),
        troubled=_complain,
        broke=_complain,
    )


def _complain(problem: object) -> None:
    """Say what keeps a worker from working, since the figures are not those of a well one."""
    if problem is not None:
        print(f"\na worker: {problem}", file=sys.stderr, flush=True)


async def until_read(pool: Pool, workers: Sequence[asyncio.subprocess.Process] = ()) -> None:
    """Return when every chat is read.

    When nothing goes on for long, or one of *workers* ends, the benchmark ends.
    """
    sync = TimescaleSyncStore(pool, TimescaleArchive(pool))
    before, moved = None, time.monotonic()
    while not _is_read(tasks := await _tasks(sync)):
        states = [(task.chat, task.state) for task in tasks]
        if states != before:
            before, moved = states, time.monotonic()
        elif time.monotonic() - moved > _STUCK_S:
            left = Counter(f"{state.status} ({state.problem})" for _, state in states)
            sys.exit(f"back-fill stands still for {_STUCK_S:.0f} s; chats: {dict(left)}")
        if any(worker.returncode is not None for worker in workers):
            sys.exit("a process that back-fills ended by itself")
        await asyncio.sleep(0.2)


async def _tasks(sync: TimescaleSyncStore) -> Sequence[SyncTask]:
    for archive in await sync.archives():
        return await sync.tasks(archive)
    return ()


def _is_read(tasks: Sequence[SyncTask]) -> bool:
    chats = [task for task in tasks if task.chat is not None]
    looked = any(task.chat is None and task.state.caught_up_at for task in tasks)
    return looked and all(task.state.status is SyncStatus.IDLE for task in chats)


async def messages(url: str) -> int:
    """Return how many messages are archived."""
    async with await psycopg.AsyncConnection.connect(url) as conn:
        cursor = await conn.execute("SELECT count(*) FROM whatsapp_gateway.messages")
        row = await cursor.fetchone()
    return int(row[0]) if row else 0
