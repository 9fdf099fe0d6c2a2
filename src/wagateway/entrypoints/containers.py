"""The composition root: the one place that knows which adapter fills which port."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import structlog
from dependency_injector import containers, providers

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.filesystem.backups import FilesystemBackups
from wagateway.adapters.filesystem.remote_backups import RemoteBackups
from wagateway.adapters.inspection.inspector import open_inspector
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
from wagateway.adapters.timescale.pool import PoolUsage, open_pool, usage_of
from wagateway.adapters.timescale.purges import TimescalePurgeStore
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.adapters.timescale.storage import StoragePlan
from wagateway.adapters.timescale.sync import TimescaleSyncStore
from wagateway.adapters.waha.client import open_engine
from wagateway.adapters.waha.fetching import FetchLimits, open_files
from wagateway.adapters.waha.reader import WahaReader
from wagateway.adapters.waha.transport import Manners
from wagateway.domain.errors import InvalidInput, Rejected, StoreUnavailable
from wagateway.domain.identity import STATUS_CHAT, ChatType
from wagateway.domain.media import Rules
from wagateway.domain.patience import Patience
from wagateway.domain.purges import PurgeCounts
from wagateway.entrypoints.commit_log import log_commit
from wagateway.entrypoints.logs import trace_of
from wagateway.entrypoints.redis_use import WakeUps, open_turnstile, open_wake_ups
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.stores import bucket, open_media, open_spool
from wagateway.entrypoints.variables import BACKUP_PLACE, FULL, STATUS, s3_place
from wagateway.ports.archive import Archive, ArchiveReader
from wagateway.ports.backup_turns import BackupTurns
from wagateway.ports.backups import BackupPlace
from wagateway.ports.downloads import DownloadStore
from wagateway.ports.engine import Engine
from wagateway.ports.feed import ChangeFeed
from wagateway.ports.figures import ArchiveFigures
from wagateway.ports.media_store import MediaStore
from wagateway.ports.purges import PurgeStore
from wagateway.ports.seal import Keys
from wagateway.ports.spool import Spool
from wagateway.ports.sync import SyncStore
from wagateway.ports.tables import TableSource
from wagateway.ports.tracing import UNTRACED, Tracing
from wagateway.usecases.back_up import BackUp
from wagateway.usecases.backup_work import BackupWorker, Regular, RegularBackup
from wagateway.usecases.export_media import ExportMedia
from wagateway.usecases.fetch_media import FetchMedia, FetchTurn, MediaPlan
from wagateway.usecases.find_sessions import FindSessions
from wagateway.usecases.group_commit import Commit, GroupCommit
from wagateway.usecases.identity import LinkIdentity, UnlinkIdentity
from wagateway.usecases.ingest import IngestBody
from wagateway.usecases.inspect_media import InspectMedia
from wagateway.usecases.live import Live
from wagateway.usecases.media_library import MediaLibrary
from wagateway.usecases.media_work import MediaWorker
from wagateway.usecases.purge import PurgeMessages, Retention, Upkeep
from wagateway.usecases.replay import ReplayLog
from wagateway.usecases.spooling import Away, SpoolBodies
from wagateway.usecases.sync import SyncTurn
from wagateway.usecases.sync_control import SyncControl
from wagateway.usecases.sync_people import SyncPeople
from wagateway.usecases.sync_plan import SyncPlan
from wagateway.usecases.tidy_feed import TidyFeed
from wagateway.usecases.turn import Turn
from wagateway.usecases.upkeep_work import UpkeepWorker
from wagateway.usecases.verify_media import VerifyMedia
from wagateway.usecases.work import SyncWorker

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.live")

_LEFT_OVER_S = 24 * 3600.0
"""A file is on its way for minutes; what is older was left by a process that died."""
_MOVED_UNASKED = 100_000
"""Rows that move into chunks in a second or two; a start may take that long."""
_MAX_WRITERS = 4
"""Transactions at once; half of the connections are left to the readers in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the entrypoints call: use cases, and both sides of the archive.

    Attributes:
        pool: how the connections to the database are used; None where there are none.
    """

    ingest: IngestBody
    spool: Spool | None
    archive: Archive
    reader: ArchiveReader
    replay: ReplayLog
    link: LinkIdentity
    unlink: UnlinkIdentity
    store: SyncStore
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


@dataclass(frozen=True, slots=True)
class _Store:
    """Both sides of one archive and its sync, opened."""

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


_PREPARE_EMBEDDED = 5


def now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


def _log_defect(defect: Exception) -> None:
    _log.error("defect", error=type(defect).__name__, trace=list(trace_of(defect)))


class Container(containers.DeclarativeContainer):
    """Everything but what is given: the two sides of the archive, opened, and its writers."""

    archive: providers.Dependency[Archive] = providers.Dependency()
    spool: providers.Dependency[Spool | None] = providers.Dependency()
    spool_bodies: providers.Dependency[SpoolBodies | None] = providers.Dependency()
    reader: providers.Dependency[ArchiveReader] = providers.Dependency()
    store: providers.Dependency[SyncStore] = providers.Dependency()
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
        store=store,
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
        ingest=ingest,
        spool=spool,
        archive=archive,
        reader=reader,
        replay=replay,
        link=link,
        unlink=unlink,
        store=store,
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
        store = await _opened(stack, settings)
        container = Container(
            archive=providers.Object(store.archive),
            spool=providers.Object(spool),
            spool_bodies=providers.Object(spool_bodies),
            reader=providers.Object(store.reader),
            store=providers.Object(store.sync),
            downloads=providers.Object(store.downloads),
            media=providers.Object(media),
            purges=providers.Object(store.purges),
            redirects=providers.Object(settings.media_redirect),
            feed=providers.Object(store.feed),
            wake_ups=providers.Object(store.wake_ups),
            streams=providers.Object(settings.live_max_streams),
            kept_for=providers.Object(timedelta(hours=settings.live_retention_hours)),
            broke=providers.Object(_log_defect),
            committed=providers.Object(tell_of_commit),
            figures=providers.Object(store.figures),
            pool=providers.Object(store.pool),
            copies=providers.Object(store.copies),
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


async def _opened(stack: AsyncExitStack, settings: Settings) -> _Store:
    wake_ups = await stack.enter_async_context(open_wake_ups(settings))
    if settings.backend == "memory":
        memory = InMemoryArchive(committed=wake_ups.committed)
        sync, downloads = InMemorySyncStore(memory), InMemoryDownloadStore(memory)
        return _Store(
            memory,
            memory,
            sync,
            downloads,
            InMemoryPurgeStore(memory),
            memory.feed,
            wake_ups,
            InMemoryArchiveFigures(memory, sync, downloads),
        )
    url, migration_url = settings.database_url, settings.migration_url
    threshold = settings.prepare_threshold
    if url is None:
        threshold = _PREPARE_EMBEDDED if threshold is None else threshold  # no pooler in between
        server = await stack.enter_async_context(EmbeddedPostgres.running(settings.data_dir))
        url = server.url
    if settings.auto_migrate:
        await migrate(
            migration_url or url, storage=storage_plan(settings, most_rows=_MOVED_UNASKED)
        )
    pool = await stack.enter_async_context(
        open_pool(
            url,
            max_size=settings.pool_size,
            prepare_threshold=threshold,
        )
    )
    archive = TimescaleArchive(pool, committed=wake_ups.committed)
    return _Store(
        archive,
        TimescaleReader(pool),
        TimescaleSyncStore(pool, archive),
        TimescaleDownloadStore(pool),
        TimescalePurgeStore(pool, archive),
        TimescaleChangeFeed(pool),
        wake_ups,
        TimescaleArchiveFigures(pool),
        partial(usage_of, pool),
        Copies(tables=TimescaleTables(migration_url or url), turns=TimescaleBackupTurns(pool)),
    )


def storage_plan(settings: Settings, *, most_rows: int | None = None) -> StoragePlan:
    """Return how the tables shall be laid out; without a limit, however long moving rows takes."""
    return StoragePlan(
        timescale=settings.timescale == "auto",
        chunk_days=settings.chunk_days,
        compress_after_days=settings.compress_after_days,
        most_rows=most_rows,
    )


def sync_plan(settings: Settings) -> SyncPlan:
    """Return how sync goes about it."""
    depth = None if settings.sync_depth == FULL else timedelta(days=int(settings.sync_depth))
    return SyncPlan(
        interval=timedelta(milliseconds=settings.sync_interval_ms),
        batch=settings.sync_batch_size,
        lookback=timedelta(days=settings.sync_lookback_days),
        depth=depth,
        patience=Patience(max_retries=settings.sync_max_retries),
        concurrent=settings.sync_concurrent_chats,
    )


def media_rules(settings: Settings) -> Rules:
    """Return which files are wanted."""
    types, lifetime = settings.media_skip_chat_types, settings.media_lifetime_s
    age = settings.media_max_age_days
    posts = {STATUS_CHAT} if STATUS in types else set()
    return Rules(
        largest_bytes=settings.media_max_bytes,
        kinds=settings.media_kinds or None,
        without_chat_types=frozenset(map(ChatType, types - {STATUS})),
        without_chats=settings.media_skip_chats | posts,
        without_sessions=settings.media_skip_sessions,
        outgoing=settings.media_outgoing,
        oldest=None if age is None else timedelta(days=age),
        lifetime=timedelta(seconds=lifetime) if lifetime else None,
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
    people = SyncPeople(engine=engine, archive=services.archive, store=services.store)
    return SyncWorker(
        find=FindSessions(
            engine=engine,
            archive=services.archive,
            reader=services.reader,
            store=services.store,
            clock=now,
        ),
        turn=SyncTurn(
            engine=engine,
            store=services.store,
            people=people,
            clock=now,
            plan=plan,
            tracing=services.tracing,
        ),
        store=services.store,
        clock=now,
        plan=plan,
        told=told,
        troubled=troubled,
        broke=broke,
        wake_up=services.wake_ups.sync,
    )


def retention(settings: Settings) -> Retention:
    """Return how long things are kept."""
    messages, log = settings.retention_days, settings.event_log_retention_days
    return Retention(
        messages=None if messages is None else timedelta(days=messages),
        log=None if log is None else timedelta(days=log),
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
async def open_backup_place(settings: Settings, where: str) -> AsyncIterator[BackupPlace]:
    """Yield *where* as a place of backups, encrypted where there is a passphrase.

    Args:
        settings: with what opens the S3 server, where it is one.
        where: a folder, or ``s3://bucket/prefix``.

    Raises:
        InvalidInput: it is neither, or what opens the S3 server is not configured.
        Rejected: the extra ``backup`` or ``s3`` is needed, and not installed.
    """
    keys = _backup_keys(settings)
    if not where.startswith("s3:"):
        yield FilesystemBackups(_absolute(where), now, keys)
        return
    if (found := s3_place(where)) is None:
        raise InvalidInput(f"not a place of backups: {where[:200]!r}; accepted is {BACKUP_PLACE}")
    if settings.minio_user is None or settings.minio_password is None:
        raise InvalidInput(
            "backups in S3 need WHATSAPP_MINIO_ROOT_USER and WHATSAPP_MINIO_ROOT_PASSWORD, and the "
            "address of the server in WHATSAPP_MINIO_URL"
        )
    try:
        from wagateway.adapters.minio.objects import open_objects  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as exc:
        raise Rejected("s3:// needs the SDK of MinIO: pip install 'wagateway[s3]'") from exc
    name, prefix = found
    async with open_objects(bucket(settings, name), prefix) as objects:
        yield RemoteBackups(objects, now, keys)


def _absolute(folder: str) -> Path:
    return Path(folder).expanduser().absolute()


def _backup_keys(settings: Settings) -> Keys | None:
    if settings.backup_passphrase is None:
        return None
    try:
        from wagateway.adapters.age.sealing import AgeKeys  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as exc:
        raise Rejected(
            "WHATSAPP_BACKUP_PASSPHRASE needs the library of the format age: "
            "pip install 'wagateway[backup]'"
        ) from exc
    return AgeKeys(settings.backup_passphrase)


def back_up(tables: TableSource, media: MediaStore) -> BackUp:
    """Return what makes backups."""
    return BackUp(source=tables, media=media, clock=now, version=installed_version("wagateway"))


@asynccontextmanager
async def open_backup_worker(
    settings: Settings,
    services: Services,
    *,
    told: Callable[[Regular], None],
    troubled: Callable[[str | None], None],
) -> AsyncIterator[BackupWorker | None]:
    """Open a worker that makes regular backups; None where none are wanted, or nothing is kept.

    Args:
        settings: how often, where, and how many stay.
        services: opened, and kept open.
        told: is told of each backup.
        troubled: is told why none is made, and None when it goes on.

    Raises:
        InvalidInput: what opens the S3 server is not configured.
        Rejected: the extra ``backup`` or ``s3`` is needed, and not installed.
    """
    where, hours = settings.backup_dir, settings.backup_every_hours
    if where is None or hours is None or services.copies is None:
        yield None
        return
    async with open_backup_place(settings, where) as place:
        regular = RegularBackup(
            back_up=back_up(services.copies.tables, services.media),
            place=place,
            turns=services.copies.turns,
            clock=now,
            every=timedelta(hours=hours),
            keep=settings.backup_keep,
            with_media=settings.backup_media,
        )
        yield BackupWorker(regular=regular, told=told, troubled=troubled)


def media_plan(settings: Settings) -> MediaPlan:
    """Return how files are fetched."""
    most = settings.media_concurrent
    return MediaPlan(rules=media_rules(settings), concurrent=most, again=max(1, most // 4))


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
        on_their_way(settings) as folder,
        open_files(
            settings.engine_url,
            settings.engine_key,
            store_url=settings.engine_store_url,
            limits=FetchLimits(at_once=plan.concurrent),
        ) as source,
        AsyncExitStack() as stack,
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
        inspect = None
        try:
            inspector = await stack.enter_async_context(open_inspector())
        except Rejected as exc:  # the extra is not installed: files are kept all the same
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
async def on_their_way(settings: Settings) -> AsyncIterator[Path]:
    """Yield the folder of files that are not stored yet, without what a crash left there."""
    if settings.backend == "memory":
        with TemporaryDirectory(prefix="wagateway-") as folder:
            yield Path(folder)
        return
    kept = settings.media_folder.expanduser().absolute()
    try:
        await asyncio.to_thread(remove_left_over, kept, kept / "incoming")
    except OSError as exc:
        raise StoreUnavailable(
            f"the folder {kept} cannot be used ({exc.strerror}): set WHATSAPP_MEDIA_DIR"
        ) from exc
    yield kept / "incoming"


def remove_left_over(kept: Path, folder: Path) -> None:
    """Make *folder* and *kept*, for their owner alone, and remove what a crash left there."""
    for made in (kept, folder):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = [kept / "new"] if (kept / "new").is_dir() else []  # of the store in a folder
    for left in (each for place in (folder, *unfinished) for each in place.iterdir()):
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
