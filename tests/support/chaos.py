"""Proves the whole: many processes and services, each killed, paused or cut off in turn.

    scripts/prove-chaos [--seconds 900] [--seed 1] [--chats 120] [--past 20000] [--rate 20]

Runs a PostgreSQL, PgBouncer before it where that is installed, a Valkey, an S3 server, `wagateway
api` with two processes and three `wagateway worker`, beside a simulated WAHA with every fault. Then
messages, coverage and files are compared with the truth, and the log with what was answered 2xx.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import structlog
from msgspec import Struct
from redis import Redis
from tests.support import pgbouncer, sync_proof
from tests.support.hung import frozen
from tests.support.proof import Disturber
from tests.support.s3 import S3Server, seaweed
from tests.support.sync_proof import Gateway, Run, Trial
from tests.support.valkey import ValkeyServer, valkey
from typing_extensions import override

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.minio.bucket import Bucket
from wagateway.adapters.timescale.migrate import migrate
from wagateway.simulator.dice import Dice
from wagateway.simulator.faults import Faults
from wagateway.simulator.file_check import FileReport, FileRow, compare_files
from wagateway.simulator.files import Stock
from wagateway.simulator.offers import Media
from wagateway.simulator.simulation import Scenario

FAULTS = "all,account-change=0,shrink=0,file-wipe=0"
"""All but those that take files away from whoever is not quick, which the proof of media has."""
SYNC_WORKERS = 3
_FILES_KEPT_S = 4 * 3600.0

PAUSES = (
    "pause an API process",
    "pause a worker",
    "pause the database",
    "pause the pooler",
    "pause the media store",
    "pause Redis",
)
CUT_OFF = "cut the database off"
KILLS = (
    "kill the pooler",
    "kill Redis",
    *(each for each in sync_proof.DISTURBANCES if "stop" not in each),
)
DISTURBANCES = (*PAUSES, CUT_OFF, *KILLS, "stop WAHA")


class Outcome(Struct, kw_only=True):
    """What came of it.

    Attributes:
        sync: of messages and coverage.
        files: of attached files.
        statuses: of downloads, with how many stand so.
        problems: why files are not stored, with how often.
        spooled: groups of webhooks that waited in Redis for the database.
    """

    sync: sync_proof.Outcome
    files: FileReport
    statuses: dict[str, int]
    problems: dict[str, int]
    spooled: int

    @property
    def perfect(self) -> bool:
        """Whether nothing is wrong."""
        return self.sync.perfect and self.files.perfect


class Estate:
    """The services, and how they are disturbed.

    Attributes:
        pooler: None where PgBouncer is not installed: then its disturbances are the database's.
    """

    def __init__(
        self,
        database: EmbeddedPostgres,
        pooler: pgbouncer.PgBouncer | None,
        s3: S3Server,
        bucket: Bucket,
        redis: ValkeyServer,
        trial: Trial,
    ) -> None:
        self.database = database
        self.pooler = pooler
        self.s3 = s3
        self.redis = redis
        self._bucket = bucket
        self._pause_s = trial.pause_s
        self._long_s = trial.long_s

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path, trial: Trial) -> AsyncIterator["Estate"]:
        """Run all in *folder*, for *trial*."""
        async with AsyncExitStack() as stack:
            running = EmbeddedPostgres.running(folder / "data")
            database = await stack.enter_async_context(running)
            await migrate(database.url)
            pooler = None
            if pgbouncer.program():
                before = pgbouncer.PgBouncer.running(database.url)
                pooler = await stack.enter_async_context(before)
            s3 = stack.enter_context(seaweed())
            redis = stack.enter_context(valkey())
            yield cls(database, pooler, s3, s3.bucket(), redis, trial)

    @property
    def settings(self) -> dict[str, str]:
        """What the gateway is told of the services."""
        url, bucket = self.database.url, self._bucket
        return {
            "WHATSAPP_DATABASE_URL": self.pooler.url(url) if self.pooler else url,
            "WHATSAPP_DATABASE_DIRECT_URL": url,
            "WHATSAPP_REDIS_ENABLED": "true",
            "WHATSAPP_REDIS_URL": self.redis.address.url,
            "WHATSAPP_MEDIA_STORE": "minio",
            "WHATSAPP_MINIO_URL": bucket.url,
            "WHATSAPP_MINIO_BUCKET": bucket.name,
            "WHATSAPP_MINIO_ROOT_USER": bucket.access_key,
            "WHATSAPP_MINIO_ROOT_PASSWORD": bucket.secret_key,
            "WHATSAPP_MEDIA_LIFETIME_S": str(int(_FILES_KEPT_S)),
        }

    def spooled(self) -> int:
        """Return how many entries were ever added to spools."""
        with Redis.from_url(self.redis.address.url) as client:
            names = client.scan_iter(match="wagateway:*:spool:entries")
            return sum(client.xinfo_stream(name)["entries-added"] for name in names)

    async def disturb(self, what: str) -> bool:
        """Do what a disturbance of a service names; tell whether it is one."""
        pid = self.pooler.pid if self.pooler else None
        match what:
            case "pause the database":
                await self._hung(self._pause_s)
            case "pause the pooler":
                await (_paused(pid, self._pause_s) if pid else self._hung(self._pause_s))
            case "pause the media store":
                await _paused(self.s3.pid or 0, self._pause_s)
            case "pause Redis":
                await _paused(self.redis.pid or 0, self._pause_s)
            case "kill Redis":
                self.redis.kill()
                await asyncio.to_thread(self.redis.start)
            case "kill the pooler" if self.pooler:
                await self.pooler.kill()
                await self.pooler.start()
            case "cut the database off" if self.pooler:
                await self.pooler.kill()
                await asyncio.sleep(self._long_s)
                await self.pooler.start()
            case "cut the database off":
                await self._hung(self._long_s)
            case "kill the pooler":
                pass
            case _:
                return False
        return True

    async def _hung(self, seconds: float) -> None:
        if self.database.pid is not None:
            with frozen(self.database.pid):
                await asyncio.sleep(seconds)


async def _paused(pid: int, seconds: float) -> None:
    """Let a process do nothing for a while; one that ended before is none."""
    try:
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:
        return
    try:
        await asyncio.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


class ChaosRun(Run):
    """A trial under way whose services are disturbed, too."""

    def __init__(
        self, trial: Trial, folder: Path, estate: Estate, tell: Callable[[str], None]
    ) -> None:
        """Begin nothing yet."""

        def gateway(engine_url: str) -> Gateway:
            url = estate.database.url
            return Gateway(
                folder,
                url,
                engine_url,
                more=estate.settings,
                workers=SYNC_WORKERS,
                people_s=trial.people_s,
            )

        super().__init__(trial, folder, estate.database, tell, gateway=gateway)
        self._estate = estate

    async def judged(self, sync: sync_proof.Outcome) -> Outcome:
        """Wait for the files, and compare them."""
        left = await self._until_settled()
        self.tell(f"{left} downloads are left open; comparing files")
        rows = await self._rows(
            "SELECT d.session, d.chat_id, d.stanza_id, d.download_status, d.sha256, o.size_bytes"
            " FROM whatsapp_gateway.media_downloads AS d"
            " LEFT JOIN whatsapp_gateway.media_objects AS o USING (sha256)"
        )
        return Outcome(
            sync=sync,
            files=compare_files(self.truth.lines(), [FileRow(*row) for row in rows]),
            statuses=dict(await self._rows(_STATUSES)),
            problems=dict(await self._rows(_PROBLEMS)),
            spooled=await asyncio.to_thread(self._estate.spooled),
        )

    @override
    def lasts_s(self, what: str) -> float:
        """Return for how many seconds a disturbance goes on."""
        if what in PAUSES:
            return self.trial.pause_s
        return self.trial.long_s if what == CUT_OFF else super().lasts_s(what)

    @override
    async def do(self, what: str, dice: Dice) -> None:
        """Do what a disturbance names."""
        match what:
            case "pause a worker":
                await _paused(dice.pick(self.gateway.workers), self.trial.pause_s)
            case "pause an API process" if self.gateway.supervisor is not None:
                served = await Disturber(self.gateway.supervisor, self.database).workers()
                await _paused(dice.pick(sorted(served)), self.trial.pause_s)
            case _ if not await self._estate.disturb(what):
                await super().do(what, dice)

    async def _until_settled(self) -> int:
        """Return how many downloads are still open, once there are none, or after a while."""
        ends_s = time.monotonic() + self.trial.settled_s
        while True:
            [(left,)] = await self._rows(_LEFT)
            if not left or time.monotonic() > ends_s:
                return int(left)
            await asyncio.sleep(2)

    async def _rows(self, query: str) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.database.url) as conn:
            cursor = await conn.execute(query.encode())
            return await cursor.fetchall()


_LEFT = """
SELECT count(*) FROM whatsapp_gateway.media_downloads
WHERE download_status IN ('pending', 'downloading') AND attempts < 6
"""
_STATUSES = "SELECT download_status, count(*) FROM whatsapp_gateway.media_downloads GROUP BY 1"
_PROBLEMS = """
SELECT problem, count(*) FROM whatsapp_gateway.media_downloads
WHERE download_status <> 'completed' AND problem IS NOT NULL GROUP BY 1 ORDER BY 2 DESC
"""


async def prove(
    trial: Trial, folder: Path, *, tell: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Run *trial* in *folder*, which is empty and stays the caller's."""
    async with Estate.running(folder, trial) as estate:
        run = ChaosRun(trial, folder, estate, tell)
        try:
            return await run.judged(await run())
        finally:
            await run.aclose()


def trial_of(*, seed: int, seconds: float, chats: int, past: int, rate: float) -> Trial:
    """Return a trial of three sessions with every fault, and each disturbance at least once."""
    dice = Dice("chaos", seed)
    return Trial(
        scenario=Scenario(
            seed=seed,
            sessions=3,
            chats=-(-chats // 3),
            rate=rate,
            start=datetime.now(UTC),
            served=True,
            past=past,
            faults=Faults.parse(FAULTS, served=True),
            also_as_message=0.3,
            media=Media(stock=Stock(distinct=80), lifetime_s=_FILES_KEPT_S),
        ),
        seconds=seconds,
        late_s=5.0,
        disturbances=tuple(dice.shuffled(list(DISTURBANCES))),
    )


def _main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/prove-chaos", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=900, help="of traffic; 500 at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chats", type=int, default=120, help="of three sessions together")
    parser.add_argument("--past", type=int, default=20_000, help="messages that REST alone tells")
    parser.add_argument("--rate", type=float, default=20, help="deliveries a second")
    parser.add_argument("--keep-log", type=Path, help="write what the gateway logs there")
    given = vars(parser.parse_args())
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    kept: Path | None = given.pop("keep_log")
    with tempfile.TemporaryDirectory(prefix="wagateway-proof-") as name:
        folder = Path(name)
        try:
            work = prove(trial_of(**given), folder, tell=sync_proof.tell)
            outcome = asyncio.run(sync_proof.until_stopped(work))
        finally:
            if kept:
                kept.write_bytes((folder / "gateway.log").read_bytes())
    shown = msgspec.to_builtins(outcome)
    shown["files"]["hashes"] = len(outcome.files.hashes)
    print(msgspec.json.format(msgspec.json.encode(shown)).decode())  # noqa: T201 - the result
    return 0 if outcome.perfect else 1


if __name__ == "__main__":
    sys.exit(_main())
