"""Running sync: a worker over opened services, its log lines, and the heartbeat of the webhook."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import structlog

from wagateway.domain.coverage import BEAT, STILL_UP
from wagateway.domain.errors import WagatewayError
from wagateway.entrypoints.containers import Services, now, open_worker
from wagateway.entrypoints.logs import trace_of
from wagateway.entrypoints.settings import Settings
from wagateway.ports.sync import SyncStore
from wagateway.usecases.sync import WAITING
from wagateway.usecases.turn import Turn
from wagateway.usecases.work import SyncWorker, WorkerState

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.sync")


def log_turn(turn: Turn) -> None:
    """Log what a turn did, without naming anybody."""
    kind = "chat" if turn.task.chat else "session"
    facts = {
        "session": turn.task.archive.session,
        "what": kind,
        "pages": turn.pages,
        "messages": turn.messages,
        "stored": turn.stored,
    }
    if turn.defect is not None:
        log_defect(turn.defect)
    if turn.problem and turn.problem != WAITING:  # the session itself is logged once, by its task
        _log.warning("sync_waits", reason=turn.problem, **facts)
    elif turn.stored:
        _log.info("synced", **facts)
    else:
        _log.debug("synced", **facts)


def log_defect(defect: Exception) -> None:
    """Log what of ours broke, and where, without its text, which may quote a message."""
    _log.error("defect", error=type(defect).__name__, trace=list(trace_of(defect)))


def log_trouble(problem: str | None) -> None:
    """Log that nothing can be done, or that it goes on."""
    if problem is None:
        _log.info("sync_goes_on")
    else:
        _log.warning("sync_cannot_work", reason=problem)


@asynccontextmanager
async def working(settings: Settings, services: Services) -> AsyncIterator[WorkerState | None]:
    """Let a worker run while the context is open; None where sync is off or has no engine."""
    if not settings.sync_enabled or settings.engine_url is None:
        yield None
        return
    async with open_worker(
        settings, services, told=log_turn, troubled=log_trouble, broke=log_defect
    ) as worker:
        stop = asyncio.Event()
        running = asyncio.create_task(run_worker(worker, stop))
        try:
            yield worker.state
        finally:
            stop.set()
            await running


async def run_worker(worker: SyncWorker, stop: asyncio.Event) -> None:
    """Run *worker* until *stop*; a defect is logged, and it goes on after a while."""
    while not stop.is_set():
        try:
            await worker.run(stop)
        except Exception:  # noqa: BLE001 - whatever it is, sync must go on
            _log.exception("the sync worker failed and begins again")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=10.0)


@asynccontextmanager
async def beating(store: SyncStore) -> AsyncIterator[None]:
    """Say while the context is open that webhooks are taken in.

    What is not said because the database is away is no proof of having been up.
    """
    name = f"{socket.gethostname()}:{os.getpid()}"
    task = asyncio.create_task(_beat(store, name))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _beat(store: SyncStore, name: str) -> None:
    since: datetime | None = None
    said = now()
    while True:
        at = now()
        if since is None or at - said > STILL_UP:
            since = at
        try:
            await store.beat(name, since=since, until=at)
            said = at
        except WagatewayError as exc:
            _log.warning("heartbeat_waits", error=type(exc).__name__)
        await asyncio.sleep(BEAT.total_seconds())
