"""Running workers over opened services: sync, media, upkeep, their logs, webhooks' heartbeat."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from typing import Protocol
from uuid import uuid4

import msgspec
import structlog
from msgspec import Struct

from wagateway.domain.coverage import BEAT, STILL_UP
from wagateway.domain.errors import WagatewayError
from wagateway.domain.purges import PurgeCounts
from wagateway.entrypoints.backup_places import open_backup_worker
from wagateway.entrypoints.containers import Services, now
from wagateway.entrypoints.logs import trace_of
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import other_spools
from wagateway.entrypoints.workers import open_media_worker, open_waha, sync_worker, upkeep_worker
from wagateway.ports.engine import Engine
from wagateway.ports.spool import Spool
from wagateway.ports.sync import SyncStore
from wagateway.usecases.backup_work import Regular
from wagateway.usecases.fetch_media import FetchTurn
from wagateway.usecases.media_work import MediaWorkerState
from wagateway.usecases.spooling import DrainSpool
from wagateway.usecases.sync import WAITING
from wagateway.usecases.turn import Turn
from wagateway.usecases.work import WorkerState

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.sync")
_upkeep_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.upkeep")
_spool_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.spool")
_backup_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.backup")
_media_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.media")


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
    with _one_turn():
        if turn.defect is not None:
            log_defect(turn.defect)
        if turn.problem and turn.problem != WAITING:  # the session is logged once, by its own task
            _log.warning("sync_waits", reason=turn.problem, **facts)
        elif turn.stored:
            _log.info("synced", **facts)
        else:
            _log.debug("synced", **facts)


def _one_turn() -> AbstractContextManager[None]:
    """Give the lines about one turn an id in common, since they name nobody."""
    return structlog.contextvars.bound_contextvars(turn=uuid4().hex[:16])


def log_defect(defect: Exception) -> None:
    """Log what of ours broke, and where, without its text, which may quote a message."""
    _log.error("defect", error=type(defect).__name__, trace=list(trace_of(defect)))


def log_trouble(problem: str | None) -> None:
    """Log that nothing can be done, or that it goes on."""
    if problem is None:
        _log.info("sync_goes_on")
    else:
        _log.warning("sync_cannot_work", reason=problem)


def log_file(turn: FetchTurn) -> None:
    """Log what became of a file, without naming anybody."""
    facts = {
        "session": turn.task.archive.session,
        "kind": turn.task.file.kind,
        "status": turn.task.download.status,
    }
    download = turn.task.download
    with _one_turn():
        if turn.defect is not None:
            log_defect(turn.defect)
        if turn.problem is not None and download.due_at and not download.attempts:
            _media_log.debug("file_waits", reason=turn.problem, **facts)  # no failure of its own
        elif turn.problem is not None:
            _media_log.info("file_not_stored", reason=turn.problem, **facts)
        else:
            _media_log.debug("file_stored", size_bytes=turn.size_bytes, new=turn.new, **facts)


def log_media_trouble(problem: str | None) -> None:
    """Log that no files can be kept, or that it goes on."""
    if problem is None:
        _media_log.info("media_goes_on")
    else:
        _media_log.warning("media_cannot_work", reason=problem)


def log_purged(gone: PurgeCounts) -> None:
    """Log how much went."""
    counts = msgspec.structs.asdict(gone)
    _upkeep_log.info("purged", **{name: count for name, count in counts.items() if count})


def log_upkeep_trouble(problem: str | None) -> None:
    """Log that nothing can be purged, or that it goes on."""
    if problem is None:
        _upkeep_log.info("upkeep_goes_on")
    else:
        _upkeep_log.warning("upkeep_cannot_work", reason=problem)


def log_drained(entries: int) -> None:
    """Log that something of the spool is recorded now."""
    _spool_log.info("spool_drained", entries=entries)


def log_spool_trouble(problem: str | None) -> None:
    """Log that the spool cannot be used or drained, or that it goes on."""
    if problem is None:
        _spool_log.info("spool_goes_on")
    else:
        _spool_log.warning("spool_waits", reason=problem)


def log_set_aside(key: str, reason: str) -> None:
    """Log that an entry of the spool cannot be recorded, and is kept."""
    _spool_log.error(
        "spool_entry_set_aside",
        key=key,
        reason=reason,
        hint="once what was wrong is mended, run `wagateway spool --retry`",
    )


def log_backup(made: Regular) -> None:
    """Log what a backup holds."""
    _backup_log.info(
        "backed_up",
        name=made.manifest.name,
        rows=made.manifest.rows,
        size_bytes=made.manifest.size_bytes,
        new_files=made.new_files,
        missing_files=made.manifest.media.missing,
        removed=list(made.removed),
    )


def log_backup_trouble(problem: str | None) -> None:
    """Log that no backup is made, or that it goes on."""
    if problem is None:
        _backup_log.info("backup_goes_on")
    else:
        _backup_log.error("backup_failed", reason=problem)


class Workers(Struct, frozen=True, kw_only=True):
    """What the workers of this process tell of themselves; None where there is none."""

    sync: WorkerState | None = None
    media: MediaWorkerState | None = None


@asynccontextmanager
async def tidying(services: Services) -> AsyncIterator[None]:
    """Let the feed forget what is too old while the context is open."""
    async with _running(services.tidy_feed):
        yield


@asynccontextmanager
async def draining(
    settings: Settings, services: Services, *, takes_webhooks: bool = True
) -> AsyncIterator[None]:
    """Record what waits in the spool, where there is one, while the context is open.

    Where webhooks are taken it is tried beforehand, by a small write.
    """
    async with AsyncExitStack() as stack:
        tried = services.spool if takes_webhooks else None
        await stack.enter_async_context(_told_meanwhile(settings, tried))
        if services.spool is not None:
            ingest = services.ingest
            drain = DrainSpool(
                spool=services.spool,
                engine=ingest.engine,
                commit=ingest.commit,
                away=ingest.away,
                told=log_drained,
                troubled=log_spool_trouble,
                broke=log_defect,
                set_aside=log_set_aside,
            )
            await stack.enter_async_context(_running(drain))
        yield


@asynccontextmanager
async def _told_meanwhile(settings: Settings, spool: Spool | None) -> AsyncIterator[None]:
    """Log whether *spool* can be used, and what waits in others; nobody waits for a disk here."""

    async def tell() -> None:
        try:
            if spool is not None:
                await spool.prepare()
            await _tell_of_other_spools(settings)
        except WagatewayError as exc:  # it may be usable later, and the database is what counts
            if spool is not None:
                log_spool_trouble(str(exc))

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait({telling})


async def _tell_of_other_spools(settings: Settings) -> None:
    """Log where webhooks wait that were spooled under another address, or elsewhere."""
    for place, depth in (await other_spools(settings)).items():
        _spool_log.warning(
            "webhooks_of_another_spool_wait",
            spool=place.label,
            entries=depth.entries,
            set_aside=depth.set_aside,
            hint="start wagateway with that database; or, if it is this one under another "
            "address or another WHATSAPP_SPOOL, run `wagateway spool --adopt NAME`",
        )


@asynccontextmanager
async def working(
    settings: Settings,
    services: Services,
    *,
    turned: Callable[[Turn], None] = lambda _: None,
    fetched: Callable[[FetchTurn], None] = lambda _: None,
) -> AsyncIterator[Workers]:
    """Let workers run while the context is open.

    Upkeep, tidying the feed and draining the spool in any case; backups, sync and media, as far as
    they are switched on.

    Args:
        settings: how they go about it.
        services: opened, and kept open.
        turned: is told of each turn of sync, beside the log.
        fetched: is told what became of each file, likewise.
    """
    upkeep = upkeep_worker(settings, services, told=log_purged, troubled=log_upkeep_trouble)
    async with (
        _running(upkeep),
        tidying(services),
        draining(settings, services),
        _backing_up(settings, services),
        _reading(settings, services, turned, fetched) as workers,
    ):
        yield workers


@asynccontextmanager
async def _backing_up(settings: Settings, services: Services) -> AsyncIterator[None]:
    """Make regular backups, where they are wanted, while the context is open."""
    async with open_backup_worker(
        settings, services, told=log_backup, troubled=log_backup_trouble
    ) as worker:
        if worker is None:
            yield
            return
        async with _running(worker):
            yield


@asynccontextmanager
async def _reading(
    settings: Settings,
    services: Services,
    turned: Callable[[Turn], None],
    fetched: Callable[[FetchTurn], None],
) -> AsyncIterator[Workers]:
    """Read messages and files from the engine, as far as that is switched on, likewise."""
    if settings.engine_url is None or not (settings.sync_enabled or settings.media_enabled):
        yield Workers()
        return
    async with (
        open_waha(settings) as engine,
        _fetching(settings, services, engine, fetched) as media,
        _syncing(settings, services, engine, turned) as sync,
    ):
        yield Workers(sync=sync, media=media)


@asynccontextmanager
async def _fetching(
    settings: Settings, services: Services, engine: Engine, fetched: Callable[[FetchTurn], None]
) -> AsyncIterator[MediaWorkerState | None]:
    def tell(turn: FetchTurn) -> None:
        fetched(turn)
        log_file(turn)

    if not settings.media_enabled:
        yield None
        return
    async with (
        open_media_worker(
            settings, services, engine, told=tell, troubled=log_media_trouble, broke=log_defect
        ) as worker,
        _running(worker),
    ):
        yield worker.state


@asynccontextmanager
async def _syncing(
    settings: Settings, services: Services, engine: Engine, turned: Callable[[Turn], None]
) -> AsyncIterator[WorkerState | None]:
    def tell(turn: Turn) -> None:
        turned(turn)
        log_turn(turn)

    if not settings.sync_enabled:
        yield None
        return
    worker = sync_worker(
        settings, services, engine, told=tell, troubled=log_trouble, broke=log_defect
    )
    async with _running(worker):
        yield worker.state


class _Worker(Protocol):
    """Works until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None: ...


@asynccontextmanager
async def _running(worker: _Worker) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(run_worker(worker, stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def run_worker(worker: _Worker, stop: asyncio.Event) -> None:
    """Run *worker* until *stop*; a defect is logged, and it goes on after a while."""
    while not stop.is_set():
        try:
            await worker.run(stop)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the work must go on
            _log.warning("a worker failed and begins again", worker=type(worker).__name__)
            log_defect(exc)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=10.0)


@asynccontextmanager
async def beating(store: SyncStore, *, begun: asyncio.Event | None = None) -> AsyncIterator[None]:
    """Say while the context is open that webhooks are taken in.

    What is not said because the database is away is no proof of having been up.

    Args:
        store: is told.
        begun: nothing is said until it is set; None: said at once.
    """
    name = f"{socket.gethostname()}:{os.getpid()}"
    task = asyncio.create_task(_beat(store, name, begun))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _beat(store: SyncStore, name: str, begun: asyncio.Event | None) -> None:
    if begun is not None:
        await begun.wait()
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
