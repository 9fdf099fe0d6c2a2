import logging
import re
import sys
from pathlib import Path

import msgspec
import pytest
from rich.pretty import pretty_repr

from wagateway.domain.errors import InvalidInput
from wagateway.domain.identity import Jid, SessionName
from wagateway.domain.messages import Kind
from wagateway.entrypoints.settings import Settings, default_data_dir, load_settings
from wagateway.entrypoints.variables import VARIABLES

EXAMPLE = Path(__file__).parents[3] / ".env.example"
NAMES_OF_EXAMPLES = {
    "WHATSAPP_BACKUP_DIR",
    "WHATSAPP_BACKUP_EVERY_HOURS",
    "WHATSAPP_CORE_URL",
    "WHATSAPP_CORS_ORIGINS",
    "WHATSAPP_CORE_S3_URL",
    "WHATSAPP_DATABASE_DIRECT_URL",
    "WHATSAPP_DATABASE_URL",
    "WHATSAPP_DATA_DIR",
    "WHATSAPP_DB_CHUNK_DAYS",
    "WHATSAPP_DB_HOST",
    "WHATSAPP_DB_PREPARE_THRESHOLD",
    "WHATSAPP_EVENT_LOG_RETENTION_DAYS",
    "WHATSAPP_LOG_FORMAT",
    "WHATSAPP_MEDIA_DIR",
    "WHATSAPP_SPOOL_DIR",
    "WHATSAPP_MEDIA_KINDS",
    "WHATSAPP_MEDIA_MAX_AGE_DAYS",
    "WHATSAPP_MEDIA_SKIP_CHATS",
    "WHATSAPP_MEDIA_SKIP_CHAT_TYPES",
    "WHATSAPP_MEDIA_SKIP_SESSIONS",
    "WHATSAPP_MINIO_PUBLIC_URL",
    "WHATSAPP_MINIO_URL",
    "WHATSAPP_REDIS_URL",
    "WHATSAPP_RETENTION_DAYS",
    "WHATSAPP_TRUSTED_PROXIES",
    "WHATSAPP_WORKER_HEALTH_PORT",
}
"""Lines of the example that show no default, because it is none or depends on the machine."""

STRONG = "tQ3v9LxW0bZr7KfM2sYd"
URL = "postgresql://ana:s3same@db.example:5432/archive"


def load(**environ: str) -> Settings:
    home = {"HOME": "/home/ana"}
    return load_settings(home | {f"WHATSAPP_{k}": v for k, v in environ.items()}, dotenv=None)


def problem(**environ: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        load(**environ)
    return str(caught.value)


def example_lines() -> dict[str, str]:
    found = re.findall(r"^# (WHATSAPP_\w+)=(.*)$", EXAMPLE.read_text("utf-8"), re.MULTILINE)
    assert len({name for name, _ in found}) == len(found)
    return dict(found)


def test_nothing_set_gives_the_documented_defaults() -> None:
    got = load()
    assert (got.backend, got.host, got.port) == ("embedded", "127.0.0.1", 4011)
    assert (got.api_token, got.webhook_token, got.webhook_hmac_key) == (None, None, None)
    assert got.max_body_bytes == 16 * 1024 * 1024
    assert got == msgspec.structs.replace(Settings(), data_dir=got.data_dir)


def test_every_variable_reaches_its_field() -> None:
    got = load(
        DATABASE_URL=URL,
        DATABASE_DIRECT_URL="postgres://db.example/other",
        DB_POOL_SIZE="7",
        DB_PREPARE_THRESHOLD="0",
        AUTO_MIGRATE="Off",
        DATA_DIR="/srv/my data",
        GATEWAY_API_HOST="::1",
        GATEWAY_API_PORT="65535",
        GATEWAY_API_TOKEN=STRONG,
        WEBHOOK_TOKEN=STRONG + "w",
        WEBHOOK_HMAC_KEY=STRONG + "h",
        METRICS_TOKEN=STRONG + "m",
        WEBHOOK_MAX_BODY_BYTES="65536",
        API_REQUESTS_PER_MINUTE="0",
        FAILED_LOGINS_PER_MINUTE="7",
        CORS_ORIGINS="https://App.example.com:443/, http://localhost:8080,http://[::1]:80",
        BEHIND_TLS="yes",
        TRUSTED_PROXIES="127.0.0.1 10.0.0.0/8, fd00::/8",
        CORE_URL="http://waha:3000",
        API_KEY="waha's",
        LOG_LEVEL="DEBUG",
        LOG_FORMAT="JSON",
        OTEL_ENABLED="yes",
        TZ="America/Sao_Paulo",
    )
    assert got == Settings(
        database_url=URL,
        direct_url="postgres://db.example/other",
        pool_size=7,
        prepare_threshold=0,
        auto_migrate=False,
        data_dir=Path("/srv/my data"),
        host="::1",
        port=65535,
        api_token=STRONG,
        webhook_token=STRONG + "w",
        webhook_hmac_key=STRONG + "h",
        metrics_token=STRONG + "m",
        max_body_bytes=65536,
        api_requests_per_minute=0,
        failed_logins_per_minute=7,
        cors_origins=frozenset(
            {"https://app.example.com", "http://localhost:8080", "http://[::1]"}
        ),
        behind_tls=True,
        trusted_proxies=frozenset({"127.0.0.1/32", "10.0.0.0/8", "fd00::/8"}),
        engine_url="http://waha:3000",
        engine_key="waha's",
        log_level="debug",
        log_format="json",
        otel_enabled=True,
        timezone="America/Sao_Paulo",
    )


def test_an_empty_variable_counts_as_absent_and_white_space_around_is_nothing() -> None:
    assert load(GATEWAY_API_TOKEN="", GATEWAY_API_PORT=" 80\r\n", TZ="  ") == load(
        GATEWAY_API_PORT="80"
    )


def test_all_problems_are_told_at_once_with_what_is_accepted_and_without_secrets() -> None:
    told = problem(
        GATEWAY_API_PORT="99999",
        AUTO_MIGRATE="maybe",
        WEBHOOK_TOKEN="hunter2hunter",
        DATABASE_URL="mysql://ana:s3same@db/x",
        TZ="Mars/Olympus",
        LOG_LEVEL="loud",
        CORE_URL="waha:3000",
        DATA_DIR="~nobody-of-that-name/x",
    )
    lines = told.splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == [
        "WHATSAPP_AUTO_MIGRATE",
        "WHATSAPP_CORE_URL",
        "WHATSAPP_DATABASE_URL",
        "WHATSAPP_DATA_DIR",
        "WHATSAPP_GATEWAY_API_PORT",
        "WHATSAPP_LOG_LEVEL",
        "WHATSAPP_TZ",
        "WHATSAPP_WEBHOOK_TOKEN",
    ]
    assert "'99999' is given; accepted is a whole number from 1 to 65535" in told
    assert "set, 13 characters, too short; accepted is a secret of 16 or more" in told
    assert "token_urlsafe(32)" in told
    assert "hunter2" not in told
    assert "s3same" not in told


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("GATEWAY_API_PORT", "0"),
        ("GATEWAY_API_PORT", "1_000"),
        ("GATEWAY_API_PORT", "-1"),
        ("GATEWAY_API_PORT", "٤٠١١"),
        ("GATEWAY_API_PORT", "9" * 5000),
        ("GATEWAY_API_HOST", "http://127.0.0.1"),
        ("WEBHOOK_MAX_BODY_BYTES", "16MiB"),
        ("DATABASE_URL", "host=db dbname=archive"),
        ("DATABASE_URL", "postgresql://ana:100%@db/archive"),
        ("DATABASE_URL", "postgresql://db/archive?nonsense=1"),
        ("DATABASE_URL", "memory://somewhere"),
        ("DATABASE_DIRECT_URL", "memory://"),
        ("CORE_URL", "http://"),
        ("CORE_URL", "http://waha:port"),
        ("TZ", "../../etc/passwd"),
        ("API_REQUESTS_PER_MINUTE", "-1"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/page"),
        ("CORS_ORIGINS", "https://ana@app.example.com"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "proxy.internal"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("DB_PREPARE_THRESHOLD", "never"),
        ("DB_TIMESCALE", "on"),
        ("DB_CHUNK_DAYS", "0"),
        ("DB_COMPRESS_AFTER_DAYS", "-1"),
    ],
)
def test_a_malformed_value_is_refused_by_name(name: str, text: str) -> None:
    assert f"WHATSAPP_{name}: " in problem(**{name: text})


@pytest.mark.parametrize(
    "weak",
    [
        "short",
        "changeme",
        "changemechangeme",
        "CHANGE-ME-PLEASE-123",
        "your-secret-token-here",
        "whatsapp_webhook_token",
        "aaaaaaaaaaaaaaaaaaaa",
        "12345678901234567890",
        "with a space inside it",
        "señor-de-los-anillos-9",
    ],
)
def test_a_weak_secret_is_refused(weak: str) -> None:
    for name in ("GATEWAY_API_TOKEN", "WEBHOOK_TOKEN", "WEBHOOK_HMAC_KEY"):
        assert f"WHATSAPP_{name}: set, {len(weak)} characters" in problem(**{name: weak})


@pytest.mark.parametrize(
    ("weak", "why"),
    [
        ("x7Kq", "too short"),
        ("aaaaaaaaaaaaaaaaaaaa", "the same few characters"),
        ("change-me-please-1234567890", "common words"),
        ("x7Kq w9Lm2 Zt4Rp8 Vb", "space"),
    ],
)
def test_a_weak_secret_is_told_why(weak: str, why: str) -> None:
    told = problem(WEBHOOK_TOKEN=weak)
    assert why in told.partition("; accepted is")[0]
    assert weak not in told


@pytest.mark.parametrize(
    "strong",
    [STRONG, "0f9e8d7c6b5a49382716", "correct-horse-battery-staple", "x7!$%&/()=?#kqpz91wm"],
)
def test_a_strong_secret_is_taken(strong: str) -> None:
    assert load(WEBHOOK_TOKEN=strong).webhook_token == strong


class TestFiles:
    def test_a_value_may_come_from_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text(STRONG + "\n")
        assert load(WEBHOOK_TOKEN_FILE=str(tmp_path / "token")).webhook_token == STRONG

    def test_a_value_and_a_file_together_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text(STRONG)
        told = problem(WEBHOOK_TOKEN=STRONG, WEBHOOK_TOKEN_FILE=str(tmp_path / "token"))
        assert "WHATSAPP_WEBHOOK_TOKEN: is set, and so is WHATSAPP_WEBHOOK_TOKEN_FILE" in told

    def test_files_that_cannot_be_read_join_the_other_problems(self, tmp_path: Path) -> None:
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        (tmp_path / "empty").write_text(" \n")
        told = problem(
            WEBHOOK_TOKEN_FILE=str(tmp_path / "absent"),
            GATEWAY_API_TOKEN_FILE=str(tmp_path / "binary"),
            WEBHOOK_HMAC_KEY_FILE=str(tmp_path / "empty"),
            DB_PASSWORD_FILE=str(tmp_path),
            GATEWAY_API_PORT="x",
        )
        assert len(told.splitlines()) == 6
        assert "WHATSAPP_WEBHOOK_TOKEN_FILE" in told
        assert "No such file" in told
        assert "not text in UTF-8" in told
        assert "is empty" in told

    def test_a_weak_secret_in_a_file_is_not_shown(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("hunter2hunter")
        told = problem(WEBHOOK_TOKEN_FILE=str(tmp_path / "token"))
        assert "WHATSAPP_WEBHOOK_TOKEN: set, 13 characters" in told
        assert "hunter2" not in told


class TestDotenv:
    def test_the_environment_wins_over_the_file(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text(
            "# ours\nWHATSAPP_GATEWAY_API_PORT=5000\nexport WHATSAPP_TZ='Europe/Lisbon'\nOTHER=1\n"
        )
        environ = {"WHATSAPP_GATEWAY_API_PORT": "6000"}
        got = load_settings(environ, dotenv=tmp_path / ".env")
        assert (got.port, got.timezone) == (6000, "Europe/Lisbon")

    def test_its_values_may_refer_to_others(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text(
            "BASE=/srv\nWHATSAPP_DATA_DIR=${BASE}/wa\nWHATSAPP_DB_HOST\n"
        )
        assert load_settings({}, dotenv=tmp_path / ".env").data_dir == Path("/srv/wa")

    def test_its_secrets_keep_their_dollars(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text(f"WHATSAPP_WEBHOOK_TOKEN='{STRONG}$x$'\n")
        assert load_settings({}, dotenv=tmp_path / ".env").webhook_token == f"{STRONG}$x$"

    def test_a_line_that_says_nothing_is_told_with_its_file(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / ".env").write_text("WHATSAPP_GATEWAY_API_PORT=5000\nwhat is this?\n")
        assert load_settings({}, dotenv=tmp_path / ".env").port == 5000
        (told,) = [record.getMessage() for record in caplog.records]
        assert f"{tmp_path / '.env'}: line 2 is not NAME=value" in told

    def test_an_absent_file_is_fine(self, tmp_path: Path) -> None:
        assert load_settings({}, dotenv=tmp_path / ".env").port == 4011

    def test_an_unreadable_file_is_told(self, tmp_path: Path) -> None:
        (tmp_path / ".env").mkdir()
        with pytest.raises(InvalidInput, match=r"\.env: cannot be read: it is a folder"):
            load_settings({}, dotenv=tmp_path / ".env")

    def test_a_file_that_is_no_text_is_told(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InvalidInput, match=r"\.env: cannot be read: it is not text"):
            load_settings({}, dotenv=tmp_path / ".env")

    def test_it_is_read_from_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".env").write_text("WHATSAPP_GATEWAY_API_PORT=5000\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("WHATSAPP_TZ", "Europe/Lisbon")
        got = load_settings()
        assert (got.port, got.timezone) == (5000, "Europe/Lisbon")


class TestDatabase:
    def test_it_is_composed_of_its_parts(self) -> None:
        got = load(DB_HOST="db", DB_USER="a@b", DB_PASSWORD="p:/@% ç", DB_NAME="my db")
        assert got.backend == "postgres"
        assert got.database_url == "postgresql://a%40b:p%3A%2F%40%25%20%C3%A7@db:5435/my%20db"
        assert got.migration_url == got.database_url

    def test_a_pooler_is_used_for_all_but_migrations(self) -> None:
        got = load(DB_HOST="fd00::1", DB_PASSWORD="x", PGBOUNCER_PORT="7000")
        assert got.database_url == "postgresql://whatsapp:x@[fd00::1]:7000/whatsapp_gateway"
        assert got.migration_url == "postgresql://whatsapp:x@[fd00::1]:5435/whatsapp_gateway"
        assert load(DB_HOST="db", PGBOUNCER_HOST="pool").database_url == (
            "postgresql://whatsapp@pool:6435/whatsapp_gateway"
        )

    def test_parts_beside_an_address_are_refused(self) -> None:
        assert "WHATSAPP_DB_HOST" in problem(DATABASE_URL=URL, DB_HOST="db")

    def test_parts_without_a_host_are_not_used_and_that_is_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert load(DB_USER="ana", DB_PASSWORD="x").backend == "embedded"
        assert "WHATSAPP_DB_HOST is not set" in caplog.text

    def test_the_memory_has_an_address_too(self) -> None:
        assert load(DATABASE_URL="memory://") == msgspec.structs.replace(
            Settings.in_memory(), data_dir=Path("/home/ana/.local/share/wagateway")
        )


class TestMedia:
    def test_every_variable_reaches_its_field(self) -> None:
        got = load(
            MEDIA_ENABLED="no",
            MEDIA_STORE="MinIO",
            MEDIA_DIR="/srv/files",
            MINIO_URL="https://[fd00::1]:9000/",
            MINIO_API_PORT="9000",
            MINIO_PUBLIC_URL="https://files.example",
            MINIO_ROOT_USER="ana",
            MINIO_ROOT_PASSWORD="p:/@% ç",
            MINIO_BUCKET="our.files-1",
            MINIO_REGION="sa-east-1",
            MEDIA_MAX_BYTES="5368709120",
            MEDIA_KINDS="Image, voice,",
            MEDIA_SKIP_CHAT_TYPES="status,NEWSLETTER",
            MEDIA_SKIP_CHATS="5511987650102 , 120363000000000001@g.us,55119@s.whatsapp.net",
            MEDIA_SKIP_SESSIONS="tests vendas",
            MEDIA_OUTGOING="0",
            MEDIA_MAX_AGE_DAYS="365",
            MEDIA_LIFETIME_S="0",
            MEDIA_CONCURRENT="100",
            MEDIA_REDIRECT="yes",
            CORE_S3_URL="https://waha-files.s3.example",
            RETENTION_DAYS="365",
            EVENT_LOG_RETENTION_DAYS="1",
            SPOOL="Filesystem",
            SPOOL_DIR="/srv/spool",
            SPOOL_MAX_BYTES="1048576",
        )
        assert got == Settings(
            data_dir=got.data_dir,
            media_enabled=False,
            media_store="minio",
            media_dir=Path("/srv/files"),
            minio_url="https://[fd00::1]:9000/",
            minio_port=9000,
            minio_public_url="https://files.example",
            minio_user="ana",
            minio_password="p:/@% ç",
            minio_bucket="our.files-1",
            minio_region="sa-east-1",
            media_max_bytes=5 * 2**30,
            media_kinds=frozenset({Kind.IMAGE, Kind.VOICE}),
            media_skip_chat_types=frozenset({"status", "newsletter"}),
            media_skip_chats=frozenset(
                {Jid("5511987650102@c.us"), Jid("120363000000000001@g.us"), Jid("55119@c.us")}
            ),
            media_skip_sessions=frozenset({SessionName("tests"), SessionName("vendas")}),
            media_outgoing=False,
            media_max_age_days=365,
            media_lifetime_s=0,
            media_concurrent=100,
            media_redirect=True,
            engine_store_url="https://waha-files.s3.example",
            retention_days=365,
            event_log_retention_days=1,
            spool="filesystem",
            spool_dir=Path("/srv/spool"),
            spool_max_bytes=2**20,
        )

    def test_files_lie_beside_the_database_unless_told_otherwise(self) -> None:
        assert load(DATA_DIR="/srv/wa").media_folder == Path("/srv/wa/media")
        assert load(DATA_DIR="/srv/wa", MEDIA_DIR="/srv/x").media_folder == Path("/srv/x")
        assert load(DATA_DIR="/srv/wa").spool_folder == Path("/srv/wa/spool")
        assert load(DATA_DIR="/srv/wa", SPOOL_DIR="/srv/x").spool_folder == Path("/srv/x")

    def test_minio_is_looked_for_at_its_port_or_its_address(self) -> None:
        assert load().minio_address == "http://127.0.0.1:9302"
        assert load(MINIO_API_PORT="9000").minio_address == "http://127.0.0.1:9000"
        both = load(MINIO_API_PORT="9000", MINIO_URL="http://minio:9302")
        assert both.minio_address == "http://minio:9302"

    def test_webhooks_wait_in_redis_where_it_is_used(self) -> None:
        assert load().spool_kind == "filesystem"
        assert load(SPOOL="off").spool_kind == "off"
        assert load(REDIS_ENABLED="true").spool_kind == "redis"
        assert load(REDIS_ENABLED="true", SPOOL="filesystem").spool_kind == "filesystem"
        assert Settings.in_memory().spool_kind == "off"
        assert "WHATSAPP_REDIS_ENABLED: is not true, and WHATSAPP_SPOOL=redis" in problem(
            SPOOL="redis"
        )

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("MEDIA_STORE", "s3"),
            ("MEDIA_MAX_BYTES", "0"),
            ("MEDIA_MAX_BYTES", "5368709121"),
            ("MEDIA_MAX_BYTES", "100MB"),
            ("MEDIA_KINDS", "image,text"),
            ("MEDIA_KINDS", "images"),
            ("MEDIA_SKIP_CHAT_TYPES", "status,channel"),
            ("MEDIA_SKIP_CHATS", "Ana"),
            ("MEDIA_SKIP_CHATS", "a@b@c"),
            ("MEDIA_MAX_AGE_DAYS", "0"),
            ("MEDIA_LIFETIME_S", "-1"),
            ("RETENTION_DAYS", "0"),
            ("RETENTION_DAYS", "36501"),
            ("EVENT_LOG_RETENTION_DAYS", "never"),
            ("SPOOL", "yes"),
            ("REDIS_ENABLED", "perhaps"),
            ("SPOOL_MAX_BYTES", "1048575"),
            ("SPOOL_MAX_BYTES", "1GB"),
            ("MEDIA_CONCURRENT", "0"),
            ("MEDIA_OUTGOING", "perhaps"),
            ("CORE_S3_URL", "waha-files.s3.example"),
            ("MINIO_URL", "minio:9302"),
            ("MINIO_URL", "http://minio/path"),
            ("MINIO_PUBLIC_URL", "https://files.example/?x=1"),
            ("MINIO_API_PORT", "65536"),
            ("MINIO_ROOT_USER", "ana maria"),
            ("MINIO_ROOT_USER", "joão"),
            ("MINIO_BUCKET", "Our_Files"),
            ("MINIO_BUCKET", "../etc"),
            ("MINIO_REGION", "us east"),
        ],
    )
    def test_a_malformed_value_is_refused_by_name(self, name: str, text: str) -> None:
        assert f"WHATSAPP_{name}: " in problem(**{name: text})

    def test_the_wrong_word_of_a_list_is_told(self) -> None:
        told = problem(MEDIA_KINDS="image,photo,voice")
        assert "'image,photo,voice' is given, of which 'photo' is not; accepted is a list" in told
        assert "image, video, gif, video_note, voice, audio, document, sticker" in told

    def test_an_address_that_holds_a_password_is_refused_and_not_shown(self) -> None:
        told = problem(MINIO_URL="http://ana:s3same@minio:9302", MINIO_PUBLIC_URL="s3same")
        assert "WHATSAPP_MINIO_URL: set, 28 characters" in told
        assert "WHATSAPP_MINIO_PUBLIC_URL: set, 6 characters" in told
        assert "s3same" not in told

    def test_minio_needs_its_keys_and_all_that_is_wrong_is_told_at_once(
        self, tmp_path: Path
    ) -> None:
        told = problem(MEDIA_STORE="minio", MINIO_BUCKET="x", TZ="Mars")
        assert [line.split(":")[0].strip() for line in told.splitlines()[1:]] == [
            "WHATSAPP_MINIO_BUCKET",
            "WHATSAPP_MINIO_ROOT_PASSWORD",
            "WHATSAPP_MINIO_ROOT_USER",
            "WHATSAPP_TZ",
        ]
        assert "is not set, and WHATSAPP_MEDIA_STORE=minio needs it" in told
        with pytest.raises(InvalidInput, match="WHATSAPP_MINIO_ROOT_PASSWORD: is not set"):
            Settings(media_store="minio", minio_user="ana")
        wrong = problem(MEDIA_STORE="minio", MINIO_ROOT_USER="a b", MINIO_ROOT_PASSWORD="x")
        assert "WHATSAPP_MINIO_ROOT_USER: 'a b' is given" in wrong
        absent = str(tmp_path / "absent")
        wrong = problem(MEDIA_STORE="minio", MINIO_ROOT_USER="ana", MINIO_ROOT_PASSWORD_FILE=absent)
        assert len(wrong.splitlines()) == 2

    def test_its_password_may_come_from_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("s3same word\n")
        got = load(
            MEDIA_STORE="minio",
            MINIO_ROOT_USER="ana",
            MINIO_ROOT_PASSWORD_FILE=str(tmp_path / "password"),
        )
        assert got.minio_password == "s3same word"
        assert "s3same" not in repr(got)

    def test_bounds_hold_in_python_too(self) -> None:
        for wrong in (
            {"media_kinds": frozenset({Kind.TEXT})},
            {"media_kinds": ["image"]},
            {"media_skip_chats": frozenset({"55119@s.whatsapp.net"})},
            {"media_skip_chat_types": frozenset({"Status"})},
            {"media_max_bytes": 0},
        ):
            with pytest.raises(InvalidInput, match="media_"):
                Settings(**wrong)


class TestOverrides:
    def test_they_win_and_none_is_not_given(self) -> None:
        environ = {"WHATSAPP_GATEWAY_API_PORT": "5000", "WHATSAPP_GATEWAY_API_HOST": "::1"}
        got = load_settings(environ, dotenv=None, port=6000, host=None, data_dir=Path("d"))
        assert (got.port, got.host, got.data_dir) == (6000, "::1", Path("d"))

    def test_what_they_replace_need_not_be_right(self) -> None:
        environ = {"WHATSAPP_GATEWAY_API_PORT": "x"}
        assert load_settings(environ, dotenv=None, port=6000).port == 6000

    def test_another_database_is_never_migrated_in_its_place(self) -> None:
        environ = {"WHATSAPP_DATABASE_URL": URL, "WHATSAPP_DATABASE_DIRECT_URL": URL}
        other = "postgresql://elsewhere/archive"
        assert load_settings(environ, dotenv=None, database_url=other).migration_url == other
        parts = {"WHATSAPP_DB_HOST": "db", "WHATSAPP_PGBOUNCER_PORT": "6435"}
        assert load_settings(parts, dotenv=None, database_url=other).migration_url == other

    def test_their_problems_are_told_with_the_others(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            load_settings({"WHATSAPP_TZ": "x"}, dotenv=None, port=0, database_url="db:s3same")
        told = str(caught.value)
        assert "port (WHATSAPP_GATEWAY_API_PORT): '0' is given" in told
        assert "WHATSAPP_TZ: 'x' is given" in told
        assert "database_url (WHATSAPP_DATABASE_URL): set, 9 characters" in told


class TestTypos:
    @pytest.mark.parametrize(
        ("typo", "meant"),
        [
            ("WHATSAPP_GATEWAY_API_TOKN", "WHATSAPP_GATEWAY_API_TOKEN"),
            ("WHATSAPP_WEBHOOK_HMAC", "WHATSAPP_WEBHOOK_HMAC_KEY"),
            ("WHATSAPP_WEBHOOKTOKEN_FILE", "WHATSAPP_WEBHOOK_TOKEN"),
            ("WHATSAPP_MINIO_ROOT_PASS", "WHATSAPP_MINIO_ROOT_PASSWORD"),
            ("WHATSAPP_REDIS_PASS", "WHATSAPP_REDIS_PASSWORD"),
        ],
    )
    def test_they_are_warned_of(
        self, typo: str, meant: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        load_settings({typo: STRONG}, dotenv=None)
        assert caplog.record_tuples == [
            (
                "wagateway.settings",
                logging.WARNING,
                f"{typo} is not a setting of wagateway; is {meant} meant?",
            )
        ]
        assert STRONG not in caplog.text

    @pytest.mark.parametrize(
        "name",
        [
            "WHATSAPP_HOOK_EVENTS",
            "WHATSAPP_HOOK_HMAC_KEY",
            "WHATSAPP_CORE_PORT",
            "WHATSAPP_API_PORT",
            "WHATSAPP_DASHBOARD_PASSWORD",
            "WHATSAPP_MINIO_CONSOLE_PORT",
            "WHATSAPP_FILES_LIFETIME",
            "WHATSAPP_FILES_MIMETYPES",
            "WHATSAPP_DEFAULT_ENGINE",
            "WHATSAPP_SOMETHING_ELSE",
            "GATEWAY_API_TOKEN",
            "WHATSAPP_DB_PASSWORD_FILE",
        ],
    )
    def test_names_of_others_are_left_alone(
        self, name: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        (tmp_path / "x").write_text("x")
        load_settings({name: str(tmp_path / "x"), "WHATSAPP_DB_HOST": "db"}, dotenv=None)
        assert not caplog.records


class TestSettings:
    def test_no_secret_shows(self) -> None:
        got = Settings(
            database_url=URL,
            direct_url=URL,
            api_token=STRONG,
            webhook_token=STRONG,
            webhook_hmac_key=STRONG,
            engine_url="http://ana:s3same@waha:3000",
            engine_key="s3same",
            minio_url="http://minio.s3same.example",
            minio_password="s3same-too",
            redis_url="redis://:s3same@cache:6379/0",
            redis_password="s3same-again",
        )
        for shown in (repr(got), str(got), pretty_repr(got)):
            assert "s3same" not in shown
            assert STRONG not in shown
            assert "port=4011" in shown
        assert got.secrets == (STRONG, STRONG, STRONG, "s3same", "s3same-too", "s3same-again")

    @pytest.mark.parametrize(
        ("given", "address"),
        [
            ({}, "redis://127.0.0.1:6380/0"),
            ({"REDIS_HOST": "cache", "REDIS_PORT": "6379"}, "redis://cache:6379/0"),
            ({"REDIS_HOST": "::1"}, "redis://[::1]:6380/0"),
            ({"REDIS_URL": "rediss://cache/1", "REDIS_HOST": "other"}, "rediss://cache/1"),
        ],
    )
    def test_redis_is_off_and_its_address_wins_over_the_parts(
        self, given: dict[str, str], address: str
    ) -> None:
        got = load(**given)
        assert (got.redis_enabled, got.redis_address) == (False, address)
        assert load(REDIS_ENABLED="true").redis_enabled

    @pytest.mark.parametrize(
        "url",
        [
            "cache:6379",
            "http://cache",
            "redis://",
            "redis://cache:0",
            "redis://c/x",
            "redis://c?a=1",
        ],
    )
    def test_what_is_no_redis_is_refused(self, url: str) -> None:
        with pytest.raises(InvalidInput, match="WHATSAPP_REDIS_URL: set, "):
            load(REDIS_URL=url)

    def test_bounds_hold_however_it_is_made(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            Settings(port=0, api_token="weak", database_url="sqlite://", log_level="loud")
        assert len(str(caught.value).splitlines()) == 5
        with pytest.raises(InvalidInput):
            msgspec.structs.replace(Settings(), pool_size=0)

    def test_each_backend_has_its_constructor(self) -> None:
        assert Settings.in_memory().backend == "memory"
        assert Settings.embedded("x") == Settings(data_dir=Path("x"))
        assert Settings.embedded("x").migration_url is None
        assert (Settings.postgres(URL).backend, Settings.postgres(URL).database_url) == (
            "postgres",
            URL,
        )


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has a folder of its own")
def test_data_lies_where_the_platform_keeps_it() -> None:
    assert default_data_dir({"HOME": "/home/ana"}) == Path("/home/ana/.local/share/wagateway")
    assert default_data_dir({"HOME": "/h", "XDG_DATA_HOME": "/x"}) == Path("/x/wagateway")
    relative = default_data_dir({"HOME": "/h", "XDG_DATA_HOME": "x"})
    assert relative == Path("/h/.local/share/wagateway")
    assert load(DATA_DIR="~/wa").data_dir == Path("~/wa").expanduser()


class TestExample:
    def test_it_names_every_variable_and_no_other(self) -> None:
        assert set(example_lines()) == set(VARIABLES)

    def test_it_changes_nothing_as_it_is(self, tmp_path: Path) -> None:
        copy = tmp_path / ".env"
        copy.write_bytes(EXAMPLE.read_bytes())
        home = {"HOME": "/home/ana"}
        assert load_settings(home, dotenv=copy) == load_settings(home, dotenv=None)

    def test_what_it_shows_is_the_default(self) -> None:
        base = {"WHATSAPP_DB_HOST": "127.0.0.1"}
        pool = {"WHATSAPP_PGBOUNCER_HOST": "127.0.0.1"}
        for name, text in example_lines().items():
            if name not in NAMES_OF_EXAMPLES:
                given = base | (pool if "PGBOUNCER" in name else {})
                shown = load_settings(given | {name: text}, dotenv=None)
                assert shown == load_settings(given, dotenv=None), name

    def test_every_example_in_it_is_accepted(self) -> None:
        lines = {k: v for k, v in example_lines().items() if k != "WHATSAPP_DB_HOST"}
        assert {k for k, v in example_lines().items() if v} >= NAMES_OF_EXAMPLES
        got = load_settings(lines, dotenv=None)
        assert got.direct_url == got.database_url
        assert got.prepare_threshold == 5


class TestBackups:
    def test_a_schedule_needs_a_place(self) -> None:
        told = problem(BACKUP_EVERY_HOURS="24")
        assert "WHATSAPP_BACKUP_DIR: is not set, and WHATSAPP_BACKUP_EVERY_HOURS needs it" in told
        assert load(BACKUP_EVERY_HOURS="24", BACKUP_DIR="/mnt").backup_every_hours == 24
        assert load(BACKUP_DIR="/mnt").backup_every_hours is None

    @pytest.mark.parametrize("where", ["/mnt/x", "~/x", "x y", "s3://my-backups", "s3://b.c/d/e/"])
    def test_places(self, where: str) -> None:
        assert load(BACKUP_DIR=where).backup_dir == where

    @pytest.mark.parametrize("where", ["s3:", "s3://", "s3://UP/x", "s3://bucket/../x", "s3:/b"])
    def test_what_is_no_place(self, where: str) -> None:
        assert "s3://bucket/prefix" in problem(BACKUP_DIR=where)

    def test_a_passphrase_is_long_and_never_shown(self) -> None:
        told = problem(BACKUP_PASSPHRASE="too short")
        assert "too short" not in told
        assert "12 or more characters" in told
        got = load(BACKUP_PASSPHRASE="six words chosen by dice")
        assert "dice" not in repr(got)
        assert got.secrets == ("six words chosen by dice",)
