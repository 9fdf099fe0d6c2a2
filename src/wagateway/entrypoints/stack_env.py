"""Is the ``.env`` of the compose stack whole, before anything of it is started?"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from wagateway.domain.errors import InvalidInput
from wagateway.entrypoints.environment import FILE_SUFFIX, Environment, near_misses
from wagateway.entrypoints.settings import load_settings
from wagateway.entrypoints.strength import SHORTEST_SECRET, is_guessed
from wagateway.entrypoints.variables import VARIABLES

REQUIRED: Mapping[str, str] = {
    "WHATSAPP_DB_PASSWORD": "the password of the database",
    "WHATSAPP_GATEWAY_API_TOKEN": "what opens the API",
    "WHATSAPP_WEBHOOK_TOKEN": "what WAHA signs its deliveries with",
    "WHATSAPP_API_KEY": "the key of WAHA's API",
    "WHATSAPP_DASHBOARD_PASSWORD": "the password of WAHA's dashboard",
    "WHATSAPP_MINIO_ROOT_USER": "the name of MinIO's root",
    "WHATSAPP_MINIO_ROOT_PASSWORD": "the password of MinIO's root",
}
"""What the stack does not start without, and what it is."""

_OWN_RULES = ("WHATSAPP_GATEWAY_API_TOKEN", "WHATSAPP_WEBHOOK_TOKEN", "WHATSAPP_WEBHOOK_HMAC_KEY")
"""Secrets whose strength the settings themselves ask for."""

_PASSWORDS = (*REQUIRED, "WHATSAPP_REDIS_PASSWORD", "WHATSAPP_METRICS_TOKEN")
_MINIO_SHORTEST = {"WHATSAPP_MINIO_ROOT_USER": 3, "WHATSAPP_MINIO_ROOT_PASSWORD": 8}
"""Characters. Source: MinIO docs, Root access settings."""

SET_BY_THE_STACK = (
    *("WHATSAPP_DATABASE_URL", "WHATSAPP_DATABASE_DIRECT_URL", "WHATSAPP_DB_HOST"),
    *("WHATSAPP_PGBOUNCER_HOST", "WHATSAPP_REDIS_URL", "WHATSAPP_REDIS_HOST"),
    *("WHATSAPP_MINIO_URL", "WHATSAPP_CORE_URL", "WHATSAPP_GATEWAY_API_HOST"),
    *("WHATSAPP_DATA_DIR", "WHATSAPP_MEDIA_DIR", "WHATSAPP_SPOOL_DIR", "WHATSAPP_BACKUP_DIR"),
    *("WHATSAPP_AUTO_MIGRATE", "WHATSAPP_WORKER_HEALTH_PORT", "WHATSAPP_MEDIA_LIFETIME_S"),
)
"""Settings that do not come from ``.env`` there: where its parts are, the stack itself knows."""

_STACK = {
    **dict.fromkeys([name + FILE_SUFFIX for name in VARIABLES], ""),
    **dict.fromkeys(SET_BY_THE_STACK, ""),
    "WHATSAPP_DB_HOST": "whatsapp-timescaledb",
    "WHATSAPP_BACKUP_DIR": "/var/backups/wagateway",
}
"""What wins over ``.env`` there; empty is absent."""

STACK_DEFAULTS: Mapping[str, str] = {
    "WHATSAPP_REDIS_ENABLED": "true",
    "WHATSAPP_SPOOL": "filesystem",
    "WHATSAPP_MEDIA_STORE": "minio",
}
"""What holds there where ``.env`` says nothing, and is another default than that of a setting."""

_EVENTS = "WHATSAPP_HOOK_EVENTS"
_LINE = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=\s*(.*)$")
_REPLACED = re.compile(r"\$[A-Za-z_{]")
_HASHED = "sha512:"


class StackEnv(Struct, frozen=True, kw_only=True):
    """What was found; no text holds a secret.

    Attributes:
        problems: what must be mended first, by variable.
        advice: what works and could be better, by variable.
    """

    problems: dict[str, str]
    advice: dict[str, str]


def examine_stack_env(text: str) -> StackEnv:
    """Return all that is missing, weak or wrong in *text*, the content of a ``.env``."""
    with tempfile.TemporaryDirectory(prefix="wagateway-env-") as folder:
        path = Path(folder) / ".env"
        path.write_text(text, encoding="utf-8")
        values = Environment({}, dotenv=path, names=()).values
        absent = {name: text for name, text in STACK_DEFAULTS.items() if name not in values}
        refused = dict(_refused_settings(path, _STACK | absent))
    problems = {
        **{name: f"is not set: {what}" for name, what in REQUIRED.items() if name not in values},
        **dict(_weak(values)),
        **dict(_replaced(text)),
    }
    advice = dict(_short(values)) | dict(_unused(values)) | dict(_events(values))
    advice |= {
        name: f"is not a setting; is {meant} meant?"
        for name, meant in near_misses(values, [*VARIABLES, *REQUIRED]).items()
    }
    problems = refused | problems
    advice = {name: what for name, what in advice.items() if name not in problems}
    return StackEnv(problems=problems, advice=advice)


def _refused_settings(path: Path, stack: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what the settings themselves do not take, with what *stack* adds."""
    try:
        load_settings(stack, dotenv=path)
    except InvalidInput as exc:
        for line in str(exc).splitlines()[1:]:
            name, _, what = line.strip().partition(": ")
            yield name, what


def _weak(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in _PASSWORDS:
        value = values.get(name)
        if value is None:
            continue
        least = _MINIO_SHORTEST.get(name, 0)
        if len(value) < least:
            yield name, f"has {len(value)} characters; MinIO asks for {least} or more"
        elif name != "WHATSAPP_MINIO_ROOT_USER" and is_guessed(value):
            yield name, "is one of those that everybody tries first; choose another"
    if values.get("WHATSAPP_API_KEY", "").startswith(_HASHED):
        yield "WHATSAPP_API_KEY", "is a hash; sync needs the key itself"


def _replaced(text: str) -> Iterator[tuple[str, str]]:
    """Yield values of which Compose would take a part for the name of a variable."""
    for line in text.splitlines():
        name, value = found.groups() if (found := _LINE.match(line)) else ("", "")
        if name in _PASSWORDS and not value.startswith("'") and _REPLACED.search(value):
            yield name, "has a $, which Compose replaces; put it between single quotes"


def _short(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in _PASSWORDS:
        length = len(values.get(name, ""))
        if 0 < length < SHORTEST_SECRET and not name.endswith("_USER") and name not in _OWN_RULES:
            yield name, f"has {length} characters; {SHORTEST_SECRET} or more are better"


def _unused(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in values:
        if name in SET_BY_THE_STACK:
            yield name, "is not used: in the stack its parts find each other by their names"
        elif name.removesuffix(FILE_SUFFIX) in VARIABLES and name.endswith(FILE_SUFFIX):
            yield name, "is not used: in the stack values come from .env itself"


def _events(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    events = re.split(r"[,\s]+", values.get(_EVENTS, "*"))
    if "*" not in events and "message.any" not in events:
        yield (
            _EVENTS,
            "has no message.any, so what the account itself sends is not archived at once",
        )
    elif "message" in events and "message.any" in events:
        yield _EVENTS, "has message and message.any, so messages come twice; nothing is kept twice"
