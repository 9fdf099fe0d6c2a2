"""``wagateway waha-env``: what WAHA must be told, once more."""

import rich_click as click

from wagateway.adapters.embedded.server import occupant_of
from wagateway.domain.errors import NotFound
from wagateway.entrypoints.addresses import local_url
from wagateway.entrypoints.cli.options import Place
from wagateway.entrypoints.cli.output import echo_json, note
from wagateway.entrypoints.cli.place import settings_beside
from wagateway.entrypoints.secrets import known_secrets
from wagateway.entrypoints.waha_webhook import WEBHOOK_PATH, waha_environment


def run_waha_env(place: Place, *, host: str | None, port: int | None, as_json: bool) -> None:
    """Print WAHA's variables, one of which holds a secret.

    Raises:
        NotFound: no secret is configured, and none was made yet.
        InvalidInput: this user may not look into the data folder.
    """
    settings = settings_beside(place, host=host, port=port)
    secrets = known_secrets(settings.data_dir, settings)
    if secrets is None:
        occupant_of(settings.data_dir)  # to whom the folder is closed, is told that instead
        raise NotFound(
            "Not all tokens are configured, and none were made yet in "
            f"{settings.data_dir.expanduser().resolve()}: start `wagateway up` first, or set "
            "WHATSAPP_GATEWAY_API_TOKEN and WHATSAPP_WEBHOOK_TOKEN."
        )
    url = local_url(settings.host, settings.port)
    environment = waha_environment(url + WEBHOOK_PATH, secrets)
    if as_json:
        echo_json(environment)
        return
    for name, value in environment.items():
        click.echo(f"{name}={value}")
    note("Set these in WAHA's environment and restart it. The last one holds a secret.")
