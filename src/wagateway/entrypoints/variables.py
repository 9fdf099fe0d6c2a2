"""Every variable of the environment that is read, and what it may be."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import psycopg
from psycopg.conninfo import conninfo_to_dict

from wagateway.entrypoints.strength import STRONG, is_strong, weakness

MEMORY_URL = "memory://"
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
LOG_FORMATS = ("console", "json")

_MEBIBYTE = 2**20
_MOST_DAYS = 36_500
_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})


class Kind(NamedTuple):
    """What a setting may be.

    Attributes:
        accepted: in words.
        holds: whether a value is accepted.
        read: turns text into a value; raises ValueError where it says none.
        why_not: says in words what is wrong with a value, where that is not plain to see.
    """

    accepted: str
    holds: Callable[[Any], bool]
    read: Callable[[str], Any] = str
    why_not: Callable[[str], str | None] = lambda _: None


class Variable(NamedTuple):
    """One environment variable: what it fills, what it may be, whether it must never be shown."""

    field: str
    kind: Kind
    secret: bool = False


def _read_whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):  # int() takes 1_000 and more
        raise ValueError
    return int(text[:20])


def _read_flag(text: str) -> bool:
    word = text.lower()
    if word not in _YES | _NO:
        raise ValueError
    return word in _YES


def _whole(least: int, most: int) -> Kind:
    text = f"a whole number from {least} to {most}"
    return Kind(text, lambda n: isinstance(n, int) and least <= n <= most, _read_whole)


def _one_of(*words: str) -> Kind:
    return Kind("one of " + ", ".join(words), lambda word: word in words, str.lower)


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_postgres_url(url: str) -> bool:
    try:
        parts = conninfo_to_dict(url)
    except (psycopg.Error, UnicodeError):
        return False
    return url.startswith(("postgresql://", "postgres://")) and bool(parts)


def _read_folder(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:  # ~somebody who has no home here
        raise ValueError from exc


def _is_zone(name: str) -> bool:
    if name == "UTC":  # known without the zone files that small images lack
        return True
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


_URL_FORM = "postgresql://user:password@host:port/database with special characters as %XX"
_POSTGRES = Kind(_URL_FORM, _is_postgres_url)
_DATABASE = Kind(f"{_URL_FORM}, or {MEMORY_URL}", lambda u: u == MEMORY_URL or _is_postgres_url(u))
_HOST = Kind(
    "a host name or an address, without a port",
    lambda h: bool(h) and not any(c.isspace() or c in "/@[]" for c in h),
)
_TEXT = Kind("any text", bool)
_STRONG = Kind(STRONG, is_strong, why_not=weakness)
_FLAG = Kind("true or false", lambda b: isinstance(b, bool), _read_flag)
_FOLDER = Kind("a folder", lambda path: isinstance(path, Path), _read_folder)
_WEB = Kind("an address such as http://127.0.0.1:3311", _is_web_address)
_ZONE = Kind("a time zone of this system, such as America/Sao_Paulo", _is_zone)
_PORT = _whole(1, 65535)
FULL = "full"
_DEPTH = Kind(
    "full, or a number of days from 1 to 36500",
    lambda d: d == FULL or (isinstance(d, str) and d.isdigit() and 0 < int(d[:9]) <= _MOST_DAYS),
    str.lower,
)

VARIABLES: Mapping[str, Variable] = {
    "WHATSAPP_DATABASE_URL": Variable("database_url", _DATABASE, secret=True),
    "WHATSAPP_DATABASE_DIRECT_URL": Variable("direct_url", _POSTGRES, secret=True),
    "WHATSAPP_DB_HOST": Variable("db_host", _HOST),
    "WHATSAPP_DB_PORT": Variable("db_port", _PORT),
    "WHATSAPP_DB_NAME": Variable("db_name", _TEXT),
    "WHATSAPP_DB_USER": Variable("db_user", _TEXT),
    "WHATSAPP_DB_PASSWORD": Variable("db_password", _TEXT, secret=True),
    "WHATSAPP_PGBOUNCER_HOST": Variable("pgbouncer_host", _HOST),
    "WHATSAPP_PGBOUNCER_PORT": Variable("pgbouncer_port", _PORT),
    "WHATSAPP_DB_POOL_SIZE": Variable("pool_size", _whole(1, 1000)),
    "WHATSAPP_DB_PREPARE_THRESHOLD": Variable("prepare_threshold", _whole(0, 1000)),
    "WHATSAPP_AUTO_MIGRATE": Variable("auto_migrate", _FLAG),
    "WHATSAPP_DATA_DIR": Variable("data_dir", _FOLDER),
    "WHATSAPP_GATEWAY_API_HOST": Variable("host", _HOST),
    "WHATSAPP_GATEWAY_API_PORT": Variable("port", _PORT),
    "WHATSAPP_GATEWAY_API_TOKEN": Variable("api_token", _STRONG, secret=True),
    "WHATSAPP_WEBHOOK_TOKEN": Variable("webhook_token", _STRONG, secret=True),
    "WHATSAPP_WEBHOOK_HMAC_KEY": Variable("webhook_hmac_key", _STRONG, secret=True),
    "WHATSAPP_WEBHOOK_MAX_BODY_BYTES": Variable(
        "max_body_bytes", _whole(64 * 2**10, 1024 * _MEBIBYTE)
    ),
    "WHATSAPP_CORE_URL": Variable("engine_url", _WEB, secret=True),
    "WHATSAPP_API_KEY": Variable("engine_key", _TEXT, secret=True),
    "WHATSAPP_SYNC_ENABLED": Variable("sync_enabled", _FLAG),
    "WHATSAPP_SYNC_INTERVAL_MS": Variable("sync_interval_ms", _whole(1000, 86_400_000)),
    "WHATSAPP_SYNC_BATCH_SIZE": Variable("sync_batch_size", _whole(20, 1000)),
    "WHATSAPP_SYNC_LOOKBACK_DAYS": Variable("sync_lookback_days", _whole(1, 36_500)),
    "WHATSAPP_SYNC_DEPTH": Variable("sync_depth", _DEPTH),
    "WHATSAPP_SYNC_CONCURRENT_CHATS": Variable("sync_concurrent_chats", _whole(1, 100)),
    "WHATSAPP_SYNC_MAX_RETRIES": Variable("sync_max_retries", _whole(0, 100)),
    "WHATSAPP_WORKER_HEALTH_PORT": Variable("worker_health_port", _PORT),
    "WHATSAPP_LOG_LEVEL": Variable("log_level", _one_of(*LOG_LEVELS)),
    "WHATSAPP_LOG_FORMAT": Variable("log_format", _one_of(*LOG_FORMATS)),
    "WHATSAPP_TZ": Variable("timezone", _ZONE),
}
"""Every variable that is read; each may come as ``NAME_FILE`` too."""
