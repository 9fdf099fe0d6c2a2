"""Running workers over opened services: sync, media, upkeep, spool; and webhooks' heartbeat."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from wagateway.domain.coverage import BEAT, STILL_UP
from wagateway.domain.errors import WagatewayError
from wagateway.entrypoints.backup_places import open_backup_worker
from wagateway.entrypoints.containers import Services, now
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import other_spools
from wagateway.entrypoints.worker_log import (
    log_backup,
    log_backup_trouble,
    log_defect,
    log_drained,
    log_file,
    log_heartbeat_waits,
    log_media_trouble,
    log_other_spool,
    log_purged,
    log_set_aside,
    log_spool_trouble,
    log_sync_trouble,
    log_turn,
    log_upkeep_trouble,
    log_worker_failed,
)
from wagateway.entrypoints.workers import open_media_worker, open_waha, sync_worker, upkeep_worker
from wagateway.ports.engine import Engine
from wagateway.ports.spool import Spool
from wagateway.ports.sync import SyncStore
from wagateway.usecases.fetch_media import FetchTurn
from wagateway.usecases.media_work import MediaWorkerState
from wagateway.usecases.spooling import DrainSpool
from wagateway.usecases.sync_work import SyncWorkerState
from wagateway.usecases.turn import Turn


class Workers(Struct, frozen=True, kw_only=True):
    """What the workers of this process tell of themselves; None where there is none."""

    sync: SyncWorkerState | None = None
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
        await stack.enter_async_context(_checking_spools(settings, tried))
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
async def _checking_spools(settings: Settings, spool: Spool | None) -> AsyncIterator[None]:
    """Log whether *spool* can be used, and what waits in others; nobody waits for a disk here."""

    async def tell() -> None:
        try:
            if spool is not None:
                await spool.prepare()
            for place, depth in (await other_spools(settings)).items():
                log_other_spool(place.label, depth)
        except WagatewayError as exc:  # it may be usable later, and the database is what counts
            if spool is not None:
                log_spool_trouble(str(exc))

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait({telling})


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
) -> AsyncIterator[SyncWorkerState | None]:
    def tell(turn: Turn) -> None:
        turned(turn)
        log_turn(turn)

    if not settings.sync_enabled:
        yield None
        return
    worker = sync_worker(
        settings, services, engine, told=tell, troubled=log_sync_trouble, broke=log_defect
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
            log_worker_failed(type(worker).__name__, exc)
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
            log_heartbeat_waits(exc)
        await asyncio.sleep(BEAT.total_seconds())
