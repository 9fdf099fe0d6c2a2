"""``wagateway api``: webhook and API on a database that is there, in one process or several."""

import asyncio
import multiprocessing
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from msgspec.structs import replace

from wagateway.domain.errors import InvalidInput
from wagateway.entrypoints.cli.announce import exposure_warning
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import note
from wagateway.entrypoints.cli.place import require_schema_if_there, settings_at
from wagateway.entrypoints.cli.up import hide_from_logs
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.metrics.siblings import Siblings
from wagateway.entrypoints.metrics.watching import Watching
from wagateway.entrypoints.secrets import GatewaySecrets, configured_secrets
from wagateway.entrypoints.serve import base_url, build_app, listen, run_until_stopped, serve
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.worker import beating, draining, tidying

_RESPAWN_S = 1.0
_LAST_S = 30.0

_log = structlog.get_logger("wagateway.api")
_spawn = multiprocessing.get_context("spawn")


def run_api(database_url: str | None, *, host: str | None, port: int | None, workers: int) -> None:
    """Run until stopped.

    Raises:
        Conflict: the port is in use, or the schema is not up to date.
        InvalidInput: no database or no secrets are configured.
    """
    settings = settings_at(
        Place(data_dir=None, database_url=database_url), host=host, port=port, quiet=False
    )
    _require_configured(settings)
    asyncio.run(require_schema_if_there(settings, "webhooks wait in the spool, if any"))
    settings = replace(settings, auto_migrate=False)
    secrets = configured_secrets(settings)  # what one machine kept is no secret of all replicas
    with listen(settings.host, settings.port) as listener:
        if warning := exposure_warning(listener, settings):
            note(f"Warning: {warning}")
        if workers == 1:
            hide_from_logs(settings, secrets)
            run_until_stopped(_serve(settings, secrets, listener))
        else:
            run_until_stopped(_supervise(settings, secrets, listener, workers))


def _require_configured(settings: Settings) -> None:
    """Refuse what would make every replica another gateway."""
    missing = []
    if settings.backend != "postgres":
        missing.append("a database: WHATSAPP_DATABASE_URL")
    if settings.api_token is None:
        missing.append("a token for the API: WHATSAPP_GATEWAY_API_TOKEN")
    if settings.webhook_token is None and settings.webhook_hmac_key is None:
        missing.append("a secret for webhooks: WHATSAPP_WEBHOOK_TOKEN or WHATSAPP_WEBHOOK_HMAC_KEY")
    if missing:
        lines = "\n".join(f"  {what}" for what in missing)
        raise InvalidInput(
            f"`wagateway api` generates nothing and needs to be given:\n{lines}\n"
            "`wagateway up` needs none of it."
        )


async def _serve(
    settings: Settings,
    secrets: GatewaySecrets,
    listener: socket.socket,
    siblings: Siblings | None = None,
) -> None:
    def announce() -> None:
        _log.info("ready", url=base_url(listener))

    watching = Watching(siblings)
    process = watching.process
    async with (
        open_services(settings, committed=process.committed) as services,
        beating(services.sync_store),
        tidying(services),
        draining(settings, services),
    ):
        page = watching.page(settings, services)
        app = build_app(settings, services, secrets, metrics=page, requested=process.requested)
        async with siblings.told(page.counted) if siblings else nullcontext():
            await serve(app, listener, on_ready=announce)


async def _supervise(
    settings: Settings, secrets: GatewaySecrets, listener: socket.socket, workers: int
) -> None:
    """Keep *workers* processes on the one *listener*; one that dies is replaced."""
    with TemporaryDirectory(prefix="wagateway-") as folder:

        def started(number: int) -> SpawnProcess:
            siblings = Siblings(Path(folder), number)
            arguments = (settings, secrets, listener, siblings)
            process = _spawn.Process(target=_worker, args=arguments, daemon=True)
            process.start()
            return process

        processes = [started(number) for number in range(workers)]
        try:
            while True:
                await asyncio.sleep(_RESPAWN_S)
                for number, process in enumerate(processes):
                    if not process.is_alive():
                        _log.warning("a worker ended; starting another", code=process.exitcode)
                        processes[number] = started(number)
        finally:
            await asyncio.to_thread(_stop, processes)


def _stop(processes: list[SpawnProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_LAST_S)
        if process.is_alive():
            process.kill()


def _worker(
    settings: Settings, secrets: GatewaySecrets, listener: socket.socket, siblings: Siblings
) -> None:
    # Ctrl-C goes to all processes of a terminal; the supervisor passes it on, once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hide_from_logs(settings, secrets)
    run_until_stopped(_with_parent(settings, secrets, listener, siblings), signals=[signal.SIGTERM])


async def _with_parent(
    settings: Settings, secrets: GatewaySecrets, listener: socket.socket, siblings: Siblings
) -> None:
    with _ending_with_parent():
        await _serve(settings, secrets, listener, siblings)


@contextmanager
def _ending_with_parent() -> Iterator[None]:
    """Stop as by SIGTERM when the supervisor is gone, however it ended."""
    parent = multiprocessing.parent_process()
    if parent is None:
        yield
        return
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_reader(parent.sentinel)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(parent.sentinel, stop)
    try:
        yield
    finally:
        loop.remove_reader(parent.sentinel)
