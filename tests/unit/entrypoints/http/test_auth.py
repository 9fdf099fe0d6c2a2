"""How credentials are compared."""

import hmac

import pytest

from wagateway.entrypoints.http.auth import HttpSecurity, MetricsAccess

SECRETS = HttpSecurity(
    api_token="api-secret-0001",
    webhook_token="webhook-secret-0002",
    webhook_hmac_key="hmac-secret-0003",
    metrics_token="metrics-secret-0004",
)
BODY = b"[]"


class Comparing:
    """Compares in place of hmac.compare_digest, and says *verdict* to everything."""

    def __init__(self, *, verdict: bool) -> None:
        self.verdict = verdict
        self.compared: list[tuple[bytes, bytes]] = []

    def __call__(self, one: bytes | str, other: bytes | str) -> bool:
        assert isinstance(one, bytes)
        assert isinstance(other, bytes)
        self.compared.append((one, other))
        return self.verdict


def admitted(token: bytes, webhook_token: bytes, signature: bytes) -> list[bool]:
    """Return who is let in: the API, the metrics, a webhook with a token, and with a signature."""

    def is_taken(*headers: tuple[bytes, bytes]) -> bool:
        try:
            SECRETS.require_webhook_promise(headers)
            SECRETS.require_webhook_signature(headers, BODY)
        except Exception:  # noqa: BLE001 - however it is refused
            return False
        return True

    return [
        SECRETS.admits_api([(b"x-api-token", token)]),
        SECRETS.admits_api([(b"authorization", b"Bearer " + token)]),
        SECRETS.metrics.admits([(b"authorization", b"Bearer " + token)]),
        is_taken((b"x-whatsapp-token", webhook_token)),
        is_taken((b"x-webhook-hmac", signature)),
    ]


RIGHT = (
    b"api-secret-0001",
    b"webhook-secret-0002",
    hmac.digest(b"hmac-secret-0003", BODY, "sha512").hex().encode(),
)
WRONG = (b"a", b"b", b"c")


def test_who_has_the_secret_is_let_in_and_nobody_else() -> None:
    assert admitted(*RIGHT) == [True] * 5
    assert admitted(*WRONG) == [False] * 5


def test_only_a_comparison_in_constant_time_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hmac, "compare_digest", Comparing(verdict=True))
    assert admitted(*WRONG) == [True] * 5
    monkeypatch.setattr(hmac, "compare_digest", Comparing(verdict=False))
    assert admitted(*RIGHT) == [False] * 5


@pytest.mark.parametrize("presented", [b"one", b"another", b"neither"])
def test_a_token_is_compared_with_each_that_it_may_be(
    presented: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long it takes does not tell which of them it was."""
    comparing = Comparing(verdict=True)
    monkeypatch.setattr(hmac, "compare_digest", comparing)
    assert MetricsAccess.of("one", "another").admits([(b"x-api-token", presented)])
    assert comparing.compared == [(presented, b"one"), (presented, b"another")]
