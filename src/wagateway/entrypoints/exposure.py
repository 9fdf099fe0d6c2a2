"""What of the settings lets strangers read along, or in: told, and never a reason to stop.

Nothing is asked of anybody here; what a server itself says is looked at elsewhere.
"""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from wagateway.entrypoints.findings import Finding, warn
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.settings import Settings
from wagateway.entrypoints.strength import MAKE_SECRET, weakness

_ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})
"""Values of libpq's ``sslmode`` that never go on without TLS."""


def exposure_findings(settings: Settings, secrets: GatewaySecrets | None) -> Iterator[Finding]:
    """Yield a warning for each way in that stands open; nothing where none does.

    Args:
        settings: where everything is, and what opens it.
        secrets: those of the gateway; None: not known.
    """
    yield from _listening(settings, secrets)
    yield from _weak(settings, secrets)
    yield from _database(settings)
    yield from _redis(settings)


def is_this_machine(host: str) -> bool:
    """Tell whether *host*, a name, an address or a socket's folder, is here for certain."""
    if host in {"", "localhost"} or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _listening(settings: Settings, secrets: GatewaySecrets | None) -> Iterator[Finding]:
    if is_this_machine(settings.host):
        return
    if settings.behind_tls:
        if not settings.trusted_proxies:
            yield warn(
                "proxy",
                "all who come through the proxy with TLS count as one client",
                "Name it by WHATSAPP_TRUSTED_PROXIES, so that its X-Forwarded-For is believed.",
            )
        return
    signed = secrets is None or (secrets.webhook_hmac_key and not secrets.webhook_token)
    what = "the API's token and what is read by it" if signed else "tokens and messages"
    yield warn(
        "exposure",
        f"other machines can reach {settings.host}, and the gateway speaks plain HTTP: {what} can "
        "be read along",
        "Put a proxy with TLS in front and say so by WHATSAPP_BEHIND_TLS=true, or listen on "
        "127.0.0.1, or keep all of it in a private network; in a container whose port is published "
        "on 127.0.0.1 alone it may stay as it is.",
    )


def _weak(settings: Settings, secrets: GatewaySecrets | None) -> Iterator[Finding]:
    """Tell of secrets that can be guessed; those of the gateway itself are refused elsewhere."""
    given = {
        "WHATSAPP_API_KEY": settings.engine_key,
        "WHATSAPP_MINIO_ROOT_PASSWORD": settings.minio_password,
        "WHATSAPP_REDIS_PASSWORD": settings.redis_password,
        "the password in WHATSAPP_REDIS_URL": _password(settings.redis_url),
        "the database's password": _database_password(settings),
    }
    weak = [
        f"{name} ({why})" for name, value in given.items() if value and (why := weakness(value))
    ]
    if weak:
        yield warn(
            "passwords",
            f"can be guessed: {', '.join(weak)}",
            f"Choose others, here and where they are checked; this makes one: {MAKE_SECRET}",
        )
    if secrets is not None:
        webhook = {secrets.webhook_token, secrets.webhook_hmac_key}  # these open the same
        own = [secrets.api_token, *webhook, settings.metrics_token, settings.engine_key]
        chosen = [secret for secret in own if secret]
        if len(set(chosen)) < len(chosen):
            yield warn(
                "tokens",
                "two of them are the same, so that what opens one opens the other",
                f"Give each its own; this makes one: {MAKE_SECRET}",
            )


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.backend != "postgres":
        return
    urls = {settings.database_url or "", settings.migration_url or ""}
    open_hosts = sorted({host for url in urls for host in _hosts_in_clear(url)})
    if open_hosts:
        yield warn(
            "database link",
            f"nothing makes the connection to {', '.join(open_hosts)} an encrypted one",
            "Add ?sslmode=require to the address, or better verify-full with sslrootcert; within "
            "one machine's containers it may stay as it is.",
        )


def _hosts_in_clear(url: str) -> Iterator[str]:
    """Yield the hosts to which *url* may connect without TLS."""
    defaults = {
        option.keyword.decode(): (option.val or b"").decode()
        for option in pq.Conninfo.get_defaults()  # with what libpq takes from the environment
    }
    named = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    told = defaults | named
    if told.get("sslmode") not in _ENCRYPTED:
        hosts = (told.get("host") or told.get("hostaddr") or "").split(",")
        yield from (host for host in hosts if not is_this_machine(host))


def _database_password(settings: Settings) -> str | None:
    if settings.backend != "postgres":
        return None
    found = conninfo_to_dict(settings.database_url or "").get("password")
    return None if found is None else str(found)


def _redis(settings: Settings) -> Iterator[Finding]:
    if not settings.redis_enabled:
        return
    parts = urlsplit(settings.redis_address)
    host = parts.hostname or ""
    if is_this_machine(host):
        return
    if not (settings.redis_password or parts.password):
        yield warn(
            "redis password",
            f"the Redis on {host} is asked without a password: whoever reaches it reads the "
            "webhooks that wait there, and can add others",
            "Set requirepass there, and WHATSAPP_REDIS_PASSWORD here.",
        )
    if parts.scheme == "redis":
        yield warn(
            "redis link",
            f"the connection to {host} is not encrypted",
            "Use rediss:// in WHATSAPP_REDIS_URL; within one machine's containers it may stay as "
            "it is.",
        )


def _password(url: str | None) -> str | None:
    return urlsplit(url).password if url else None
