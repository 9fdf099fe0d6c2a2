"""Which settings and which database a command works with."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
from msgspec.structs import replace
from psycopg.conninfo import conninfo_to_dict

from wagateway.adapters.embedded.server import (
    EmbeddedPostgres,
    has_cluster,
    occupant_of,
    url_of_running,
)
from wagateway.adapters.timescale.migrate import NotLetIn, status
from wagateway.domain.errors import (
    Conflict,
    NotFound,
    Rejected,
    StoreUnavailable,
    WagatewayError,
)
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.containers import Services, open_services
from wagateway.entrypoints.logs import configure_logging
from wagateway.entrypoints.settings import Settings, load_settings
from wagateway.entrypoints.whereabouts import whereabouts

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.database")


def settings_at(
    place: Place,
    *,
    host: str | None = None,
    port: int | None = None,
    quiet: bool = True,
) -> Settings:
    """Return the environment's settings, with what the command line says instead; begin logging.

    Args:
        place: from the command line, like the others.
        host: where to listen.
        port: likewise.
        quiet: log only what is wrong, as short commands do, whatever level is configured.

    Raises:
        InvalidInput: naming everything that is wrong.
    """
    settings = load_settings(
        data_dir=place.data_dir,
        database_url=place.database_url,
        host=host,
        port=port,
    )
    chatty = settings.log_level in {"debug", "info"}
    level = "warning" if quiet and chatty else settings.log_level
    configure_logging(level, settings.log_format, hide=settings.secrets)
    if place.data_dir is None or place.database_url is not None:
        return settings
    # Who names a folder means what is in it, whichever database the environment names.
    return replace(settings, database_url=None, direct_url=None)


def settings_beside(place: Place, *, host: str | None = None, port: int | None = None) -> Settings:
    """Return what `settings_at` does, with the address of the gateway that runs on that archive.

    Where the command line names a *port*, that one is meant; where nothing runs, or runs elsewhere,
    the settings are left to say.

    Raises:
        InvalidInput: naming everything that is wrong.
    """
    settings = settings_at(place, host=host, port=port)
    running = None if port else whereabouts(settings)
    if running is None:
        return settings
    return replace(settings, host=host or running.host, port=running.port)


@asynccontextmanager
async def database(settings: Settings, *, create: bool = False) -> AsyncIterator[Settings]:
    """Yield *settings* whose ``database_url`` can be connected to.

    That is the configured database; else the embedded one that a process runs on the data folder;
    else the embedded one, run while the context is open.

    Args:
        settings: as configured.
        create: make an embedded database where there is none.

    Raises:
        NotFound: nothing is configured, and the data folder has no database.
        Rejected: ``memory://`` is configured: another process has nothing there.
        StoreUnavailable: the embedded database does not let us in.
    """
    require_kept(settings)
    if settings.backend == "postgres":
        yield settings
    elif url := await url_of_running(settings.data_dir):
        with _told_of_embedded(settings):
            yield replace(settings, database_url=url)
    else:
        if not create:
            require_archive(settings)
        async with EmbeddedPostgres.running(settings.data_dir) as server:
            yield replace(settings, database_url=server.url)


def require_archive(settings: Settings) -> None:
    """Return when there is an archive, as far as can be told without asking a database.

    Raises:
        NotFound: an embedded one is meant, and the data folder has none.
        InvalidInput: this user may not look into the folder.
    """
    if settings.backend == "embedded" and not has_cluster(settings.data_dir):
        folder = settings.data_dir.expanduser().resolve()
        raise NotFound(
            f"There is no archive in {folder} yet: start `wagateway up` first, or name "
            "another one with --data-dir, --database-url or WHATSAPP_DATABASE_URL."
        )


@contextmanager
def _told_of_embedded(settings: Settings) -> Iterator[None]:
    """Let who cannot connect to an embedded database that somebody runs hear what helps there."""
    try:
        yield
    except NotLetIn as exc:
        folder = settings.data_dir.expanduser().resolve()
        occupant = occupant_of(settings.data_dir)
        if occupant is None:
            raise StoreUnavailable(
                f"The process that ran the embedded PostgreSQL of {folder} has ended meanwhile.\n"
                "Run this again."
            ) from exc
        raise StoreUnavailable(
            f"The embedded PostgreSQL of {folder}, which process {occupant.pid} runs, does not let "
            f"us in: {exc.reason}\n"
            f"Look into {folder}/postgres.log, and whether the disk is full or hangs; then stop "
            f"process {occupant.pid} and start `wagateway up` again. What was answered 200 is kept."
        ) from exc


def require_kept(settings: Settings) -> None:
    """Return when the archive is kept where another process can find it.

    Raises:
        Rejected: ``memory://`` is configured.
    """
    if settings.backend == "memory":
        raise Rejected("memory:// keeps nothing that a command could look at: name a database.")


def archive_name(settings: Settings) -> str:
    """Return in words which archive *settings* mean, without a user or a password."""
    if settings.backend == "memory":
        return "an archive in memory"
    if settings.backend == "embedded":
        return f"the embedded archive in {settings.data_dir.expanduser().resolve()}"
    parts = conninfo_to_dict(settings.database_url or "")
    where = [str(parts[key]) for key in ("service", "host", "port", "dbname") if parts.get(key)]
    return f"the archive in PostgreSQL ({', '.join(where) or 'its usual place'})"


@asynccontextmanager
async def archive_of(settings: Settings) -> AsyncIterator[Services]:
    """Open the archive that *settings* name; its schema is left as it is.

    Raises:
        Conflict: the schema is not up to date.
        NotFound: there is no archive.
    """
    async with database(settings) as opened:
        await require_schema(opened)
        async with open_services(replace(opened, auto_migrate=False)) as services:
            yield services


async def schema_warning(settings: Settings) -> str | None:
    """Return what to say when a gateway starts that leaves the schema alone, and needs another."""
    if settings.auto_migrate or settings.backend == "memory":
        return None
    try:
        async with database(settings) as opened:
            await require_schema(opened)
    except WagatewayError as exc:
        meanwhile = "wait in the spool" if settings.spool_kind != "off" else "are answered 503"
        return f"{exc}\nMeanwhile webhooks {meanwhile}."
    return None


async def require_schema(settings: Settings) -> None:
    """Return when the schema of the database is this version's.

    Raises:
        Conflict: it is not.
        StoreUnavailable: the database cannot be reached.
    """
    pending = (await status(settings.migration_url or "")).pending
    if pending:
        raise Conflict(
            f"The database lacks {', '.join(migration.name for migration in pending)}: "
            "run `wagateway migrate` first."
        )


async def require_schema_if_there(settings: Settings, meanwhile: str) -> None:
    """Return when the schema is this version's, or the database is away; *meanwhile* is logged.

    Raises:
        Conflict: the schema is another.
    """
    try:
        await require_schema(settings)
    except StoreUnavailable as exc:
        _log.warning(f"the database is away; {meanwhile}", reason=str(exc))
