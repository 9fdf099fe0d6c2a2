"""Proves sync: an engine with a past, every fault, everything killed in turn, then the truth.

    scripts/prove-sync [--seconds 600] [--seed 1] [--chats 200] [--past 100000] [--rate 30]

Runs a PostgreSQL, `wagateway api` with two processes and two `wagateway worker` in a temporary
folder, and a simulated WAHA of one session per engine. The gateway begins late. Its clock is the
real one; what it does in hours, such as looking back a week, it does each minute here.
"""

import argparse
import asyncio
import contextlib
import hashlib
import math
import signal
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx
import msgspec
import psycopg
import structlog
from msgspec import Struct
from tests.support.claims import Claims
from tests.support.proof import (
    TOKEN,
    WORKERS,
    Disturber,
    environ,
    free_port,
    until_drained,
    until_ready,
)

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.timescale.migrate import migrate
from wagateway.simulator.asgi import App
from wagateway.simulator.check import Comparison, Report
from wagateway.simulator.delivery import Delivery
from wagateway.simulator.dice import Dice
from wagateway.simulator.faults import Faults
from wagateway.simulator.hosted import WORKING
from wagateway.simulator.post import Counts, Poster, Retries, judge
from wagateway.simulator.rest import create_app
from wagateway.simulator.serving import local_socket, serving
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.truth import Truth
from wagateway.simulator.wagateway_api import WagatewayApi
from wagateway.simulator.waha_server import WahaServer

T = TypeVar("T")
KEY = "kV7mQ2xT9bR4zN8wLc3H"
SYNC_WORKERS = 2
AWAY_S = 45.0
"""So long the gateway or WAHA is stopped; WAHA's webhooks are given up after 30 s."""
_LOOK_S = 5.0
_REST_S = 1200.0
_FRESH = timedelta(minutes=3)

_WORKER = """
import sys
from datetime import timedelta
from msgspec.structs import replace
from wagateway.domain.patience import Patience
from wagateway.entrypoints import workers
from wagateway.entrypoints.cli import main

usual = workers.sync_plan
patience = Patience(failed=timedelta(seconds=30))
people_every = timedelta(seconds=float(sys.argv.pop()))
workers.sync_plan = lambda settings: replace(
    usual(settings), lease=timedelta(seconds=20), settle=timedelta(seconds=10),
    people_every=people_every, silent_after=timedelta(seconds=30), patience=patience,
)
main()
"""

DISTURBANCES = (
    "kill a worker",
    "kill all workers",
    "kill a sync worker",
    "restart the database",
    "crash the database",
    "stop the gateway",
    "stop WAHA",
)
_STOPS = ("stop the gateway", "stop WAHA")


class Trial(Struct, frozen=True, kw_only=True):
    """What is proven.

    Attributes:
        seconds: for which there is traffic, but for how long the gateway takes to be ready.
        late_s: how much later the gateway begins.
        disturbances: what is killed or stopped, in this order, spread over the time.
        pause_s: how long what is paused does nothing.
        long_s: how long what is cut off for long cannot be reached.
        sync_s: how old the last delivery must be when sync looks for the last time; claims end two
            minutes before a look.
        settled_s: how long files are waited for in the end, where there are any.
        people_s: how often people, and all chats of the last week, are read.
    """

    scenario: Scenario
    seconds: float
    late_s: float
    disturbances: tuple[str, ...]
    pause_s: float = 20.0
    long_s: float = 120.0
    sync_s: float = 120.0
    people_s: float = 60.0
    settled_s: float = 600.0


class Outcome(Struct, kw_only=True):
    """What came of it.

    Attributes:
        caught_up_s: from the last delivery until sync had nothing left to do.
        looks: how often coverage was compared.
        claims: how many messages it covered, each of which was looked up.
        false_claims: messages that were claimed and not archived.
        acknowledged: different bodies that were answered 2xx.
        unlogged: of these, how many are not in the log, whatever brought their messages since.
        unclaimed: old messages in WAHA's lists at the end that no claim covers.
    """

    report: Report
    counts: Counts
    disturbed: list[str]
    seconds: float
    caught_up_s: float
    looks: int
    claims: int
    false_claims: list[str]
    unclaimed: int
    acknowledged: int
    unlogged: int

    @property
    def perfect(self) -> bool:
        """Whether nothing is wrong."""
        wrong = (self.false_claims, self.unclaimed, self.unlogged)
        return self.report.perfect and not any(wrong)


class Gateway:
    """API and workers; a worker that ends by itself is started again."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        engine_url: str,
        *,
        more: Mapping[str, str] | None = None,
        workers: int = SYNC_WORKERS,
        people_s: float = 60.0,
    ) -> None:
        """Start nothing yet; *more* is set in the environment of every process."""
        self._people_s = people_s
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._environ = environ(database_url, folder) | {
            "WHATSAPP_CORE_URL": engine_url,
            "WHATSAPP_API_KEY": KEY,
            "WHATSAPP_SYNC_INTERVAL_MS": "5000",
            **(more or {}),
        }
        self._count = workers
        self._log: IO[bytes] = (folder / "gateway.log").open("ab")
        self._api: Process | None = None
        self._workers: list[Process] = []

    @property
    def supervisor(self) -> int | None:
        """The id of the API's main process, None while it is stopped."""
        return self._api.pid if self._api else None

    async def start(self) -> None:
        """Start all, and return when the API is ready."""
        words = ("-m", "wagateway.entrypoints.cli", "api")
        places = ("--workers", str(WORKERS), "--port", str(self.port))
        self._api = await self._run(*words, *places)
        self._workers = [await self._worker() for _ in range(self._count)]
        await until_ready(self.url, self._api)

    @property
    def workers(self) -> list[int]:
        """The ids of the workers' processes."""
        return [process.pid for process in self._workers]

    async def stop(self) -> None:
        """Stop all gracefully."""
        workers, self._workers = self._workers, []
        api, self._api = self._api, None
        for process in (*workers, *filter(None, (api,))):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def kill_sync_worker(self, dice: Dice) -> None:
        """Kill a worker, and start another."""
        if not self._workers:
            return
        victim = dice.pick(self._workers)
        victim.kill()
        await victim.wait()
        self._workers.remove(victim)
        self._workers.append(await self._worker())

    async def aclose(self) -> None:
        """Stop all for good."""
        await self.stop()
        self._log.close()

    async def _worker(self) -> Process:
        return await self._run("-c", _WORKER, "worker", str(self._people_s))

    async def _run(self, *words: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, *words),
            cwd=self._folder,
            env=self._environ,
            stdout=self._log,
            stderr=self._log,
        )


class Waha:
    """The simulated WAHA as a server that can be stopped."""

    def __init__(self, scenario: Scenario) -> None:
        self.server = WahaServer.of(scenario, api_key=KEY)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._app: App = create_app(self.server)
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Answer; sessions that were stopped start, and catch up without webhooks."""
        await self._stack.enter_async_context(serving(self._app, local_socket(self.port)))
        for hosted in self.server.sessions.values():
            if hosted.interrupted:
                self.server.start(hosted)

    async def stop(self) -> None:
        """Answer nothing more; what happens now comes to the lists later, and by no webhook."""
        await self._stack.aclose()
        announce, self.server.announce = self.server.announce, lambda _: None
        for hosted in self.server.sessions.values():
            self.server.stop(hosted)
        self.server.announce = announce


class Run:
    """One trial under way."""

    def __init__(
        self,
        trial: Trial,
        folder: Path,
        database: EmbeddedPostgres,
        tell: Callable[[str], None],
        *,
        gateway: Callable[[str], Gateway] | None = None,
    ) -> None:
        """Begin nothing yet.

        Args:
            trial: what is proven.
            folder: for the gateway.
            database: whose it is.
            tell: takes a line on how far it is.
            gateway: makes the gateway for WAHA's address; None: one that has the database alone.
        """
        self.trial = trial
        self.truth = Truth()
        self.waha = Waha(trial.scenario)
        make = gateway or (lambda engine_url: Gateway(folder, database.url, engine_url))
        self.gateway = make(self.waha.url)
        self.claims = Claims(self.waha.server, self.gateway.url, TOKEN, database.url)
        self.disturbed: list[str] = []
        self._acknowledged: set[bytes] = set()
        self.database = database
        self.tell = tell
        self._left = -1
        self._begun_s = time.monotonic()
        self._ends_s = math.inf
        self._ready = asyncio.Event()
        self.poster = self._poster(due=self.waha.server.take)

    async def __call__(self) -> Outcome:
        """Run to the end."""
        await self.waha.start()
        late = asyncio.create_task(self._begin_late())
        caused = asyncio.create_task(self._announce())
        looking = asyncio.create_task(self._look())
        disturbing = asyncio.create_task(self._disturb())
        try:
            await self.poster.run(takewhile(self._is_in_time, simulate(self.trial.scenario)))
            await disturbing
            await late
            seconds = time.monotonic() - self._begun_s
            self.tell(f"{self.poster.counts.accepted:,} accepted; waiting for sync")
            caught_up_s = await self._come_to_rest()
        finally:
            await _ended(late, disturbing, looking, caused)
        unclaimed = await self.claims.conclude(until=datetime.now(UTC) - _FRESH)
        self.waha.server.witness(self.truth)
        self.tell("reading the archive")
        return Outcome(
            report=await self._compared(),
            counts=self.poster.counts,
            disturbed=self.disturbed,
            seconds=round(seconds, 1),
            caught_up_s=round(caught_up_s, 1),
            looks=self.claims.looks,
            claims=self.claims.checked,
            false_claims=self.claims.false,
            unclaimed=unclaimed,
            acknowledged=len(self._acknowledged),
            unlogged=len(self._acknowledged - await self._logged()),
        )

    async def aclose(self) -> None:
        """Leave nothing running."""
        await self.gateway.aclose()
        await self.waha.stop()

    def _is_in_time(self, delivery: Delivery) -> bool:
        return max(self._begun_s + delivery.offset_s, time.monotonic()) < self._ends_s

    def _poster(self, due: Callable[[Delivery], bool] | None = None) -> Poster:
        return Poster(
            f"{self.gateway.url}/webhooks/messages",
            headers={"X-Whatsapp-Token": TOKEN},
            retries=Retries(),  # WAHA's: what is away for longer than 30 s is told to nobody
            max_open=100_000,
            ended=self._ended,
            due=due,
        )

    def _ended(self, delivery: Delivery, accepted: bool) -> None:  # noqa: FBT001 - the poster's own words
        judge(self.truth)(delivery, accepted)
        if accepted:
            self._acknowledged.add(hashlib.sha256(delivery.body).digest())

    async def _logged(self) -> set[bytes]:
        """Return the hashes of all bodies in the log."""
        async with await psycopg.AsyncConnection.connect(self.database.url) as conn:
            cursor = await conn.execute("SELECT sha256(body) FROM whatsapp_gateway.event_log")
            return {bytes(digest) for (digest,) in await cursor.fetchall()}

    async def _begin_late(self) -> None:
        await asyncio.sleep(self.trial.late_s)
        # With the seed, it decides on all that is told.
        self.tell(f"the gateway begins; the present began {self.trial.scenario.start}")
        try:
            await self.gateway.start()
        finally:
            # From now on, for on a busy machine it takes a while: all comes to pass all the same.
            self._ends_s = time.monotonic() + self.trial.seconds - self.trial.late_s
            self._ready.set()

    async def _announce(self) -> None:
        """Post what requests and restarts of WAHA cause."""
        caused: asyncio.Queue[Delivery] = asyncio.Queue()
        self.waha.server.announce = caused.put_nowait
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._poster().run([await caused.get()]))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            with contextlib.suppress(httpx.RequestError, psycopg.OperationalError):
                await self.claims.look()

    async def _disturb(self) -> None:
        dice = Dice("disturbances", self.trial.scenario.seed)
        await self._ready.wait()
        await asyncio.sleep(_LOOK_S)
        away_s = sum(map(self.lasts_s, self.trial.disturbances))
        left_s = self.trial.seconds - self.trial.late_s - away_s
        pause_s = max(0.0, left_s / (len(self.trial.disturbances) + 1))
        for what in self.trial.disturbances:
            await asyncio.sleep(pause_s * dice.between(0.5, 1.5))
            self.tell(f"{self.poster.counts.accepted:,} accepted: {what}")
            await self.do(what, dice)
            self.disturbed.append(what)

    def lasts_s(self, what: str) -> float:
        """Return for how many seconds a disturbance goes on."""
        return AWAY_S if what in _STOPS else 0.0

    async def do(self, what: str, dice: Dice) -> None:
        """Do what a disturbance names."""
        match what:
            case "kill a sync worker":
                await self.gateway.kill_sync_worker(dice)
            case "stop the gateway":
                await self.gateway.stop()
                await asyncio.sleep(AWAY_S)
                await self.gateway.start()
            case "stop WAHA":
                await self.waha.stop()
                await asyncio.sleep(AWAY_S)
                await self.waha.start()
            case _ if self.gateway.supervisor is not None:
                await Disturber(self.gateway.supervisor, self.database)(what, dice)

    async def _come_to_rest(self) -> float:
        """Return how many seconds it takes until sync has looked at everything and is idle."""
        server, begin_s = self.waha.server, time.monotonic()
        await until_drained(self.gateway.url)
        server.settle()
        server.faults = Faults()  # those of REST go on; the store does not shrink any more
        since = datetime.now(UTC)
        async with asyncio.timeout(_REST_S):
            while not await self._is_at_rest(since):
                await asyncio.sleep(_LOOK_S)
        return time.monotonic() - begin_s

    async def _is_at_rest(self, since: datetime) -> bool:
        """Tell whether all accounts of now were read back a week some time after *since*."""
        accounts = [
            f"{hosted.name} {hosted.engine.account.phone_jid}"
            for hosted in self.waha.server.sessions.values()
            if hosted.status == WORKING
        ]
        try:
            async with await psycopg.AsyncConnection.connect(self.database.url) as conn:
                looked = since + timedelta(seconds=self.trial.sync_s)
                cursor = await conn.execute(_AT_REST, [looked, accounts])
                rows = await cursor.fetchall()
        except psycopg.OperationalError:
            return False
        left = sum(count for _, count, _ in rows)
        if left != self._left:
            self._left = left
            self.tell(f"{left} chats to go")
        return len(rows) == len(accounts) and all(looked and not count for _, count, looked in rows)

    async def _compared(self) -> Report:
        comparison = Comparison(self.truth.lines())
        async for line in WagatewayApi(self.gateway.url, TOKEN).lines(comparison.sessions):
            comparison.see(line)
        return comparison.report()


_AT_REST = """
SELECT session,
    count(*) FILTER (WHERE chat_id <> '' AND t.status <> 'idle'),
    bool_and(t.people_at > %s AND t.forward IS NULL) FILTER (WHERE chat_id = '')
FROM whatsapp_gateway.sync_state AS t
JOIN whatsapp_gateway.sessions AS a USING (session_id, session)
WHERE session || ' ' || a.account = ANY(%s)
GROUP BY session
ORDER BY session
"""


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _running(trial: Trial, folder: Path, tell: Callable[[str], None]) -> AsyncIterator[Run]:
    async with EmbeddedPostgres.running(folder / "data") as database:
        await migrate(database.url)
        run = Run(trial, folder, database, tell)
        try:
            yield run
        finally:
            await run.aclose()


async def prove(
    trial: Trial, folder: Path, *, tell: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Run *trial* in *folder*, which is empty and stays the caller's."""
    async with _running(trial, folder, tell) as run:
        return await run()


def trial_of(*, seed: int, seconds: float, chats: int, past: int, rate: float) -> Trial:
    """Return a trial of three sessions with every fault, in an order of disturbances by *seed*."""
    dice = Dice("sorts", seed)
    count = max(len(DISTURBANCES), int(seconds / AWAY_S))
    sorts = [dice.pick(DISTURBANCES) for _ in range(count - len(DISTURBANCES))]
    return Trial(
        scenario=Scenario(
            seed=seed,
            sessions=3,
            chats=-(-chats // 3),
            rate=rate,
            start=datetime.now(UTC),
            served=True,
            past=past,
            faults=Faults.parse("all,account-change=0.0003", served=True),
            also_as_message=0.3,
        ),
        seconds=seconds,
        late_s=AWAY_S,
        disturbances=tuple(dice.shuffled([*DISTURBANCES, *sorts])),
    )


def _main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/prove-sync", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=600, help="of traffic")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chats", type=int, default=200, help="of three sessions together")
    parser.add_argument("--past", type=int, default=100_000, help="messages that REST alone tells")
    parser.add_argument("--rate", type=float, default=30, help="deliveries a second")
    parser.add_argument("--keep-log", type=Path, help="write what the gateway logs there")
    given = vars(parser.parse_args())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    kept: Path | None = given.pop("keep_log")
    with tempfile.TemporaryDirectory(prefix="wagateway-proof-") as name:
        folder = Path(name)
        try:
            outcome = asyncio.run(until_stopped(prove(trial_of(**given), folder, tell=tell)))
        finally:
            if kept:
                kept.write_bytes((folder / "gateway.log").read_bytes())
    print(msgspec.json.format(msgspec.json.encode(outcome)).decode())  # noqa: T201 - the result
    return 0 if outcome.perfect else 1


async def until_stopped(work: Coroutine[Any, Any, T]) -> T:
    """Run *work*; a signal cancels it, so that nothing that it started stays behind."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def tell(what: str) -> None:
    """Say on standard error how far it is."""
    print(f"{time.strftime('%H:%M:%S')}  {what}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(_main())
