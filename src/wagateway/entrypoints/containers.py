"""The composition root: the one place that knows which adapter fills which port."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from dependency_injector import containers, providers

from wagateway.adapters.embedded.server import EmbeddedPostgres
from wagateway.adapters.memory.archive import InMemoryArchive
from wagateway.adapters.timescale.archive import TimescaleArchive
from wagateway.adapters.timescale.migrate import migrate
from wagateway.adapters.timescale.pool import open_pool
from wagateway.adapters.timescale.reader import TimescaleReader
from wagateway.adapters.waha.reader import WahaReader
from wagateway.entrypoints.settings import Settings
from wagateway.ports.archive import Archive, ArchiveReader
from wagateway.usecases.group_commit import GroupCommit
from wagateway.usecases.identity import LinkIdentity, UnlinkIdentity
from wagateway.usecases.ingest import IngestBody
from wagateway.usecases.replay import ReplayLog

_MAX_WRITERS = 4
"""Transactions at once; half of the connections are left to the readers in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the entrypoints call: use cases, and both sides of the archive."""

    ingest: IngestBody
    archive: Archive
    reader: ArchiveReader
    replay: ReplayLog
    link: LinkIdentity
    unlink: UnlinkIdentity


@dataclass(frozen=True, slots=True)
class _Store:
    """Both sides of one archive, opened."""

    archive: Archive
    reader: ArchiveReader


_PREPARE_EMBEDDED = 5


def _now() -> datetime:
    return datetime.now(UTC)


class Container(containers.DeclarativeContainer):
    """Everything but what is given: the two sides of the archive, opened, and its writers."""

    archive: providers.Dependency[Archive] = providers.Dependency()
    reader: providers.Dependency[ArchiveReader] = providers.Dependency()
    writers: providers.Dependency[int] = providers.Dependency()
    clock = providers.Object(_now)
    engine = providers.Singleton(WahaReader)
    commit = providers.Singleton(GroupCommit, archive, max_groups=writers)
    ingest = providers.Singleton(IngestBody, engine=engine, commit=commit, clock=clock)
    replay = providers.Singleton(ReplayLog, engine=engine, archive=archive)
    link = providers.Singleton(LinkIdentity, archive=archive, clock=clock)
    unlink = providers.Singleton(UnlinkIdentity, archive=archive, clock=clock)
    services = providers.Singleton(
        Services,
        ingest=ingest,
        archive=archive,
        reader=reader,
        replay=replay,
        link=link,
        unlink=unlink,
    )


@asynccontextmanager
async def open_services(
    settings: Settings, *, database_url: str | None = None
) -> AsyncIterator[Services]:
    """Open what *settings* name, and close it in reverse when the context ends.

    What was taken in is written before the database is let go.

    Args:
        settings: which backend, and whether its schema is brought up to date.
        database_url: used instead of the settings' database.

    Raises:
        InvalidInput: *database_url* or the data folder cannot be used.
        Conflict: the data folder is in use, or the schema does not fit.
        Rejected: the server is too old, or the extra ``embedded`` is not installed.
        StoreUnavailable: the database cannot be reached for its migrations.
    """
    if database_url is not None:
        settings = msgspec.structs.replace(settings, database_url=database_url, direct_url=None)
    async with AsyncExitStack() as stack:
        store = await _opened(stack, settings)
        container = Container(
            archive=providers.Object(store.archive),
            reader=providers.Object(store.reader),
            writers=providers.Object(max(1, min(_MAX_WRITERS, settings.pool_size // 2))),
        )
        container.check_dependencies()
        stack.push_async_callback(container.commit().aclose)
        yield container.services()


async def _opened(stack: AsyncExitStack, settings: Settings) -> _Store:
    if settings.backend == "memory":
        archive = InMemoryArchive()
        return _Store(archive, archive)
    url, migration_url = settings.database_url, settings.migration_url
    threshold = settings.prepare_threshold
    if url is None:
        threshold = _PREPARE_EMBEDDED if threshold is None else threshold  # no pooler in between
        server = await stack.enter_async_context(EmbeddedPostgres.running(settings.data_dir))
        url = server.url
    if settings.auto_migrate:
        await migrate(migration_url or url)
    pool = await stack.enter_async_context(
        open_pool(
            url,
            max_size=settings.pool_size,
            prepare_threshold=threshold,
        )
    )
    return _Store(TimescaleArchive(pool), TimescaleReader(pool))
