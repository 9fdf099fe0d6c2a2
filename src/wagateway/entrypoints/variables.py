"""Every variable of the environment that is read, and what it may be."""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from wagateway.adapters.minio.bucket import (
    BUCKET_NAME,
    ENDPOINT,
    is_bucket_name,
    is_endpoint,
    is_region,
)
from wagateway.adapters.redis.address import ADDRESS as REDIS_ADDRESS
from wagateway.adapters.redis.address import is_redis_url
from wagateway.domain.errors import InvalidInput
from wagateway.domain.identity import ChatType, Jid, SessionName, jid
from wagateway.domain.messages import Kind as MessageKind
from wagateway.entrypoints.strength import STRONG, is_strong, weakness

MEMORY_URL = "memory://"
MEDIA_STORES = ("filesystem", "minio")
TIMESCALE = ("auto", "off")
SPOOLS = ("auto", "filesystem", "redis", "off")
MEDIA_KINDS = (
    MessageKind.IMAGE,
    MessageKind.VIDEO,
    MessageKind.GIF,
    MessageKind.VIDEO_NOTE,
    MessageKind.VOICE,
    MessageKind.AUDIO,
    MessageKind.DOCUMENT,
    MessageKind.STICKER,
)
"""Kinds of messages that have a file."""
STATUS = "status"
"""Status posts: they are broadcasts, which people know by this name."""
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
LOG_FORMATS = ("console", "json")

_MEBIBYTE = 2**20
_MOST_DAYS = 36_500
_MOST_A_MINUTE = 1_000_000
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


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]


def _list_of(accepted: str, read: Callable[[str], Any]) -> Kind:
    """Return the kind of a list whose words *read* takes, and raises ValueError for others."""

    def is_word(word: object) -> bool:
        try:
            return isinstance(word, str) and read(word) == word
        except ValueError:
            return False

    def wrong(text: str) -> str | None:
        found = [word for word in _words(text) if not _is_read(read, word)]
        return f"of which {found[0][:80]!r} is not" if found else None

    return Kind(
        f"a list, separated by commas, of {accepted}",
        lambda words: isinstance(words, frozenset) and all(map(is_word, words)),
        lambda text: frozenset(read(word) for word in _words(text)),
        wrong,
    )


def _is_read(read: Callable[[str], Any], word: str) -> bool:
    try:
        read(word)
    except ValueError:
        return False
    return True


def _read_kind(word: str) -> MessageKind:
    kind = MessageKind(word.lower())
    if kind not in MEDIA_KINDS:
        raise ValueError
    return kind


def _read_chat_type(word: str) -> str:
    word = word.lower()
    return word if word == STATUS else ChatType(word).value


def _read_network(word: str) -> str:
    network = ip_network(word)
    if network.prefixlen == 0:
        raise ValueError  # whoever trusts everybody lets everybody choose who they are
    return str(network)


_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?")
_USUAL_PORT = {"http": "80", "https": "443"}


def _read_origin(word: str) -> str:
    """Return the origin *word* as browsers write it: in lower case, without the usual port."""
    match = _ORIGIN.fullmatch(word.lower().removesuffix("/"))
    if match is None:
        raise ValueError
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" + (f":{port}" if port not in {None, _USUAL_PORT[scheme]} else "")


def _read_chat(word: str) -> Jid:
    try:
        return jid(word)
    except InvalidInput as exc:
        raise ValueError from exc


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_postgres_url(url: str) -> bool:
    # Here, since it takes a third of the time of a command that needs no database.
    import psycopg  # noqa: PLC0415
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

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
_WEB = Kind("an address such as http://127.0.0.1:3000", _is_web_address)
_ZONE = Kind("a time zone of this system, such as America/Sao_Paulo", _is_zone)
_PORT = _whole(1, 65535)
FULL = "full"
_DEPTH = Kind(
    "full, or a number of days from 1 to 36500",
    lambda d: d == FULL or (isinstance(d, str) and d.isdigit() and 0 < int(d[:9]) <= _MOST_DAYS),
    str.lower,
)
_KINDS = _list_of(", ".join(MEDIA_KINDS), _read_kind)
_CHAT_TYPES = _list_of(", ".join([STATUS, *ChatType]), _read_chat_type)
_CHATS = _list_of("chats, such as 5511987650102@c.us or 120363000000000001@g.us", _read_chat)
_NETWORKS = _list_of("addresses or networks, such as 10.0.0.7 or 10.0.0.0/8", _read_network)
_ORIGINS = _list_of(
    "origins as browsers write them, such as https://app.example.com (each by name, no *)",
    _read_origin,
)
_SESSIONS = _list_of("names of sessions", SessionName)
_S3_PLACE = re.compile(r"s3://([^/]+)((?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*)/?")


def s3_place(where: str) -> tuple[str, str] | None:
    """Return bucket and prefix of an address such as ``s3://bucket/prefix``; None: it is none."""
    matched = _S3_PLACE.fullmatch(where)
    if matched is None or not is_bucket_name(matched[1]):
        return None
    return matched[1], matched[2].strip("/")


def is_backup_place(where: object) -> bool:
    """Tell whether backups can be kept at *where*."""
    if not isinstance(where, str) or not where:
        return False
    return s3_place(where) is not None if where.startswith("s3:") else "\x00" not in where


BACKUP_PLACE = "a folder, or s3://bucket/prefix on the S3 server of WHATSAPP_MINIO_URL"
_BACKUPS = Kind(BACKUP_PLACE, is_backup_place)
_ENDPOINT = Kind(ENDPOINT, is_endpoint)
_BUCKET = Kind(BUCKET_NAME, is_bucket_name)
_REDIS = Kind(REDIS_ADDRESS, is_redis_url)
_REGION = Kind("a region such as us-east-1", is_region)
_USER = Kind(
    "a name in ASCII characters without spaces or /",
    lambda name: bool(name) and all("!" <= c <= "~" and c != "/" for c in name),
)
_SHORTEST_PASSPHRASE = 12
_PASSPHRASE = Kind(
    f"{_SHORTEST_PASSPHRASE} or more characters, such as six words chosen by dice",
    lambda text: isinstance(text, str) and len(text) >= _SHORTEST_PASSPHRASE,
)
_LARGEST_FILE = 5 * 2**30
"""Bytes; what an S3 server takes at once. Source: AWS, Amazon S3 quotas."""

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
    "WHATSAPP_DB_TIMESCALE": Variable("timescale", _one_of(*TIMESCALE)),
    "WHATSAPP_DB_CHUNK_DAYS": Variable("chunk_days", _whole(1, 3650)),
    "WHATSAPP_DB_COMPRESS_AFTER_DAYS": Variable("compress_after_days", _whole(0, _MOST_DAYS)),
    "WHATSAPP_DATA_DIR": Variable("data_dir", _FOLDER),
    "WHATSAPP_GATEWAY_API_HOST": Variable("host", _HOST),
    "WHATSAPP_GATEWAY_API_PORT": Variable("port", _PORT),
    "WHATSAPP_GATEWAY_API_TOKEN": Variable("api_token", _STRONG, secret=True),
    "WHATSAPP_WEBHOOK_TOKEN": Variable("webhook_token", _STRONG, secret=True),
    "WHATSAPP_WEBHOOK_HMAC_KEY": Variable("webhook_hmac_key", _STRONG, secret=True),
    "WHATSAPP_METRICS_TOKEN": Variable("metrics_token", _STRONG, secret=True),
    "WHATSAPP_WEBHOOK_MAX_BODY_BYTES": Variable(
        "max_body_bytes", _whole(64 * 2**10, 1024 * _MEBIBYTE)
    ),
    "WHATSAPP_API_REQUESTS_PER_MINUTE": Variable(
        "api_requests_per_minute", _whole(0, _MOST_A_MINUTE)
    ),
    "WHATSAPP_FAILED_LOGINS_PER_MINUTE": Variable(
        "failed_logins_per_minute", _whole(0, _MOST_A_MINUTE)
    ),
    "WHATSAPP_CORS_ORIGINS": Variable("cors_origins", _ORIGINS),
    "WHATSAPP_BEHIND_TLS": Variable("behind_tls", _FLAG),
    "WHATSAPP_TRUSTED_PROXIES": Variable("trusted_proxies", _NETWORKS),
    "WHATSAPP_SPOOL": Variable("spool", _one_of(*SPOOLS)),
    "WHATSAPP_SPOOL_DIR": Variable("spool_dir", _FOLDER),
    "WHATSAPP_SPOOL_MAX_BYTES": Variable("spool_max_bytes", _whole(_MEBIBYTE, 2**40)),
    "WHATSAPP_CORE_URL": Variable("engine_url", _WEB, secret=True),
    "WHATSAPP_CORE_S3_URL": Variable("engine_store_url", _ENDPOINT),
    "WHATSAPP_API_KEY": Variable("engine_key", _TEXT, secret=True),
    "WHATSAPP_SYNC_ENABLED": Variable("sync_enabled", _FLAG),
    "WHATSAPP_SYNC_INTERVAL_MS": Variable("sync_interval_ms", _whole(1000, 86_400_000)),
    "WHATSAPP_SYNC_BATCH_SIZE": Variable("sync_batch_size", _whole(20, 1000)),
    "WHATSAPP_SYNC_LOOKBACK_DAYS": Variable("sync_lookback_days", _whole(1, 36_500)),
    "WHATSAPP_SYNC_DEPTH": Variable("sync_depth", _DEPTH),
    "WHATSAPP_SYNC_CONCURRENT_CHATS": Variable("sync_concurrent_chats", _whole(1, 100)),
    "WHATSAPP_SYNC_MAX_RETRIES": Variable("sync_max_retries", _whole(0, 100)),
    "WHATSAPP_WORKER_HEALTH_PORT": Variable("worker_health_port", _PORT),
    "WHATSAPP_MEDIA_ENABLED": Variable("media_enabled", _FLAG),
    "WHATSAPP_MEDIA_STORE": Variable("media_store", _one_of(*MEDIA_STORES)),
    "WHATSAPP_MEDIA_DIR": Variable("media_dir", _FOLDER),
    "WHATSAPP_MINIO_URL": Variable("minio_url", _ENDPOINT, secret=True),
    "WHATSAPP_MINIO_API_PORT": Variable("minio_port", _PORT),
    "WHATSAPP_MINIO_PUBLIC_URL": Variable("minio_public_url", _ENDPOINT, secret=True),
    "WHATSAPP_MINIO_ROOT_USER": Variable("minio_user", _USER),
    "WHATSAPP_MINIO_ROOT_PASSWORD": Variable("minio_password", _TEXT, secret=True),
    "WHATSAPP_MINIO_BUCKET": Variable("minio_bucket", _BUCKET),
    "WHATSAPP_MINIO_REGION": Variable("minio_region", _REGION),
    "WHATSAPP_MEDIA_MAX_BYTES": Variable("media_max_bytes", _whole(1, _LARGEST_FILE)),
    "WHATSAPP_MEDIA_KINDS": Variable("media_kinds", _KINDS),
    "WHATSAPP_MEDIA_SKIP_CHAT_TYPES": Variable("media_skip_chat_types", _CHAT_TYPES),
    "WHATSAPP_MEDIA_SKIP_CHATS": Variable("media_skip_chats", _CHATS),
    "WHATSAPP_MEDIA_SKIP_SESSIONS": Variable("media_skip_sessions", _SESSIONS),
    "WHATSAPP_MEDIA_OUTGOING": Variable("media_outgoing", _FLAG),
    "WHATSAPP_MEDIA_MAX_AGE_DAYS": Variable("media_max_age_days", _whole(1, _MOST_DAYS)),
    "WHATSAPP_MEDIA_LIFETIME_S": Variable("media_lifetime_s", _whole(0, 31_536_000)),
    "WHATSAPP_MEDIA_CONCURRENT": Variable("media_concurrent", _whole(1, 100)),
    "WHATSAPP_MEDIA_REDIRECT": Variable("media_redirect", _FLAG),
    "WHATSAPP_REDIS_ENABLED": Variable("redis_enabled", _FLAG),
    "WHATSAPP_REDIS_URL": Variable("redis_url", _REDIS, secret=True),
    "WHATSAPP_REDIS_HOST": Variable("redis_host", _HOST),
    "WHATSAPP_REDIS_PORT": Variable("redis_port", _PORT),
    "WHATSAPP_REDIS_PASSWORD": Variable("redis_password", _TEXT, secret=True),
    "WHATSAPP_RETENTION_DAYS": Variable("retention_days", _whole(1, _MOST_DAYS)),
    "WHATSAPP_EVENT_LOG_RETENTION_DAYS": Variable(
        "event_log_retention_days", _whole(1, _MOST_DAYS)
    ),
    "WHATSAPP_BACKUP_DIR": Variable("backup_dir", _BACKUPS),
    "WHATSAPP_BACKUP_EVERY_HOURS": Variable("backup_every_hours", _whole(1, 8760)),
    "WHATSAPP_BACKUP_KEEP": Variable("backup_keep", _whole(1, 1000)),
    "WHATSAPP_BACKUP_MEDIA": Variable("backup_media", _FLAG),
    "WHATSAPP_BACKUP_PASSPHRASE": Variable("backup_passphrase", _PASSPHRASE, secret=True),
    "WHATSAPP_LIVE_MAX_STREAMS": Variable("live_max_streams", _whole(1, 10_000)),
    "WHATSAPP_LIVE_RETENTION_HOURS": Variable("live_retention_hours", _whole(1, 8760)),
    "WHATSAPP_LOG_LEVEL": Variable("log_level", _one_of(*LOG_LEVELS)),
    "WHATSAPP_LOG_FORMAT": Variable("log_format", _one_of(*LOG_FORMATS)),
    "WHATSAPP_OTEL_ENABLED": Variable("otel_enabled", _FLAG),
    "WHATSAPP_TZ": Variable("timezone", _ZONE),
}
"""Every variable that is read; each may come as ``NAME_FILE`` too."""
