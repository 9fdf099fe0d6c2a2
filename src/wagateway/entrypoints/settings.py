"""The environment, read once, into Settings. Nothing else reads ``os.environ``."""

import logging
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

from environs import EnvError, EnvValidationError
from msgspec import Struct, field
from typing_extensions import override

from wagateway.domain.errors import InvalidInput
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.media import LARGEST_BYTES
from wagateway.domain.messages import Kind as MessageKind
from wagateway.entrypoints.environment import FILE_SUFFIX, Environment, near_misses
from wagateway.entrypoints.variables import FULL, MEMORY_URL, VARIABLES, Kind, Variable

_SECRET_FIELDS = frozenset(v.field for v in VARIABLES.values() if v.secret)
_DATABASE_PARTS = frozenset(
    v.field for v in VARIABLES.values() if v.field.startswith(("db_", "pgbouncer_"))
)

# structlog prints to the standard output until it is configured, which scripts read.
_log = logging.getLogger("wagateway.settings")


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return where data is kept unless told otherwise: the user's data folder of the platform."""
    base = Path(environ.get("XDG_DATA_HOME", ""))
    if base.is_absolute():  # a relative one must be ignored, says the XDG specification
        return base / "wagateway"
    try:
        home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    except RuntimeError:  # a user without a home, as in some containers
        return Path(".wagateway")
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "wagateway"
    return home / ".local" / "share" / "wagateway"


class Settings(Struct, frozen=True, kw_only=True):
    """All that an operator can choose; ``.env.example`` explains each variable.

    Its repr shows no secret and no address that may hold one.

    Attributes:
        database_url: ``postgresql://…``; None runs an embedded PostgreSQL in ``data_dir``;
            ``memory://`` keeps nothing.
        direct_url: the same database without a pooler in between, for migrations; None:
            ``database_url``.
        pool_size: connections of one process, 1 to 1000.
        prepare_threshold: uses before a statement is prepared, 0 to 1000; None never prepares, as
            PgBouncer before 1.22 needs.
        data_dir: the embedded server's data, and the secrets that were generated.
        auto_migrate: bring the schema up to date on start; `wagateway api` never does.
        timescale: ``auto`` uses TimescaleDB where it is; ``off`` leaves the tables as they are.
        chunk_days: what a new chunk of a hypertable covers, 1 to 3650; None: 90 days of messages,
            30 of the log.
        compress_after_days: age at which messages are compressed, to 36,500, where TimescaleDB can
            do that; 0: never.
        host: where the HTTP server listens.
        port: its port, 1 to 65535.
        api_token: opens the HTTP API; None: not configured.
        webhook_token: what the engine sends in a header; None: not configured.
        webhook_hmac_key: what the engine signs with; None: not configured.
        metrics_token: opens ``/metrics`` and nothing else; None: only ``api_token`` does.
        max_body_bytes: of one webhook, 64 KiB to 1 GiB.
        api_requests_per_minute: of one client, to 1,000,000; 0: any number.
        failed_logins_per_minute: of one client, to 1,000,000; 0: any number.
        cors_origins: of pages that may read the API in a browser, such as
            ``https://app.example.com``.
        behind_tls: whoever is not on this machine comes through a proxy that speaks TLS.
        trusted_proxies: networks of those whose ``X-Forwarded-For`` names the client.
        spool: where webhooks wait while the database is away: ``redis``; ``filesystem``, in
            ``spool_folder``; ``auto``, in Redis where that is used, else in the folder; ``off``:
            nowhere, and they are refused.
        spool_dir: that folder; None: the folder ``spool`` in ``data_dir``.
        spool_max_bytes: that may wait, 1 MiB to 1 TiB.
        engine_url: WAHA's address; None: not configured.
        engine_store_url: of the S3 server into which WAHA puts files; None: it keeps them itself.
        engine_key: WAHA's key.
        sync_enabled: ask the engine for what webhooks did not bring; needs ``engine_url``.
        sync_interval_ms: between two looks at all chats of a session, 1 s to a day.
        sync_batch_size: messages per request, 20 to 1000.
        sync_lookback_days: how far the first look at all chats goes back, and a regular one, 1 to
            36,500.
        sync_depth: how far the history of each chat is filled: ``full``, or days.
        sync_concurrent_chats: chats of one worker at the same time, 1 to 100.
        sync_max_retries: failures of a chat before it waits long, 0 to 100.
        worker_health_port: where `wagateway worker` answers health checks; None: nowhere.
        media_enabled: keep attached files.
        media_store: ``filesystem``, in ``media_folder``, or ``minio``, in a bucket.
        media_dir: where files are kept; None: the folder ``media`` in ``data_dir``.
        minio_url: of an S3 server such as MinIO; None: this machine, at ``minio_port``.
        minio_port: 1 to 65535.
        minio_public_url: where browsers reach the same server; None: as we do.
        minio_user: its access key.
        minio_password: its secret key.
        minio_bucket: made where it is absent.
        minio_region: what requests are signed for.
        media_max_bytes: of a file that is kept, 1 byte to 5 GiB.
        media_kinds: kinds of messages whose files are kept; None: all.
        media_skip_chat_types: types of chats whose files are not kept, ``status`` among them.
        media_skip_chats: chats whose files are not kept.
        media_skip_sessions: sessions whose files are not kept.
        media_outgoing: keep files that were sent from the account, too.
        media_max_age_days: of a message whose file is kept, 1 to 36,500; None: any age.
        media_lifetime_s: how long the engine keeps a file, 0 (for ever) to a year.
        media_concurrent: downloads at the same time, 1 to 100.
        media_redirect: send who asks for a file to the store, where it has addresses.
        redis_enabled: use a Redis or Valkey beside the database.
        redis_url: ``redis://…`` or ``rediss://…``; None: ``redis_host`` and ``redis_port``.
        redis_host: where it runs.
        redis_port: 1 to 65535.
        redis_password: of its user; None: it takes none, or ``redis_url`` has it.
        retention_days: of messages, since they were sent, and no longer of the raw log, 1 to
            36,500; None: for ever.
        event_log_retention_days: of the raw log, since it was received, 1 to 36,500; None: as long
            as messages.
        backup_dir: where backups are kept unless told otherwise: a folder, or
            ``s3://bucket/prefix`` on the server of ``minio_url``.
        backup_every_hours: between two regular backups, 1 to 8760; None: none is made. Needs
            ``backup_dir``.
        backup_keep: how many of them stay, 1 to 1000.
        backup_media: whether they hold attached files too.
        backup_passphrase: encrypts every backup; None: they are readable.
        live_max_streams: how many may follow the archive in one process, 1 to 10,000.
        live_retention_hours: how long changes are kept for those who follow, 1 to 8,760.
        log_level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.
        log_format: ``console`` or ``json``; None: ``console`` on a terminal, else ``json``.
        otel_enabled: send spans by OpenTelemetry, as its own variables ``OTEL_…`` say; needs the
            extra ``otel``.
        timezone: of the times that commands show to people and take from them; what is stored
            and served is UTC.

    Raises:
        InvalidInput: naming every field that is out of bounds.
    """

    database_url: str | None = None
    direct_url: str | None = None
    pool_size: int = 10
    prepare_threshold: int | None = None
    data_dir: Path = field(default_factory=lambda: default_data_dir(os.environ))
    auto_migrate: bool = True
    timescale: str = "auto"
    chunk_days: int | None = None
    compress_after_days: int = 90
    host: str = "127.0.0.1"
    port: int = 4011
    api_token: str | None = None
    webhook_token: str | None = None
    webhook_hmac_key: str | None = None
    metrics_token: str | None = None
    max_body_bytes: int = 16 * 2**20
    api_requests_per_minute: int = 6000
    failed_logins_per_minute: int = 60
    trusted_proxies: frozenset[str] = frozenset()
    cors_origins: frozenset[str] = frozenset()
    behind_tls: bool = False
    spool: str = "auto"
    spool_dir: Path | None = None
    spool_max_bytes: int = 2**30
    engine_url: str | None = None
    engine_store_url: str | None = None
    engine_key: str | None = None
    sync_enabled: bool = True
    sync_interval_ms: int = 300_000
    sync_batch_size: int = 100
    sync_lookback_days: int = 7
    sync_depth: str = FULL
    sync_concurrent_chats: int = 5
    sync_max_retries: int = 3
    worker_health_port: int | None = None
    media_enabled: bool = True
    media_store: str = "filesystem"
    media_dir: Path | None = None
    minio_url: str | None = None
    minio_port: int = 9302
    minio_public_url: str | None = None
    minio_user: str | None = None
    minio_password: str | None = None
    minio_bucket: str = "whatsapp-media"
    minio_region: str = "us-east-1"
    media_max_bytes: int = LARGEST_BYTES
    media_kinds: frozenset[MessageKind] | None = None
    media_skip_chat_types: frozenset[str] = frozenset()
    media_skip_chats: frozenset[Jid] = frozenset()
    media_skip_sessions: frozenset[SessionName] = frozenset()
    media_outgoing: bool = True
    media_max_age_days: int | None = None
    media_lifetime_s: int = 180
    media_concurrent: int = 8
    media_redirect: bool = False
    redis_enabled: bool = False
    redis_url: str | None = None
    redis_host: str = "127.0.0.1"
    redis_port: int = 6380
    redis_password: str | None = None
    retention_days: int | None = None
    event_log_retention_days: int | None = None
    backup_dir: str | None = None
    backup_every_hours: int | None = None
    backup_keep: int = 7
    backup_media: bool = True
    backup_passphrase: str | None = None
    live_max_streams: int = 100
    live_retention_hours: int = 72
    log_level: str = "info"
    log_format: str | None = None
    otel_enabled: bool = False
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        _raise_for(_problems_of(given) | _lacking(given))

    @override
    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"Settings({shown})"

    @override
    def __rich_repr__(self) -> list[tuple[str, Any]]:
        given = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [("backend", self.backend)] + [
            (name, "<hidden>" if name in _SECRET_FIELDS and value is not None else value)
            for name, value in given
        ]

    @property
    def backend(self) -> str:
        """Where the archive is kept: ``memory``, ``embedded`` or ``postgres``."""
        if self.database_url is None:
            return "embedded"
        return "memory" if self.database_url == MEMORY_URL else "postgres"

    @property
    def migration_url(self) -> str | None:
        """The address for migrations; None for the memory and embedded backends."""
        return (self.direct_url or self.database_url) if self.backend == "postgres" else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every configured secret, so that logs can hide them."""
        all_of_them = (
            self.api_token,
            self.webhook_token,
            self.webhook_hmac_key,
            self.metrics_token,
            self.engine_key,
            self.minio_password,
            self.redis_password,
            self.backup_passphrase,
        )
        return tuple(secret for secret in all_of_them if secret)

    @property
    def media_folder(self) -> Path:
        """Where files are kept, when they are in a folder."""
        return self.media_dir or self.data_dir / "media"

    @property
    def spool_kind(self) -> str:
        """Where webhooks wait: ``redis``, ``filesystem`` or ``off``."""
        if self.backend == "memory":
            return "off"
        if self.spool == "auto":
            return "redis" if self.redis_enabled else "filesystem"
        return self.spool

    @property
    def spool_folder(self) -> Path:
        """Where webhooks wait, when they wait in a folder."""
        return self.spool_dir or self.data_dir / "spool"

    @property
    def minio_address(self) -> str:
        """Where the S3 server is reached, when files are in a bucket."""
        return self.minio_url or f"http://127.0.0.1:{self.minio_port}"

    @property
    def redis_address(self) -> str:
        """Where Redis is reached, where it is used."""
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return self.redis_url or f"redis://{host}:{self.redis_port}/0"

    @classmethod
    def in_memory(cls) -> "Settings":
        """Keep nothing: for tests, and to try the library."""
        return cls(database_url=MEMORY_URL)

    @classmethod
    def embedded(cls, data_dir: Path | str) -> "Settings":
        """Run a PostgreSQL of one's own in *data_dir*; needs the extra ``embedded``."""
        return cls(data_dir=Path(data_dir))

    @classmethod
    def postgres(cls, url: str) -> "Settings":
        """Use the database at *url*."""
        return cls(database_url=url)


class Overrides(TypedDict, total=False):
    """Settings that a command line may give; None means not given."""

    database_url: str | None
    direct_url: str | None
    data_dir: Path | None
    auto_migrate: bool | None
    host: str | None
    port: int | None
    engine_url: str | None
    engine_key: str | None
    log_level: str | None
    log_format: str | None


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    dotenv: Path | None = Path(".env"),
    **overrides: Unpack[Overrides],
) -> Settings:
    """Read the environment, and *dotenv* where it exists; *overrides* win, then the environment.

    A variable that is set and empty counts as absent. ``NAME_FILE`` names a file that holds the
    value of ``NAME``. Names that look like misspelt ones of ours are logged as warnings.

    Raises:
        InvalidInput: naming every problem at once, what was given (never a secret) and what is
            accepted.
    """
    given = os.environ if environ is None else environ
    chosen: dict[str, Any] = {k: v for k, v in overrides.items() if v is not None}
    env = Environment(given, dotenv=dotenv, names=VARIABLES)
    values = _read(env, _settled_by(chosen))
    _warn(env, values | chosen)
    _raise_for(env.problems | _problems_of(chosen))
    values = {
        "data_dir": default_data_dir(given),
        "otel_enabled": _is_to_trace(given),
        **_with_database(values),
        **chosen,
    }
    return Settings(**values)


def _is_to_trace(environ: Mapping[str, str]) -> bool:
    """Tell whether OpenTelemetry's own variables want spans; ours wins over that."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    places = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    wanted = exporter == "otlp" or (not exporter and any(environ.get(name) for name in places))
    if not wanted or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        _log.warning("OTEL_ variables are set and not used: pip install 'wagateway[otel]'")
        return False
    return True


def _settled_by(chosen: Mapping[str, Any]) -> frozenset[str]:
    """Return the fields that the environment need not tell any more."""
    if "database_url" not in chosen:
        return frozenset(chosen)
    # Migrating the environment's database while another one is used would be a nasty surprise.
    return frozenset(chosen) | _DATABASE_PARTS | {"direct_url"}


def _read(env: Environment, settled: frozenset[str]) -> dict[str, Any]:
    """Return the fields that *env* tells; what is wrong with others joins its problems."""
    env.add_parser("setting", _parsed)
    found = {
        variable.field: env.setting(name, None, kind=variable.kind)
        for name, variable in VARIABLES.items()
        if variable.field not in settled
    }
    try:
        env.seal()
    except EnvValidationError as exc:
        for name in exc.error_messages:
            env.problems[str(name)] = _wrong(VARIABLES[str(name)], env.values[str(name)])
    if found.get("database_url") and found.get("db_host"):
        env.problems["WHATSAPP_DB_HOST"] = "is set, and so is WHATSAPP_DATABASE_URL; keep one"
    for name, what in _lacking(found).items():
        if not env.problems.keys() & {name, name + FILE_SUFFIX}:  # told already
            env.problems[name] = what
    return {name: value for name, value in found.items() if value is not None}


def _parsed(text: str | None, *, kind: Kind) -> Any:  # noqa: ANN401 - of the kind's own type
    if text is None:
        return None
    try:
        value = kind.read(text)
    except ValueError as exc:
        raise EnvError(kind.accepted) from exc
    if not kind.holds(value):
        raise EnvError(kind.accepted)
    return value


def _wrong(variable: Variable, given: object) -> str:
    text = ",".join(sorted(given)) if isinstance(given, frozenset) else str(given)
    shown = f"set, {len(text)} characters" if variable.secret else f"{text[:80]!r} is given"
    if why := variable.kind.why_not(text):
        shown += f", {why}"
    return f"{shown}; accepted is {variable.kind.accepted}"


def _problems_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with values that were given in Python."""
    return {
        f"{variable.field} ({name})": _wrong(variable, value)
        for name, variable in VARIABLES.items()
        if (value := fields.get(variable.field)) is not None and not variable.kind.holds(value)
    }


def _lacking(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return what is absent and needed by what is there."""
    needed = {}
    if fields.get("media_store") == "minio":
        by = "WHATSAPP_MEDIA_STORE=minio"
        needed = {"WHATSAPP_MINIO_ROOT_USER": by, "WHATSAPP_MINIO_ROOT_PASSWORD": by}
    if fields.get("backup_every_hours") is not None:
        needed["WHATSAPP_BACKUP_DIR"] = "WHATSAPP_BACKUP_EVERY_HOURS"
    lacking = {
        name: f"is not set, and {by} needs it"
        for name, by in needed.items()
        if fields.get(VARIABLES[name].field) is None
    }
    if fields.get("spool") == "redis" and not fields.get("redis_enabled"):
        lacking["WHATSAPP_REDIS_ENABLED"] = "is not true, and WHATSAPP_SPOOL=redis needs it"
    return lacking


def _raise_for(problems: Mapping[str, str]) -> None:
    if problems:
        lines = [f"  {name}: {what}" for name, what in sorted(problems.items())]
        raise InvalidInput("\n".join(["These settings cannot be used:", *lines]))


def _with_database(values: dict[str, Any]) -> dict[str, Any]:
    """Compose the database's addresses from their parts, where a host is given."""
    rest = {k: v for k, v in values.items() if k not in _DATABASE_PARTS}
    if "db_host" not in values:
        return rest
    direct = _address(values, values["db_host"], values.get("db_port", 5435))
    if not values.keys() & {"pgbouncer_host", "pgbouncer_port"}:
        return {"database_url": direct, **rest}
    host = values.get("pgbouncer_host", values["db_host"])
    pooled = _address(values, host, values.get("pgbouncer_port", 6435))
    return {"database_url": pooled, "direct_url": direct, **rest}


def _address(values: Mapping[str, Any], host: str, port: int) -> str:
    login = quote(values.get("db_user", "whatsapp"), safe="")
    if password := values.get("db_password"):
        login += ":" + quote(password, safe="")
    host = f"[{host}]" if ":" in host else host
    name = quote(values.get("db_name", "whatsapp_gateway"), safe="")
    return f"postgresql://{login}@{host}:{port}/{name}"


def _warn(env: Environment, values: Mapping[str, Any]) -> None:
    """Tell what was probably meant otherwise."""
    for path, line in env.unreadable:
        _log.warning(
            "%s: line %s is not NAME=value and is not used; put a value with spaces, quotes or # "
            "between single quotes, and # before a comment",
            path,
            line,
        )
    for name, meant in near_misses(env.values, VARIABLES).items():
        _log.warning("%s is not a setting of wagateway; is %s meant?", name, meant)
    used = values.keys() & {"db_host", "database_url"}
    if not used and values.keys() & {"db_user", "db_password", "db_name"}:
        _log.warning("WHATSAPP_DB_HOST is not set, so no other WHATSAPP_DB_ setting is used")
