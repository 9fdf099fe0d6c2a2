"""``wagateway worker``: sync and media in a process of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from msgspec.structs import replace

from wagateway.domain.errors import InvalidInput, Rejected
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.place import database, require_schema_if_there, settings_at
from wagateway.entrypoints.containers import Services, now, open_services
from wagateway.entrypoints.http.app import create_health_app
from wagateway.entrypoints.http.auth import MetricsAccess
from wagateway.entrypoints.http.health import store_health, with_workers
from wagateway.entrypoints.metrics.watching import Watching
from wagateway.entrypoints.serve import base_url, listen, run_until_stopped, serving
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.worker import Workers, working

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.worker")


def run_worker_process(place: Place, *, health_port: int | None) -> None:
    """Run until stopped.

    Raises:
        InvalidInput: no engine is configured.
        Conflict: the health port is in use, or the schema is not up to date.
        Rejected: sync and media are switched off, and everything is kept for ever.
        NotFound: there is no archive.
    """
    settings = settings_at(place, quiet=False)
    require_engine(settings)
    keeps_all = settings.retention_days is None and settings.event_log_retention_days is None
    idle = keeps_all and settings.backup_every_hours is None
    if idle and not (settings.sync_enabled or settings.media_enabled):
        raise Rejected(
            "There is nothing to do: set WHATSAPP_SYNC_ENABLED=true or WHATSAPP_MEDIA_ENABLED=true."
        )
    if health_port is not None:
        settings = replace(settings, worker_health_port=health_port)
    run_until_stopped(_work(settings))


def require_engine(settings: Settings) -> None:
    """Return when an engine is configured.

    Raises:
        InvalidInput: none is.
    """
    if settings.engine_url is None:
        raise InvalidInput(
            "Sync reads from WAHA: set WHATSAPP_CORE_URL to its address, such as "
            "http://127.0.0.1:3311, and WHATSAPP_API_KEY to its key."
        )


async def _work(settings: Settings) -> None:
    async with database(settings) as opened:
        await require_schema_if_there(opened, "sync waits for it")
        watching = Watching()
        process = watching.process
        async with (
            open_services(
                replace(opened, auto_migrate=False), committed=process.committed
            ) as services,
            working(settings, services, turned=process.turned, fetched=process.fetched) as workers,
            _health(settings, services, workers, watching),
        ):
            _log.info("ready", health_port=settings.worker_health_port)
            await asyncio.Event().wait()


@asynccontextmanager
async def _health(
    settings: Settings, services: Services, workers: Workers, watching: Watching
) -> AsyncIterator[None]:
    if settings.worker_health_port is None:
        yield
        return
    parts = {"sync": workers.sync, "media": workers.media}
    health = with_workers(store_health(services.reader), parts, now, alone=True)
    metrics = watching.page(settings, services, parts)
    access = MetricsAccess.of(settings.metrics_token, settings.api_token)
    port = settings.worker_health_port
    with listen(settings.host, port, option="--health-port") as listener:
        _log.info("health", url=f"{base_url(listener)}/health")
        async with serving(create_health_app(health, metrics, access), listener):
            yield
