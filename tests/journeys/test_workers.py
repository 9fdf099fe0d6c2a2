"""Two workers share the work; one is killed in the middle of a page."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from tests.support.postgres import fresh_database

from wagateway import Gateway, NotFound, Settings
from wagateway.adapters.timescale.migrate import migrate
from wagateway.simulator.asgi import App
from wagateway.simulator.engine import EngineName
from wagateway.simulator.rest import create_app
from wagateway.simulator.serving import in_thread
from wagateway.simulator.simulation import Scenario
from wagateway.simulator.waha_server import WahaServer

pytestmark = [pytest.mark.slow, pytest.mark.embedded]

PAST = 1500
VICTIM = "key-of-the-victim"
_TIMEOUT_S = 60

WORKER = """
import asyncio, sys
from datetime import timedelta
from msgspec.structs import replace
from wagateway import Settings
from wagateway.entrypoints import containers, worker, workers

usual = workers.sync_plan
workers.sync_plan = lambda settings: replace(usual(settings), lease=timedelta(seconds=3))

async def main(database_url, engine_url, engine_key):
    settings = Settings(
        database_url=database_url, engine_url=engine_url, engine_key=engine_key,
        auto_migrate=False, sync_batch_size=20, sync_concurrent_chats=3,
    )
    async with containers.open_services(settings) as services, worker.working(settings, services):
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


class Ambush:
    """The simulated REST API, which kills the victim when it asks for a page, before the answer.

    Attributes:
        pages: how many the victim asked for.
        killed: set once it is dead.
    """

    def __init__(self, app: App, *, after: int) -> None:
        self._app = app
        self._after = after
        self.victim: Process | None = None
        self.pages = 0
        self.killed = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
        key = dict(scope.get("headers", ())).get(b"x-api-key", b"").decode()
        if key == VICTIM and scope["path"].endswith("/messages"):
            self.pages += 1
            if self.pages == self._after and self.victim is not None:
                os.kill(self.victim.pid, signal.SIGKILL)
                self.killed = True
        await self._app(scope, receive, send)


@asynccontextmanager
async def worker(database_url: str, engine_url: str, key: str) -> AsyncIterator[Process]:
    environ = {name: value for name, value in os.environ.items() if "WHATSAPP" not in name}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WORKER, database_url, engine_url, key),
        env=environ,
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_read(gateway: Gateway) -> None:
    """Return when every chat is idle."""
    async with asyncio.timeout(_TIMEOUT_S):
        while not await is_read(gateway):
            await asyncio.sleep(0.2)


async def is_read(gateway: Gateway) -> bool:
    try:
        report = await gateway.sync_report("default")
    except NotFound:
        return False
    whole = report.session_task
    looked = whole is not None and whole.caught_up_at is not None
    return looked and not report.chats and sum(report.counts.values()) > 0


async def test_a_worker_that_is_killed_in_a_page_loses_and_doubles_nothing(
    postgres_server: str,
) -> None:
    waha = WahaServer.of(Scenario(seed=8, engine=EngineName.GOWS, chats=20, served=True, past=PAST))
    ambush = Ambush(create_app(waha), after=6)
    async with fresh_database(postgres_server) as url:
        await migrate(url)
        with in_thread(ambush) as engine_url:
            async with (
                worker(url, engine_url, VICTIM) as ambush.victim,
                worker(url, engine_url, "key-of-the-other"),
                Gateway.open(Settings(database_url=url, auto_migrate=False)) as gateway,
            ):
                await until_read(gateway)
                coverage = await gateway.coverage("default")
        async with await psycopg.AsyncConnection.connect(url) as conn:
            cursor = await conn.execute(
                "SELECT count(*), count(DISTINCT stanza_id) FROM whatsapp_gateway.messages"
            )
            counts = await cursor.fetchone()
            cursor = await conn.execute(
                "SELECT count(*) FROM whatsapp_gateway.event_log"
                " WHERE event = 'sync.message' AND outcome <> 'stored'"
            )
            repeated = await cursor.fetchone()
    assert ambush.killed
    assert counts == (PAST, PAST)
    assert repeated == (0,)
    assert all(chat.complete for chat in coverage.chats)
