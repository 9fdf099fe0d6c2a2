"""``wagateway up``: everything in one process."""

import socket

import rich_click as click

from wagateway.entrypoints.cli.announce import exposure_warning, ready_lines
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import note
from wagateway.entrypoints.cli.place import schema_warning, settings_at
from wagateway.entrypoints.containers import open_services
from wagateway.entrypoints.logs import configure_logging
from wagateway.entrypoints.metrics.watching import Watching
from wagateway.entrypoints.secrets import GatewaySecrets, ensure_secrets
from wagateway.entrypoints.serve import (
    address_of,
    build_app,
    health_of,
    listen,
    run_until_stopped,
    serve,
)
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.whereabouts import left_in_folder
from wagateway.entrypoints.worker import beating, working


def run_up(place: Place, *, host: str | None, port: int | None) -> None:
    """Run until stopped.

    Raises:
        Conflict: the port or the data folder is in use, or the database does not fit.
        WagatewayError: see `open_services`, `ensure_secrets` and `listen`.
    """
    settings = settings_at(place, host=host, port=port, quiet=False)
    # The port first: what is taken should be said before a database is made.
    with listen(settings.host, settings.port) as listener:
        secrets = ensure_secrets(settings.data_dir, settings)
        hide_from_logs(settings, secrets)
        if warning := exposure_warning(listener, settings):
            note(f"Warning: {warning}")
        run_until_stopped(_up(settings, secrets, listener), on_stop=_stopping)
        note("wagateway has stopped.")


def _stopping() -> None:
    note("wagateway is stopping: it finishes what it has begun. A second Ctrl-C ends it at once.")


def hide_from_logs(settings: Settings, secrets: GatewaySecrets) -> None:
    """Let no log line show *secrets*, wherever they may turn up."""
    made = (secrets.api_token, secrets.webhook_token, secrets.webhook_hmac_key)
    configure_logging(
        settings.log_level,
        settings.log_format,
        hide={*settings.secrets, *(secret for secret in made if secret)},
    )


async def _up(settings: Settings, secrets: GatewaySecrets, listener: socket.socket) -> None:
    watching = Watching()
    process = watching.process
    async with (
        open_services(settings, committed=process.committed) as services,
        beating(services.sync_store),
        working(settings, services, turned=process.turned, fetched=process.fetched) as workers,
    ):
        warning = await schema_warning(settings)
        parts = {"sync": workers.sync, "media": workers.media}
        health = health_of(services, parts)

        def announce() -> None:
            click.echo("\n".join(ready_lines(settings, secrets, listener)))
            if warning:
                note(f"Warning: {warning}")

        page = watching.page(settings, services, parts)
        app = build_app(
            settings, services, secrets, health=health, metrics=page, requested=process.requested
        )
        with left_in_folder(settings, *address_of(listener)):
            await serve(app, listener, on_ready=announce)
