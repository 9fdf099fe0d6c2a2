"""Those who work in the background, put together as settings say."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from wagateway.adapters.inspection.inspector import open_inspector
from wagateway.adapters.waha.client import open_engine
from wagateway.adapters.waha.fetching import FetchLimits, open_files
from wagateway.adapters.waha.transport import Manners
from wagateway.domain.errors import InvalidInput, Rejected, StoreUnavailable
from wagateway.domain.purges import PurgeCounts
from wagateway.entrypoints.containers import Services, now
from wagateway.entrypoints.plans import media_plan, retention, sync_plan
from wagateway.entrypoints.redis_use import open_turnstile
from wagateway.entrypoints.settings import Settings
from wagateway.ports.engine import Engine
from wagateway.usecases.fetch_media import FetchMedia, FetchTurn, MediaPlan
from wagateway.usecases.find_sessions import FindSessions
from wagateway.usecases.inspect_media import InspectMedia
from wagateway.usecases.media_work import MediaWorker
from wagateway.usecases.purge import Upkeep
from wagateway.usecases.sync import SyncTurn
from wagateway.usecases.sync_people import SyncPeople
from wagateway.usecases.sync_work import SyncWorker
from wagateway.usecases.turn import Turn
from wagateway.usecases.upkeep_work import UpkeepWorker

_INCOMING = "incoming"
_LEFT_OVER_S = 24 * 3600.0
"""A file is on its way for minutes; what is older was left by a process that died."""


@asynccontextmanager
async def open_waha(settings: Settings) -> AsyncIterator[Engine]:
    """Open the engine of *settings*; all workers of a process share it.

    Its pace is that of all processes where a Redis is used.

    Raises:
        InvalidInput: no engine is configured.
        Rejected: the extra ``redis`` is needed, and not installed.
    """
    if settings.engine_url is None:
        raise InvalidInput("this needs the address of WAHA: set WHATSAPP_CORE_URL")
    async with (
        open_turnstile(settings, settings.engine_url, Manners().pace) as turnstile,
        open_engine(
            settings.engine_url, settings.engine_key, clock=now, turnstile=turnstile
        ) as engine,
    ):
        yield engine


def sync_worker(
    settings: Settings,
    services: Services,
    engine: Engine,
    *,
    told: Callable[[Turn], None],
    troubled: Callable[[str | None], None],
    broke: Callable[[Exception], None],
) -> SyncWorker:
    """Return a worker that reads from *engine* what webhooks did not bring.

    Args:
        settings: how it goes about it.
        services: opened, and kept open.
        engine: likewise.
        told: is told of each turn.
        troubled: is told why nothing can be done, and None when it goes on.
        broke: is told what of ours broke outside of a turn.
    """
    plan = sync_plan(settings)
    people = SyncPeople(engine=engine, archive=services.archive, store=services.sync_store)
    return SyncWorker(
        find=FindSessions(
            engine=engine,
            archive=services.archive,
            reader=services.reader,
            store=services.sync_store,
            clock=now,
        ),
        turn=SyncTurn(
            engine=engine,
            store=services.sync_store,
            people=people,
            clock=now,
            plan=plan,
            tracing=services.tracing,
        ),
        store=services.sync_store,
        clock=now,
        plan=plan,
        told=told,
        troubled=troubled,
        broke=broke,
        wake_up=services.wake_ups.sync,
    )


def upkeep_worker(
    settings: Settings,
    services: Services,
    *,
    told: Callable[[PurgeCounts], None],
    troubled: Callable[[str | None], None],
) -> UpkeepWorker:
    """Return a worker that purges what is too old, and ends purges that were broken off.

    Args:
        settings: how long things are kept.
        services: opened, and kept open.
        told: is told what went.
        troubled: is told why nothing can be done, and None when it goes on.
    """
    upkeep = Upkeep(store=services.purges, clock=now, retention=retention(settings))
    return UpkeepWorker(upkeep=upkeep, told=told, troubled=troubled)


@asynccontextmanager
async def open_media_worker(
    settings: Settings,
    services: Services,
    engine: Engine,
    *,
    told: Callable[[FetchTurn], None],
    troubled: Callable[[str | None], None],
    broke: Callable[[Exception], None],
) -> AsyncIterator[MediaWorker]:
    """Open a worker that fetches the files of messages, and looks into them.

    Args:
        settings: with ``engine_url``.
        services: opened, and kept open.
        engine: likewise.
        told: is told what became of each file.
        troubled: is told why nothing can be done, and None when it goes on.
        broke: is told what of ours broke while a file was looked into.

    Raises:
        InvalidInput: no engine is configured.
        StoreUnavailable: there is no folder for files that are on their way.
    """
    if settings.engine_url is None:
        raise InvalidInput("files come from WAHA: set WHATSAPP_CORE_URL")
    plan = media_plan(settings)
    async with (
        open_incoming(settings) as folder,
        open_files(
            settings.engine_url,
            settings.engine_key,
            store_url=settings.engine_store_url,
            limits=FetchLimits(at_once=plan.concurrent),
        ) as source,
        _inspecting(services, folder, plan, troubled) as inspect,
    ):
        fetch = FetchMedia(
            engine=engine,
            source=source,
            media=services.media,
            downloads=services.downloads,
            clock=now,
            plan=plan,
            folder=folder,
            tracing=services.tracing,
        )
        yield MediaWorker(
            fetch=fetch,
            inspect=inspect,
            downloads=services.downloads,
            clock=now,
            plan=plan,
            told=told,
            troubled=troubled,
            broke=broke,
            wake_up=services.wake_ups.files,
        )


@asynccontextmanager
async def _inspecting(
    services: Services, folder: Path, plan: MediaPlan, troubled: Callable[[str | None], None]
) -> AsyncIterator[InspectMedia | None]:
    """Open what looks into stored files; None where it is not installed, which *troubled* hears."""
    inspect = None
    async with AsyncExitStack() as stack:
        try:
            inspector = await stack.enter_async_context(open_inspector())
        except Rejected as exc:  # files are kept all the same
            troubled(str(exc))
        else:
            inspect = InspectMedia(
                inspector=inspector,
                media=services.media,
                downloads=services.downloads,
                clock=now,
                folder=folder,
                rest=plan.rest,
            )
        yield inspect


@asynccontextmanager
async def open_incoming(settings: Settings) -> AsyncIterator[Path]:
    """Yield the folder of files that are not stored yet, without what a crash left there.

    Raises:
        StoreUnavailable: it cannot be made or written.
    """
    if settings.backend == "memory":
        with TemporaryDirectory(prefix="wagateway-") as folder:
            yield Path(folder)
        return
    kept = settings.media_folder.expanduser().absolute()
    try:
        await asyncio.to_thread(prepare_incoming, kept)
    except OSError as exc:
        raise StoreUnavailable(
            f"the folder {kept} cannot be used ({exc.strerror}): set WHATSAPP_MEDIA_DIR"
        ) from exc
    yield kept / _INCOMING


def prepare_incoming(kept: Path) -> None:
    """Make *kept* and its folder for incoming files, for their owner alone, without leftovers."""
    incoming, unfinished = kept / _INCOMING, kept / "new"  # the latter of the store in a folder
    for made in (kept, incoming):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_left_over(incoming)
    if unfinished.is_dir():
        _remove_left_over(unfinished)


def _remove_left_over(folder: Path) -> None:
    """Remove from *folder* what a crash left there."""
    for left in folder.iterdir():
        try:
            age_s = time.time() - left.lstat().st_mtime
        except FileNotFoundError:  # another worker is done with it
            continue
        if age_s <= _LEFT_OVER_S:
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
