"""The .env of the stack is looked at as a whole."""

import re
from pathlib import Path

import pytest

from wagateway.entrypoints.stack_env import REQUIRED, StackEnv, examine_stack_env

EXAMPLE = Path(__file__).resolve().parents[3] / "compose" / "env.example"
AS_EVER = """
WHATSAPP_DB_USER=whatsapp_user
WHATSAPP_DB_PASSWORD=Jh8vX2qLmZ4tR9wBn6Kd
WHATSAPP_DB_PORT=5435
WHATSAPP_PGBOUNCER_PORT=6435
WHATSAPP_CORE_PORT=3311
WHATSAPP_API_KEY=pQ7zX1cVbN5mLk3jHg9f
WHATSAPP_DASHBOARD_ENABLED=true
WHATSAPP_DASHBOARD_USERNAME=operator
WHATSAPP_DASHBOARD_PASSWORD=Wd5rT8yU2iO9pA4sF7gH
WHATSAPP_GATEWAY_API_PORT=4011
WHATSAPP_GATEWAY_API_TOKEN=Zx3cV6bN9mQ2wE5rT8yU
WHATSAPP_WEBHOOK_TOKEN=Lk4jH7gF2dS9aP6oI3uY
WHATSAPP_REDIS_PORT=6380
WHATSAPP_REDIS_ENABLED=true
WHATSAPP_MINIO_API_PORT=9302
WHATSAPP_MINIO_CONSOLE_PORT=9303
WHATSAPP_MINIO_ROOT_USER=whatsapp_minio
WHATSAPP_MINIO_ROOT_PASSWORD=Rt6yU9iO3pL8kJ5hG2fD
WHATSAPP_MINIO_BUCKET=whatsapp-media
WHATSAPP_SYNC_ENABLED=true
WHATSAPP_SYNC_INTERVAL_MS=300000
WHATSAPP_SYNC_BATCH_SIZE=100
WHATSAPP_SYNC_LOOKBACK_DAYS=7
WHATSAPP_SYNC_CONCURRENT_CHATS=5
WHATSAPP_SYNC_MAX_RETRIES=3
WHATSAPP_LOG_LEVEL=info
WHATSAPP_TZ=America/Sao_Paulo
"""
"""With every name that operators of the stack use, but the two below."""


WHOLE = StackEnv(problems={}, advice={})


def problems(**changed: str) -> dict[str, str]:
    lines = "\n".join(f"{name}={value}" for name, value in changed.items())
    return examine_stack_env(AS_EVER + lines).problems


def advice(**changed: str) -> dict[str, str]:
    lines = "\n".join(f"{name}={value}" for name, value in changed.items())
    found = examine_stack_env(AS_EVER + lines)
    assert found.problems == {}
    return found.advice


def test_what_operators_have_is_whole() -> None:
    assert examine_stack_env(AS_EVER) == WHOLE


def test_every_name_of_the_example_is_known() -> None:
    text = EXAMPLE.read_text("utf-8")
    shown = re.findall(r"^# (\w+=.+)$", text, re.MULTILINE)
    assert examine_stack_env("\n".join([AS_EVER, *shown])) == WHOLE


def test_an_empty_one_lacks_all_that_is_needed_at_once() -> None:
    found = examine_stack_env("")
    assert found.problems.keys() == REQUIRED.keys()
    assert all(what.startswith("is not set") for what in found.problems.values())


@pytest.mark.parametrize("secret", ["postgres", "changeme", "whatsapp123", "minioadmin", "admin"])
@pytest.mark.parametrize("name", sorted(REQUIRED.keys() - {"WHATSAPP_MINIO_ROOT_USER"}))
def test_a_secret_that_everybody_tries_first_is_refused(name: str, secret: str) -> None:
    found = problems(**{name: secret})
    assert found.keys() == {name}
    assert secret not in found[name]
    assert examine_stack_env(f"{AS_EVER}{name}={secret}").advice == {}  # once is enough


def test_what_the_settings_refuse_is_refused_with_their_words() -> None:
    found = problems(WHATSAPP_SYNC_BATCH_SIZE="5", WHATSAPP_GATEWAY_API_TOKEN="k7Qx2")
    assert "from 20 to 1000" in found["WHATSAPP_SYNC_BATCH_SIZE"]
    assert found.keys() == {"WHATSAPP_SYNC_BATCH_SIZE", "WHATSAPP_GATEWAY_API_TOKEN"}


def test_what_minio_refuses_is_refused() -> None:
    found = problems(WHATSAPP_MINIO_ROOT_USER="ab", WHATSAPP_MINIO_ROOT_PASSWORD="k7Qx2Zp")
    assert "3 or more" in found["WHATSAPP_MINIO_ROOT_USER"]
    assert "8 or more" in found["WHATSAPP_MINIO_ROOT_PASSWORD"]


def test_a_dollar_that_compose_would_replace_is_refused() -> None:
    secret = "pa$Word9xKq2Lm7Vt4Zb"
    assert problems(WHATSAPP_DB_PASSWORD=secret).keys() == {"WHATSAPP_DB_PASSWORD"}
    assert problems(WHATSAPP_DB_PASSWORD=f'"{secret}"').keys() == {"WHATSAPP_DB_PASSWORD"}
    assert problems(WHATSAPP_DB_PASSWORD=f"'{secret}'") == {}


def test_what_a_setting_needs_may_be_there_already() -> None:
    assert advice(WHATSAPP_BACKUP_EVERY_HOURS="24") == {}
    assert (
        examine_stack_env(AS_EVER.replace("WHATSAPP_REDIS_ENABLED", "#") + "WHATSAPP_SPOOL=redis")
        == WHOLE
    )
    found = problems(WHATSAPP_SPOOL="redis", WHATSAPP_REDIS_ENABLED="false")
    assert found.keys() == {"WHATSAPP_REDIS_ENABLED"}


def test_a_hash_is_no_key() -> None:
    found = problems(WHATSAPP_API_KEY="sha512:98b6d128682e280b74b324ca82a6bae6e8")
    assert "hash" in found["WHATSAPP_API_KEY"]


def test_a_short_password_is_told_and_taken() -> None:
    assert "16" in advice(WHATSAPP_DB_PASSWORD="k7Qx2ZpLm4")["WHATSAPP_DB_PASSWORD"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WHATSAPP_CORE_URL", "http://localhost:3311"),
        ("WHATSAPP_DATABASE_URL", "postgresql://a:b@elsewhere/c"),
        ("WHATSAPP_DB_HOST", "localhost"),
        ("WHATSAPP_LIVE_MAX_STREAMS_FILE", "/nowhere/streams"),
    ],
)
def test_what_the_stack_does_not_use_is_told(name: str, value: str) -> None:
    assert "is not used" in advice(**{name: value})[name]


def test_events_without_the_account_s_own_messages_are_told() -> None:
    name = "WHATSAPP_HOOK_EVENTS"
    assert "no message.any" in advice(**{name: "message,session.status"})[name]
    assert "twice" in advice(**{name: "message,message.any"})[name]
    assert advice(**{name: "*"}) == {}


def test_a_misspelt_name_is_told() -> None:
    assert "WHATSAPP_LOG_LEVEL" in advice(WHATSAPP_LOG_LEVLE="debug")["WHATSAPP_LOG_LEVLE"]
