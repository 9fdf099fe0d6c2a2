"""Proves media: many files, every fault, a worker killed, the store away; then the truth.

    scripts/prove-media [--files 2000] [--distinct 300] [--seed 1] [--large 2] [--store s3]

Runs a PostgreSQL and two processes that fetch, beside a simulated WAHA that serves the files, their
expiry and every fault of them; webhooks are taken in by this process. Pauses between tries are
shorter than usual, since tries are many.
"""

import argparse
import asyncio
import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from msgspec import Struct
from tests.support.s3 import seaweed

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.minio.bucket import Bucket
from wagateway.adapters.timescale.migrate import migrate
from wagateway.domain.media import MediaKey
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import open_media
from wagateway.ports.media_store import MediaStore
from wagateway.simulator.bait import Bait
from wagateway.simulator.engine import EngineName
from wagateway.simulator.faults import Faults
from wagateway.simulator.file_check import FileReport, FileRow, compare_files
from wagateway.simulator.files import Stock
from wagateway.simulator.offers import Media
from wagateway.simulator.rest import create_app
from wagateway.simulator.serving import in_thread, local_socket, serving
from wagateway.simulator.simulation import Scenario, simulate
from wagateway.simulator.truth import Truth
from wagateway.simulator.waha_server import WahaServer

STORMY = (
    "all,loss=0,silent=0,stopped=0,account-change=0,rest-hang=0,rest-slow=0.01,rest-429=0.02,"
    "file-wipe=0,shrink=0,file-500=0.05,file-empty=0.05,file-cut=0.05,file-wrong=0.05,"
    "file-hang=0.002,file-redirect=0.02,file-early=0.05,file-gone=0.1,file-second=0.1,"
    "file-later=0.1,file-host=0.1,file-bait=0.1"
)
"""Days pass in seconds here, in which whole lists would be lost before they can be asked for."""
_WORKERS = 2
_SAID_S = 10.0
_WORKER = """
import asyncio, sys
from datetime import timedelta
from msgspec.structs import replace
from wagateway.adapters.waha.fetching import FetchLimits
from wagateway.domain.patience import Patience
from wagateway.entrypoints import containers, worker, workers
from wagateway.entrypoints.settings import Settings
import msgspec

usual = workers.media_plan
patience = Patience(
    max_retries=9, first=timedelta(seconds=0.2), longest=timedelta(seconds=1),
    failed=timedelta(seconds=1),
)
workers.media_plan = lambda settings: replace(
    usual(settings), patience=patience, lease=timedelta(seconds=4), rest=timedelta(seconds=0.5)
)
usual_files = workers.open_files
workers.open_files = lambda *args, **kwargs: usual_files(
    *args, **(kwargs | {"limits": FetchLimits(pause_s=3.0, at_once=8)})
)

async def main(settings):
    async with containers.open_services(settings) as services, worker.working(settings, services):
        await asyncio.Event().wait()

settings = msgspec.json.decode(
    sys.argv[1].encode(), type=Settings, dec_hook=lambda kind, told: kind(told)
)
asyncio.run(main(settings))
"""


class Trial(Struct, frozen=True, kw_only=True):
    """What is proven.

    Attributes:
        files: messages with a file, at least so many.
        distinct: different files, about.
        large: films, and documents, of 200 MB.
        seed: of the simulated world.
        store: ``filesystem`` or ``s3``; the latter is killed once, and started again.
        faults: as `wagateway simulate --faults` takes them.
        lifetime_s: how long the engine keeps a file.
        away_s: how long the store is away.
        deadline_s: for all downloads to come to an end.
    """

    files: int = 2000
    distinct: int = 300
    large: int = 0
    seed: int = 1
    store: str = "filesystem"
    faults: str = STORMY
    lifetime_s: float = 180.0
    away_s: float = 8.0
    deadline_s: float = 900.0


@dataclass(slots=True)
class Outcome:
    """What came of it.

    Attributes:
        report: how the archive's files differ from the truth.
        stored: keys of the media store; *damaged* are those whose content is another.
        baits: requests to where nobody should ask.
        peaks_mb: the most memory that each worker took.
        problems: why files are not stored, with how often.
    """

    report: FileReport
    statuses: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    stored: set[str] = field(default_factory=set)
    damaged: list[str] = field(default_factory=list)
    baits: int = 0
    killed: int = 0
    seconds: float = 0.0
    largest_bytes: int = 0
    peaks_mb: list[float] = field(default_factory=list)

    @property
    def perfect(self) -> bool:
        """Whether every file that could be had is stored once, as it should be, and no other."""
        return (
            self.report.perfect
            and not self.damaged
            and not self.baits
            and self.stored == self.report.hashes
        )


async def prove(
    trial: Trial, folder: Path, *, tell: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Run *trial* in *folder*, which is empty and stays the caller's."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(EmbeddedPostgres.running(folder / "data"))
        await migrate(database.url)
        bait = Bait()
        server, scenario = _waha(trial, stack.enter_context(in_thread(bait)))
        settings = Settings(
            database_url=database.url,
            auto_migrate=False,
            data_dir=folder,
            sync_enabled=False,
            engine_url=await stack.enter_async_context(serving(create_app(server), local_socket())),
            media_max_bytes=300_000_000,
        )
        away = _folder_away(settings.media_folder)
        if trial.store == "s3":
            s3 = stack.enter_context(seaweed())
            settings = _in_bucket(settings, s3.bucket())
            away = _stopped(s3.pid or 0)
        run = _Run(trial, settings, server, scenario, tell)
        outcome = await run(away)
        outcome.baits = len(bait.requests) + len(server.bait.requests)
        return outcome


def _in_bucket(settings: Settings, bucket: Bucket) -> Settings:
    return msgspec.structs.replace(
        settings,
        media_store="minio",
        minio_url=bucket.url,
        minio_bucket=bucket.name,
        minio_user=bucket.access_key,
        minio_password=bucket.secret_key,
    )


@asynccontextmanager
async def _stopped(pid: int) -> AsyncIterator[None]:
    """Let the S3 server answer nobody."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def _folder_away(folder: Path) -> AsyncIterator[None]:
    """Put a file where the folder was, in which nothing can be stored."""
    hidden = folder.with_name("hidden")
    folder.rename(hidden)
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        hidden.rename(folder)


def _waha(trial: Trial, bait_url: str) -> tuple[WahaServer, Scenario]:
    stock = Stock(distinct=trial.distinct, large=trial.large)
    scenario = Scenario(
        seed=trial.seed,
        start=datetime.now(UTC),
        engine=EngineName.NOWEB,
        served=True,
        faults=Faults.parse(trial.faults, served=True),
        media=Media(stock=stock, bait_url=bait_url, lifetime_s=trial.lifetime_s),
    )
    return WahaServer.of(scenario), scenario


class _Run:
    def __init__(
        self,
        trial: Trial,
        settings: Settings,
        server: WahaServer,
        scenario: Scenario,
        tell: Callable[[str], None],
    ) -> None:
        self._trial = trial
        self._settings = settings
        self._server = server
        self._scenario = scenario
        self._tell = tell
        self._truth = Truth()
        self._peaks: dict[int, float] = {}
        self._killed = 0

    async def __call__(self, away: AbstractAsyncContextManager[None]) -> Outcome:
        begin = time.monotonic()
        async with AsyncExitStack() as stack:
            for _ in range(_WORKERS - 1):
                await stack.enter_async_context(self._worker())
            victim = await stack.enter_async_context(self._worker())
            telling = asyncio.create_task(self._deliver())
            try:
                await self._until(lambda done: done >= self._trial.files // 8)
                self._tell("kill a worker")
                victim.kill()
                self._killed += 1
                await victim.wait()
                await stack.enter_async_context(self._worker())
                await self._until(lambda done: done >= self._trial.files // 4)
                self._tell("the media store is away")
                async with away:
                    await asyncio.sleep(self._trial.away_s)
                self._tell("the media store is back")
                await telling
                await self._until_settled()
            finally:
                telling.cancel()
        return await self._judged(time.monotonic() - begin)

    async def _deliver(self) -> None:
        count = 0
        async with open_services(self._settings) as services:
            for delivery in self._server.watch(simulate(self._scenario)):
                if delivery.lost:
                    continue
                await services.ingest(delivery.body)
                if delivery.fact:
                    self._truth.tell(delivery.fact)
                count += delivery.file is not None
                if count >= self._trial.files:
                    break
                await asyncio.sleep(0)
        self._server.settle()
        self._tell(f"{count} files told")

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[Process]:
        environ = {name: value for name, value in os.environ.items() if "WHATSAPP" not in name}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _WORKER, _encoded(self._settings)),
            env=environ,
            stdout=asyncio.subprocess.DEVNULL,
        )
        watching = asyncio.create_task(self._watch(process.pid))
        try:
            yield process
        finally:
            watching.cancel()
            if process.returncode is None:
                process.terminate()
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), 30)
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _watch(self, pid: int) -> None:
        """Remember the most memory that a worker took, where the system tells."""
        status = Path(f"/proc/{pid}/status")
        while status.exists():
            with suppress(OSError):
                for line in status.read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        self._peaks[pid] = int(line.split()[1]) / 1024
            await asyncio.sleep(0.5)

    async def _counts(self) -> Counter[str]:
        rows = await self._rows(
            "SELECT download_status, count(*) FROM whatsapp_gateway.media_downloads GROUP BY 1"
        )
        return Counter(dict(rows))

    async def _rows(self, query: str) -> list[tuple[Any, ...]]:
        url = self._settings.database_url or ""
        async with await psycopg.AsyncConnection.connect(url) as conn:
            cursor = await conn.execute(query)
            return await cursor.fetchall()

    async def _until(self, enough: Callable[[int], bool]) -> None:
        async with asyncio.timeout(self._trial.deadline_s):
            while not enough((await self._counts())["completed"]):
                await asyncio.sleep(0.3)

    async def _until_settled(self) -> None:
        """Return when nothing is left to be fetched or looked into."""
        said = time.monotonic()
        async with asyncio.timeout(self._trial.deadline_s):
            while True:
                counts = await self._counts()
                left = counts["pending"] + counts["downloading"] + counts["failed"]
                [(unseen,)] = await self._rows(
                    "SELECT count(*) FROM whatsapp_gateway.media_objects WHERE inspected_at IS NULL"
                )
                if not left and not unseen:
                    return
                if time.monotonic() - said > _SAID_S:
                    said = time.monotonic()
                    self._tell(f"{left} to be fetched, {unseen} to be looked into")
                await asyncio.sleep(0.5)

    async def _judged(self, seconds: float) -> Outcome:
        self._server.witness(self._truth)
        rows = await self._rows(
            "SELECT d.session, d.chat_id, d.stanza_id, d.download_status, d.sha256, o.size_bytes"
            " FROM whatsapp_gateway.media_downloads AS d"
            " LEFT JOIN whatsapp_gateway.media_objects AS o USING (sha256)"
        )
        problems = await self._rows(
            "SELECT problem, count(*) FROM whatsapp_gateway.media_downloads"
            " WHERE download_status <> 'completed' GROUP BY 1 ORDER BY 2 DESC"
        )
        outcome = Outcome(
            report=compare_files(self._truth.lines(), [FileRow(*row) for row in rows]),
            statuses=await self._counts(),
            problems=Counter(dict(problems)),
            killed=self._killed,
            seconds=seconds,
            largest_bytes=max((row[5] or 0 for row in rows), default=0),
            peaks_mb=sorted(self._peaks.values()),
        )
        async with open_media(self._settings) as media:
            async for file in media.files():
                kind, _, _, name = file.key.split("/")
                if kind == "sha256":
                    outcome.stored.add(name)
                    if await _hash(media, file.key) != name:
                        outcome.damaged.append(name)
        return outcome


def _encoded(settings: Settings) -> str:
    return msgspec.json.encode(settings, enc_hook=str).decode()


async def _hash(media: MediaStore, key: MediaKey) -> str:
    digest = hashlib.sha256()
    async for piece in media.read(key):
        digest.update(piece)
    return digest.hexdigest()


def _shown(outcome: Outcome) -> dict[str, Any]:
    report = outcome.report
    return {
        "perfect": outcome.perfect,
        "promised": report.promised,
        "perhaps": report.possible,
        "stored_as_promised": report.stored,
        "counts": report.counts,
        "examples": report.examples,
        "statuses": outcome.statuses,
        "problems": outcome.problems,
        "objects": len(outcome.stored),
        "objects_expected": len(report.hashes),
        "surplus": sorted(outcome.stored - report.hashes)[:5],
        "missing": sorted(report.hashes - outcome.stored)[:5],
        "damaged": outcome.damaged,
        "baits_taken": outcome.baits,
        "workers_killed": outcome.killed,
        "largest_bytes": outcome.largest_bytes,
        "seconds": round(outcome.seconds, 1),
        "peaks_mb": [round(peak, 1) for peak in outcome.peaks_mb],
    }


def main() -> None:
    """Prove it; status 1 where anything is amiss."""
    parser = argparse.ArgumentParser(
        prog="scripts/prove-media",
        description="Prove that every file that could be had is stored once, as it should be.",
    )
    usual = Trial()
    parser.add_argument("--files", type=int, default=usual.files)
    parser.add_argument("--distinct", type=int, default=usual.distinct)
    parser.add_argument("--large", type=int, default=usual.large, help="files of 200 MB")
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--store", choices=["filesystem", "s3"], default=usual.store)
    parser.add_argument("--faults", default=usual.faults)
    asked = parser.parse_args()
    trial = Trial(**vars(asked))
    folder = Path(tempfile.mkdtemp(prefix="wagateway-proof-"))
    begin = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - begin:6.0f} s  {line}", flush=True)  # noqa: T201

    try:
        outcome = asyncio.run(prove(trial, folder, tell=tell))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(msgspec.json.format(msgspec.json.encode(_shown(outcome)), indent=2).decode())  # noqa: T201
    sys.exit(0 if outcome.perfect else 1)


if __name__ == "__main__":
    main()
