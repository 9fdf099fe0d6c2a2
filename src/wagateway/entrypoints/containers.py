"""The composition root: the one place that knows which adapter fills which port."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version as installed_version

import msgspec
import structlog
from dependency_injector import containers, providers

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.memory.downloads import InMemoryDownloadStore
from wagateway.adapters.memory.figures import InMemoryArchiveFigures
from wagateway.adapters.memory.purges import InMemoryPurgeStore
from wagateway.adapters.memory.sync import InMemorySyncStore
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.backup_turns import TimescaleBackupTurns
from wagateway.adapters.timescale.copies import TimescaleTables
from wagateway.adapters.timescale.downloads import TimescaleDownloadStore
from wagateway.adapters.timescale.feed import TimescaleChangeFeed
from wagateway.adapters.timescale.figures import TimescaleArchiveFigures
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import Pool, PoolUsage, open_pool, usage_of
from wagateway.adapters.timescale.purges import TimescalePurgeStore
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.adapters.timescale.sync import TimescaleSyncStore
from wagateway.adapters.waha.reader import WahaReader
from wagateway.domain.errors import Rejected
from wagateway.entrypoints.commit_log import log_commit
from wagateway.entrypoints.logs import trace_of
from wagateway.entrypoints.plans import storage_plan
from wagateway.entrypoints.redis_use import WakeUps, open_wake_ups
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import open_media, open_spool
from wagateway.ports.archive import Archive, ArchiveReader
from wagateway.ports.backup_turns import BackupTurns
from wagateway.ports.downloads import DownloadStore
from wagateway.ports.feed import ChangeFeed
from wagateway.ports.figures import ArchiveFigures
from wagateway.ports.media_store import MediaStore
from wagateway.ports.purges import PurgeStore
from wagateway.ports.spool import Spool
from wagateway.ports.sync import SyncStore
from wagateway.ports.tables import TableSource
from wagateway.ports.tracing import UNTRACED, Tracing
from wagateway.usecases.export_media import ExportMedia
from wagateway.usecases.group_commit import Commit, GroupCommit
from wagateway.usecases.identity import LinkIdentity, UnlinkIdentity
from wagateway.usecases.ingest import IngestBody
from wagateway.usecases.live import Live
from wagateway.usecases.media_library import MediaLibrary
from wagateway.usecases.purge import PurgeMessages
from wagateway.usecases.replay import ReplayLog
from wagateway.usecases.spooling import Away, SpoolBodies
from wagateway.usecases.sync_control import SyncControl
from wagateway.usecases.tidy_feed import TidyFeed
from wagateway.usecases.verify_media import VerifyMedia

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.live")

_MOVED_UNASKED = 100_000
"""Rows that move into chunks in a second or two; a start may take that long."""
_MAX_WRITERS = 4
"""Transactions at once; half of the connections are left to the readers in any case."""
_PREPARE_EMBEDDED = 5
"""Uses of a statement before it is prepared, where no pooler is in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the entrypoints call: use cases, and the ports that are opened for them.

    Attributes:
        settings: that they were opened with.
        spool: where webhooks wait while the database is away; None: nowhere.
        pool: how the connections to the database are used; None where there are none.
        copies: what backups need; None where nothing is kept.
    """

    settings: Settings
    ingest: IngestBody
    spool: Spool | None
    archive: Archive
    reader: ArchiveReader
    replay: ReplayLog
    link: LinkIdentity
    unlink: UnlinkIdentity
    sync_store: SyncStore
    sync: SyncControl
    downloads: DownloadStore
    media: MediaStore
    library: MediaLibrary
    verify: VerifyMedia
    export: ExportMedia
    purge: PurgeMessages
    purges: PurgeStore
    live: Live
    tidy_feed: TidyFeed
    wake_ups: WakeUps
    figures: ArchiveFigures
    pool: Callable[[], PoolUsage] | None
    copies: "Copies | None"
    tracing: Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """What backups need of a database that keeps something."""

    tables: TableSource
    turns: BackupTurns


@dataclass(frozen=True, slots=True, kw_only=True)
class _Backend:
    """What one database fills, or memory, opened: a port each, as in `Services`."""

    archive: Archive
    reader: ArchiveReader
    sync: SyncStore
    downloads: DownloadStore
    purges: PurgeStore
    feed: ChangeFeed
    wake_ups: WakeUps
    figures: ArchiveFigures
    pool: Callable[[], PoolUsage] | None = None
    copies: Copies | None = None


def now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


def _log_defect(defect: Exception) -> None:
    _log.error("defect", error=type(defect).__name__, trace=list(trace_of(defect)))


class Container(containers.DeclarativeContainer):
    """Builds the use cases over what `open_services` has opened, and gives both as `services`."""

    settings: providers.Dependency[Settings] = providers.Dependency()
    archive: providers.Dependency[Archive] = providers.Dependency()
    spool: providers.Dependency[Spool | None] = providers.Dependency()
    spool_bodies: providers.Dependency[SpoolBodies | None] = providers.Dependency()
    reader: providers.Dependency[ArchiveReader] = providers.Dependency()
    sync_store: providers.Dependency[SyncStore] = providers.Dependency()
    writers: providers.Dependency[int] = providers.Dependency()
    interval: providers.Dependency[timedelta] = providers.Dependency()
    downloads: providers.Dependency[DownloadStore] = providers.Dependency()
    media: providers.Dependency[MediaStore] = providers.Dependency()
    purges: providers.Dependency[PurgeStore] = providers.Dependency()
    redirects: providers.Dependency[bool] = providers.Dependency()
    feed: providers.Dependency[ChangeFeed] = providers.Dependency()
    wake_ups: providers.Dependency[WakeUps] = providers.Dependency()
    streams: providers.Dependency[int] = providers.Dependency()
    kept_for: providers.Dependency[timedelta] = providers.Dependency()
    copies: providers.Dependency[Copies | None] = providers.Dependency()
    broke: providers.Dependency[Callable[[Exception], None]] = providers.Dependency()
    committed: providers.Dependency[Callable[[Commit], None]] = providers.Dependency()
    figures: providers.Dependency[ArchiveFigures] = providers.Dependency()
    pool: providers.Dependency[Callable[[], PoolUsage] | None] = providers.Dependency()
    tracing: providers.Dependency[Tracing] = providers.Dependency()
    clock = providers.Object(now)
    engine = providers.Singleton(WahaReader)
    commit = providers.Singleton(
        GroupCommit, archive, max_groups=writers, told=committed, tracing=tracing
    )
    away = providers.Singleton(Away)
    ingest = providers.Singleton(
        IngestBody,
        engine=engine,
        commit=commit,
        clock=clock,
        spool=spool_bodies,
        away=away,
        tracing=tracing,
    )
    replay = providers.Singleton(ReplayLog, engine=engine, archive=archive)
    link = providers.Singleton(LinkIdentity, archive=archive, clock=clock)
    unlink = providers.Singleton(UnlinkIdentity, archive=archive, clock=clock)
    sync = providers.Singleton(
        SyncControl,
        store=sync_store,
        reader=reader,
        clock=clock,
        interval=interval,
        wake_up=wake_ups.provided.sync,
    )
    library = providers.Singleton(
        MediaLibrary,
        reader=reader,
        downloads=downloads,
        media=media,
        clock=clock,
        redirects=redirects,
        wake_up=wake_ups.provided.files,
    )
    purge = providers.Singleton(PurgeMessages, store=purges, clock=clock)
    verify = providers.Singleton(VerifyMedia, downloads=downloads, media=media, clock=clock)
    export = providers.Singleton(ExportMedia, reader=reader, downloads=downloads, media=media)
    live = providers.Singleton(
        Live,
        feed=feed,
        reader=reader,
        wake_up=wake_ups.provided.feed,
        clock=clock,
        most_streams=streams,
        broke=broke,
    )
    tidy_feed = providers.Singleton(TidyFeed, feed=feed, kept_for=kept_for)
    services = providers.Singleton(
        Services,
        settings=settings,
        ingest=ingest,
        spool=spool,
        archive=archive,
        reader=reader,
        replay=replay,
        link=link,
        unlink=unlink,
        sync_store=sync_store,
        sync=sync,
        downloads=downloads,
        media=media,
        library=library,
        verify=verify,
        export=export,
        purge=purge,
        purges=purges,
        live=live,
        tidy_feed=tidy_feed,
        wake_ups=wake_ups,
        figures=figures,
        pool=pool,
        copies=copies,
        tracing=tracing,
    )


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    database_url: str | None = None,
    committed: Callable[[Commit], None] = lambda _: None,
) -> AsyncIterator[Services]:
    """Open what *settings* name, and close it in reverse when the context ends.

    What was taken in is written before the database is let go.

    Args:
        settings: which backend, and whether its schema is brought up to date.
        database_url: used instead of the settings' database.
        committed: is told of each group of deliveries, beside the log; it never waits.

    Raises:
        InvalidInput: *database_url* or the data folder cannot be used.
        Conflict: the data folder is in use, or the schema does not fit.
        Rejected: the server is too old, or the extra ``embedded``, ``redis``, ``s3`` or ``otel``
            is needed and not installed.
        StoreUnavailable: the database cannot be reached for its migrations.
    """

    def tell_of_commit(commit: Commit) -> None:
        committed(commit)
        log_commit(commit)

    if database_url is not None:
        settings = msgspec.structs.replace(settings, database_url=database_url, direct_url=None)
    async with AsyncExitStack() as stack:
        tracing = await stack.enter_async_context(open_tracing(settings))
        media = await stack.enter_async_context(open_media(settings))
        spool = await stack.enter_async_context(open_spool(settings))
        spool_bodies = None if spool is None else SpoolBodies(spool)
        backend = await stack.enter_async_context(_open_backend(settings))
        container = Container(
            settings=providers.Object(settings),
            archive=providers.Object(backend.archive),
            spool=providers.Object(spool),
            spool_bodies=providers.Object(spool_bodies),
            reader=providers.Object(backend.reader),
            sync_store=providers.Object(backend.sync),
            downloads=providers.Object(backend.downloads),
            media=providers.Object(media),
            purges=providers.Object(backend.purges),
            redirects=providers.Object(settings.media_redirect),
            feed=providers.Object(backend.feed),
            wake_ups=providers.Object(backend.wake_ups),
            streams=providers.Object(settings.live_max_streams),
            kept_for=providers.Object(timedelta(hours=settings.live_retention_hours)),
            broke=providers.Object(_log_defect),
            committed=providers.Object(tell_of_commit),
            figures=providers.Object(backend.figures),
            pool=providers.Object(backend.pool),
            copies=providers.Object(backend.copies),
            tracing=providers.Object(tracing),
            interval=providers.Object(timedelta(milliseconds=settings.sync_interval_ms)),
            writers=providers.Object(max(1, min(_MAX_WRITERS, settings.pool_size // 2))),
        )
        container.check_dependencies()
        if spool_bodies is not None:  # closed last: it takes what the database did not
            stack.push_async_callback(spool_bodies.aclose)
        stack.push_async_callback(container.commit().aclose)
        stack.push_async_callback(container.live().aclose)
        yield container.services()


@asynccontextmanager
async def _open_backend(settings: Settings) -> AsyncIterator[_Backend]:
    """Open the database that *settings* name, migrated where they say so; or memory."""
    async with AsyncExitStack() as stack:
        wake_ups = await stack.enter_async_context(open_wake_ups(settings))
        if settings.backend == "memory":
            yield _memory(wake_ups)
            return
        url, prepare_threshold = settings.database_url, settings.prepare_threshold
        if url is None:
            server = await stack.enter_async_context(EmbeddedPostgres.running(settings.data_dir))
            url = server.url
            prepare_threshold = (
                _PREPARE_EMBEDDED if prepare_threshold is None else prepare_threshold
            )
        direct_url = settings.migration_url or url
        if settings.auto_migrate:
            await migrate(direct_url, storage=storage_plan(settings, most_rows=_MOVED_UNASKED))
        pool = await stack.enter_async_context(
            open_pool(url, max_size=settings.pool_size, prepare_threshold=prepare_threshold)
        )
        yield _postgres(pool, direct_url, wake_ups)


def _memory(wake_ups: WakeUps) -> _Backend:
    archive = InMemoryArchive(committed=wake_ups.committed)
    sync, downloads = InMemorySyncStore(archive), InMemoryDownloadStore(archive)
    return _Backend(
        archive=archive,
        reader=archive,
        sync=sync,
        downloads=downloads,
        purges=InMemoryPurgeStore(archive),
        feed=archive.feed,
        wake_ups=wake_ups,
        figures=InMemoryArchiveFigures(archive, sync, downloads),
    )


def _postgres(pool: Pool, direct_url: str, wake_ups: WakeUps) -> _Backend:
    """Return what *pool* fills; backups go past a pooler, by *direct_url*."""
    archive = TimescaleArchive(pool, committed=wake_ups.committed)
    return _Backend(
        archive=archive,
        reader=TimescaleReader(pool),
        sync=TimescaleSyncStore(pool, archive),
        downloads=TimescaleDownloadStore(pool),
        purges=TimescalePurgeStore(pool, archive),
        feed=TimescaleChangeFeed(pool),
        wake_ups=wake_ups,
        figures=TimescaleArchiveFigures(pool),
        pool=partial(usage_of, pool),
        copies=Copies(tables=TimescaleTables(direct_url), turns=TimescaleBackupTurns(pool)),
    )


@asynccontextmanager
async def open_tracing(settings: Settings) -> AsyncIterator[Tracing]:
    """Yield what measures parts of the work; it measures nothing unless *settings* say so.

    Raises:
        Rejected: the extra ``otel`` is needed, and not installed.
    """
    if not settings.otel_enabled:
        yield UNTRACED
        return
    try:
        from wagateway.adapters.otel.tracing import open_otel  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as exc:
        raise Rejected(
            "WHATSAPP_OTEL_ENABLED=true needs OpenTelemetry: pip install 'wagateway[otel]'"
        ) from exc
    async with open_otel(installed_version("wagateway")) as tracing:
        yield tracing
