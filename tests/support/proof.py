"""Proves an archive: simulated traffic with every fault, kills under way, then the truth.

    scripts/prove [--deliveries 1000000] [--seed 1] [--connections 64] [--disturbances 40]

Runs a PostgreSQL of its own and `wagateway api` with two processes on it, in a temporary folder.
Ctrl-C or SIGTERM ends it early, and what was delivered is compared; a second one stops at once.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import httpx
import msgspec
import structlog

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.timescale.migrate import migrate
from wagateway.simulator.check import Comparison, Report
from wagateway.simulator.dice import Dice
from wagateway.simulator.faults import Faults
from wagateway.simulator.post import Counts, Poster, Retries, judge, limited
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.truth import Truth
from wagateway.simulator.wagateway_api import WagatewayApi

TOKEN = "token-of-the-proof-0123456789abcdef"
WORKERS = 2
_READY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is proven.

    Attributes:
        deliveries: that are sent; those lost on purpose come in addition.
        disturbances: what is killed or restarted, in this order, spread over the run.
    """

    deliveries: int
    seed: int
    scenario: Scenario
    disturbances: tuple[str, ...]
    connections: int = 64
    retry_s: float = 0.5


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    report: Report
    counts: Counts
    seconds: float
    disturbed: list[str] = field(default_factory=list)


DISTURBANCES = ("kill a worker", "kill all workers", "restart the database", "crash the database")


class Disturber:
    """Kills what it is told to."""

    def __init__(self, supervisor: int, database: EmbeddedPostgres) -> None:
        self._supervisor = supervisor
        self._database = database

    async def __call__(self, what: str, dice: Dice) -> None:
        match what:
            case "kill a worker":
                os.kill(dice.pick(sorted(await self.workers())), signal.SIGKILL)
            case "kill all workers":
                for pid in await self.workers():
                    os.kill(pid, signal.SIGKILL)
            case "restart the database":
                os.kill(self._postmaster(), signal.SIGINT)
            case "crash the database":
                os.kill(self._postmaster(), signal.SIGQUIT)
            case _:
                raise ValueError(what)

    def _postmaster(self) -> int:
        if self._database.pid is None:  # 0 would be this very process and all its kin
            raise RuntimeError("the database does not run")
        return self._database.pid

    async def workers(self) -> list[int]:
        """Return the ids of the processes that serve; there is always at least one in the end."""
        while True:
            process = await asyncio.create_subprocess_exec(
                *("ps", "-A", "-ww", "-o", "pid=,ppid=,command="), stdout=asyncio.subprocess.PIPE
            )
            lines = (await process.communicate())[0].decode(errors="replace").splitlines()
            rows = [line.split(maxsplit=2) for line in lines]
            found = [
                int(row[0])
                for row in rows
                if row[1] == str(self._supervisor) and "spawn_main" in row[2]
            ]
            if found:
                return found
            await asyncio.sleep(0.1)


async def prove(
    trial: Trial,
    folder: Path,
    *,
    tell: Callable[[str], None] = lambda _: None,
    enough: asyncio.Event | None = None,
) -> Outcome:
    """Run *trial* in *folder*, and return how the archive differs from the truth.

    Args:
        trial: what is proven.
        folder: empty; stays the caller's.
        tell: takes a line on how far it is.
        enough: once set, nothing more is delivered or disturbed.
    """
    truth, enough = Truth(), enough or asyncio.Event()
    async with (
        EmbeddedPostgres.running(folder / "data") as database,
        _api(database.url, folder) as (url, supervisor),
    ):
        poster = _poster(url, trial, truth)
        begin_s = time.monotonic()
        disturber = Disturber(supervisor, database)
        disturbed: list[str] = []
        work = asyncio.create_task(_disturb(trial, poster.counts, disturber, disturbed, tell))
        sent = limited(simulate(trial.scenario), trial.deliveries)
        await poster.run(takewhile(lambda _: not enough.is_set(), sent))
        work.cancel() if enough.is_set() else await work
        seconds = time.monotonic() - begin_s
        tell(f"{poster.counts.accepted:,} accepted in {seconds:,.0f} s; reading the archive")
        await until_drained(url)
        comparison = Comparison(truth.lines())
        async for line in WagatewayApi(url, TOKEN).lines(comparison.sessions):
            comparison.see(line)
    return Outcome(comparison.report(), poster.counts, seconds, disturbed)


def _poster(url: str, trial: Trial, truth: Truth) -> Poster:
    return Poster(
        f"{url}/webhooks/messages",
        headers={"X-Whatsapp-Token": TOKEN},
        # Longer than any restart here: a delivery that is given up would prove nothing.
        retries=Retries(delay_s=trial.retry_s, attempts=1000),
        max_connections=trial.connections,
        max_open=max(1000, 4 * trial.connections),
        ended=judge(truth),
    )


async def _disturb(
    trial: Trial,
    counts: Counts,
    disturber: Disturber,
    disturbed: list[str],
    tell: Callable[[str], None],
) -> None:
    """Do all disturbances, each when about as many deliveries are accepted as its place says."""
    dice = Dice("disturbances", trial.seed)
    step = trial.deliveries / (len(trial.disturbances) + 1)
    for number, what in enumerate(trial.disturbances, 1):
        due = step * (number + dice.between(-0.3, 0.3))
        while counts.accepted < due:
            await asyncio.sleep(0.05)
        tell(f"{counts.accepted:,} accepted, {counts.retried:,} retries: {what}")
        await disturber(what, dice)
        disturbed.append(what)


@asynccontextmanager
async def _api(database_url: str, folder: Path) -> AsyncIterator[tuple[str, int]]:
    """Run the API with its workers; yield its address, and the id of their supervisor."""
    await migrate(database_url)
    with (folder / "api.log").open("wb") as log:
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wagateway.entrypoints.cli", "api"),
            *("--workers", str(WORKERS), "--port", str(port)),
            cwd=folder,
            env=environ(database_url, folder),
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        await until_ready(url, process)
        yield url, process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def environ(database_url: str, folder: Path) -> dict[str, str]:
    """Return the environment of a gateway in *folder*: ours without our settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WHATSAPP_")}
    return kept | {
        "WHATSAPP_DATABASE_URL": database_url,
        "WHATSAPP_DATA_DIR": str(folder / "gateway"),
        "WHATSAPP_GATEWAY_API_TOKEN": TOKEN,
        "WHATSAPP_WEBHOOK_TOKEN": TOKEN,
        "WHATSAPP_LOG_LEVEL": "warning",
    }


async def until_ready(url: str, process: asyncio.subprocess.Process) -> None:
    """Return when the API answers that it is ready.

    Raises:
        RuntimeError: it ended by itself.
    """
    async with asyncio.timeout(_READY_S), httpx.AsyncClient(trust_env=False) as client:
        while process.returncode is None:
            try:
                if (await client.get(f"{url}/health/ready")).is_success:
                    return
            except httpx.RequestError:
                pass
            await asyncio.sleep(0.1)
    raise RuntimeError(f"the API ended by itself with {process.returncode}")


async def until_drained(url: str) -> None:
    """Return when the database is there, and nothing waits for it in the spool any more."""
    async with asyncio.timeout(_READY_S), httpx.AsyncClient(trust_env=False) as client:
        while not await _is_drained(client, url):
            await asyncio.sleep(0.1)


async def _is_drained(client: httpx.AsyncClient, url: str) -> bool:
    try:
        parts = (await client.get(f"{url}/health")).json()["parts"]
    except (httpx.RequestError, ValueError, KeyError):
        return False
    return all(parts[name]["status"] == "ok" for name in ("store", "spool"))


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def trial_of(deliveries: int, *, seed: int, connections: int, disturbances: int) -> Trial:
    """Return a trial with every fault, and *disturbances* of all sorts in an order from *seed*."""
    dice = Dice("sorts", seed)
    sorts = [dice.pick(DISTURBANCES) for _ in range(max(0, disturbances - len(DISTURBANCES)))]
    return Trial(
        deliveries=deliveries,
        seed=seed,
        scenario=Scenario(
            seed=seed,
            sessions=4,
            chats=200,
            faults=Faults.parse("all,account-change=0.0003"),
            also_as_message=0.3,
        ),
        disturbances=tuple(dice.shuffled([*DISTURBANCES, *sorts])[:disturbances]),
        connections=connections,
    )


def _main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/prove", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--disturbances", type=int, default=40, help="kills and restarts")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    trial = trial_of(
        given.deliveries,
        seed=given.seed,
        connections=given.connections,
        disturbances=given.disturbances,
    )
    with tempfile.TemporaryDirectory(prefix="wagateway-proof-") as folder:
        outcome = asyncio.run(_watched(trial, Path(folder)))
    print(msgspec.json.format(msgspec.json.encode(outcome)).decode())  # noqa: T201 - the result
    return 0 if outcome.report.perfect else 1


async def _watched(trial: Trial, folder: Path) -> Outcome:
    def tell(what: str) -> None:
        print(f"{time.strftime('%H:%M:%S')}  {what}", file=sys.stderr, flush=True)  # noqa: T201

    enough = asyncio.Event()
    work = asyncio.ensure_future(prove(trial, folder, tell=tell, enough=enough))

    def stop() -> None:
        if enough.is_set():
            work.cancel()  # nothing that it started stays behind
        enough.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return await work


if __name__ == "__main__":
    sys.exit(_main())
