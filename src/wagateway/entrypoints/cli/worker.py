"""``wagateway worker``: all work beside webhooks and API, in a process of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from msgspec.structs import replace

from wagateway.domain.errors import InvalidInput, Rejected
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.place import database, require_schema_if_there, settings_at
from wagateway.entrypoints.containers import Services, now, open_services
from wagateway.entrypoints.duties import duties
from wagateway.entrypoints.http.app import create_health_app
from wagateway.entrypoints.http.auth import MetricsAccess
from wagateway.entrypoints.http.health import remembered, store_health, with_workers
from wagateway.entrypoints.metrics.watching import Watching
from wagateway.entrypoints.serve import base_url, limits_of, listen, run_until_stopped, serving
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.worker import Workers, working

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wagateway.worker")


def run_worker_process(place: Place, *, health_port: int | None) -> None:
    """Run until stopped.

    Raises:
        InvalidInput: no engine is configured, and there is no other work.
        Conflict: the health port is in use, or the schema is not up to date.
        Rejected: all work is switched off.
        NotFound: there is no archive.
    """
    settings = settings_at(place, quiet=False)
    require_work(settings)
    if health_port is not None:
        settings = replace(settings, worker_health_port=health_port)
    run_until_stopped(_work(settings))


def require_work(settings: Settings) -> None:
    """Return when there is something to do.

    Raises:
        InvalidInput: no engine is configured, and there is no other work.
        Rejected: all work is switched off.
    """
    found = duties(settings)
    if any(duty.why_not is None for duty in found):
        return
    if any(duty.is_missing for duty in found):
        require_engine(settings)
    lines = "\n".join(f"  {duty.name}: {duty.why_not}" for duty in found)
    raise Rejected(f"There is nothing to do:\n{lines}")


def log_duties(settings: Settings) -> None:
    """Log what is done, and what is not and why."""
    found = duties(settings)
    _log.info("works", does=[duty.name for duty in found if duty.why_not is None])
    for duty in found:
        if duty.is_missing:
            _log.warning("does_not", what=duty.name, reason=duty.why_not)
        elif duty.why_not is not None:
            _log.info("does_not", what=duty.name, reason=duty.why_not)


def require_engine(settings: Settings) -> None:
    """Return when an engine is configured.

    Raises:
        InvalidInput: none is.
    """
    if settings.engine_url is None:
        raise InvalidInput(
            "Sync reads from WAHA: set WHATSAPP_CORE_URL to its address, such as "
            "http://127.0.0.1:3000, and WHATSAPP_API_KEY to its key."
        )


async def _work(settings: Settings) -> None:
    async with database(settings) as opened:
        await require_schema_if_there(opened, "all work waits for it")
        watching = Watching()
        process = watching.process
        async with (
            open_services(
                replace(opened, auto_migrate=False), committed=process.committed
            ) as services,
            working(settings, services, turned=process.turned, fetched=process.fetched) as workers,
            _health(settings, services, workers, watching),
        ):
            log_duties(settings)
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
    health = remembered(with_workers(store_health(services.reader), parts, now, alone=True))
    metrics = watching.page(settings, services, parts)
    access = MetricsAccess.of(settings.metrics_token, settings.api_token)
    port = settings.worker_health_port
    with listen(settings.host, port, option="--health-port") as listener:
        _log.info("health", url=f"{base_url(listener)}/health")
        app = create_health_app(health, metrics, access, limits_of(settings))
        async with serving(app, listener):
            yield
