"""What a starting gateway tells people: where it is, its new tokens, and how to connect WAHA."""

import socket
from collections.abc import Iterator
from pathlib import Path

from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.serve import address_of, base_url, is_exposed
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.waha_webhook import WEBHOOK_PATH, waha_environment

_NAMES = {"api_token": "API token", "webhook_token": "Webhook token"}


def ready_lines(
    settings: Settings, secrets: GatewaySecrets, listener: socket.socket
) -> Iterator[str]:
    """Yield lines for stdout; new tokens are among them, others never."""
    url = base_url(listener)
    yield "wagateway is ready. Ctrl-C stops it."
    yield ""
    yield f"  API      {url}/api, described at {url}/docs"
    yield f"  Webhook  {url}{WEBHOOK_PATH}"
    yield f"  Archive  {_archive(settings)}"
    yield f"  Sync     {_sync(settings)}"
    if secrets.path:
        yield f"  Tokens   {secrets.path}"
    if secrets.generated:
        yield ""
        yield from _new_tokens(secrets)
        yield ""
        yield from _connect(secrets, listener)


def exposure_warning(listener: socket.socket, settings: Settings) -> str | None:
    """Return what to say when other machines reach the gateway without TLS, else None."""
    if settings.behind_tls or not is_exposed(listener):
        return None
    host, port = address_of(listener)
    return (
        f"Other machines can reach port {port} ({host}), and it speaks plain HTTP: keep it in a "
        "private network, or put a proxy with TLS in front and say so by WHATSAPP_BEHIND_TLS."
    )


def _archive(settings: Settings) -> str:
    return {
        "embedded": f"embedded PostgreSQL in {settings.data_dir.expanduser().resolve()}",
        "memory": "in memory only: everything is gone when this process ends",
        "postgres": "the PostgreSQL that is configured",
    }[settings.backend]


def _sync(settings: Settings) -> str:
    if not settings.sync_enabled:
        return "switched off by WHATSAPP_SYNC_ENABLED"
    if settings.engine_url is None:
        return "off: set WHATSAPP_CORE_URL for history and for what webhooks lose"
    return "reads from the WAHA of WHATSAPP_CORE_URL what webhooks do not bring"


def _new_tokens(secrets: GatewaySecrets) -> Iterator[str]:
    yield f"New tokens, shown only now and kept in {shown(secrets.path)}:"
    for field, name in _NAMES.items():
        if field in secrets.generated:
            yield f"  {name:<14} {getattr(secrets, field)}"


def _connect(secrets: GatewaySecrets, listener: socket.socket) -> Iterator[str]:
    yield "To connect WAHA, set in its environment and restart it:"
    environment = waha_environment(base_url(listener) + WEBHOOK_PATH, secrets)
    if "webhook_token" not in secrets.generated:  # a secret that the operator chose stays unshown
        name = list(environment)[-1]
        environment[name] = environment[name].partition(":")[0] + ":<your webhook token>"
        if secrets.webhook_token is None:
            environment[name] = "<your WHATSAPP_WEBHOOK_HMAC_KEY>"
    for name, value in environment.items():
        yield f"  {name}={value}"
    if not is_exposed(listener):
        yield "A WAHA in Docker or on another machine cannot reach 127.0.0.1: start with"
        yield "--host 0.0.0.0, and put this machine's name into WHATSAPP_HOOK_URL."


def shown(path: Path | None) -> str:
    """Return *path* for people."""
    return str(path) if path else "the settings"
