"""What the settings leave open is told, without a secret."""

from typing import Any

import pytest

from wagateway.entrypoints.exposure import exposure_findings, is_this_machine
from wagateway.entrypoints.findings import Finding, Verdict
from wagateway.entrypoints.secrets import GatewaySecrets
from wagateway.entrypoints.settings import Settings

STRONG = "tQ3v9LxW0bZr7KfM2sYd"
OTHER = "nB8-7cXe_3VkQ5yMw2Rj"
SECRETS = GatewaySecrets(api_token=STRONG, webhook_token=OTHER, webhook_hmac_key=None)
SIGNED = GatewaySecrets(api_token=STRONG, webhook_token=None, webhook_hmac_key=OTHER)


def found(secrets: GatewaySecrets | None = SECRETS, /, **settings: Any) -> dict[str, Finding]:  # noqa: ANN401 - any setting
    told = list(exposure_findings(Settings(**settings), secrets))
    assert all(finding.verdict is Verdict.WARN and finding.mend for finding in told)
    assert len({finding.hop for finding in told}) == len(told)
    return {finding.hop: finding for finding in told}


def test_what_stays_on_this_machine_is_no_matter() -> None:
    assert found() == {}
    assert found(None) == {}


class TestListening:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "gateway.internal"])
    def test_other_machines_without_tls_in_front(self, host: str) -> None:
        told = found(host=host)["exposure"]
        assert host in told.found
        assert "tokens and messages" in told.found
        assert "WHATSAPP_BEHIND_TLS" in (told.mend or "")

    def test_a_signature_gives_no_token_of_webhooks_away(self) -> None:
        assert "the API's token" in found(SIGNED, host="0.0.0.0")["exposure"].found

    def test_with_tls_the_proxy_is_to_be_named(self) -> None:
        assert list(found(host="0.0.0.0", behind_tls=True)) == ["proxy"]
        named = frozenset({"10.0.0.0/8"})
        assert found(host="0.0.0.0", behind_tls=True, trusted_proxies=named) == {}


class TestPasswords:
    @pytest.mark.parametrize(
        ("setting", "value", "name"),
        [
            ("engine_key", "admin", "WHATSAPP_API_KEY"),
            ("minio_password", "minioadmin", "WHATSAPP_MINIO_ROOT_PASSWORD"),
            ("redis_password", "password1234567890", "WHATSAPP_REDIS_PASSWORD"),
            ("redis_url", "redis://:hunter2@127.0.0.1/0", "WHATSAPP_REDIS_URL"),
            ("database_url", "postgresql://ana:hunter2@127.0.0.1/db", "the database's password"),
        ],
    )
    def test_that_can_be_guessed_are_named_and_not_shown(
        self, setting: str, value: str, name: str
    ) -> None:
        told = found(**{setting: value})["passwords"]
        assert name in told.found
        assert "hunter2" not in str(told)
        assert "password1234" not in str(told)

    def test_good_ones_are_no_matter(self) -> None:
        url = f"postgresql://ana:{STRONG}@127.0.0.1/db"
        assert found(engine_key="pD5-4nHs_1GcV6jZt0Ua", database_url=url) == {}

    @pytest.mark.parametrize("setting", ["engine_key", "metrics_token"])
    def test_one_for_two_doors_is_told(self, setting: str) -> None:
        told = found(**{setting: STRONG})["tokens"]
        assert STRONG not in str(told)
        same = GatewaySecrets(api_token=STRONG, webhook_token=STRONG, webhook_hmac_key=None)
        assert list(found(same)) == ["tokens"]

    def test_a_token_that_is_the_key_of_signatures_too_opens_no_second_door(self) -> None:
        same = GatewaySecrets(api_token=STRONG, webhook_token=OTHER, webhook_hmac_key=OTHER)
        assert found(same) == {}


class TestDatabase:
    @pytest.mark.parametrize(
        "url",
        [
            f"postgresql://ana:{STRONG}@db.example:5432/archive",
            f"postgresql://ana:{STRONG}@db.example/archive?sslmode=prefer",
            f"postgresql://ana:{STRONG}@127.0.0.1,db.example/archive?sslmode=disable",
            f"postgresql://ana:{STRONG}@/archive?host=db.example&sslmode=allow",
            f"postgresql://ana:{STRONG}@10.0.0.9/archive",
        ],
    )
    def test_without_tls_to_another_host(self, url: str) -> None:
        told = found(database_url=url)["database link"]
        assert "db.example" in told.found or "10.0.0.9" in told.found
        assert STRONG not in str(told)
        assert "sslmode=require" in (told.mend or "")

    @pytest.mark.parametrize(
        "url",
        [
            f"postgresql://ana:{STRONG}@db.example/archive?sslmode=require",
            f"postgresql://ana:{STRONG}@db.example/archive?sslmode=verify-full",
            f"postgresql://ana:{STRONG}@127.0.0.1/archive",
            f"postgresql://ana:{STRONG}@[::1]:5432/archive",
            f"postgresql://ana:{STRONG}@localhost/archive",
            "postgresql:///archive?host=/var/run/postgresql",
            "memory://",
        ],
    )
    def test_with_tls_or_here(self, url: str) -> None:
        assert found(database_url=url) == {}

    def test_the_one_behind_the_pooler_counts_too(self) -> None:
        pooled = f"postgresql://ana:{STRONG}@127.0.0.1:6435/archive"
        direct = f"postgresql://ana:{STRONG}@db.example/archive"
        assert "db.example" in found(database_url=pooled, direct_url=direct)["database link"].found

    def test_what_the_environment_says_of_tls_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGSSLMODE", "verify-full")
        assert found(database_url=f"postgresql://ana:{STRONG}@db.example/archive") == {}


class TestRedis:
    def test_without_a_password_or_tls_on_another_host(self) -> None:
        told = found(redis_enabled=True, redis_host="redis.example")
        assert list(told) == ["redis password", "redis link"]
        assert "redis.example" in told["redis password"].found

    @pytest.mark.parametrize(
        "settings",
        [
            {"redis_host": "redis.example", "redis_password": OTHER},
            {"redis_url": f"redis://:{OTHER}@redis.example/0"},
        ],
    )
    def test_with_a_password_only_the_link_is_told(self, settings: dict[str, str]) -> None:
        assert list(found(redis_enabled=True, **settings)) == ["redis link"]

    @pytest.mark.parametrize(
        "settings",
        [
            {"redis_url": f"rediss://:{OTHER}@redis.example/0"},
            {"redis_host": "127.0.0.1"},
            {"redis_host": "::1"},
        ],
    )
    def test_with_both_or_here(self, settings: dict[str, str]) -> None:
        assert found(redis_enabled=True, **settings) == {}

    def test_one_that_is_not_used_is_no_matter(self) -> None:
        assert found(redis_host="redis.example") == {}


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("/var/run/postgresql", True),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1", False),
    ],
)
def test_tells_this_machine_from_others(host: str, *, is_here: bool) -> None:
    assert is_this_machine(host) is is_here
